"""Small datasets: drawn plates, registered by the project's own code, and the graph over them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from PIL import Image, ImageDraw

from atlas_assets.definitions import build_definitions
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_assets.graph.partitions import Partitioning, add_missing_partitions, read_partitioning
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans

PAPER = (240, 232, 215)
COLOURS = {
    "red": (190, 40, 30),
    "green": (40, 140, 60),
    "blue": (40, 70, 180),
    "ochre": (200, 150, 50),
    "teal": (20, 130, 140),
    "brown": (110, 70, 40),
    "rose": (220, 120, 140),
    "ink": (25, 25, 30),
    "plum": (90, 30, 80),
    "olive": (110, 115, 40),
    "slate": (80, 95, 110),
    "gold": (215, 180, 60),
}
MAGENTA = (255, 0, 255)


def draw_scan(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (400, 300)) -> Path:
    """Draws a plate of paper with one coloured subject and two ink lines. Magenta covers the whole plate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    image = Image.new("RGB", size, colour if colour == MAGENTA else PAPER)
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 6, height // 5, width * 2 // 3, height * 4 // 5), fill=colour)
    if colour != MAGENTA:
        draw.line((10, height - 20, width - 10, height - 15), fill=(30, 28, 25), width=3)
        draw.line((width - 60, 20, width - 40, height - 30), fill=(30, 28, 25), width=2)
    image.save(path)
    return path


def draw_scans(folder: Path, *names: str) -> list[Path]:
    """Draws a scan per colour name, with sides of 300 to 600 px, named so that they register in this order."""
    sizes = [(400, 300), (300, 420), (360, 360), (600, 340), (310, 500), (450, 320), (330, 330), (520, 410)]
    return [
        draw_scan(folder / f"{number:02d}-{name}.png", {**COLOURS, "magenta": MAGENTA}[name], sizes[(number - 1) % 8])
        for number, name in enumerate(names, start=1)
    ]


def make_dataset(folder: Path, *names: str) -> Dataset:
    """A dataset with a plate per colour name: plate-001 has the first."""
    dataset = Dataset(folder / "atlas")
    registered = list(register_scans(dataset, draw_scans(folder / "scans", *names)))
    assert [registration.status for registration in registered] == ["registered"] * len(names)
    return dataset


def alter_source(dataset: Dataset, plate_id: str) -> None:
    """Changes the bytes of a registered source, which must never happen."""
    path = dataset.plate(plate_id).source_path()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"altered")


def source_digests(dataset: Dataset) -> dict[str, str]:
    """The sha256 of each source's present bytes."""
    return {
        plate_id: hashlib.sha256(dataset.plate(plate_id).source_path().read_bytes()).hexdigest()
        for plate_id in dataset.plate_ids()
    }


def run_folders(dataset: Dataset, plate_id: str) -> list[str]:
    """The names of all entries of a plate's `runs/`, including hidden leftovers."""
    runs = dataset.plate(plate_id).runs_folder
    return sorted(path.name for path in runs.iterdir()) if runs.is_dir() else []


LEDGER_ASSETS = tuple(key.to_user_string() for key in LEDGER_KEYS)
"""The asset of every ledger, and the catalogue."""


@dataclass
class Graph:
    """The project's own definitions over a dataset, with a Dagster instance that keeps its history."""

    dataset: Dataset
    registry: Registry
    instance: dg.DagsterInstance
    _built: tuple[Registry, Partitioning, dg.Definitions] | None = field(default=None, repr=False)

    @property
    def definitions(self) -> dg.Definitions:
        """Built again only if what they follow from is another: it takes as long as a small run."""
        partitioning = read_partitioning()
        if self._built is None or self._built[0] is not self.registry or self._built[1] != partitioning:
            self._built = (self.registry, partitioning, build_definitions(self.registry, self.dataset.root))
        return self._built[2]

    def materialize(
        self,
        *keys: str,
        plates: Sequence[str] | None = None,
        forced: Sequence[str] = (),
        paranoid: Sequence[str] = (),
    ) -> dg.ExecuteInProcessResult:
        """One run over a contiguous range of plates, by default all; `forced` and `paranoid` are op names."""
        add_missing_partitions(self.instance, self.dataset)
        plate_ids = plates or self.instance.get_dynamic_partitions("plates")
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
            tags={
                "dagster/asset_partition_range_start": plate_ids[0],
                "dagster/asset_partition_range_end": plate_ids[-1],
            },
            run_config={
                "ops": {
                    name: {"config": {"force": name in forced, "paranoid": name in paranoid}}
                    for name in {*forced, *paranoid}
                }
            },
            raise_on_error=False,
        )

    def materialize_partition(self, key: str, plate_id: str, **config: object) -> dg.ExecuteInProcessResult:
        """One run over a single partition of an instrument, as the UI launches it."""
        add_missing_partitions(self.instance, self.dataset)
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(key.split("/"))],
            tags={"dagster/partition": plate_id},
            run_config={"ops": {key.replace("/", "__"): {"config": config}}},
            raise_on_error=False,
        )

    def materialize_list(self, key: str, plate_ids: Sequence[str]) -> dg.ExecuteInProcessResult:
        """One run over a work list of an instrument, as automation requests it."""
        add_missing_partitions(self.instance, self.dataset)
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(key.split("/"))],
            tags={
                "dagster/asset_partition_range_start": plate_ids[0],
                "dagster/asset_partition_range_end": plate_ids[0],
            },
            run_config={"ops": {key.replace("/", "__"): {"config": {"plates": list(plate_ids)}}}},
            raise_on_error=False,
        )

    def materialize_all(self) -> dg.ExecuteInProcessResult:
        """Materialises every unpartitioned asset in one run."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        graph = self.definitions.resolve_asset_graph()
        keys = [key for key in graph.materializable_asset_keys if not graph.get(key).is_partitioned]
        return job.execute_in_process(instance=self.instance, asset_selection=keys, raise_on_error=False)

    def events(self, key: str) -> list[tuple[str | None, dg.AssetMaterialization]]:
        """The partition and the materialisation of each event of an asset, oldest first."""
        records = self.instance.fetch_materializations(dg.AssetKey(key.split("/")), limit=1000, ascending=True).records
        return [
            (record.asset_materialization.partition, record.asset_materialization)
            for record in records
            if record.asset_materialization is not None
        ]

    def materialized(self, key: str) -> set[str]:
        """The plates that Dagster shows as materialised."""
        return self.instance.get_materialized_partitions(dg.AssetKey(key.split("/")))
