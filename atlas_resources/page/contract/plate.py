"""`data/plates/<plate_id>.js`: what is shown of a plate that was opened."""

from typing import Literal

from atlas_resources.page.contract.part import Index, Part


class Colour(Part):
    """A colour with its share of the pixels."""

    colour: str
    share: float


class Picture(Part):
    """The plate's picture for the screen: upright, at most 1,600 pixels on its longer side."""

    path: str
    """Relative to the page's folder."""
    width_px: int
    height_px: int


class Source(Part):
    """The one immutable scan."""

    name: str
    sha256: str
    width_px: int
    height_px: int
    origin: str | None
    """Address it came from, shown as text."""


class PlateFact(Part):
    """A line of what the index says of the plate: a name and a text."""

    name: str
    text: str


class Judgement(Part):
    """What a person says of a machine's row. Always shown as a person's word, beside the machine's."""

    judgement: Literal["accepted", "rejected", "corrected"]
    corrected: str | None
    person: str
    judged_at: str
    is_disputed: bool


class NearSegment(Part):
    """A segment elsewhere that is like this one."""

    plate: Index
    segment_id: str
    cosine: float


class Segment(Part):
    """A mask that a segmenter kept. Coordinates are pixels of `PlateDetail.picture`, x right, y down."""

    segment_id: str
    path: str
    """An SVG path with holes by the even-odd rule."""
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    area_ratio: float
    class_name: str | None
    palette: list[Colour]
    nearest: list[NearSegment]
    """The nearest segments of other plates, nearest first; empty if no instrument embeds these regions."""
    judgement: Judgement | None


class Segmentation(Part):
    """The kept segments of a segmenter on the plate."""

    instrument: str
    run_id: str
    embedder: str | None
    """Instrument that `Segment.nearest` is by."""
    segments: list[Segment]
    sql: str
    nearest_sql: str | None
    """Gives `Segment.nearest` of all segments; null without an embedder."""


class Box(Part):
    """A rectangle in pixels of `PlateDetail.picture`."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class Text(Part):
    """A line that was read, or an answer. Machine-made."""

    text_id: str
    stage: str
    text: str
    score: float | None
    box: Box | None
    judgement: Judgement | None


class Texts(Part):
    """The texts of an instrument on the plate."""

    instrument: str
    run_id: str
    texts: list[Text]
    sql: str


class Score(Part):
    """A label with its score."""

    label: str
    score: float


class Probe(Part):
    """The highest scores of a probe on the plate, and what there is to doubt."""

    instrument: str
    run_id: str
    calibration: str
    """How far the scores are probabilities, in the words of the ledger."""
    scores: list[Score]
    label_count: int
    sql: str


class Detection(Part):
    """A box with a label."""

    detection_id: str
    label: str
    score: float
    box: Box
    judgement: Judgement | None


class Detections(Part):
    """The boxes of a detector on the plate."""

    instrument: str
    run_id: str
    detections: list[Detection]
    sql: str


class Neighbour(Part):
    """A near plate."""

    plate: Index
    cosine: float | None
    """Null in the ensemble, which orders by votes."""
    votes: int
    """Number of embedding spaces that have this plate among as many nearest as are listed."""


class Neighbours(Part):
    """The nearest plates by a space, nearest first, or by the ensemble of all embedding spaces."""

    space: str | None
    """Key of the space; null for the ensemble."""
    nearest: list[Neighbour]
    outlier_factor: float | None
    is_outlier: bool
    cluster: int | None
    judgement: Judgement | None
    """Of the cluster."""
    run_id: str | None
    sql: str


class Provenance(Part):
    """Where an instrument's numbers on this plate come from."""

    instrument: str
    table: str
    run_id: str
    sealed_at: str
    model_id: str
    model_sha: str
    weights_sha256: str | None
    source_sha256: str
    fingerprint: str
    preprocess_tag: str | None
    code_git_sha: str | None
    code_is_dirty: bool | None
    device: str | None
    dtype: str | None
    licence: str
    sql: str


class PlateDetail(Part):
    """What is shown of a plate that was opened."""

    schema_version: Literal[1]
    plate_id: str
    picture: Picture | None
    source: Source
    facts: list[PlateFact]
    facts_sql: str
    paper: Colour | None
    """Colour of the paper and its share."""
    colours: list[Colour]
    """Dominant colours of the whole plate."""
    colours_sql: str
    segmentations: list[Segmentation]
    texts: list[Texts]
    probes: list[Probe]
    detections: list[Detections]
    neighbours: list[Neighbours]
    """The ensemble first, then each space."""
    disagreement: float | None
    disagreement_sql: str
    duplicates_sql: str
    """Pairs that this plate is in; the pairs themselves are in `Library.duplicates`."""
    tags: list[str]
    tags_sql: str
    provenance: list[Provenance]
