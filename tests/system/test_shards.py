"""A daemon over shards: sensors fill them, a plate that fails makes its shard red, and a backfill makes it green."""

from collections.abc import Iterator

import pytest
from support.deployed import Deployment, deployment
from support.made_datasets import alter_source, make_dataset, run_folders
from support.sharded import declare

pytestmark = pytest.mark.timeout(900)

ASSET = "segments/otsu_luma"
FIRST, SECOND, THIRD = "shard-000001", "shard-000002", "shard-000003"
BAD = "plate-005"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory) -> Iterator[Deployment]:
    """Seven plates in shards of three, the fifth with an altered source; the sensors have done what they can."""
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        declare(patch, folder / "project", "shards")
        dataset = make_dataset(folder, "red", "green", "blue", "ochre", "plum", "teal", "brown")
        alter_source(dataset, BAD)
        with deployment(dataset, folder, "otsu_luma") as running:
            for sensor in ("register_new_scans", "fill_missing", "refresh_ledgers"):
                running.switch_on(sensor)
            running.settle(ASSET, good=set(dataset.plate_ids()) - {BAD}, bad={BAD}, seconds=400)
            yield running


def test_whole_shards_are_green_and_the_one_of_the_failed_plate_is_red(deployed):
    for asset in (ASSET, "plate/input_image"):
        assert deployed.server.plates(*asset.split("/")) == {FIRST, THIRD}
        assert deployed.failed_plates(*asset.split("/")) == {SECOND}


def test_the_failed_plate_is_named_on_its_shard(deployed):
    answer = deployed.server.ask(
        """query($path: [String!]!, $partition: String!) { assetOrError(assetKey: {path: $path}) { ... on Asset {
            assetObservations(partitions: [$partition]) { description } } } }""",
        path=ASSET.split("/"),
        partition=SECOND,
    )
    (observation,) = answer["assetOrError"]["assetObservations"]
    assert observation["description"].startswith(f"{BAD}: SourceChanged")


def test_a_backfill_of_the_shard_from_the_ui_measures_the_failed_plate_alone(deployed):
    dataset = deployed.dataset
    before = {plate_id: len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()}
    source = dataset.plate(BAD).source_path()
    source.write_bytes(source.read_bytes().removesuffix(b"altered"))
    backfill = deployed.server.launch_backfill([ASSET.split("/")], [SECOND])
    (run,) = deployed.server.runs_of_backfill(backfill)
    assert deployed.server.wait_for_run(run) == "SUCCESS"
    assert deployed.server.plates(*ASSET.split("/")) == {FIRST, SECOND, THIRD}
    after = {plate_id: len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()}
    assert {plate_id for plate_id in after if after[plate_id] > before[plate_id]} == {BAD}
