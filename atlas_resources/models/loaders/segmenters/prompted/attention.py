"""The attention of a SAM's image encoder, a block of the attention map at a time.

The map of a layer that sees the whole image is 805 MB for ViT-B: 12 heads, 4096 x 4096 positions. The libraries make
it, or the term of distances that is added to it, several times over, and a CPU spends half of its time on fresh memory.
Here a block stays in the cache. Every number is added and multiplied in the library's order: results are the same.
"""

from typing import Any

import torch
from segment_anything.modeling.image_encoder import get_rel_pos
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

CPU_BLOCK_BYTES = 8 << 20
"""Below the size from which glibc asks the system for memory at each allocation (32 MiB), and near a core's cache."""
GPU_BLOCK_BYTES = 1 << 30
"""Whole layers of ViT-B: a GPU needs few large operations, and torch keeps its memory."""


class BlockedAttention(nn.Module):
    """Attention with decomposed relative positions over the weights of a library's module: `qkv`, `proj`, `rel_pos_*`.

    Attributes:
        whole: the library's module.
        block_bytes: most bytes of a block, unless those of one row of positions of one head are more.
    """

    def __init__(self, whole: Any, block_bytes: int):
        super().__init__()
        self.whole = whole
        self.block_bytes = block_bytes
        self.is_of_hub = hasattr(whole, "num_attention_heads")

    def forward(self, hidden_states: torch.Tensor, output_attentions: bool = False) -> Any:
        """Returns [B, H, W, C] for [B, H, W, C], B images or windows; of transformers' module, with a None after it.

        Raises ValueError for `output_attentions`: there is no whole map.
        """
        if output_attentions:
            raise ValueError("attention in blocks has no map of the attention to return")
        count, height, width, _ = hidden_states.shape
        whole = self.whole
        heads = whole.num_attention_heads if self.is_of_hub else whole.num_heads
        qkv = whole.qkv(hidden_states).reshape(count, height * width, 3, heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.reshape(3, count * heads, height * width, -1).unbind(0)
        near = self._near(q.reshape(count * heads, height, width, -1)) if whole.use_rel_pos else None
        found = self._attend(q, k, v, near, (height, width))
        found = found.view(count, heads, height, width, -1).permute(0, 2, 3, 1, 4).reshape(count, height, width, -1)
        return (whole.proj(found), None) if self.is_of_hub else whole.proj(found)

    def _near(self, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What distances in height [N, H, W, H] and in width [N, H, W, W] add to the map, for q [N, H, W, c]."""
        positions = self.whole.get_rel_pos if self.is_of_hub else get_rel_pos
        height, width = q.shape[1], q.shape[2]
        return (
            torch.einsum("bhwc,hkc->bhwk", q, positions(height, height, self.whole.rel_pos_h)),
            torch.einsum("bhwc,wkc->bhwk", q, positions(width, width, self.whole.rel_pos_w)),
        )

    def _attend(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        near: tuple[torch.Tensor, torch.Tensor] | None,
        size: tuple[int, int],
    ) -> torch.Tensor:
        """Returns the attended values, [N, H * W, c] as q, k and v, some rows of positions of some maps at a time."""
        height, width = size
        row_bytes = width * height * width * q.element_size()
        rows = min(height, max(1, self.block_bytes // row_bytes))
        maps = max(1, self.block_bytes // (row_bytes * height)) if rows == height else 1
        found = torch.empty_like(v)
        for first in range(0, len(q), maps):
            some = slice(first, first + maps)
            for top in range(0, height, rows):
                inside = slice(top * width, (top + rows) * width)
                beside = None if near is None else tuple(part[some, top : top + rows] for part in near)
                attend = self._fused if self.is_of_hub else self._plain
                found[some, inside] = attend(q[some, inside], k[some], v[some], beside)
        return found

    def _plain(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, near: Any) -> torch.Tensor:
        """As `Attention.forward` in modeling/image_encoder.py of segment-anything 1.0, for rows of q."""
        block = (q * self.whole.scale) @ k.transpose(-2, -1)
        if near is not None:
            by_place = block.view(len(q), *near[0].shape[1:], near[1].shape[-1])
            by_place += near[0][..., None]
            by_place += near[1][..., None, :]
        return block.softmax(dim=-1) @ v

    def _fused(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, near: Any) -> torch.Tensor:
        """As `SamVisionSdpaAttention.forward` in modeling_sam.py of transformers 5.23, for rows of q."""
        added = None if near is None else (near[0][..., None] + near[1][..., None, :]).reshape(1, *q.shape[:2], -1)
        return scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=added)[0]


def attend_in_blocks(layers: Any, device: str) -> None:
    """Replaces the attention `attn` of an encoder's layers. Their state dict has other names from then on."""
    block_bytes = CPU_BLOCK_BYTES if device == "cpu" else GPU_BLOCK_BYTES
    for layer in layers:
        layer.attn = BlockedAttention(layer.attn, block_bytes)
