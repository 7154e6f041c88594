"""Two jobs that record which GPUs their process may see: one whose step takes a GPU, and one whose step takes none."""

import os

import dagster as dg


def show(context: dg.OpExecutionContext) -> None:
    """Records CUDA_VISIBLE_DEVICES, by which Ray gives a GPU to a process."""
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
    context.log_event(dg.AssetMaterialization("devices", metadata={"devices": devices}))


@dg.op(pool="gpu")
def takes_a_gpu(context: dg.OpExecutionContext) -> None:
    show(context)


@dg.op
def takes_none(context: dg.OpExecutionContext) -> None:
    show(context)


@dg.job(executor_def=dg.in_process_executor)
def with_gpu() -> None:
    takes_a_gpu()


@dg.job(executor_def=dg.in_process_executor)
def without_gpu() -> None:
    takes_none()
