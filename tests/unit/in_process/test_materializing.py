"""What the terminal makes in one run: groundwork and instruments that read pixels share one decode of each plate."""

from collections import Counter

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec

from atlas_assets.in_process.materializing import materialize
from atlas_resources.plates.decode import decode_source
from atlas_resources.runs.passes import shared_source


@pytest.mark.parametrize("which", ["all", "missing"])
def test_groundwork_and_instruments_are_one_run_with_one_decode_a_plate(dataset, fakes, instance, monkeypatch, which):
    decoded: Counter[str] = Counter()

    def counted(plate):
        decoded[plate.id] += 1
        return decode_source(plate)

    monkeypatch.setattr(shared_source, "decode_source", counted)
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    selection = "group:groundwork or group:embeddings or group:segments"
    layers = list(materialize(registry, dataset, instance, selection=selection, which=which))
    assert [(layer.name, layer.is_success, layer.materialized_count) for layer in layers] == [("instruments", True, 20)]
    assert decoded == dict.fromkeys(dataset.plate_ids(), 1)


def test_groundwork_alone_is_named_so(dataset, fakes, instance):
    registry = fake_registry(fake_spec(EMBEDDER))
    layers = list(materialize(registry, dataset, instance, selection="group:groundwork", plate_ids=["plate-001"]))
    assert [(layer.name, layer.materialized_count) for layer in layers] == [("groundwork", 2)]
