"""Image classifiers in the hub's own layout, of any architecture of transformers."""

from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageClassification

from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.protocols import Label
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch


class ImageClassifier:
    """Scores images by the labels in the pinned config.json."""

    def __init__(self, network: torch.nn.Module, device: str, labels: list[Label], has_independent_labels: bool):
        self.network = network
        self.device = device
        self.labels = labels
        self.has_independent_labels = has_independent_labels

    @torch.inference_mode()
    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns logits and probabilities, each float32 [N, labels], for float32 [N, 3, H, W].

        Probabilities are the softmax of the logits, or their sigmoid where labels are independent.
        """
        logits = self.network(pixel_values=batch.to(self.device, non_blocking=True)).logits.float()
        scores = torch.sigmoid(logits) if self.has_independent_labels else torch.softmax(logits, dim=1)
        return logits.cpu().numpy(), scores.cpu().numpy()


def _labels(spec: Spec, configuration: Any, weights: LocatedWeights) -> list[Label]:
    """Returns the labels by index. Raises WeightsMismatch unless their count and names are those of the spec."""
    names = configuration.id2label
    ordered = [names.get(index) for index in range(len(names))]
    where = f"{spec.key}: {weights.folder}/config.json"
    if not isinstance(spec.output, ScoresOutput):
        raise WeightsMismatch(f"{where}: an image classifier gives scores, which the spec does not declare")
    if None in ordered or len(ordered) != spec.output.count:
        raise WeightsMismatch(
            f"{where}: expected {spec.output.count} labels, 0 to {spec.output.count - 1}, found {len(names)}: "
            f"{sorted(names)[:3]} ... Correct output.count in model_specs/{spec.key}.yaml, or pin another revision."
        )
    expected = spec.output.label_names
    if expected is not None and list(expected) != ordered:
        index = next(index for index, name in enumerate(ordered) if name != expected[index])
        raise WeightsMismatch(
            f"{where}: expected the label {expected[index]!r} at {index}, found {ordered[index]!r}. Correct "
            f"output.label_names in model_specs/{spec.key}.yaml, or pin another revision."
        )
    return [Label(str(index), name) for index, name in enumerate(ordered)]


def _has_independent_labels(spec: Spec, configuration: Any) -> bool:
    """Whether each label has a probability of its own, by the rule of transformers' image-classification pipeline.

    The rule: the problem type is multi-label, or there is a single label. Raises WeightsMismatch for a regression,
    whose outputs are not logits.
    """
    if configuration.problem_type == "regression":
        raise WeightsMismatch(
            f"{spec.key}: config.json has the problem_type regression, whose outputs are not probabilities"
        )
    return configuration.problem_type == "multi_label_classification" or configuration.num_labels == 1


def _require_activation(spec: Spec, has_independent_labels: bool, configuration: Any) -> None:
    """Raises WeightsMismatch unless the spec declares the activation that its rows will be recorded with."""
    expected = "sigmoid" if has_independent_labels else "softmax"
    declared = spec.output.activation if isinstance(spec.output, ScoresOutput) else None
    if (declared or "softmax") != expected:
        raise WeightsMismatch(
            f"{spec.key}: config.json has the problem_type {configuration.problem_type} and {configuration.num_labels} "
            f"labels, whose scores are the {expected} of the logits; the spec declares {declared or 'softmax'}. Fix: "
            f"output.activation: {expected} in model_specs/{spec.key}.yaml."
        )


def load(spec: Spec, weights: LocatedWeights, device: str) -> ImageClassifier:
    """Loads the pinned snapshot.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`; or labels or activation are not those of the spec.
        ValueError: transformers has no such architecture.
    """
    network = load_whole(AutoModelForImageClassification, spec, weights)
    configuration = network.config
    labels = _labels(spec, configuration, weights)
    has_independent_labels = _has_independent_labels(spec, configuration)
    _require_activation(spec, has_independent_labels, configuration)
    return ImageClassifier(network.eval().to(device), device, labels, has_independent_labels)
