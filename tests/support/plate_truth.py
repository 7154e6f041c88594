"""The content of a dataset and its Dagster home after real runs, read from the files themselves."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.tables.ledgers import LEDGERS
from support.made_results import build_ledgers


def sealed_statuses(dataset: Dataset) -> dict[tuple[str, str], list[str]]:
    """Statuses of the sealed runs of each plate and instrument, from their manifests."""
    found = defaultdict(list)
    for path in sorted(dataset.plates_dir.glob(f"*/runs/run-*/{MANIFEST_NAME}")):
        manifest = read_json(path, RunManifest)
        found[manifest.plate_id, manifest.instrument.key].append(manifest.status)
    return dict(found)


def ledgers_that_differ(dataset: Dataset, registry: Registry, folder: Path) -> list[str]:
    """The names of ledgers that differ from a rebuild from the plates alone."""
    alone = Dataset(folder / "rebuilt")
    alone.ensure()
    alone.plates_dir.rmdir()
    alone.plates_dir.symlink_to(dataset.plates_dir)
    alone.reports_dir.rmdir()
    alone.reports_dir.symlink_to(dataset.reports_dir)
    rebuilt = build_ledgers(alone, registry)
    return [name for name, rows in rebuilt.items() if not rows.equals(read_ledger(dataset, LEDGERS[name]))]


def pickles_in(*folders: Path) -> Iterator[Path]:
    """Files that are pickles by their content. Dagster's default IO manager writes one for each value."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and is_pickled(path):
                yield path


def is_pickled(path: Path) -> bool:
    """Whether it begins with the PROTO opcode and a protocol number, as since protocol 2, and ends with STOP."""
    content = path.read_bytes()
    return len(content) > 2 and content[0] == 0x80 and content[1] in (2, 3, 4, 5) and content.endswith(b".")
