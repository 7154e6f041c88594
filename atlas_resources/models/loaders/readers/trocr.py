"""TrOCR in the hub's own layout, loaded by transformers: reads lines that another instrument found, one by one.

M. Li et al., "TrOCR: Transformer-based Optical Character Recognition with Pre-trained Models", AAAI 2023.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig, RobertaTokenizer, VisionEncoderDecoderModel

from atlas_resources.instruments.parameters.reading import TrocrParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.weights import LocatedWeights

UNREAD = ("encoder.pooler.",)
"""How the names of weights begin that no line is read with: those of the encoder's pooler (`ViTPooler` of
transformers 5.23), which the published files lack."""


class Trocr:
    """Reads lines."""

    def __init__(self, network: Any, tokenizer: Any, preprocess: Any, parameters: TrocrParameters):
        self.network = network
        self.tokenizer = tokenizer
        self.preprocess = preprocess
        self.parameters = parameters
        decoder = network.config.decoder
        self.greedy = GenerationConfig(
            max_new_tokens=parameters.max_new_tokens,
            do_sample=False,
            num_beams=1,
            decoder_start_token_id=decoder.decoder_start_token_id,
            eos_token_id=decoder.eos_token_id,
            pad_token_id=decoder.pad_token_id,
        )

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[tuple[str, float | None]]:
        """Returns text and score of each line, uint8 [h, w, 3], RGB in sRGB, of any size.

        Tokens are the likeliest one after the other; what a generation_config.json says is not used. The score is the
        geometric mean of the tokens' probabilities, the end of the text included.
        """
        images = [self.preprocess(Image.fromarray(line)) for line in lines]
        at_once = self.parameters.lines_at_once
        batches = [images[start : start + at_once] for start in range(0, len(images), at_once)]
        return [read for batch in batches for read in self._read(torch.stack(batch))]

    @torch.inference_mode()
    def _read(self, images: torch.Tensor) -> list[tuple[str, float | None]]:
        found = self.network.generate(
            images.to(self.network.device, self.network.dtype),
            generation_config=self.greedy,
            return_dict_in_generate=True,
            output_logits=True,
        )
        tokens, start = found.sequences.cpu(), found.sequences.shape[1] - len(found.logits)
        logits = torch.stack(found.logits, dim=1).float().cpu()
        likelihoods = logits.log_softmax(dim=-1).gather(2, tokens[:, start:, None])[:, :, 0]
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        scores = self._scores(tokens[:, start:], likelihoods)
        return [(text.strip(), score) for text, score in zip(texts, scores, strict=True)]

    def _scores(self, tokens: torch.Tensor, likelihoods: torch.Tensor) -> list[float]:
        """Geometric means of the probabilities up to the first end of text, for int64 and float32 [lines, tokens]."""
        is_end = (tokens == self.greedy.eos_token_id).int()
        is_within = (is_end.cumsum(dim=1) - is_end) == 0
        means = (likelihoods.masked_fill(~is_within, 0.0).sum(dim=1) / is_within.sum(dim=1)).exp()
        return means.clamp(max=1.0).tolist()


def load(spec: Spec, weights: LocatedWeights, device: str) -> Trocr:
    """Loads the pinned snapshot and its tokenizer.

    Raises:
        ValueError: the spec declares no preprocessing.
        WeightsMismatch: see `_snapshots.load_whole`.
    """
    if spec.preprocessing is None:
        raise ValueError(f"{spec.key}: expected preprocessing in model_specs/{spec.key}.yaml, found none")
    network: Any = load_whole(VisionEncoderDecoderModel, spec, weights, UNREAD, unread=UNREAD)
    tokenizer = RobertaTokenizer.from_pretrained(str(weights.folder), local_files_only=True)
    parameters = TrocrParameters.model_validate(spec.parameters)
    return Trocr(network.eval().to(device), tokenizer, build_preprocess(spec.preprocessing), parameters)
