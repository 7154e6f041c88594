"""The details of a plate of a made page: segments, texts, probes, boxes, neighbours, provenance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from atlas_resources.page.contract.plate import (
    Box,
    Colour,
    Detection,
    Detections,
    Judgement,
    NearSegment,
    Neighbour,
    Neighbours,
    Picture,
    PlateDetail,
    PlateFact,
    Probe,
    Provenance,
    Score,
    Segment,
    Segmentation,
    Source,
    Text,
    Texts,
)

if TYPE_CHECKING:
    from support.made_page import Made
    from support.made_page_pictures import Drawn, Points

HOSTILE_TEXT = "<script>window.hacked = 1</script> N° 12 & Co."
RUN = "run-20260313-220000Z-0a1b2c3d"
NEAREST = 8


def made_detail(made: "Made", index: int, embedders: Sequence[str]) -> PlateDetail:
    """Everything that the contract has, of one plate. The tenth plate has neither picture nor groundwork."""
    drawn = made.drawn[made.kind[index]]
    is_bare = index == 9
    sql = f"WHERE plate_id = '{made.ids[index]}'"
    return PlateDetail(
        schema_version=1,
        plate_id=made.ids[index],
        picture=None if is_bare else Picture(
            path=f"pictures/{drawn.name}", width_px=drawn.picture.width, height_px=drawn.picture.height
        ),
        source=Source(name=f"{made.ids[index]}.tif", sha256=f"{index:064x}", width_px=4000, height_px=5000,
                      origin="https://example.org/<scan>" if index % 2 else None),
        facts=[PlateFact(name="Artist", text="John James Audubon"),
               PlateFact(name="Note <i>", text="a <b>bold</b> claim")],
        facts_sql=f"SELECT * FROM plate_facts {sql}",
        paper=None if is_bare else Colour(colour=drawn.paper, share=0.71),
        colours=[] if is_bare else [Colour(colour=drawn.paper, share=0.64), Colour(colour=drawn.colours[0], share=0.22),
                                    Colour(colour=drawn.colours[1], share=0.09), Colour(colour="#463c28", share=0.05)],
        colours_sql=f"SELECT * FROM colours {sql}",
        segmentations=[] if is_bare else _segmentations(made, index, drawn, sql),
        texts=[] if is_bare else _texts(made, index, sql),
        probes=[] if is_bare else [
            Probe(instrument="clip_probe", run_id=RUN, label_count=40,
                  calibration="not calibrated: scores are compared within a plate, they are no probabilities",
                  scores=[Score(label="a bird", score=0.61), Score(label="a <b>plant</b>", score=0.22),
                          Score(label="a map", score=0.02)], sql=f"SELECT * FROM probes {sql}")
        ],
        detections=[] if is_bare else [
            Detections(instrument="owlv2", run_id=RUN, sql=f"SELECT * FROM detections {sql}", detections=[
                Detection(detection_id="det-001", label="bird", score=0.83, box=_box(drawn.body), judgement=None),
                Detection(detection_id="det-002", label="head <x>", score=0.41, box=_box(drawn.head),
                          judgement=_judged("corrected", "Ada", corrected="beak", is_disputed=True)),
            ])
        ],
        neighbours=_neighbours(made, index, embedders, sql),
        disagreement=None if is_bare else 0.62,
        disagreement_sql=f"SELECT * FROM disagreement {sql}",
        duplicates_sql=f"SELECT * FROM near_duplicates {sql}",
        tags=["coloured by hand"] if index % 29 == 4 else [],
        tags_sql=f"SELECT * FROM tags {sql}",
        provenance=[_provenance(key, index) for key in (*embedders, "sam_vit_b", "rapidocr")],
    )  # fmt: skip


def _box(points: "Points") -> Box:
    xs, ys = zip(*points, strict=True)
    return Box(x_min=min(xs), y_min=min(ys), x_max=max(xs), y_max=max(ys))


def _path(points: "Points") -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points) + "Z"


def _judged(
    judgement: Literal["accepted", "rejected", "corrected"],
    person: str,
    *,
    corrected: str | None = None,
    is_disputed: bool = False,
) -> Judgement:
    day = "2026-03-10T10:00:00+00:00"
    return Judgement(judgement=judgement, corrected=corrected, person=person, judged_at=day, is_disputed=is_disputed)


def _segment(made: "Made", index: int, number: int, *, points: "Points", colour: str, name: str | None) -> Segment:
    box = _box(points)
    near = [(index + step) % made.count for step in (12, 24, 36, 48)]
    return Segment(
        segment_id=f"seg-{number:03d}", path=_path(points), x_min=box.x_min, y_min=box.y_min, x_max=box.x_max,
        y_max=box.y_max, area_ratio=0.18 / number, class_name=name,
        palette=[Colour(colour=colour, share=0.8), Colour(colour="#28241f", share=0.2)],
        nearest=[NearSegment(plate=plate, segment_id="seg-001", cosine=0.93 - 0.04 * rank)
                 for rank, plate in enumerate(near)],
        judgement=_judged("accepted", "Ada <a>") if number == 2 else None,
    )  # fmt: skip


def _segmentations(made: "Made", index: int, drawn: "Drawn", sql: str) -> list[Segmentation]:
    both = [
        _segment(made, index, 1, points=drawn.body, colour=drawn.colours[0], name=None),
        _segment(made, index, 2, points=drawn.head, colour=drawn.colours[1], name="head"),
    ]
    alone = [
        _segment(made, index, 1, points=drawn.body, colour=drawn.colours[0], name="foreground").model_copy(
            update={"nearest": []}
        )
    ]
    return [
        Segmentation(instrument="sam_vit_b", run_id=RUN, embedder="dinov2_base", segments=both,
                     sql=f"SELECT * FROM segments {sql} AND instrument = 'sam_vit_b'",
                     nearest_sql=f"SELECT * FROM nearest_segments {sql}"),
        Segmentation(instrument="otsu_luma", run_id=RUN, embedder=None, segments=alone,
                     sql=f"SELECT * FROM segments {sql} AND instrument = 'otsu_luma'", nearest_sql=None),
    ]  # fmt: skip


def _texts(made: "Made", index: int, sql: str) -> list[Texts]:
    width, height = made.drawn[made.kind[index]].picture.size
    box = Box(x_min=width * 0.2, y_min=height * 0.9, x_max=width * 0.8, y_max=height * 0.96)
    return [
        Texts(instrument="rapidocr", run_id=RUN, sql=f"SELECT * FROM texts {sql}", texts=[
            Text(text_id="text-001", stage="lines", text=HOSTILE_TEXT, score=0.97, box=box, judgement=None),
            Text(text_id="text-002", stage="lines", text=made.titles[index].upper(), score=0.88, box=None,
                 judgement=None),
        ]),
        Texts(instrument="captioner", run_id=RUN, sql=f"SELECT * FROM texts {sql}", texts=[
            Text(text_id="text-003", stage="caption", text="a coloured drawing of a bird on a branch", score=None,
                 box=None, judgement=_judged("rejected", "Bo")),
        ]),
    ]  # fmt: skip


def nearest(made: "Made", space: int, index: int) -> list[tuple[int, float]]:
    """The nearest plates by cosine, nearest first."""
    vectors = made.vectors[space]
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors[index] / (lengths * lengths[index])
    cosines[index] = -2
    return [(int(i), round(float(cosines[i]), 3)) for i in np.argsort(-cosines, kind="stable")[:NEAREST]]


def _neighbours(made: "Made", index: int, embedders: Sequence[str], sql: str) -> list[Neighbours]:
    by_space = {key: nearest(made, number, index) for number, key in enumerate(embedders)}
    votes: dict[int, int] = {}
    for found in by_space.values():
        for plate, _ in found:
            votes[plate] = votes.get(plate, 0) + 1
    ensemble = sorted(votes, key=lambda plate: (-votes[plate], plate))[:NEAREST]
    columns = [
        Neighbours(space=None, nearest=[Neighbour(plate=p, cosine=None, votes=votes[p]) for p in ensemble],
                   outlier_factor=None, is_outlier=False, cluster=None, judgement=None, run_id=None,
                   sql=f"SELECT * FROM ensemble_neighbours {sql}")
    ]  # fmt: skip
    for number, (key, found) in enumerate(by_space.items()):
        columns.append(
            Neighbours(space=key, nearest=[Neighbour(plate=p, cosine=c, votes=votes[p]) for p, c in found],
                       outlier_factor=1.1 + number, is_outlier=number == 2, cluster=int(made.kind[index]) % 12,
                       judgement=None, run_id=RUN, sql=f"SELECT * FROM neighbours {sql} AND space = '{key}'")
        )  # fmt: skip
    return columns


def _provenance(key: str, index: int) -> Provenance:
    return Provenance(
        instrument=key, table="embeddings", run_id=RUN, sealed_at="2026-03-13T22:00:00+00:00", model_id=f"made/{key}",
        model_sha="0123456789abcdef" * 2 + "01234567", weights_sha256="f" * 64, source_sha256=f"{index:064x}",
        fingerprint="a" * 64, preprocess_tag="resize256-crop224", code_git_sha="1a1606b" * 5,
        code_is_dirty=key == "rapidocr", device="cpu", dtype="float32", licence="Apache-2.0",
        sql=f"SELECT * FROM lineage WHERE instrument = '{key}'",
    )  # fmt: skip
