"""Where an instrument's weights are looked for, and what a step does on a machine that has not got them."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from atlas_assets.graph.dagster_internals import RETRY_ON_FAILURE_TAG, DefaultRunLauncher
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.models.weights import (
    WeightsMismatch,
    WeightsMissing,
    fetch_command,
    is_on_disk,
    why_without_weights,
)

VARIABLE = "ATLAS_WEIGHTS"


def are_on_workers() -> bool:
    """Whether ATLAS_WEIGHTS=workers: runs execute on other machines, where weights are looked for when a run starts.

    Raises:
        ValueError: the variable has another value.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "workers"):
        raise ValueError(f"{VARIABLE}={value}: expected `workers`, or no such variable")
    return value == "workers"


def why_not_started(instrument: Instrument) -> str:
    """Why a run of the instrument may not be started from this machine; empty if it may."""
    return "" if are_on_workers() else why_without_weights(instrument)


@contextmanager
def weights_of(instrument: Instrument, context: dg.AssetExecutionContext) -> Iterator[None]:
    """Ends the step at once if the instrument's own weights are not here, so that the run may be tried elsewhere.

    Looks whether the files exist, before any plate is decoded. Loading the model, in the block, checks their digests.

    Raises:
        dg.Failure: names this machine and the instrument. The step is not tried again.
    """
    if not is_on_disk(instrument.spec):
        retry_elsewhere(context)
        key = instrument.key
        raise dg.Failure(
            f"{socket.gethostname()} cannot measure with {key}: its weights are not on this machine. Fix: on it, "
            f"`atlas models sync SOURCE {key}` or `{fetch_command(instrument.spec)}`; or start the run where they are",
            allow_retries=False,
        )
    try:
        yield
    except dg.Failure as failure:
        if isinstance(failure.__cause__, WeightsMissing | WeightsMismatch):
            retry_elsewhere(context)
        raise


def retry_elsewhere(context: dg.AssetExecutionContext) -> None:
    """Lets Dagster's run retries start the run again, where its launcher may choose another machine.

    Dagster's default launcher has this machine alone, which would fail in the same way.
    """
    instance = context.instance
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        instance.add_run_tags(context.run.run_id, {RETRY_ON_FAILURE_TAG: "true"})
