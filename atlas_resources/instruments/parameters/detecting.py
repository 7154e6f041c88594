"""Parameters of the loaders that find boxes."""

from pydantic import Field

from atlas_resources.files.contract import Contract


class DetrParameters(Contract):
    """Parameter of DETR's own post-processing: boxes with a score at or below it are dropped."""

    threshold: float = Field(ge=0, le=1)


class GroundingDinoParameters(Contract):
    """Parameters of GroundingDINO's own post-processing: minimum score of a box, and of a word of its label."""

    box_threshold: float = Field(ge=0, le=1)
    text_threshold: float = Field(ge=0, le=1)


class MtcnnParameters(Contract):
    """Parameters of MTCNN's cascade, by the meaning and with the ranges of facenet-pytorch 2.5.3."""

    min_face_px: int = Field(ge=12, description="Side of the smallest face that is looked for, on the resized plate.")
    scale_factor: float = Field(gt=0.1, lt=1, description="Between two scales of the pyramid.")
    first_threshold: float = Field(gt=0, lt=1)
    second_threshold: float = Field(gt=0, lt=1)
    third_threshold: float = Field(gt=0, lt=1, description="Faces with a score at or below it are dropped.")
