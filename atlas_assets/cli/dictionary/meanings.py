"""What a field of a JSON file means: by its schema, or by the ledger's column of the same name."""

from collections.abc import Mapping
from functools import cache

from atlas_assets.cli.dictionary.schemas import Parts, file_parts
from atlas_resources.tables.ledgers import LEDGERS

LEDGER_OF = {
    "manifest": ("plates",),
    "input_image": ("plates",),
    "input_color_histograms": ("histograms", "plates"),
    "groundwork_failure": ("groundwork_failures",),
    "refused_scans": ("refused_scans",),
    "run.manifest": ("runs",),
}
"""Ledgers whose columns are named as the file's fields."""
OTHERS = {
    "colour_policy.exif_orientation": "What was done with the EXIF orientation; identity: it said upright.",
    "colour_policy.alpha": "What was done with transparency.",
    "colour_policy.page": "Which page of the file was read.",
    "colour_policy.cmyk": "How CMYK became sRGB: by the embedded profile, or by Pillow's formula where there is none.",
    "jpeg.is_progressive": "Whether the JPEG is progressive.",
    "lab.bins": "Bins along L, a, b.",
    "lab.l_range": "Lower edge of the first bin along L, and upper edge of the last.",
    "lab.a_range": "The same along a.",
    "lab.b_range": "The same along b.",
    "lab.counts": "Pixels in each bin, flattened in L, a, b order (b fastest).",
    "srgb_hex": "The colour as 8-bit sRGB, #rrggbb.",
    "share": "Share of the plate's pixels.",
    "paper.threshold": "Otsu's threshold on luma; pixels above it are paper.",
    "paper.paper_ratio": "Share of the pixels that are paper.",
    "paper.paper_lab": "Mean Lab of the paper; null without paper.",
    "paper.foreground_ratio": "Share of the pixels that are not paper.",
    "paper.foreground_lab": "Mean Lab of the printed pixels; null without any.",
    "measure_version": "Version of the measuring code.",
    "refused_scans": "The scans, sorted by path.",
    "reason": "Why the scan is refused.",
    "path": "The file.",
    "sha256": "Its sha256.",
    "size_bytes": "Its size.",
    "plate_id": "Id of the plate.",
}
"""Fields that neither describes, by path or by name."""


class MeaningMissing(LookupError):
    """A field that no schema describes."""


@cache
def _parts() -> Mapping[str, Parts]:
    return file_parts()


def meaning_of(file: str, path: str) -> str:
    """The meaning of a field, one sentence or more.

    Raises:
        MeaningMissing: it has no description, and no ledger has a column of its name.
    """
    if stated := _parts()[file][path].meaning:
        return stated
    for ledger in (*LEDGER_OF.get(file, ()), "runs"):
        for column in LEDGERS[ledger].columns:
            if column.name == path:
                return column.meaning
    if other := OTHERS.get(path) or OTHERS.get(path.rpartition(".")[2]):
        return other
    raise MeaningMissing(f"{file}.json, {path}: a field without a meaning. Fix: Field(description=...) in its contract")
