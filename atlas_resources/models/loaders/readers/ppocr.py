"""PP-OCR: lines of printed text, found and read by two ONNX networks, with the steps of the library rapidocr.

rapidocr is given sessions of the verified files. Without them it would look for models of its own and download them.
"""

from pathlib import PurePosixPath
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_rec import TextRecognizer

from atlas_resources.instruments.parameters.reading import PpocrParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._onnx_sessions import open_session
from atlas_resources.models.loaders.readers._pages import read_by_tiles
from atlas_resources.models.protocols import TextLine
from atlas_resources.models.weights import LocatedWeights

UPRIGHT_RATIO = 1.5
"""Height over width from which rapidocr turns a line by a quarter, counter-clockwise (utils/process_img.py,
get_rotate_crop_image): the text then begins at the box's upper right."""


class Ppocr:
    """Reads plates."""

    def __init__(self, engine: RapidOCR, parameters: PpocrParameters):
        self.engine = engine
        self.parameters = parameters

    def read_page(self, pixels: np.ndarray) -> list[TextLine]:
        """Returns the lines in reading order, for uint8 [H, W, 3], RGB in sRGB; a large plate is read by tiles too."""
        return read_by_tiles(self.read_image, pixels, self.parameters)

    def read_image(self, pixels: np.ndarray) -> list[TextLine]:
        """Returns the lines of one image as rapidocr orders them, reduced to `side_limit_px` if it is larger."""
        found: Any = self.engine(np.ascontiguousarray(pixels[..., ::-1]))
        if found.boxes is None or found.txts is None:
            return []
        lines = zip(found.txts, found.scores, found.boxes, strict=True)
        return [TextLine(text, float(score), _from_upper_left(box)) for text, score, box in lines if text.strip()]


def _from_upper_left(box: np.ndarray) -> np.ndarray:
    """The corners float64 [4, 2] clockwise from where the text begins, of a box that begins at its upper left."""
    corners = box.astype(np.float64)
    width = max(np.linalg.norm(corners[0] - corners[1]), np.linalg.norm(corners[2] - corners[3]))
    height = max(np.linalg.norm(corners[0] - corners[3]), np.linalg.norm(corners[1] - corners[2]))
    return np.roll(corners, -1, axis=0) if int(height) >= UPRIGHT_RATIO * max(1, int(width)) else corners


def load(spec: Spec, weights: LocatedWeights, device: str) -> Ppocr:
    """Opens both pinned files, see `_onnx_sessions.open_session`, and hands the sessions to rapidocr.

    Raises:
        ValueError: the files are not one detector and one recogniser, by `_det_` and `_rec_` in their names.
        WeightsMismatch: a graph is not plain.
    """
    parameters = PpocrParameters.model_validate(spec.parameters)
    paths = {kind: path for kind in ("det", "rec") for name, path in weights.files.items() if f"_{kind}_" in name}
    if len(paths) != len(weights.files) or len(paths) != 2:
        found = ", ".join(PurePosixPath(name).name for name in weights.files)
        raise ValueError(f"{spec.key}: expected a file with _det_ and one with _rec_ in its name, found {found}")
    sessions = {kind: open_session(spec, path, parameters, is_of_one_size=False) for kind, path in paths.items()}
    engine = RapidOCR(params=settings(parameters))
    engine.text_det = TextDetector(_with_session(engine.cfg.Det, sessions["det"]))
    engine.text_rec = TextRecognizer(_with_session(engine.cfg.Rec, sessions["rec"]))
    return Ppocr(engine, parameters)


def settings(parameters: PpocrParameters) -> dict[str, Any]:
    """rapidocr's parameters by its own names: every line is kept with its score, and none is turned upside down."""
    return {
        "Global.use_cls": False,
        "Global.text_score": 0.0,
        "Global.max_side_len": parameters.side_limit_px,
        "Global.log_level": "error",
        "Det.limit_side_len": parameters.detector_side_px,
        "Det.limit_type": "min",
        "Det.thresh": parameters.pixel_threshold,
        "Det.box_thresh": parameters.box_threshold,
        "Det.unclip_ratio": parameters.unclip_ratio,
    }


def _with_session(config: Any, session: Any) -> Any:
    """A part of rapidocr's configuration with the session that it is to use (its `OrtInferSession` takes one)."""
    content = OmegaConf.to_container(config)
    return OmegaConf.create({**content, "session": session, "font_path": None}, flags={"allow_objects": True})  # type: ignore[dict-item] # a part of it is a mapping
