"""What is shown of a plate that was opened, put together for many plates at a time."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from atlas_resources.page.contract.plate import Colour, Picture, PlateDetail, PlateFact, Source
from atlas_resources.page.details.neighbours import read_neighbours
from atlas_resources.page.details.provenance import read_provenance
from atlas_resources.page.details.readings import read_detections, read_probes, read_texts
from atlas_resources.page.details.segments import SegmentReader
from atlas_resources.page.shown import Row, Shown
from atlas_resources.page.values import colours, literal, number, time

PLATES_AT_ONCE = 200
_FACTS = {
    "plate_number": "Plate number",
    "title": "Title",
    "licence": "Licence",
    "rights_uri": "Rights",
    "attribution": "Credit",
}
_FACTS_COLUMNS = f"{', '.join(_FACTS)}, extra, manifest_version, manifest_updated_at"
_PAPER = "paper_srgb_hex, paper_ratio, dominant_colours"
_DUPLICATES = "first_plate, second_plate, is_same_file, phash_distance, dhash_distance, cosines"


@dataclass(frozen=True)
class DetailReader:
    """Reads the details of plates.

    Attributes:
        shown: what is shown.
        pictures: the picture of each plate that has one.
        segments: reads the segments.
    """

    shown: Shown
    pictures: Mapping[str, Picture]
    segments: SegmentReader

    def read(self, plates: Sequence[str]) -> Iterator[PlateDetail]:
        """The details of plates, in order."""
        shown = self.shown
        own = {row["plate_id"]: row for row in shown.rows(_own_sql("plate_id IN (SELECT unnest(?))"), list(plates))}
        scales = {plate: _scale(own[plate], self.segments.sizes[plate]) for plate in plates}
        segments = self.segments.read(plates)
        texts, detections = read_texts(shown, plates, scales), read_detections(shown, plates, scales)
        probes, neighbours = read_probes(shown, plates), read_neighbours(shown, plates)
        provenance, tags = read_provenance(shown, plates), _tags(shown, plates)
        for plate_id in plates:
            row, name = own[plate_id], literal(plate_id)
            yield PlateDetail(
                schema_version=1,
                plate_id=plate_id,
                picture=self.pictures.get(plate_id),
                source=_source(row),
                facts=_facts(row),
                facts_sql=f"SELECT {_FACTS_COLUMNS} FROM plates WHERE plate_id = {name}",
                paper=_paper(row),
                colours=colours(row["dominant_colours"]),
                colours_sql=f"SELECT {_PAPER} FROM histograms WHERE plate_id = {name} AND is_current",
                segmentations=segments.get(plate_id, []),
                texts=texts.get(plate_id, []),
                probes=probes.get(plate_id, []),
                detections=detections.get(plate_id, []),
                neighbours=neighbours.get(plate_id, []),
                disagreement=number(row["disagreement"]) if shown.has_all_spaces else None,
                disagreement_sql=f"SELECT disagreement, shared_neighbours, least_alike_spaces FROM plate_agreement "
                f"WHERE plate_id = {name}",
                duplicates_sql=f"SELECT {_DUPLICATES} FROM near_duplicates WHERE {name} IN (first_plate, second_plate)",
                tags=tags.get(plate_id, []),
                tags_sql=f"SELECT tag, people, tagged_at FROM plate_tags WHERE plate_id = {name} ORDER BY tag",
                provenance=provenance.get(plate_id, []),
            )


def _own_sql(condition: str) -> str:
    return f"""
        SELECT plates.plate_id, {", ".join(f"plates.{name}" for name in _FACTS_COLUMNS.split(", "))}, source_image,
               plates.source_sha256, width, height, coalesce(origin_url, download_url) AS origin, {_PAPER}, disagreement
        FROM plates
        LEFT JOIN (SELECT plate_id, {_PAPER} FROM histograms WHERE is_current) USING (plate_id)
        LEFT JOIN (SELECT plate_id, disagreement FROM plate_agreement) USING (plate_id)
        WHERE {condition}
    """


def _scale(row: Row, size: tuple[int, int]) -> float:
    """Pixels of the picture by a pixel of the source; 1 where the size of the source is not known."""
    return size[0] / row["width"] if row["width"] else 1.0


def _source(row: Row) -> Source:
    return Source(
        name=row["source_image"] or "",
        sha256=row["source_sha256"] or "",
        width_px=row["width"] or 0,
        height_px=row["height"] or 0,
        origin=row["origin"],
    )


def _facts(row: Row) -> list[PlateFact]:
    """What the index says, and when it was corrected."""
    found = [(words, row[name]) for name, words in _FACTS.items()]
    found += json.loads(row["extra"] or "{}").items()
    if row["manifest_updated_at"]:
        found.append(("Corrected", f"{time(row['manifest_updated_at'])}, version {row['manifest_version']}"))
    return [PlateFact(name=name, text=str(value)) for name, value in found if value not in (None, "")]


def _paper(row: Row) -> Colour | None:
    if not row["paper_srgb_hex"]:
        return None
    return Colour(colour=row["paper_srgb_hex"], share=number(row["paper_ratio"]) or 0.0)


def _tags(shown: Shown, plates: Sequence[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    sql = "SELECT plate_id, tag FROM plate_tags WHERE plate_id IN (SELECT unnest(?)) ORDER BY plate_id, tag"
    for row in shown.rows(sql, list(plates)):
        found[row["plate_id"]].append(row["tag"])
    return found
