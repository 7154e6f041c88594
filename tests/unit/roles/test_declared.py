"""A model's output is compared with its spec: shape, type and finite values. A valid output is stored whole."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from support.made_specs import project_spec

from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.embedding import WHOLE_PLATE, EmbeddingWork, PreparedParts
from atlas_assets.roles.probe import ProbeWork
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import Label
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.result_columns import EMBEDDING, PROBE, PROMPT

WHOLE = PreparedParts([WHOLE_PLATE], [torch.zeros(3, 4, 4)])


class GivesVectors:
    """An embedder that returns fixed vectors for any input."""

    def __init__(self, vectors: np.ndarray):
        self.vectors = vectors

    def embed(self, batch: torch.Tensor) -> np.ndarray:
        return self.vectors


class GivesScores:
    """A probe of four labels that returns fixed logits and scores."""

    labels = [Label(f"n{number}", name) for number, name in enumerate(["wren, bird", "oak", "sea", "ink, dye"])]  # noqa: RUF012

    def __init__(self, logits: np.ndarray, scores: np.ndarray):
        self.answer = logits, scores

    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        return self.answer


def with_output(key: str, **changes: Any) -> Spec:
    spec = project_spec(key)
    assert spec.output is not None
    return spec.model_copy(update={"output": spec.output.model_copy(update=changes)})


def embed(vectors: np.ndarray) -> list[Measurement]:
    """Measures with an embedder that declares a vector of 3 numbers."""
    work = EmbeddingWork(with_output("efficientnet_lite0", dim=3), lambda: GivesVectors(vectors))
    work.load()
    return work.measure([WHOLE] * len(vectors))


def probe(logits: np.ndarray, scores: np.ndarray) -> list[Measurement]:
    """Measures with a probe that declares 4 labels."""
    spec = with_output("efficientnet_lite0_imagenet", count=4)
    work = ProbeWork(spec, lambda: GivesScores(logits, scores))
    work.load()
    return work.measure([torch.zeros(3, 4, 4)] * len(logits))


def float32(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


ONE_VECTOR = float32([1, 2, 3])
LOGITS = float32([1, 2, 3, 4], [4, 3, 2, 1])
SCORES = float32([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        (float32([1, 2]), r"expected a vector of float32 \[3\], found float32 \[2\]"),
        (float32([1, 2, 3])[:, None], r"expected a vector of float32 \[3\], found float32 \[1, 3\]"),
        (float32([1, 2, 3]).astype(np.float64), r"expected a vector of float32 \[3\], found float64 \[3\]"),
        (float32([1, 2, 3]).astype(np.float16), r"expected a vector of float32 \[3\], found float16 \[3\]"),
        (float32([1, np.nan, 3]), "expected finite numbers in a vector, found 1 that are not"),
        (float32([1, np.inf, -np.inf]), "expected finite numbers in a vector, found 2 that are not"),
        (float32([1, 2, 3], [1, 2, np.nan]), "expected finite numbers in a vector, found 1 that are not"),
    ],
)
def test_a_vector_that_is_not_as_declared_is_refused(vectors: np.ndarray, complaint: str):
    with pytest.raises(ContractBroken, match=f"efficientnet_lite0: {complaint}"):
        embed(vectors)


def test_a_wrong_number_of_vectors_is_refused():
    work = EmbeddingWork(with_output("efficientnet_lite0", dim=3), lambda: GivesVectors(ONE_VECTOR))
    work.load()
    with pytest.raises(ContractBroken, match="efficientnet_lite0: expected 2 vectors, found 1"):
        work.measure([WHOLE, WHOLE])


@pytest.mark.parametrize(
    ("logits", "scores", "complaint"),
    [
        (LOGITS[:, :3], SCORES, r"expected logits of float32 \[4\], found float32 \[3\]"),
        (LOGITS, SCORES[:, :3], r"expected scores of float32 \[4\], found float32 \[3\]"),
        (LOGITS.astype(np.float64), SCORES, r"expected logits of float32 \[4\], found float64 \[4\]"),
        (LOGITS, SCORES * np.float32(np.nan), "expected finite numbers in scores, found 4 that are not"),
        (LOGITS * float32([1, np.inf, 1, 1]), SCORES, "expected finite numbers in logits, found 1 that are not"),
    ],
)
def test_scores_that_are_not_as_declared_are_refused(logits: np.ndarray, scores: np.ndarray, complaint: str):
    with pytest.raises(ContractBroken, match=f"efficientnet_lite0_imagenet: {complaint}"):
        probe(logits, scores)


@pytest.mark.parametrize(
    ("work", "key", "prepared"),
    [(EmbeddingWork, "otsu_luma", WHOLE), (ProbeWork, "efficientnet_lite0", torch.zeros(3, 4, 4))],
)
def test_an_output_of_another_role_is_refused(work: type[EmbeddingWork] | type[ProbeWork], key: str, prepared: Any):
    made = work(project_spec(key), lambda: GivesVectors(float32([1, 2, 3])))
    made.load()
    with pytest.raises(ContractBroken, match=f"{key}: an? (embedding|probe) must declare"):
        made.measure([prepared])


@pytest.mark.parametrize("key", ["efficientnet_lite0", "efficientnet_lite0_imagenet"])
def test_an_undeclared_preprocessing_is_refused(key: str):
    spec = project_spec(key).model_copy(update={"preprocessing": None})
    with pytest.raises(ContractBroken, match=f"{key}: preprocessing is not declared. Fix: `atlas models check`"):
        EmbeddingWork(spec, lambda: GivesVectors(float32([1, 2, 3]))).load()


def test_a_vector_is_stored_raw_with_its_l2_norm():
    """The L2 norm of (3, 4, 12) is 13."""
    first, second = embed(float32([3, 4, 12], [0, 0, 0.5]))
    of_whole_plate = dict.fromkeys(("segment_id", "tile_id", "x_min", "y_min", "x_max", "y_max", "crop_policy"))
    assert first.rows.to_dicts() == [
        {"scope": "plate", **of_whole_plate, "vector_dim": 3, "vector": [3.0, 4.0, 12.0], "l2_norm": 13.0}
    ]
    assert second.rows["vector"].to_list() == [[0.0, 0.0, 0.5]]
    assert first.metrics == {"vector_dim": 3, "l2_norm": 13.0}
    assert first.rows.columns == [column.name for column in EMBEDDING]
    assert first.rows.schema["vector"] == pl.List(pl.Float32)


def test_every_label_of_a_probe_is_stored_in_the_models_order():
    first, second = probe(LOGITS, SCORES)
    assert first.rows.select("label_index", "label_id", "label", "logit").rows() == [
        (0, "n0", "wren, bird", 1.0),
        (1, "n1", "oak", 2.0),
        (2, "n2", "sea", 3.0),
        (3, "n3", "ink, dye", 4.0),
    ]
    assert first.rows["score"].to_list() == SCORES[0].tolist()
    assert second.rows["score"].to_list() == SCORES[1].tolist()
    assert set(first.rows.columns) == {column.name for column in PROBE}


def test_each_score_has_its_calibration_and_failure_modes():
    (found,) = probe(LOGITS[:1], SCORES[:1])
    assert found.rows["calibration"].unique().to_list() == ["uncalibrated"]
    (failures,) = found.rows["failure_modes"].unique().to_list()
    assert failures.startswith("Trained on ImageNet photographs, not on engravings")


def test_the_best_label_is_a_metric_by_its_first_name():
    first, second = probe(LOGITS, SCORES)
    assert first.metrics == {"top_label": "ink", "top_label_id": "n3", "top_score": pytest.approx(0.4)}
    assert second.metrics == {"top_label": "wren", "top_label_id": "n0", "top_score": pytest.approx(0.4)}


def test_the_real_probe_stores_all_1000_labels_of_a_plate(dataset: Dataset):
    from atlas_resources.models.loading import load_model

    spec = project_spec("efficientnet_lite0_imagenet")
    work = ProbeWork(spec, lambda: load_model(spec))
    work.load()
    (found,) = work.measure([work.prepare(dataset.plate("plate-001"), None, Stopwatch())])
    assert found.rows.height == found.rows["label_id"].n_unique() == 1000
    assert found.rows["label_index"].to_list() == list(range(1000))
    assert found.rows["score"].sum() == pytest.approx(1, abs=1e-5)
    of_prompts = {"cosine", *(column.name for column in PROMPT)}  # null for a model without prompts
    nulls = {name for name, count in found.rows.null_count().row(0, named=True).items() if count}
    assert nulls == of_prompts
