"""Attention as products and a softmax, with nothing left to compute that is known before.

TensorRT 10.3 to 10.7 are reported to compute DINOv3's fused attention wrongly (NVIDIA/TensorRT
4558, 4723, 4742); one reporter's cure was to write it out. Here the scale is in the weights of the
queries, the rotary tables are two constants for all blocks, and only the batch stays open.
"""

import copy
from typing import Any

import torch
from torch import nn

from export.classifier_model import RoiClassifier
from ropewatch.errors import ModelError


class ExplicitAttention(nn.Module):
    """The same numbers as timm's EvaAttention (1.0.31), to rounding.

    Args:
        attention: the block's own; its tensors are copied.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads: int = attention.num_heads
        self.head_dim: int = attention.head_dim
        self.prefix_tokens: int = attention.num_prefix_tokens
        self.norm, self.proj = attention.norm, attention.proj
        width = self.heads * self.head_dim
        scale = torch.ones(3 * width)
        scale[:width] = attention.scale
        self.weight = nn.Parameter(attention.qkv.weight.detach() * scale[:, None])
        self.bias = None
        if attention.q_bias is not None:
            bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
            self.bias = nn.Parameter(bias.detach() * scale)

    def forward(self, x: torch.Tensor, rope: torch.Tensor, **_unused: None) -> torch.Tensor:
        """Attend.

        Args:
            x: (B, tokens, C) float32, the prefix tokens first.
            rope: (tokens without prefix, 2 * head_dim), sines and then cosines.
            _unused: timm's mask and causal flag, which no DINOv3 has.
        """
        # Numbers, not shapes of the graph: but for the batch everything is fixed.
        tokens, heads = int(x.shape[1]), self.heads
        qkv = nn.functional.linear(x, self.weight, self.bias)
        q, k, v = (
            part.reshape(-1, tokens, heads, self.head_dim).transpose(1, 2)
            for part in qkv.split(heads * self.head_dim, dim=-1)
        )
        sine, cosine = self._tables(rope)
        q, k = (each * cosine + _halves_swapped(each) * sine for each in (q, k))
        mixed = (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        joined = mixed.transpose(1, 2).reshape(-1, tokens, heads * self.head_dim)
        attended: torch.Tensor = self.proj(self.norm(joined))
        return attended

    def _tables(self, rope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sines and cosines, (tokens, head_dim) each; the prefix is not rotated.

        The rotation takes the second half negative; the sign is in the table of sines.
        """
        sine, cosine = rope.chunk(2, dim=-1)
        first, second = sine.chunk(2, dim=-1)
        none = torch.zeros(self.prefix_tokens, self.head_dim)
        return torch.cat([none, torch.cat([-first, second], -1)]), torch.cat([none + 1, cosine])


def with_explicit_attention(model: RoiClassifier) -> RoiClassifier:
    """A copy for export; the model itself stays as it was trained, to be compared with.

    Raises:
        ModelError: attention of another form than DINOv3's.
    """
    explicit = copy.deepcopy(model)
    for block in explicit.backbone.blocks:
        complaint = _complaint(block.attn)
        if complaint:
            raise ModelError(
                f"backbone {model.architecture.backbone}: attention with {complaint}, want that "
                f"of timm's DINOv3 family; train one of those"
            )
        block.attn = ExplicitAttention(block.attn)
    return explicit


def _complaint(attention: Any) -> str | None:
    if type(attention).__name__ != "EvaAttention":
        return f"class {type(attention).__name__}"
    if attention.qkv is None:
        return "separate projections"
    if attention.gate is not None:
        return "a gate"
    if not all(isinstance(norm, nn.Identity) for norm in (attention.q_norm, attention.k_norm)):
        return "normalised queries and keys"
    return None if attention.rotate_half else "interleaved rotary positions"


def _halves_swapped(x: torch.Tensor) -> torch.Tensor:
    first, second = x.split(x.shape[-1] // 2, dim=-1)
    return torch.cat([second, first], dim=-1)
