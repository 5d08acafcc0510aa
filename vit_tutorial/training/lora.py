"""LoRA: the large matrices of a trained model stay, and a small product of two matrices is learned beside each.

    W [M, D]  ->  W + (alpha / r) B A        A [r, D] at random, B [M, r] of zeros: at first nothing has changed

W has M D numbers, B and A together r (M + D). Afterwards the product is added to W for good, and the model costs no
more than before.

Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", sections 4.1 and 4.2 (queries and values).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization, remove_parametrizations

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.inputs import check_kind, whole_number
from vit_tutorial.support.seeds import seeded
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT


class LowRank(nn.Module):
    """Add a learned matrix of low rank to the rows of qkv that make the queries, and one to those of the values.

    Shapes: qkv [3D, D] -> [3D, D]. Raises ValueError for a rank that is no whole number from 1 to D, or an alpha that
    is not finite and above 0.
    """

    def __init__(self, dim: int, rank: int, alpha: float):
        super().__init__()
        if not 1 <= whole_number("rank", rank) <= dim:
            raise ValueError(f"rank is {rank}; it must be from 1 to {dim}, the width of the matrices")
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha is {alpha}; it must be finite and above 0, or None for as much as the rank")
        self.scale = alpha / rank
        self.A_q, self.A_v = (nn.Parameter(torch.empty(rank, dim)) for _ in range(2))
        self.B_q, self.B_v = (nn.Parameter(torch.zeros(dim, rank)) for _ in range(2))
        for matrix in (self.A_q, self.A_v):
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def extra_repr(self) -> str:
        rank, dim = self.A_q.shape
        return f"{dim}, rank={rank}, scale={self.scale:g}"

    def forward(self, qkv: Float[Tensor, "M D"]) -> Float[Tensor, "M D"]:
        w_q, w_k, w_v = qkv.chunk(3)  # [D, D] each
        return torch.cat([w_q + self.scale * self.B_q @ self.A_q, w_k, w_v + self.scale * self.B_v @ self.A_v])


def add_lora(model: ViT, rank: int = 4, alpha: float | None = None, seed: int = 0) -> ViT:
    """Freeze all of the model but its head, and give every attention a LoRA on its queries and values.

    `alpha` is the factor of the product before it is divided by the rank; None takes the rank, so that the factor is 1.
    The logits stay as they are until something is learned. Returns the model. Its weights can be saved after
    `merge_lora`.
    Raises ValueError for a rank that is no whole number from 1 to D, an alpha that is not finite and above 0, or if
    there is a LoRA or another parametrization already, and TypeError for a model that is no ViT, or if a block has no
    `attn` to add one to.
    """
    given, model = model, check_kind("model", unwrapped(model), ViT)
    for i, block in enumerate(model.blocks):
        if not isinstance(getattr(block, "attn", None), MultiHeadAttention):
            raise TypeError(
                f"block {i} has no MultiHeadAttention as `attn`, so there is nothing to add a LoRA to; derive your "
                "attention from vit_tutorial.attention.MultiHeadAttention"
            )
    parts = [part.qkv for part in model.modules() if isinstance(part, MultiHeadAttention)]
    if any(map(_has_lora, parts)):
        raise ValueError("the model has a LoRA already; merge_lora(model) first")
    if others := [type(qkv.parametrizations.weight[0]).__name__ for qkv in parts if is_parametrized(qkv, "weight")]:
        raise ValueError(
            f"{len(others)} of {len(parts)} matrices have a parametrization already, {others[0]}; call "
            "torch.nn.utils.parametrize.remove_parametrizations(qkv, 'weight') first"
        )
    with seeded(seed):
        added = [LowRank(qkv.in_features, rank, rank if alpha is None else alpha).to(qkv.weight) for qkv in parts]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))
    for qkv, one in zip(parts, added, strict=True):
        register_parametrization(qkv, "weight", one)
    return given


@torch.no_grad()
def merge_lora(model: ViT) -> ViT:
    """Add what every LoRA has learned to its matrix for good, and free all weights again. Returns the model.

    Other parametrizations stay, but for those of a matrix that has a LoRA too: it becomes what all of them make of it.
    """
    for part in model.modules():
        if _has_lora(part):
            kind = type(part)  # PyTorch will take the weight's property from it, and a deep copy has the same class
            part.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            remove_parametrizations(part, "weight", leave_parametrized=True)
    return model.requires_grad_(True)


def _has_lora(part: nn.Module) -> bool:
    return is_parametrized(part, "weight") and any(isinstance(one, LowRank) for one in part.parametrizations.weight)
