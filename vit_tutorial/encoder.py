"""The encoder: attention moves information between tokens, the MLP works on each token alone.

    z' = attention(norm(z)) + z          equation 2
    z  = MLP(norm(z')) + z'              equation 3

A block changes no shape, [B, N, D] -> [B, N, D], so any number of them can be stacked.

Sources: Dosovitskiy et al. 2021, section 3.1, equations 2 and 3; Vaswani et al. 2017, section 3.1 (post-norm); Xiong et
al. 2020, "On Layer Normalization in the Transformer Architecture"; Huang et al. 2016, "Deep Networks with Stochastic
Depth"; Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".
"""

import inspect
import reprlib
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.inputs import check_kind, check_rate, check_setting, check_tokens, whole_number

LAYER_NORM_EPS = 1e-6
GELU = {"exact": "none", "tanh": "tanh"}


class MLP(nn.Module):
    """Widen each token to `hidden_dim` numbers, bend them with GELU, and narrow it again.

    Shapes: [..., D] -> [..., D]. `gelu` is "exact", or "tanh" for the approximation that Google's models use.
    Raises ValueError for another gelu, if dim or hidden_dim is below 1, or if the tokens do not have D numbers, and
    TypeError if these are of a type that does not go with the weights.
    Source: section 3.1 of the paper, equation 3.
    """

    def __init__(self, dim: int, hidden_dim: int, dropout: float = 0.0, gelu: str = "exact"):
        super().__init__()
        check_setting("gelu", gelu, Literal[tuple(GELU)])
        for name, size in (("dim", dim), ("hidden_dim", hidden_dim)):
            whole_number(name, size, 1)
        self.dim = dim
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU(approximate=GELU[gelu])
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.drop = nn.Dropout(check_rate("dropout", dropout))
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        check_tokens(self, x, self.dim)
        hidden = self.drop(self.act(self.fc1(x)))  # [..., D] -> [..., hidden_dim]
        return self.drop(self.fc2(hidden))  # -> [..., D]


