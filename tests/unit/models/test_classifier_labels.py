"""Labels come from the pinned configuration and are compared with the spec; code of a repository is never run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.made_instruments import MINIATURES, changed, pinned
from support.tiny_networks import LABELS

from atlas_assets.roles.probe import ProbeWork
from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.spec.output import labels_sha256
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Scorer
from atlas_resources.models.weights import WeightsMismatch, require_weights

CLASSIFIER = "image_classifier, vit"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    return MINIATURES[CLASSIFIER](tmp_path, monkeypatch).spec


@pytest.fixture
def configured(spec: Spec, tmp_path: Path) -> Callable[..., Spec]:
    """Changes config.json on disk and returns the spec that pins the changed one."""
    folder = require_weights(spec).folder
    assert folder is not None

    def change(**fields: Any) -> Spec:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields), encoding="utf-8")
        return pinned(spec, folder, tmp_path)

    return change


def test_the_declared_names_are_accepted(spec: Spec):
    model = load_model(changed(spec, output={"label_names": LABELS}))
    assert isinstance(model, Scorer)
    assert [(label.label_id, label.name) for label in model.labels] == [
        ("0", "abstract"),
        ("1", "genre"),
        ("2", "landscape"),
        ("3", "portrait"),
        ("4", "still life"),
    ]


def test_another_name_is_reported_with_its_index(spec: Spec):
    names = ["abstract", "genre", "seascape", "portrait", "still life"]
    with pytest.raises(WeightsMismatch, match=r"expected the label 'seascape' at 2, found 'landscape'\. Correct"):
        load_model(changed(spec, output={"label_names": names}))


def test_another_number_of_labels_is_reported(spec: Spec):
    with pytest.raises(WeightsMismatch, match=r"config\.json: expected 6 labels, 0 to 5, found 5: \[0, 1, 2\]"):
        load_model(changed(spec, output={"count": 6}))


def test_as_many_names_as_labels_are_declared(spec: Spec):
    with pytest.raises(ValueError, match="1 label_names for a count of 5"):
        changed(spec, output={"label_names": ["abstract"]})


def test_labels_that_nothing_pins_keep_it_an_idea(spec: Spec):
    content = spec.model_dump(mode="json")
    content["weights"]["files"][1]["sha256"] = None
    unpinned = Spec.model_validate(content)
    assert missing_for_admission(unpinned) == ["output: neither label_names nor the sha256 of config.json"]
    assert missing_for_admission(changed(unpinned, output={"label_names": LABELS})) == []


OWN = {"labels": "configuration", "labels_sha256": labels_sha256(dict(enumerate(LABELS)))}
EMOTIONS = {0: "anger", 1: "awe", 2: "contentment", 3: "fear", 4: "sadness"}
EMOTION_IDS = {name: number for number, name in EMOTIONS.items()}


def test_labels_of_the_configuration_are_a_vocabulary(configured: Callable[..., Spec]):
    """So that a classifier of emotions or places needs no list of a known name."""
    emotions = configured(id2label=EMOTIONS, label2id=EMOTION_IDS)
    declared = changed(emotions, output={"labels": "configuration", "labels_sha256": labels_sha256(EMOTIONS)})
    assert missing_for_admission(declared) == []
    model = load_model(declared)
    assert isinstance(model, Scorer)
    assert [label.name for label in model.labels] == ["anger", "awe", "contentment", "fear", "sadness"]


def test_the_digest_of_labels_is_of_the_json_of_ids_and_names():
    """printf '[[0, "anger"], [1, "awe"]]' | sha256sum"""
    assert labels_sha256({1: "awe", 0: "anger"}) == "f64d49e59035764ca0f19345d2330d0ec4a3b5131c2541ee31fa8ceb6562b882"


def test_other_labels_than_the_declared_ones_are_refused(spec: Spec, configured: Callable[..., Spec]):
    load_model(changed(spec, output=OWN))
    others = changed(configured(id2label=EMOTIONS, label2id=EMOTION_IDS), output=OWN)
    with pytest.raises(
        WeightsMismatch, match=r"expected labels of sha256 .*, found .*: anger, awe, contentment \.\.\."
    ):
        load_model(others)


@pytest.mark.parametrize("output", [{"labels": "configuration"}, {"labels": "wikiart", "labels_sha256": "0" * 64}])
def test_a_digest_is_declared_with_labels_of_the_configuration_only(spec: Spec, output: dict[str, str]):
    with pytest.raises(ValueError, match="labels_sha256 is declared with labels of the configuration, and only then"):
        changed(spec, output=output)


def test_independent_labels_have_a_sigmoid_each(configured: Callable[..., Spec]):
    declared = changed(configured(problem_type="multi_label_classification"), output={"activation": "sigmoid"})
    model = load_model(declared)
    assert isinstance(model, Scorer)
    logits, scores = model.score(torch.zeros(1, 3, 56, 56))
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_rows_of_independent_labels_are_recorded_as_a_sigmoid(configured: Callable[..., Spec]):
    declared = changed(configured(problem_type="multi_label_classification"), output={"activation": "sigmoid"})
    work = ProbeWork(declared, lambda: load_model(declared))
    work.load()
    (found,) = work.measure([torch.zeros(3, 56, 56)])
    assert found.rows["activation"].unique().to_list() == ["sigmoid"]
    assert found.rows["score"].sum() > 1.2  # a softmax sums to 1


@pytest.mark.parametrize(
    ("problem_type", "activation", "expected"),
    [
        ("multi_label_classification", None, "sigmoid"),
        ("multi_label_classification", "softmax", "sigmoid"),
        ("single_label_classification", "sigmoid", "softmax"),
    ],
)
def test_an_activation_that_is_not_the_configurations_is_refused(
    problem_type: str, activation: str | None, expected: str, configured: Callable[..., Spec]
):
    declared = changed(configured(problem_type=problem_type), output={"activation": activation})
    with pytest.raises(WeightsMismatch, match=f"Fix: output.activation: {expected} in model_specs/"):
        load_model(declared)


def test_a_regression_is_refused(configured: Callable[..., Spec]):
    with pytest.raises(WeightsMismatch, match="problem_type regression, whose outputs are not probabilities"):
        load_model(configured(problem_type="regression"))


def test_code_of_a_repository_is_not_run(configured: Callable[..., Spec], spec: Spec):
    folder = require_weights(spec).folder
    assert folder is not None
    (folder / "modeling.py").write_text("raise SystemExit('the code of a repository was run')\n", encoding="utf-8")
    code = {"AutoConfig": "modeling.Config", "AutoModelForImageClassification": "modeling.Model"}
    load_model(configured(auto_map=code))  # transformers has the architecture itself
    with pytest.raises(ValueError, match="contains custom code which must be executed"):
        load_model(configured(auto_map=code, model_type="something_else"))
