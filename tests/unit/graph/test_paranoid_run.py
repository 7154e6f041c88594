"""`--paranoid` reaches the loading of the weights; without it a remembered digest is trusted."""

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec

from atlas_assets.in_process import materialize
from atlas_resources.models import loading as inference
from atlas_resources.models.weights import require_weights


@pytest.mark.parametrize("paranoid", [True, False])
def test_the_weights_are_required_as_asked(dataset, fakes, instance, monkeypatch, paranoid):
    asked = []

    def recording(spec, paranoid=False):
        asked.append(paranoid)
        return require_weights(spec, paranoid)

    monkeypatch.setattr(inference, "require_weights", recording)
    layers = materialize(
        fake_registry(fake_spec(EMBEDDER)),
        dataset,
        instance,
        selection=f'key:"embeddings/{EMBEDDER}"',
        plate_ids=["plate-001"],
        paranoid=paranoid,
    )
    assert [layer.is_success for layer in layers] == [True]
    assert asked == [paranoid]
