"""`data/library.js`: everything that is needed before a plate is opened."""

from typing import Literal

from atlas_resources.page.contract.part import Index, Part


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
    """How far two spaces have the same neighbours: mutual overlap at k with its interval, and its part above chance."""

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
    plates_sql: str
    """The plates, in the order of the columns."""
    agreement_sql: str
    failures_sql: str
