"""A made page folder of any number of plates that follows the contract: pictures, masks, hostile texts, gaps, failures.

The files are those of `atlas page`, with numbers that are drawn, not measured. What draws them is copied beside them.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.page.contract.library import (
    Agreement,
    DuplicatePair,
    Failure,
    Instrument,
    Layout,
    Library,
    PlateColumns,
    RefusedScan,
    Space,
    Sprites,
    Tag,
)
from support.made_page_pictures import Drawn, draw_kinds, sheet_url, sheets
from support.made_page_plate import made_detail

BUILT = PROJECT_ROOT / "atlas_resources" / "page" / "built"
HOSTILE_TITLE = '<img src=x onerror="window.hacked=1">Crested <b>Heron</b>'
FORMULA_TITLE = '=HYPERLINK("https://example.org","Owl")'
RIGHT_TO_LEFT_TITLE = "طائر أزرق, or \u202eblue jay\u202c"
LONG_TITLE = "The very long name of a plate that an engraver gave to " + "a family of sparrows on a branch " * 6
EMBEDDERS = {
    "dinov2_base": "DINOv2 base",
    "siglip2_base": "SigLIP 2 base",
    "clip_vit_b32": "CLIP ViT-B/32",
    "efficientnet": "EfficientNet-Lite0",
}
WITHOUT_VECTOR = 7
"""The first plates have no vector in the last embedding space."""
KINDS = ("Heron", "Warbler", "Owl", "Sandpiper", "Finch", "Hawk", "Duck", "Swallow", "Wren", "Gull", "Thrush", "Quail")
WHERE = ("on a branch", "with young", "in winter plumage", "male and female", "over water", "feeding")


@dataclass(frozen=True)
class Made:
    """What the parts of a made page share.

    Attributes:
        count: number of plates.
        ids: their ids.
        titles: their titles.
        kind: int [count], which drawing each plate has.
        vectors: float [spaces, count, 8], by which plates are near each other.
        drawn: the drawings.
    """

    count: int
    ids: list[str]
    titles: list[str]
    kind: np.ndarray
    vectors: np.ndarray
    drawn: Sequence[Drawn]


def make_page(folder: Path, count: int, details: int | None = None, pictures: Sequence[Path] = ()) -> Made:
    """Writes a page of `count` plates.

    Args:
        folder: where; made if missing.
        count: number of plates.
        details: how many of the first plates can be opened; all unless given.
        pictures: real pictures in place of drawn ones.
    """
    made = _made(count, draw_kinds(len(KINDS), pictures))
    shutil.copytree(BUILT, folder, dirs_exist_ok=True)
    for name in ("data/sprites", "data/plates", "pictures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    cell_px = 128 if count <= 1000 else 64
    columns = 2048 // cell_px
    found = sheets(made, cell_px, columns)
    for number, sheet in enumerate(found):
        _write(folder / "data" / "sprites" / f"{number}.js", f"sprites/{number}", sheet_url(sheet))
    for drawn in made.drawn:
        drawn.picture.save(folder / "pictures" / drawn.name, quality=85)
    sprites = Sprites(cell_px=cell_px, columns=columns, rows=columns, sheet_count=len(found))
    _write(folder / "data" / "library.js", "library", _library(made, sprites))
    for index in range(min(count, count if details is None else details)):
        detail = made_detail(made, index, list(EMBEDDERS))
        _write(folder / "data" / "plates" / f"{detail.plate_id}.js", f"plates/{detail.plate_id}", detail)
    return made


def _write(path: Path, name: str, value: BaseModel | str) -> None:
    content = value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value)
    path.write_text(f"receiveAtlas({json.dumps(name)}, {content});\n", encoding="utf-8")


def _made(count: int, drawn: Sequence[Drawn]) -> Made:
    rng = np.random.default_rng(7)
    kind = rng.integers(len(drawn), size=count)
    group = kind % len(KINDS)
    centres = rng.normal(size=(len(KINDS), 8)) * 2.2
    shared = centres[group] + rng.normal(size=(count, 8))
    vectors = np.stack([shared + rng.normal(size=(count, 8)) * (0.4 + 0.45 * space) for space in range(len(EMBEDDERS))])
    titles = [f"{KINDS[group[i]]} {WHERE[(i * 7) % len(WHERE)]}" for i in range(count)]
    for at, title in enumerate((HOSTILE_TITLE, FORMULA_TITLE, RIGHT_TO_LEFT_TITLE, LONG_TITLE), start=3):
        titles[at] = title
    return Made(count, [f"plate-{i + 1:03d}" for i in range(count)], titles, kind, vectors, drawn)


def _columns(made: Made, cell_px: int) -> PlateColumns:
    rng = np.random.default_rng(3)
    sizes = [made.drawn[kind].thumbnail_size(cell_px) for kind in made.kind]
    disagreement = np.clip(rng.beta(3, 4, size=made.count), 0, 1)
    papers = [made.drawn[kind].paper for kind in made.kind]
    count = made.count
    return PlateColumns(
        plate_id=made.ids,
        title=made.titles,
        year=[None if i % 11 == 5 else 1827 + int(i * 12 / count) for i in range(count)],
        licence=["CC0-1.0" if i % 5 else None for i in range(count)],
        paper=[None if i == 9 else paper for i, paper in enumerate(papers)],
        paper_lightness=[None if i == 9 else made.drawn[kind].paper_lightness for i, kind in enumerate(made.kind)],
        printed_text=[f"N° {i + 1}\n{made.titles[i].upper()}\nBy R. Havell" if i % 3 else "" for i in range(count)],
        machine_words=[f"a {KINDS[made.kind[i] % 12].lower()}\nbird, branch" if i % 4 else "" for i in range(count)],
        disagreement=[None if i == 9 else round(float(value), 3) for i, value in enumerate(disagreement)],
        outlier_in=[int(value) for value in rng.choice([0, 0, 0, 0, 0, 0, 0, 1, 2, 4], size=count)],
        thumbnail_width=[0 if i == 8 else size[0] for i, size in enumerate(sizes)],
        thumbnail_height=[0 if i == 8 else size[1] for i, size in enumerate(sizes)],
    )  # fmt: skip


def _layout(method: str, points: np.ndarray, has: np.ndarray, title: str) -> Layout:
    x, y = ([round(float(v), 4) if h else None for v, h in zip(points[:, axis], has, strict=True)] for axis in (0, 1))
    notes = {
        "pca": "Two axes along which the vectors differ most; straight distances are shares of their differences.",
        "umap": "UMAP with 15 neighbours, min_dist 0.1, seed 0. Only who is near whom is kept; wide gaps mean little.",
    }
    sql = f"SELECT plate_id, x, y FROM layouts WHERE space = '{title}' AND method = '{method}'"
    return Layout(method=method, x=x, y=y, note=notes[method], sql=sql)  # pyright: ignore[reportArgumentType]


def _space(made: Made, number: int, key: str, title: str) -> Space:
    rng = np.random.default_rng(number)
    vectors = made.vectors[min(number, len(EMBEDDERS) - 1)]
    has = np.ones(made.count, dtype=bool)
    if number == len(EMBEDDERS) - 1:
        has[:WITHOUT_VECTOR] = False
    centred = vectors - vectors.mean(axis=0)
    pca = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    angle = (made.kind % len(KINDS)) * 2 * np.pi / len(KINDS) + number
    centres = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (6 + 3 * ((made.kind * 5) % 3))[:, None]
    umap = centres + centred[:, :2] * 0.55 + rng.normal(size=(made.count, 2)) * 0.3
    layouts = [_layout("pca", pca, has, key)] + ([] if key == "colour" else [_layout("umap", umap, has, key)])
    order = {kind: rank for rank, kind in enumerate(np.argsort(-np.bincount(made.kind % 12, minlength=12)))}
    cluster = [order[k % 12] if has[i] and i % 17 else None for i, k in enumerate(made.kind)]
    firsts = [next((i for i, c in enumerate(cluster) if c == rank), None) for rank in range(12)]
    return Space(
        key=key,
        title=title,
        kind="colour" if key == "colour" else "embedding",
        layouts=layouts,
        cluster=cluster,
        is_exemplar=[first for first in firsts if first is not None],
        cluster_stability=(0.82, 0.64, 0.41, None, 0.73)[number],
        outlier_factor=[round(1 + float(rng.gamma(1, 0.2)), 3) if one else None for one in has],
        is_outlier=[int(i) for i in np.flatnonzero(has & (rng.random(made.count) < 0.04))],
        sql=f"SELECT * FROM plate_spaces WHERE space = '{key}'",
    )  # fmt: skip


def _instruments() -> list[Instrument]:
    roles = [(key, title, "embedding") for key, title in EMBEDDERS.items()]
    roles += [("sam_vit_b", "Segment Anything ViT-B", "segmentation"), ("otsu_luma", "Otsu threshold", "segmentation")]
    roles += [("owlv2", "OWLv2 base", "detection"), ("clip_probe", "CLIP probe of subjects", "probe")]
    roles += [("rapidocr", "RapidOCR", "text"), ("captioner", "Caption model", "text")]
    return [
        Instrument(
            key=key, title=title, role=role, model_id=f"made/{key}", model_sha=f"{number:040x}",
            weights_sha256=None if key == "otsu_luma" else f"{number + 99:064x}", preprocess_tag="resize256-crop224",
            fingerprint=f"{number + 7:064x}", licence="Apache-2.0" if number % 3 else "CC-BY-NC-4.0",
            commercial_use="allowed" if number % 3 else "not allowed",
            failure_modes=[f"Takes foxing for feathers ({title}).", "Reads <b>engraved hatching</b> as text."],
        )
        for number, (key, title, role) in enumerate(roles)
    ]  # fmt: skip


def _agreement(k: int = 10) -> list[Agreement]:
    keys, found = list(EMBEDDERS), []
    for a, first in enumerate(keys):
        for b, second in enumerate(keys[a + 1 :], start=a + 1):
            value = round(0.72 - 0.11 * (a + b), 3)
            found.append(
                Agreement(first=first, second=second, k=k, overlap=round(value + 0.03, 3), low=round(value - 0.01, 3),
                          high=round(value + 0.07, 3), calibrated=value)
            )  # fmt: skip
    return found


def _library(made: Made, sprites: Sprites) -> Library:
    names = {**EMBEDDERS, "colour": "Colour"}
    named = [i for i in range(made.count) if i % 29 == 4]
    return Library(
        schema_version=1,
        title="Birds of America",
        made_at=datetime(2026, 3, 14, 9, 26, tzinfo=UTC).isoformat(),
        made_by="Atlas 0.1.0 (1a1606b)",
        catalogue="atlas.duckdb",
        notices=["3 plates are left out, since they were withdrawn.", "Originals are not part of this page."],
        plates=_columns(made, sprites.cell_px),
        sprites=sprites,
        spaces=[_space(made, number, key, title) for number, (key, title) in enumerate(names.items())],
        agreement=_agreement(),
        instruments=_instruments(),
        tags=[Tag(tag="coloured by hand", plates=named, people=["Ada"]),
              Tag(tag="<i>check</i>", plates=[3, 5], people=["Bo"])],
        failures=[
            Failure(plate=9, instrument="groundwork", state="failed",
                    reason="UnidentifiedImageError: <cannot> be decoded", failed_at="2026-03-13T22:01:07+00:00",
                    run_id=None),
            Failure(plate=2, instrument="efficientnet", state="missing", reason="never measured", failed_at=None,
                    run_id=None),
            Failure(plate=5, instrument="sam_vit_b", state="outdated", reason="its source changed",
                    failed_at="2026-03-12T01:00:00+00:00", run_id="run-20260312-010000Z-0a1b2c3d"),
        ],
        refused_scans=[RefusedScan(path="scans/broken.tif", reason="a TIFF of 0 bytes")],
        duplicates=[DuplicatePair(first=10, second=11, evidence="hashes differ in 2 of 64 bits; cosine 0.991")],
        plates_sql="SELECT * FROM plates ORDER BY plate_number, plate_id",
        agreement_sql="SELECT * FROM space_agreement",
        failures_sql="SELECT * FROM plate_states WHERE state <> 'done'",
    )  # fmt: skip