class DropPath(nn.Module):
    """Drop a whole residual branch for a random part of the batch while training; do nothing in eval.

    Shapes: [B, ...] -> [B, ...]. A branch that stays is divided by the probability to stay, so that the mean is kept.
    Raises ValueError if the rate is not at least 0 and below 1.
    Source: Huang et al. 2016, section 3. They draw once a mini-batch and scale in testing; this form is timm's.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = check_rate("drop_path", rate)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        empty = torch.empty(len(x), *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device)
        keep = torch.bernoulli(empty, 1 - self.rate)  # bernoulli_ draws the same, but not within torch.vmap
        keep = keep.to(x.dtype)  # for a GPU torch.compile makes booleans of it, and x would grow to float32
        return x * (keep / (1 - self.rate))  # the B numbers are divided, not all of x

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


class EncoderBlock(nn.Module):
    """One layer of the transformer: attention and MLP, each with a norm and a residual connection around it.

    Shapes: [B, N, D] -> [B, N, D]. `norm="pre"` normalises before each branch, as ViT does; "post" normalises after
    each addition, as the original Transformer did. `attention` and `mlp` are the classes to build from.
    Raises ValueError for another norm or a number out of range, or if the heads do not divide D or the tokens do not
    have D numbers, and TypeError if these are of a type that does not go with the weights.
    Source: section 3.1 of the paper, equations 2 and 3.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float | int = 4.0,
        norm: str = "pre",
        qkv_bias: bool = True,
        gelu: str = "exact",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        attention: Callable[..., nn.Module] = MultiHeadAttention,
        mlp: Callable[..., nn.Module] = MLP,
    ):
        super().__init__()
        if norm not in ("pre", "post"):
            raise ValueError(f"norm is {norm!r}; it must be 'pre' or 'post'")
        self.pre_norm, self.dim = norm == "pre", whole_number("dim", dim, 1)
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = build_part(attention, MultiHeadAttention, dim, num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        hidden_dim = int(dim * check_setting("mlp_ratio", mlp_ratio, float))
        self.mlp = build_part(mlp, MLP, dim, hidden_dim, dropout=dropout, gelu=gelu)
        self.drop = nn.Dropout(check_rate("dropout", dropout))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        check_tokens(self, x, self.dim)
        if self.pre_norm:
            x = x + self.drop_path(self.drop(self.attn(self.norm1(x))))  # equation 2
            x = x + self.drop_path(self.mlp(self.norm2(x)))  # equation 3
        else:
            x = self.norm1(x + self.drop_path(self.drop(self.attn(x))))
            x = self.norm2(x + self.drop_path(self.mlp(x)))
        return x


class Encoder(nn.Sequential):
    """A stack of `depth` blocks; the drop-path rate grows along it from 0 to `drop_path`.

    Shapes: [B, N, D] -> [B, N, D]. The other options go to each `block`. Numbered 0, 1, 2 … like any nn.Sequential.
    Raises ValueError if there are no blocks, or for a drop-path rate that is not at least 0 and below 1.
    Source: section 3.1 of the paper; the growing rate is Huang et al. 2016, equation 4, here from 0 on as in timm
    (which gives 0 to a single block).
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        num_heads: int,
        drop_path: float = 0.0,
        block: Callable[..., nn.Module] = EncoderBlock,
        **options,
    ):
        whole_number("depth", depth, 1)
        check_rate("drop_path", drop_path)
        rates = [drop_path * i / (depth - 1) for i in range(depth - 1)] + [drop_path]
        blocks = [build_part(block, EncoderBlock, dim, num_heads, drop_path=rate, **options) for rate in rates]
        super().__init__(*blocks)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        # The patches come transposed from their convolution, and what is added to them takes their layout: without this
        # every layer would copy them. Dropout lies before it, and draws in the order of the memory that it is given.
        return super().forward(check_kind("tokens", tokens, Tensor).contiguous())

    def __getitem__(self, place: int | slice) -> nn.Module:
        """Give one block, or some of them as a stack: `blocks[:6]`."""
        return nn.Sequential(*list(self)[place]) if isinstance(place, slice) else super().__getitem__(place)


def build_part(part: Callable[..., nn.Module], own: type[nn.Module], *sizes: Any, **options: Any) -> nn.Module:
    """Build a part of the model, which may be the learner's, in the place of the course's `own` class.

    The part gets its sizes, and every option that its signature takes. An option that it cannot take is left out where
    it has the value that `own` takes by itself, and refused where it has another. What a functools.partial has set
    stays set. Raises TypeError that names what was refused, and for a part that is built already.
    """
    if isinstance(part, nn.Module):
        raise TypeError(f"{type(part).__name__} is built already, but a model builds its parts itself; pass the class")
    signature = inspect.signature(part)
    call = signature.bind_partial(*sizes)
    rest = [parameter for name, parameter in signature.parameters.items() if name not in call.arguments]
    free = {p.name for p in rest if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    others = next((p.name for p in rest if p.kind is p.VAR_KEYWORD), None)  # **options takes whatever has a name
    set_before = part.keywords if isinstance(part, partial) else {}
    usual = {name: parameter.default for name, parameter in inspect.signature(own).parameters.items()}
    refused = []
    for name, value in options.items():
        if name in free - set_before.keys():
            call.arguments[name] = value
        elif others and name not in set_before:
            call.arguments.setdefault(others, {})[name] = value
        elif not any(name in known and _equal(value, known[name]) for known in (usual, set_before)):
            refused.append(f"{name}={reprlib.repr(value)}")
    if refused:
        called = getattr(getattr(part, "func", part), "__name__", repr(part))
        raise TypeError(
            f"{called} cannot take {', '.join(refused)}; add what is missing to its arguments, or do not ask for it"
        )
    call.apply_defaults()
    return part(*call.args, **call.kwargs)


def _equal(one: Any, other: Any) -> bool:
    return one is other or (not isinstance(one, Tensor) and one == other)
