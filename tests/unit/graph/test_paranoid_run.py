"""A paranoid run forgets the remembered digests of the weights before it loads them; other runs trust them."""

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_datasets import Graph

from atlas_assets.graph import instruments

KEY = f"embeddings/{EMBEDDER}"


@pytest.mark.parametrize("is_paranoid", [True, False])
def test_only_a_paranoid_run_forgets_digests(dataset, fakes, instance, monkeypatch, is_paranoid):
    forgotten = []
    monkeypatch.setattr(instruments, "forget_digests", lambda spec: forgotten.append(spec.key))
    graph = Graph(dataset, fake_registry(fake_spec(EMBEDDER)), instance)
    assert graph.materialize(
        KEY, plates=["plate-001"], paranoid=[f"embeddings__{EMBEDDER}"] if is_paranoid else []
    ).success
    assert forgotten == ([EMBEDDER] if is_paranoid else [])
