"""The kept segments of each plate: outlines, colours, nearest segments elsewhere, and what people judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from atlas_resources.page.contract.plate import Segment, Segmentation
from atlas_resources.page.details.nearest import NearestSegments, nearest_sql
from atlas_resources.page.details.outlines import path_of_mask, path_of_polygons
from atlas_resources.page.shown import JUDGEMENT, Row, Shown
from atlas_resources.page.values import colours, judgement, literal, number, pixels

Size = tuple[int, int]
"""Width and height of a picture in pixels."""
OldPath = Callable[[str, str, str], str | None]
"""The path of a plate's run and segment on the page that is there already, if it has one of this picture size."""
NOT_JUDGED = {"judgement": None}
_COLUMNS = "segment_id, class_name, area_ratio, x_min, y_min, x_max, y_max, palette, multipolygon"


def segments_sql(plate_id: str, segmenter: str) -> str:
    """The query of a plate's kept segments."""
    return (
        f"SELECT {_COLUMNS}\n"
        f"FROM regions WHERE plate_id = {literal(plate_id)} AND segmenter = {literal(segmenter)} ORDER BY rank"
    )


@dataclass(frozen=True)
class SegmentReader:
    """Reads the segments of plates.

    Attributes:
        shown: what is shown.
        sizes: width and height of each plate's picture.
        nearest: the nearest segments, by segmenter.
        old_path: the paths of the page that is there already.
    """

    shown: Shown
    sizes: Mapping[str, Size]
    nearest: Mapping[str, NearestSegments]
    old_path: OldPath

    def read(self, plates: Sequence[str]) -> dict[str, list[Segmentation]]:
        """The kept segments of plates by segmenter, in order of rank."""
        found = self.shown.of_plates(
            f"SELECT plate_id, segmenter, run_id, height_px, width_px, {_COLUMNS} FROM regions "
            "WHERE plate_id IN (SELECT unnest(?)) ORDER BY plate_id, segmenter, rank",
            plates,
        )
        judged = {
            (row["plate_id"], row["instrument"], row["segment_id"]): row
            for row in self.shown.rows(
                f"SELECT plate_id, instrument, segment_id, {JUDGEMENT} FROM tagged_segments "
                "WHERE is_current AND judgement IS NOT NULL AND plate_id IN (SELECT unnest(?))",
                list(plates),
            )
        }
        allowed = self._allowed(plates)
        return {
            plate_id: [
                self._segmentation(plate_id, segmenter, list(group), judged, allowed)
                for segmenter, group in groupby(rows, key=lambda row: row["segmenter"])
            ]
            for plate_id, rows in found.items()
        }

    def _allowed(self, plates: Sequence[str]) -> set[tuple[str, str, str]]:
        """Plate, segmenter and table of the palettes and polygons that are shown: they have licences of their own."""
        if not self.shown.is_commercial:
            return set()
        found = self.shown.of_plates(
            "FROM (SELECT plate_id, segmenter, run_id, 'palette' AS part FROM region_colours WHERE is_current "
            "UNION SELECT plate_id, segmenter, run_id, 'multipolygon' FROM region_outlines WHERE is_current) "
            "WHERE plate_id IN (SELECT unnest(?))",
            plates,
        )
        return {(row["plate_id"], row["segmenter"], row["part"]) for rows in found.values() for row in rows}

    def _segmentation(
        self,
        plate_id: str,
        segmenter: str,
        rows: list[Row],
        judged: Mapping[tuple[str, str, str], Row],
        allowed: set[tuple[str, str, str]],
    ) -> Segmentation:
        near = self.nearest.get(segmenter)
        if self.shown.is_commercial:
            withheld = [part for part in ("palette", "multipolygon") if (plate_id, segmenter, part) not in allowed]
            rows = [{**row, **dict.fromkeys(withheld)} for row in rows]
        rows = list({row["segment_id"]: row for row in rows}.values())
        paths = self._paths(plate_id, segmenter, rows)
        scale = self.sizes[plate_id][0] / rows[0]["width_px"]
        return Segmentation(
            instrument=segmenter,
            run_id=rows[0]["run_id"],
            embedder=near.embedder if near else None,
            segments=[
                Segment(
                    segment_id=row["segment_id"],
                    path=path,
                    **{name: pixels(row[name] * scale) for name in ("x_min", "y_min", "x_max", "y_max")},
                    area_ratio=number(row["area_ratio"]) or 0.0,
                    class_name=row["class_name"],
                    palette=colours(row["palette"]),
                    nearest=near.of(plate_id, row["segment_id"]) if near else [],
                    judgement=judgement(found)
                    if (found := judged.get((plate_id, segmenter, row["segment_id"])))
                    else None,
                )
                for row, path in zip(rows, paths, strict=True)
            ],
            sql=segments_sql(plate_id, segmenter),
            nearest_sql=nearest_sql(plate_id, near.embedder) if near else None,
        )

    def _paths(self, plate_id: str, segmenter: str, rows: list[Row]) -> list[str]:
        """The path of each segment: of its polygons, as it was on the last page, or traced from its mask."""
        size, found = self.sizes[plate_id], {}
        for row in rows:
            if row["multipolygon"]:
                found[row["segment_id"]] = path_of_polygons(row["multipolygon"], size[0] / row["width_px"])
            elif old := self.old_path(plate_id, row["run_id"], row["segment_id"]):
                found[row["segment_id"]] = old
        if len(found) < len(rows):  # masks are large, so that they are read for one plate at a time
            masks = self.shown.rows(
                "SELECT segment_id, mask_rle FROM kept_segments WHERE plate_id = ? AND run_id = ? AND rank IS NOT NULL",
                plate_id,
                rows[0]["run_id"],
            )
            counts = {row["segment_id"]: row["mask_rle"] for row in masks}
            for row in rows:
                if (one := row["segment_id"]) not in found:
                    found[one] = path_of_mask(counts[one], row["height_px"], row["width_px"], size)
        return [found[row["segment_id"]] for row in rows]
