"""What verification costs against bare hashing: `python -m benchmarks.verification [DATASET]`.

Both read the same warm files: `sha256sum` alone, one process, and `atlas verify` at its levels. By default the dataset
is that of ATLAS_HOME. Nothing in it is changed but the remembered digests.
"""

import subprocess
import sys
import time
from pathlib import Path

from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset, dataset_root
from atlas_resources.snapshots.tree import read_tree
from atlas_resources.verification.library import verify
from atlas_resources.verification.reading import MEMORY_NAME, Level

READ = ("plates_structured", "reports", "ledger", "schemas", "atlas.duckdb")


def bare_hash_seconds(dataset: Dataset) -> tuple[float, int, int]:
    """Seconds of `sha256sum` over the files that a verification reads, their number and bytes."""
    paths = [
        path
        for name in READ
        for path in (dataset.root / name, *(dataset.root / name).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    started = time.perf_counter()
    subprocess.run(
        ["xargs", "-0", "sha256sum"],
        input=b"\0".join(str(path).encode() for path in paths),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started, len(paths), sum(path.stat().st_size for path in paths)


def main() -> None:
    """Prints a line for each way of reading, with its ratio to bare hashing."""
    dataset = Dataset(Path(sys.argv[1]) if len(sys.argv) > 1 else dataset_root())
    registry = read_registry()
    bare_hash_seconds(dataset)  # warms the files
    floor, count, size = bare_hash_seconds(dataset)
    print(f"sha256sum          {floor:7.2f} s  1.0  ({count} files, {size / 1e6:.1f} MB)")
    (dataset.root / MEMORY_NAME).unlink(missing_ok=True)
    levels: dict[str, Level] = {"first": "standard", "second": "standard", "quick": "quick", "deep": "deep"}
    for name, level in levels.items():
        found = verify(dataset, registry, level)
        print(
            f"verify, {name:10} {found.seconds:7.2f} s  {found.seconds / floor:.1f}  ({len(found.findings)} findings)"
        )
    started = time.perf_counter()
    read_tree(dataset)
    seconds = time.perf_counter() - started
    print(f"state of library   {seconds:7.2f} s  {seconds / floor:.1f}")


if __name__ == "__main__":
    main()
