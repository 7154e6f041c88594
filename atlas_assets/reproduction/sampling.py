"""A random sample of sealed results, the same for everybody on one date."""

import random
from collections.abc import Iterator
from datetime import date
from itertools import groupby, islice

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import sealed_runs
from atlas_resources.models.devices import DeviceUnavailable, require_device
from atlas_resources.models.servers.running import why_waiting
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.runs.faults import RunKey
from atlas_resources.runs.sealed import read_manifest


def sample_results(dataset: Dataset, registry: Registry, count: int, day: date) -> dict[str, list[str]]:
    """Complete results of present instruments whose weights and device are here, at random.

    Results of other fingerprints, as of an older spec or loader, are not drawn: this code could not repeat them.

    Args:
        dataset: the dataset.
        registry: the instruments.
        count: how many results, each of one plate and one run.
        day: the seed.

    Returns:
        The plates of each run, by its id. Runs of one instrument follow each other.
    """
    present = {one.identity.fingerprint for one in registry.instruments.values() if _is_runnable(one)}
    prefixes = {fingerprint[:8] for fingerprint in present}
    keys = sorted(key for key in sealed_runs(dataset) if key[0][-8:] in prefixes)
    random.Random(f"atlas {day.isoformat()}").shuffle(keys)
    drawn = sorted(islice(_complete(dataset, keys, present), count), key=lambda key: (key[0][-8:], key))
    return {run_id: [plate_id for _, plate_id in some] for run_id, some in groupby(drawn, key=lambda key: key[0])}


def _is_runnable(instrument: Instrument) -> bool:
    if why_waiting(instrument):
        return False
    try:
        require_device(instrument.spec)
    except DeviceUnavailable:
        return False
    return True


def _complete(dataset: Dataset, keys: list[RunKey], fingerprints: set[str]) -> Iterator[RunKey]:
    for run_id, plate_id in keys:
        try:
            manifest = read_manifest(dataset.plate(plate_id), run_id)
        except DatasetBroken:  # `find_left_out` names it
            continue
        if manifest.status == "complete" and manifest.instrument.fingerprint in fingerprints:
            yield run_id, plate_id
