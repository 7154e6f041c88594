"""DETR in the hub's own layout, loaded by transformers: boxes of the classes that it was trained on."""

from typing import Any

import numpy as np
import torch
from transformers import DetrForObjectDetection
from transformers.image_transforms import center_to_corners_format

from atlas_resources.instruments.parameters.detecting import DetrParameters
from atlas_resources.instruments.spec.output import OF_CONFIGURATION, BoxesOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.protocols import Detection
from atlas_resources.models.weights import LocatedWeights

LABEL_COUNT = {"coco_91": 91}  # ids of COCO with their gaps, as in config.json of facebook/detr-resnet-50


class Detr:
    """Finds objects of the classes in the pinned config.json."""

    def __init__(self, network: Any, device: str, labels: dict[int, str], parameters: DetrParameters):
        self.network = network
        self.device = device
        self.labels = labels
        self.parameters = parameters

    @torch.inference_mode()
    def detect(self, image: torch.Tensor) -> list[Detection]:
        """Returns the boxes of one image, float32 [3, H, W], whose score is above the threshold.

        A query's score is the highest softmax over the classes and "no object", "no object" excepted, as in
        `post_process_object_detection` of transformers 5.23 (image_processing_detr.py).
        """
        outputs = self.network(pixel_values=image[None].to(self.device))
        scores, label_ids = torch.softmax(outputs.logits[0], dim=-1)[:, :-1].max(dim=-1)
        corners: Any = center_to_corners_format(outputs.pred_boxes[0])
        kept = scores > self.parameters.threshold
        found = zip(corners[kept].cpu().numpy(), scores[kept].tolist(), label_ids[kept].tolist(), strict=True)
        return [self._detection(*box) for box in found]

    def _detection(self, corners: np.ndarray, score: float, label_id: int) -> Detection:
        name = self.labels[label_id]
        is_ambiguous = list(self.labels.values()).count(name) > 1
        return Detection(corners, name, score, str(label_id), is_ambiguous=is_ambiguous)


def load(spec: Spec, weights: LocatedWeights, device: str) -> Detr:
    """Loads the pinned snapshot, which includes the weights of the backbone, a ResNet of timm.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: the snapshot's labels or its number of boxes are not the declared ones.
    """
    network: Any = load_whole(DetrForObjectDetection, spec, weights)
    labels = {int(label_id): name for label_id, name in network.config.id2label.items()}
    found = (len(labels), network.config.num_queries)
    declared = spec.output
    counts = LABEL_COUNT | {OF_CONFIGURATION: len(labels)}
    if not isinstance(declared, BoxesOutput) or found != (counts.get(declared.labels), declared.max_boxes):
        raise ValueError(
            f"{spec.key}: {weights.folder}: found {found[0]} labels and {found[1]} boxes, "
            f"model_specs/{spec.key}.yaml declares {declared}"
        )
    return Detr(network.eval().to(device), device, labels, DetrParameters.model_validate(spec.parameters))
