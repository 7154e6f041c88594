"""Any one flipped bit of any file is found, and the finding names the file."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import fake_instruments
from support.verified import findings_in, make_verified

FLIPS = 12  # of each kind of file
KINDS = {
    "manifest": "plates_structured/*/manifest.json",
    "correction": "plates_structured/*/manifests/*.json",
    "source": "plates_structured/*/source/*",
    "source digest": "plates_structured/*/source.sha256",
    "facts": "plates_structured/*/derived/input_image.json",
    "histograms": "plates_structured/*/derived/input_color_histograms.json",
    "cost": "plates_structured/*/derived/groundwork.json",
    "thumbnail": "plates_structured/*/derived/thumbnail.jpg",
    "run manifest": "plates_structured/*/runs/*/run.manifest.json",
    "metrics": "plates_structured/*/runs/*/metrics.json",
    "vectors": "plates_structured/*/runs/*/embeddings.parquet",
    "masks": "plates_structured/*/runs/*/segments.parquet",
    "preview": "plates_structured/*/runs/*/preview.*",
    "configuration": "reports/*/config.json",
    "report": "reports/*/report.json",
    "snapshot": "snapshots/*.json",
    "listing of a snapshot": "snapshots/*.sha256",
    "signature of a snapshot": "snapshots/*.sig",
    "withdrawal": "withdrawals/0*.json",
    "last withdrawal": "withdrawals/last.json",
    "tag": "tags/0*.json",
    "last tag": "tags/last.json",
    "refused scans": "refused_scans.json",
    "schema": "schemas/*.json",
    "ledger": "ledger/*.parquet",
    "runs of a role": "ledger/runs_by_role/*.parquet",
    "ledger digest": "ledger/*.sha256",
    "digest of runs": "ledger/runs_by_role/*.sha256",
    "catalogue": "atlas.duckdb",
    "catalogue digest": "atlas.duckdb.sha256",
}

UNREAD = {".verified.json", ".known.db", ".catalogue.built_from"}
"""Memories. What is flipped in one does not count, and is read again."""


@pytest.fixture(scope="module")
def verified(tmp_path_factory) -> Iterator[tuple]:
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        yield make_verified(tmp_path_factory.mktemp("flips"))


def test_every_file_of_a_dataset_is_of_a_kind_that_is_flipped(verified):
    dataset, _ = verified
    of_kinds = {path for pattern in KINDS.values() for path in dataset.root.glob(pattern)}
    others = {path for path in dataset.root.rglob("*") if path.is_file()} - of_kinds
    unread = {path for path in others if dataset.staging_dir in path.parents or dataset.locks_dir in path.parents}
    assert {path.name for path in others - unread} <= UNREAD | {".registration.lock"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_found(verified, kind):
    dataset, registry = verified
    paths = sorted(dataset.root.glob(KINDS[kind]))
    assert paths, f"no file of the kind {kind}"
    assert findings_in(dataset, registry) == []
    dice = random.Random(kind)
    for _ in range(FLIPS):
        path = dice.choice(paths)
        before = path.read_bytes()
        with flipped(path, before, dice.randrange(8 * len(before))):
            found = findings_in(dataset, registry)
            name = path.name.removesuffix(".sha256")
            assert any(Path(finding.path).name.startswith(name) for finding in found if finding.is_fault), found


class flipped:
    """The file with one bit changed, within the block."""

    def __init__(self, path: Path, before: bytes, bit: int):
        self.path, self.before, self.bit = path, before, bit

    def __enter__(self) -> None:
        changed = bytearray(self.before)
        changed[self.bit // 8] ^= 1 << self.bit % 8
        self.path.write_bytes(changed)

    def __exit__(self, *error: object) -> None:
        self.path.write_bytes(self.before)
