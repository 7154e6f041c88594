"""A sealed run states its software and its device; the ledger has both as columns."""

import json

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_results import GivenVectors, build_ledgers, measure
from support.made_specs import project_spec

from atlas_resources.plates.run_contracts import Accelerator
from atlas_resources.runs import sealing
from atlas_resources.runs.provenance import environment

H100 = Accelerator(
    name="NVIDIA H100 80GB HBM3",
    index=1,
    uuid="GPU-0d1f",
    capability="9.0",
    memory_bytes=85_000_000_000,
    driver="580.95.05",
    cuda="13.0",
    cudnn=92400,
    modes={"cudnn.benchmark": False, "cudnn.conv.fp32_precision": "ieee"},
)


def test_the_versions_of_every_library_that_computes_are_stated():
    packages = environment(project_spec("efficientnet_lite0")).packages
    computing = {"torch", "torchvision", "transformers", "timm", "open_clip_torch", "onnxruntime", "segment-anything"}
    assert computing | {"numpy", "pillow", "scipy", "scikit-image"} <= packages.keys()


def test_a_run_on_the_cpu_states_no_accelerator():
    found = environment(project_spec("efficientnet_lite0"))
    assert (found.device, found.accelerator) == ("cpu", None)
    assert not [name for name in found.packages if name.startswith("nvidia")]


def test_a_spec_without_a_numeric_mode_has_no_environment():
    with pytest.raises(ValueError, match="numeric is not declared"):
        environment(project_spec("efficientnet_lite0").model_copy(update={"numeric": None}))


def test_the_ledger_has_the_accelerator_of_each_run(dataset, fakes, monkeypatch):
    registry = fake_registry(fake_spec(EMBEDDER))
    work = GivenVectors({plate_id: (1.0, 0.0, 0.0) for plate_id in dataset.plate_ids()})
    measure(dataset, registry, EMBEDDER, work, ["plate-001"])
    monkeypatch.setattr(
        sealing, "environment", lambda spec, server: environment(spec, server).model_copy(update={"accelerator": H100})
    )
    measure(dataset, registry, EMBEDDER, work, ["plate-002"])
    columns = ("plate_id", "accelerator", "accelerator_index", "driver", "cuda", "cudnn", "modes")
    on_cpu, on_gpu = build_ledgers(dataset, registry)["runs"].select(columns).rows()
    assert on_cpu == ("plate-001", None, None, None, None, None, None)
    assert on_gpu[:-1] == ("plate-002", "NVIDIA H100 80GB HBM3", 1, "580.95.05", "13.0", 92400)
    assert json.loads(on_gpu[-1]) == H100.modes
