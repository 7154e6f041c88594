"""What the library has and lacks: instruments, tags, failures, refused scans, and plates that may be copies."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath

from atlas_resources.page.contract.library import DuplicatePair, Failure, Instrument, RefusedScan, Tag
from atlas_resources.page.shown import Row, Shown
from atlas_resources.page.values import time, without_folders

FAILURES_SQL = (
    "SELECT plate_id, instrument, state, reason, what_changed, since, run_id FROM completeness\n"
    "WHERE is_active AND state NOT IN ('done', 'withdrawn') ORDER BY instrument, state, plate_id"
)
MOST_NAMED = 50
"""Plates that lack an asset for the same reason are named up to so many, and else counted."""


def read_instruments(shown: Shown) -> list[Instrument]:
    """The instruments with a result that is shown, in order of role and key."""
    used = {row["instrument"] for row in shown.rows("SELECT DISTINCT instrument FROM runs WHERE is_current")}
    if shown.is_commercial:
        runs = shown.rows("SELECT plate_id, run_id, instrument FROM runs WHERE is_current")
        used = {row["instrument"] for row in runs if (row["plate_id"], row["run_id"]) in shown.runs}
    rows = shown.rows(
        "SELECT instrument, title, role, model_id, model_sha, weights_sha256, preprocess_tag, fingerprint, licence, "
        "commercial_use, failure_modes FROM models ORDER BY role, instrument"
    )
    return [_instrument(row) for row in rows if row["instrument"] in used]


def _instrument(row: Row) -> Instrument:
    texts = {name: row[name] or "" for name in ("title", "model_id", "model_sha", "fingerprint")}
    return Instrument(
        key=row["instrument"],
        role=row["role"],
        weights_sha256=row["weights_sha256"],
        preprocess_tag=row["preprocess_tag"],
        licence=row["licence"] or "unknown",
        commercial_use=row["commercial_use"] or "unknown",
        failure_modes=row["failure_modes"] or [],
        **texts,
    )


def read_tags(shown: Shown) -> list[Tag]:
    """The tags of the shown plates, the most frequent first."""
    plates: defaultdict[str, list[int]] = defaultdict(list)
    people: defaultdict[str, set[str]] = defaultdict(set)
    for row in shown.rows("SELECT plate_id, tag, people FROM plate_tags ORDER BY tag, plate_id"):
        if row["plate_id"] in shown.index:
            plates[row["tag"]].append(shown.index[row["plate_id"]])
            people[row["tag"]].update(row["people"])
    tags = [Tag(tag=tag, plates=sorted(found), people=sorted(people[tag])) for tag, found in plates.items()]
    return sorted(tags, key=lambda tag: (-len(tag.plates), tag.tag))


def read_failures(shown: Shown) -> list[Failure]:
    """What is not done and why, of each plate; of more than MOST_NAMED plates with the same reason, their number."""
    groups: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in shown.rows(FAILURES_SQL):
        if row["plate_id"] in shown.index:
            reason = "; ".join(without_folders(text) for text in (row["reason"], row["what_changed"]) if text)
            groups[row["instrument"], row["state"], reason].append(row)
    return [failure for (_, _, reason), rows in groups.items() for failure in _failures(shown, rows, reason)]


def _failures(shown: Shown, rows: list[Row], reason: str) -> Iterable[Failure]:
    about = {"instrument": rows[0]["instrument"], "state": rows[0]["state"]}
    if len(rows) > MOST_NAMED:
        text = f"{len(rows):,} plates{f': {reason}' if reason else ''}"
        yield Failure(plate=None, reason=text, failed_at=None, run_id=None, **about)
        return
    for row in rows:
        plate = shown.index[row["plate_id"]]
        yield Failure(plate=plate, reason=reason, failed_at=time(row["since"]), run_id=row["run_id"], **about)


def read_refused_scans(shown: Shown) -> list[RefusedScan]:
    """The files that could not be registered. Of one outside the dataset only the name is shown."""
    rows = shown.rows("SELECT path, reason FROM refused_scans ORDER BY path")
    return [
        RefusedScan(
            path=PurePath(row["path"]).name if PurePath(row["path"]).is_absolute() else row["path"],
            reason=without_folders(row["reason"] or ""),
        )
        for row in rows
    ]


def read_duplicates(shown: Shown) -> list[DuplicatePair]:
    """Pairs of shown plates that may be copies, by group."""
    return [
        DuplicatePair(
            first=shown.index[row["first_plate"]],
            second=shown.index[row["second_plate"]],
            evidence=_evidence(row, shown.spaces),
        )
        for row in shown.rows("FROM near_duplicates ORDER BY group_number, first_plate, second_plate")
        if row["first_plate"] in shown.index and row["second_plate"] in shown.index
    ]


def _evidence(row: Row, spaces: tuple[str, ...]) -> str:
    """The evidence in words: the file, the hashes, then the cosine in each shown space."""
    words = ["the same file"] if row["is_same_file"] else []
    bits = [f"{row[f'{name}_distance']} ({name})" for name in ("phash", "dhash") if row[f"{name}_distance"] is not None]
    if bits:
        words.append(f"bits of 64 in which perceptual hashes differ: {', '.join(bits)}")
    near = [one for one in row["cosines"] or () if one["space"] in spaces]
    words += [f"cosine {one['cosine']:.3f} in {one['space']}, rank {one['rank']}" for one in near]
    return "; ".join(words)
