"""Verification of the pages that comparisons of encoders left: each is as its digest beside it says."""

from collections.abc import Iterator
from pathlib import Path

from atlas_resources.files.stated_digests import stated_digest_path, stated_digest_problem
from atlas_resources.plates.dataset import Dataset
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.plates import stray
from atlas_resources.verification.reading import Reader

PAGE, DIGEST = ".html", ".html.sha256"


def verify_comparisons(dataset: Dataset, reader: Reader) -> Iterator[Finding]:
    """Everything that is wrong in `comparisons/`. Pages are hashed, except by a quick verification."""
    place = Place(dataset.root)
    folders = sorted(dataset.comparisons_dir.iterdir()) if dataset.comparisons_dir.is_dir() else []
    for folder in folders:
        if not folder.is_dir():
            yield stray(place, folder)
            continue
        for path in sorted(folder.iterdir()):
            if path.name.endswith(PAGE):
                yield from _verify_page(place, path, reader)
            elif not path.name.endswith(DIGEST):
                yield stray(place, path)
            elif not (page := path.with_name(path.name.removesuffix(".sha256"))).is_file():
                yield place.finding("missing", page, "the page of this digest is not there", _fix(page))


def _verify_page(place: Place, path: Path, reader: Reader) -> Iterator[Finding]:
    reader.count()
    if not stated_digest_path(path).is_file():
        problem = f"a page without its digest, {stated_digest_path(path).name}: its process was killed"
        yield place.finding("unfinished", path, problem, _fix(path))
    elif reader.level != "quick" and (problem := stated_digest_problem(path)):
        yield place.finding("altered", path, problem, _fix(path))


def _fix(path: Path) -> str:
    asset = f"comparisons/{path.parent.name}"
    return f"restore it from a copy, or delete it with its digest; a new one: atlas run 'key:\"{asset}\"'"
