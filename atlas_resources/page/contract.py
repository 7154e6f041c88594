"""What the page's files hold: the contract between what writes them and what draws them.

`web/src/contract.ts` is generated from these models. A file's content is a call, `receiveAtlas(name, value)`, since a
page opened from disk may load scripts and pictures, but fetch nothing:

    data/library.js             "library", a Library
    data/sprites/<number>.js    "sprites/<number>", a data URL of one sheet of thumbnails
    data/plates/<plate_id>.js   "plates/<plate_id>", a PlateDetail; loaded when the plate is opened
    pictures/<name>             the plates' pictures, named by their digest

Plates are known by their index: their position in the columns of `Library.plates`. Every text may come from a model or
an index and is shown as text, never as markup. Ratios and shares are 0..1, colours `#rrggbb` in sRGB, times UTC in ISO
8601, cosines -1..1.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
Index = int
"""Position of a plate in the columns of `Library.plates`, from 0."""


class Part(BaseModel):
    """A frozen part of the page's data, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlateColumns(Part):
    """What is known of every plate, a list a column, in order of plate number and id."""

    plate_id: list[str]
    title: list[str]
    year: list[int | None]
    """First year of the plate's date, where its index states one."""
    licence: list[str | None]
    paper: list[str | None]
    """Colour of its paper; null without groundwork."""
    paper_lightness: list[float | None]
    """CIE L* of that colour, 0..100."""
    printed_text: list[str]
    """Lines that instruments read on it, joined by newlines; empty if none."""
    machine_words: list[str]
    """Captions, keywords and descriptions that models wrote, joined by newlines; empty if none."""
    disagreement: list[float | None]
    """How far the embedding spaces differ about its neighbours, 0 (the same) to 1 (no neighbour in common)."""
    outlier_in: list[int]
    """Number of spaces in which it is an outlier."""
    thumbnail_width: list[int]
    """Pixels of its thumbnail inside its cell of the sprite sheet; 0 if it has none."""
    thumbnail_height: list[int]


class Sprites(Part):
    """Sheets of thumbnails. Plate i is in sheet i // (columns * rows), cell i % (columns * rows), row by row.

    A thumbnail is centred in its square cell.
    """

    cell_px: int
    columns: int
    rows: int
    sheet_count: int


class Layout(Part):
    """Coordinates of plates in a plane. Null where a plate has no vector in the space."""

    method: Literal["pca", "umap"]
    x: list[float | None]
    y: list[float | None]
    note: str
    """What distances in this layout mean, in a sentence, with its parameters."""
    sql: str


class Space(Part):
    """The vectors of an embedding instrument, or colour."""

    key: str
    title: str
    kind: Literal["embedding", "colour"]
    layouts: list[Layout]
    cluster: list[int | None]
    """Cluster of each plate, from 0, the largest first; null in none, or without a vector."""
    is_exemplar: list[Index]
    """The plates that stand for their clusters."""
    cluster_stability: float | None
    """Adjusted Rand index under resampled plates: about 0 by chance, 1 for the same clusters."""
    outlier_factor: list[float | None]
    is_outlier: list[Index]
    sql: str
    """Its shape, and each plate's place in it."""


class Agreement(Part):
    """How far two spaces have the same neighbours: calibrated mutual overlap at k, with its interval."""

    first: str
    second: str
    k: int
    overlap: float
    low: float | None
    high: float | None
    calibrated: float | None


class Instrument(Part):
    """An instrument with a current result in the library."""

    key: str
    title: str
    role: str
    model_id: str
    model_sha: str
    weights_sha256: str | None
    preprocess_tag: str | None
    fingerprint: str
    licence: str
    commercial_use: str
    failure_modes: list[str]


class Tag(Part):
    """A tag that people gave plates."""

    tag: str
    plates: list[Index]
    people: list[str]


class Failure(Part):
    """A plate that an instrument, or the groundwork, could not measure, or whose result is outdated or missing."""

    plate: Index | None
    instrument: str
    state: str
    reason: str
    failed_at: str | None
    run_id: str | None


class RefusedScan(Part):
    """A file that could not be registered."""

    path: str
    reason: str


class DuplicatePair(Part):
    """Two plates that may show the same thing, with the evidence in words."""

    first: Index
    second: Index
    evidence: str


class Library(Part):
    """Everything that is needed before a plate is opened."""

    schema_version: Literal[1]
    title: str
    made_at: str
    made_by: str
    """Atlas, its version and commit."""
    catalogue: str
    """Path of the catalogue that the SQL asks, as `atlas query` shows it; a name, not a path of a machine."""
    notices: list[str]
    """What was left out and why, in sentences."""
    plates: PlateColumns
    sprites: Sprites
    spaces: list[Space]
    agreement: list[Agreement]
    instruments: list[Instrument]
    tags: list[Tag]
    failures: list[Failure]
    refused_scans: list[RefusedScan]
    duplicates: list[DuplicatePair]


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
    tags: list[str]
    provenance: list[Provenance]
