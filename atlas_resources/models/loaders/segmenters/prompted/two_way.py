"""The mask decoder of segment-anything for many points of one image, without repeating what all points share.

`MaskDecoder` of segment-anything 1.0 repeats the image for every point before its first layer, and draws every mask.
Here the first layer projects the image once, and masks are drawn only of points with a mask that is wanted. Every
number is added and multiplied in the library's order, so that the result is the same, bit for bit.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.transformer import Attention


@dataclass(frozen=True)
class SharedImage:
    """What all points of an image share.

    Attributes:
        keys: the image embedding with that of no mask, [1, h * w, channels].
        places: the positional encoding, [1, h * w, channels].
        size: h and w.
    """

    keys: torch.Tensor
    places: torch.Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """What N points and the image say of each other.

    Attributes:
        tokens: of the four masks of each point, [N, 4, channels].
        keys: the image as each point sees it, [N, h * w, channels].
        predicted_iou: of the three masks that are used, [N, 3].
    """

    tokens: torch.Tensor
    keys: torch.Tensor
    predicted_iou: torch.Tensor

    def at(self, rows: torch.Tensor) -> "Seen":
        """The same of some points, by their numbers, int64 [K]."""
        return Seen(self.tokens[rows], self.keys[rows], self.predicted_iou[rows])


def share(sam: Sam, embedding: torch.Tensor) -> SharedImage:
    """Returns what the points of an image share, for its embedding [1, channels, h, w]."""
    prompts = sam.prompt_encoder
    keys = embedding + prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
    size = embedding.shape[2], embedding.shape[3]
    return SharedImage(_rows(keys), _rows(prompts.get_dense_pe()), size)


def look(decoder: MaskDecoder, image: SharedImage, sparse: torch.Tensor) -> Seen:
    """Lets the tokens of N points and the image attend to each other: `TwoWayTransformer`.

    Args:
        decoder: the library's module.
        image: what the points share.
        sparse: embedded points, [N, 2, channels].
    """
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight], dim=0)
    points = torch.cat((own[None].expand(len(sparse), -1, -1), sparse), dim=1)
    queries, keys = points, image.keys
    transformer: Any = decoder.transformer  # torch types modules as tensors
    for layer in transformer.layers:
        if layer.skip_first_layer_pe:
            queries = layer.self_attn(q=queries, k=queries, v=queries)
        else:
            placed = queries + points
            queries = queries + layer.self_attn(q=placed, k=placed, v=queries)
        queries = layer.norm1(queries)
        placed_keys = keys + image.places  # of both attentions; one image for all points in the first layer
        queries = layer.norm2(queries + _attend(layer.cross_attn_token_to_image, queries + points, placed_keys, keys))
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = layer.norm4(keys + _attend(layer.cross_attn_image_to_token, placed_keys, queries + points, queries))
    found = transformer.final_attn_token_to_image(q=queries + points, k=keys + image.places, v=keys)
    queries = transformer.norm_final_attn(queries + found)
    masks = queries[:, 1 : 1 + decoder.num_mask_tokens]
    return Seen(masks, keys, decoder.iou_prediction_head(queries[:, 0])[:, 1:])


def draw(decoder: MaskDecoder, seen: Seen, size: tuple[int, int]) -> torch.Tensor:
    """Returns logits [N, 3, 4h, 4w] of the masks of N points, for an image embedding of a height and width."""
    large = decoder.output_upscaling(seen.keys.transpose(1, 2).view(len(seen.keys), -1, *size))
    of_masks = [head(seen.tokens[:, number]) for number, head in enumerate(decoder.output_hypernetworks_mlps)]
    count, channels, height, width = large.shape
    return (torch.stack(of_masks, dim=1) @ large.view(count, channels, -1)).view(count, -1, height, width)[:, 1:]


def _rows(image: torch.Tensor) -> torch.Tensor:
    """[1, h * w, channels] of [1, channels, h, w]."""
    return image.flatten(2).permute(0, 2, 1)


def _attend(attention: Attention, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """`Attention.forward`, which projects what all points share once: the image's side may have one row for N."""
    heads = attention.num_heads
    q, k, v = (
        _separate(project(given), heads)
        for project, given in (
            (attention.q_proj, queries),
            (attention.k_proj, keys),
            (attention.v_proj, values),
        )
    )
    count = max(len(q), len(k))
    q, k, v = (part.expand(count, -1, -1, -1) for part in (q, k, v))
    weights = (q @ k.permute(0, 1, 3, 2) / math.sqrt(q.shape[-1])).softmax(dim=-1)
    found = (weights @ v).transpose(1, 2)
    return attention.out_proj(found.reshape(count, found.shape[1], -1))


def _separate(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[N, heads, tokens, c] of [N, tokens, heads * c]."""
    return x.reshape(len(x), x.shape[1], heads, -1).transpose(1, 2)
