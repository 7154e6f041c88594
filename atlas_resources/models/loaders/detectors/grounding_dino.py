"""GroundingDINO in the hub's own layout, loaded by transformers: boxes for the texts of a pinned prompt set."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BertTokenizer, GroundingDinoForObjectDetection
from transformers.image_transforms import center_to_corners_format

from atlas_resources.instruments.parameters.detecting import GroundingDinoParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.output import BoxesOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.protocols import Detection
from atlas_resources.models.weights import LocatedWeights


class WordsToFind:
    """All prompts as one line, as the model reads them.

    Each is lower-cased and ends with a full stop, as `_merge_candidate_labels_text` of transformers 5.23
    (processing_grounding_dino.py) does and the authors' README advises.

    Attributes:
        inputs: the network's text inputs, [1, tokens] each.
        prompts: in the order of the line.
        is_of_prompt: bool [prompts, tokens], which tokens belong to a prompt.
    """

    def __init__(self, tokenizer: BertTokenizer, prompts: Sequence[AskedPrompt]):
        self.tokenizer = tokenizer
        self.prompts = prompts
        texts = [prompt.text.lower() for prompt in prompts]
        self.inputs = tokenizer(". ".join(texts) + ".", return_tensors="pt", return_offsets_mapping=True)
        starts_ends = self.inputs.pop("offset_mapping")[0]
        self.is_of_prompt = torch.zeros((len(texts), len(starts_ends)), dtype=torch.bool)
        firsts, lasts = starts_ends.unbind(dim=1)
        start = 0
        for row, text in zip(self.is_of_prompt, texts, strict=True):
            row[:] = (firsts >= start) & (lasts <= start + len(text)) & (lasts > firsts)
            start += len(text) + len(". ")

    def phrase(self, is_meant: torch.Tensor) -> str:
        """Returns the words of the tokens marked in a bool [tokens], without the first token, which starts the line."""
        ids = self.inputs["input_ids"][0]
        return str(self.tokenizer.decode(ids[1:][is_meant[1:]]))

    def prompt(self, scores: torch.Tensor, threshold: float) -> AskedPrompt | None:
        """Returns the prompt with the best token, by scores [tokens]; None if none is above the threshold."""
        best, index = scores.where(self.is_of_prompt, torch.zeros(())).max(dim=1).values.max(dim=0)
        return self.prompts[int(index)] if best > threshold else None


class GroundingDino:
    """Finds objects that a text names."""

    def __init__(self, network: Any, device: str, words: WordsToFind, parameters: GroundingDinoParameters):
        self.network = network
        self.device = device
        self.words = words
        self.parameters = parameters

    @torch.inference_mode()
    def detect(self, image: torch.Tensor) -> list[Detection]:
        """Returns the boxes of one image, float32 [3, H, W], whose score is above the threshold.

        A query's score is the highest sigmoid over the tokens, and its label the tokens above the text threshold, as in
        `post_process_grounded_object_detection` of transformers 5.23 (processing_grounding_dino.py).
        """
        inputs = {name: value.to(self.device) for name, value in self.words.inputs.items()}
        outputs = self.network(pixel_values=image[None].to(self.device), **inputs)
        by_token = torch.sigmoid(outputs.logits[0]).cpu()
        scores = by_token.max(dim=-1).values
        corners: Any = center_to_corners_format(outputs.pred_boxes[0].cpu())
        kept = scores > self.parameters.box_threshold
        return [
            self._detection(*found) for found in zip(corners[kept], scores[kept].tolist(), by_token[kept], strict=True)
        ]

    def _detection(self, corners: torch.Tensor, score: float, by_token: torch.Tensor) -> Detection:
        threshold = self.parameters.text_threshold
        tokens = by_token[: self.words.is_of_prompt.shape[1]]
        prompt = self.words.prompt(tokens, threshold)
        return Detection(corners.numpy(), self.words.phrase(tokens > threshold), score, prompt=prompt)


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt]) -> GroundingDino:
    """Loads the pinned snapshot and its tokenizer.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: the snapshot's number of boxes is not the declared one, or the prompts have too many tokens for it.
    """
    network: Any = load_whole(GroundingDinoForObjectDetection, spec, weights)
    boxes, longest = network.config.num_queries, network.config.max_text_len
    declared = spec.output.max_boxes if isinstance(spec.output, BoxesOutput) else None
    if boxes != declared:
        raise ValueError(f"{spec.key}: expected {declared} boxes, found {boxes} in {weights.folder}")
    tokenizer = BertTokenizer.from_pretrained(str(weights.folder), local_files_only=True)
    words = WordsToFind(tokenizer, prompts)
    tokens = words.is_of_prompt.shape[1]
    if tokens > longest:
        raise ValueError(f"{spec.key}: expected prompts of {longest} tokens at most, found {tokens}")
    parameters = GroundingDinoParameters.model_validate(spec.parameters)
    return GroundingDino(network.eval().to(device), device, words, parameters)
