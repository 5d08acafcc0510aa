"""Attention: every token asks a question, and takes what it needs from every token.

    q, k, v [..., N, d]  ->  output [..., N, d],  weights [..., N, N]

Sources: Vaswani et al. 2017, "Attention Is All You Need", sections 3.2.1 and 3.2.2; Dosovitskiy et al. 2021, appendix
A, equations 5 to 8.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.inputs import check_kind, check_setting, check_tokens, go_together, is_seen, whole_number

# With fewer tokens than this the explicit path trains faster on a CPU: at 17 tokens in a third to all of the fused
# kernel's time, at 50 in half to all of it. Measured by tests/benchmarks/bench_attention.py.
FUSED_FROM = 64


def scaled_dot_product_attention(
    q: Float[Tensor, "*batch N d"],
    k: Float[Tensor, "*batch M d"],
    v: Float[Tensor, "*batch M d_v"],
    mask: Bool[Tensor, "*#batch #N #M"] | Float[Tensor, "*#batch #N #M"] | None = None,
) -> tuple[Float[Tensor, "*batch N d_v"], Float[Tensor, "*batch N M"]]:
    """Compute softmax(q k^T / sqrt(d)) v, and give the weights too.

    Shapes: q [..., N, d], k [..., M, d], v [..., M, d_v] -> output [..., N, d_v], weights [..., N, M]; each row of the
    weights sums to 1. A boolean mask is True where a query may look; a real one is added to the scores.
    Raises ValueError if the shapes do not fit, a mask is of whole numbers, or it leaves a query nothing to look at, and
    TypeError if the numbers are not real, or not of one type, or a mask is no tensor.
    Source: Vaswani et al. 2017, equation 1.
    """
    _check_qkv(q, k, v)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # [..., N, d] @ [..., d, M] -> [..., N, M]
    if mask is not None:
        scores = _apply_mask(scores, mask)
    weights = scores.softmax(dim=-1)  # over the keys: each query shares out 1
    return weights @ v, weights  # [..., N, M] @ [..., M, d_v] -> [..., N, d_v]


class MultiHeadAttention(nn.Module):
    """Let every token look at every token in h ways at once, and mix what the h heads found.

    Shapes: [B, N, D] -> [B, N, D]; with `return_weights=True` also the weights [B, h, N, N].
    `fused=True` uses PyTorch's fused kernel, which never holds the weights. Asking for them takes the explicit path, as
    do fewer than FUSED_FROM tokens on a CPU, where that path is the faster one.
    Raises ValueError if D is below 1, h does not divide D, an option is neither True nor False, or the tokens do not
    have D numbers, and TypeError if these are of a type that does not go with the weights.
    Source: Vaswani et al. 2017, section 3.2.2; Dosovitskiy et al. 2021, appendix A, equations 5 to 8.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True, fused: bool = True):
        super().__init__()
        whole_number("dim", dim, 1)
        if whole_number("num_heads", num_heads) < 1 or dim % num_heads:
            small = [h for h in range(1, math.isqrt(dim) + 1) if dim % h == 0]
            nearest = min(small + [dim // h for h in small], key=lambda h: (abs(h - num_heads), h))
            raise ValueError(
                f"dim {dim} does not divide into {num_heads} heads; the nearest number that does is {nearest}"
            )
        for name, choice in (("qkv_bias", qkv_bias), ("fused", fused)):
            check_setting(name, choice, bool)
        self.num_heads = num_heads
        self.fused = fused
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        for weight in (*self.qkv.weight.chunk(3), self.proj.weight):  # W_q, W_k, W_v are three matrices in one
            nn.init.xavier_uniform_(weight)
        for layer in (self.qkv, self.proj):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "B N D"], return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        check_tokens(self, x, self.proj.in_features, "B, N")
        # one matrix makes all queries, keys and values; then it is cut into heads
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.num_heads)
        short = x.shape[1] < FUSED_FROM and x.device.type == "cpu"
        if self.fused and not return_weights and not short:
            heads = F.scaled_dot_product_attention(q, k, v)  # [B, h, N, d]
        else:
            heads, weights = scaled_dot_product_attention(q, k, v)  # [B, h, N, d], [B, h, N, N]
        out = self.proj(rearrange(heads, "b h n d -> b n (h d)"))  # side by side, then mixed
        return (out, weights) if return_weights else out


def _check_qkv(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, part in (("q", q), ("k", k), ("v", v)):
        check_kind(name, part, Tensor)
    alike = go_together(q, k.dtype) and go_together(q, v.dtype)
    if not (alike and q.is_floating_point() and k.is_floating_point() and v.is_floating_point()):
        raise TypeError(
            f"attention takes queries, keys and values of one type of real numbers; got q {q.dtype}, k {k.dtype}, "
            f"v {v.dtype}; convert them, as with q.float()"
        )
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            "attention takes q [..., N, d], k [..., M, d], v [..., M, d_v]: as many numbers in a query as in a key, as "
            f"many keys as values; got q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
        )
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        try:
            torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
        except RuntimeError:
            raise ValueError(
                "attention takes queries, keys and values of the same batch and heads: the axes in front of the last "
                f"two must be equal, or 1; got q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
            ) from None


def _apply_mask(scores: Tensor, mask: Tensor) -> Tensor:
    if check_kind("mask", mask, Tensor).dtype != torch.bool and not mask.is_floating_point():
        raise ValueError(
            f"the mask is {mask.dtype}; pass mask.bool(), True where a query may look, or real numbers, which are added"
        )
    try:
        allowed = mask.broadcast_to(scores.shape)
    except RuntimeError:
        raise ValueError(
            f"the mask {list(mask.shape)} does not fit the scores {list(scores.shape)}; rows are queries, columns keys"
        ) from None
    scores = scores.masked_fill(~allowed, -torch.inf) if mask.dtype == torch.bool else scores + allowed.to(scores)
    blind = scores.eq(-torch.inf).all(dim=-1)
    if is_seen(blind.any()):
        raise ValueError(
            f"the mask leaves {int(blind.sum())} of {blind.numel()} queries nothing to look at, and softmax of nothing "
            "is not a number; let each query see at least one key (True means: may look)"
        )
    return scores
