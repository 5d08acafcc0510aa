"""The numbers of the signal lab: how large they are in a stack of blocks, forwards and backwards, in every setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.encoder import LAYER_NORM_EPS, Encoder
from vit_tutorial.explore.limits import Accepted, Between, Limit, OneOf, settle
from vit_tutorial.explore.words import decimals
from vit_tutorial.support.seeds import seeded

NORMS = ("pre", "post", "inside", "none")
NORM_NAMES = {
    "pre": "before each branch (pre)",
    "post": "after each addition (post)",
    "inside": "at the end of each branch (Swin v2)",
    "none": "nowhere",
}
DEPTHS = (2, 6, 12, 24)
SCALES = (0.25, 0.5, 1.0, 2.0)  # times the usual start of all matrices
QUANTITIES = ("stream", "attention branch", "MLP branch", "gradient", "likeness")
CHARTS = {
    "Size of the numbers": ("stream", "attention branch", "MLP branch"),
    "Gradient of a block's weights": ("gradient",),
    "Likeness of the tokens": ("likeness",),
}
DIM, HEADS, TOKENS, IMAGES, CLASSES = 32, 4, 16, 4, 10
GROUND = 1e-12  # smaller numbers are drawn here
CEILING = 1e12  # larger numbers are drawn here


def signal_step(block: nn.Module, x: Float[Tensor, "B N D"], norm: str, residual: bool) -> tuple[Tensor, list[Tensor]]:
    """Run an EncoderBlock's own parts in another arrangement; return the tokens and what the two branches added."""
    said = []
    for layer, branch in ((block.norm1, block.attn), (block.norm2, block.mlp)):
        out = branch(layer(x) if norm == "pre" else x)
        out = layer(out) if norm == "inside" else out
        said.append(out)
        x = x + out if residual else out
        x = layer(x) if norm == "post" else x
    return x, said


def signals_at(depths: Sequence[int], blocks: Sequence[nn.Module], tokens, head, labels, norm: str, residual: bool):
    """Measure the stacks of the first of the blocks, `depths` of them: a table for each, with the columns QUANTITIES.

    Shapes: tokens [B, N, D], head [D, classes], labels [B] -> [depth, 5] for each depth. The first three columns are
    root mean squares. The gradient is the length of that of the cross-entropy with respect to all weights of the block;
    the loss reads the mean token, after one last norm if norm is "pre" or "inside". Likeness is the mean cosine between
    two tokens of an image. All stacks share one way forwards: what runs forwards does not know what comes after it.
    """
    x, rows, ends = tokens, [], []
    for block in blocks:
        x, (attention, mlp) = signal_step(block, x, norm, residual)
        rows.append([*(part.detach().square().mean().sqrt().item() for part in (x, attention, mlp)), likeness(x)])
        ends.append(x)
    weights, tables = [list(block.parameters()) for block in blocks], []
    for depth in depths:
        lengths = gradient_lengths(ends[depth - 1], weights[:depth], head, labels, norm)
        pairs = zip(rows[:depth], lengths, strict=True)
        tables.append(np.array([[*sizes, gradient, alike] for (*sizes, alike), gradient in pairs]))
    return tables


def gradient_lengths(x: Tensor, weights: list[list[Tensor]], head: Tensor, labels: Tensor, norm: str) -> list[float]:
    """The length of the gradient of each block's weights, where the stack ends with the tokens x; see `signals_at`."""
    if norm in ("pre", "inside"):
        x = F.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)
    loss = F.cross_entropy(x.mean(dim=1) @ head, labels)
    every = [weight for of_block in weights for weight in of_block]
    gradients = iter(torch.autograd.grad(loss, every, allow_unused=True, retain_graph=True))
    return [length([next(gradients) for _ in of_block]) for of_block in weights]


def length(gradients: Sequence[Tensor | None]) -> float:
    """The length of all gradients as one vector, also where its square would be too large a number."""
    parts = [gradient.flatten() for gradient in gradients if gradient is not None]
    top = max(float(part.abs().max()) for part in parts)
    if not 0 < top < np.inf:
        return top
    return top * float(torch.cat(parts).div(top).norm())


@torch.no_grad()
def likeness(tokens: Float[Tensor, "B N D"]) -> float:
    """The mean cosine between two different tokens of the same image: 1 if all tokens point the same way."""
    units = F.normalize(tokens, dim=-1)
    number = tokens.shape[1]
    sums = units.sum(dim=1).square().sum(dim=-1)  # [B]: all pairs, and each token with itself
    return float(((sums - number) / (number * (number - 1))).mean())


@lru_cache(maxsize=2)
def signal_grid(seed: int = 0) -> Float[np.ndarray, "norms 2 scales depths blocks 5"]:
    """Measure every setting of the lab: norm, residual off and on, scale, depth; rows behind the last block are 0.

    All settings share one stack of blocks, the same random tokens and the same labels; only `seed` changes these.
    One thread does it: the matrices are so small that more threads wait for one another.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(seed)
    finally:
        torch.set_num_threads(threads)


def _measured(seed: int) -> Float[np.ndarray, "norms 2 scales depths blocks 5"]:
    grid = np.zeros((len(NORMS), 2, len(SCALES), len(DEPTHS), max(DEPTHS), len(QUANTITIES)))
    with seeded(seed):
        encoder = Encoder(DIM, max(DEPTHS), HEADS).double()
        tokens = torch.randn(IMAGES, TOKENS, DIM, dtype=torch.float64)
        head = torch.randn(DIM, CLASSES, dtype=torch.float64) / DIM**0.5
    labels, blocks = torch.arange(IMAGES), list(encoder)
    matrices = [(parameter, parameter.detach().clone()) for parameter in encoder.parameters() if parameter.ndim == 2]
    for k, scale in enumerate(SCALES):
        with torch.no_grad():
            for parameter, usual in matrices:
                parameter.copy_(scale * usual)
        for i, norm in enumerate(NORMS):
            for residual in (False, True):
                found = signals_at(DEPTHS, blocks, tokens, head, labels, norm, residual)
                for j, (depth, table) in enumerate(zip(DEPTHS, found, strict=True)):
                    grid[i, int(residual), k, j, :depth] = table
    grid.setflags(write=False)
    return grid


@dataclass(frozen=True)
class SignalSetting:
    """One arrangement of the blocks."""

    depth: int = 12
    norm: str = NORMS[0]
    residual: bool = True
    scale: float = 1.0

    def __post_init__(self):
        settle(setting_limits(), asdict(self))

    def __str__(self) -> str:
        residuals = "with" if self.residual else "without"
        return f"{self.depth} blocks, norm {NORM_NAMES[self.norm]}, {residuals} residuals, initial scale {self.scale:g}"


def setting_limits() -> Iterator[tuple[str, Limit]]:
    """What the choices of a SignalSetting may be."""
    yield "depth", OneOf(DEPTHS)
    yield "norm", OneOf(NORMS)
    yield "scale", OneOf(SCALES)


def signal_lab_limits(choices: dict[str, Any]) -> Iterator[tuple[str, Limit]]:
    """What the choices may be; `block` depends on `depth`."""
    yield from setting_limits()
    yield "block", Between(1, choices["depth"])
    yield "held", Accepted(as_held, [])


def as_held(held: list) -> list:
    """The depth, norm, residual and scale of the setting that is held, or an empty list.

    Raises ValueError if they are no such setting.
    """
    if not isinstance(held, list | tuple) or len(held) not in (0, 4):
        raise ValueError(f"held is {held!r}; give depth, norm, residual and scale, or an empty list")
    return list(astuple(SignalSetting(*held))) if held else []


@dataclass(frozen=True)
class SignalLabState:
    """What the signal lab shows: the numbers of every block, and those of the setting that is held."""

    setting: SignalSetting
    block: int
    signals: Float[np.ndarray, "depth 5"]
    held: Float[np.ndarray, "held_depth 5"] | None
    words: str


def signal_lab_state(
    setting: SignalSetting, block: int = 1, held: SignalSetting | None = None, seed: int = 0
) -> SignalLabState:
    """Compute all that the signal lab shows; blocks count from 1.

    Raises ValueError if there is no such block.
    """
    choices = {**asdict(setting), "block": block, "held": list(astuple(held)) if held else []}
    settle(signal_lab_limits(choices), choices)
    found = numbers_of(setting, seed)
    return SignalLabState(
        setting=setting,
        block=block,
        signals=found,
        held=None if held is None else numbers_of(held, seed),
        words=words_of(setting, block, held, found),
    )


def numbers_of(setting: SignalSetting, seed: int) -> Float[np.ndarray, "depth 5"]:
    """The measured numbers of one setting."""
    place = NORMS.index(setting.norm), int(setting.residual), SCALES.index(setting.scale), DEPTHS.index(setting.depth)
    return signal_grid(seed)[place][: setting.depth]


def say(number: float) -> str:
    """A number for the eye: two decimals, or one digit and a power of ten: `3.14`, `2.3e-7`."""
    if number == 0 or 0.01 <= abs(number) < 1000:
        return decimals(number)
    if not np.isfinite(number):
        return "overflow"
    digits, power = f"{number:.1e}".split("e")
    return f"{digits}e{int(power)}"


def words_of(
    setting: SignalSetting, block: int, held: SignalSetting | None, found: Float[np.ndarray, "depth 5"]
) -> str:
    """What the lab shows, in a few sentences."""
    here = ", ".join(f"{name} {say(value)}" for name, value in zip(QUANTITIES, found[block - 1], strict=True))
    first, last = found[0], found[-1]
    ends = f"stream {say(first[0])} to {say(last[0])}, gradient {say(first[3])} to {say(last[3])}"
    tail = "" if held is None else f" Held, dashed: {held}."
    return (
        f"{setting}. Block {block}: {here}. "
        f"From block 1 to {setting.depth}: {ends}, likeness {say(first[4])} to {say(last[4])}.{tail}"
    )


def axis_ends(rows: Sequence[np.ndarray]) -> tuple[int, int]:
    """The powers of ten between which an axis has room for these numbers: at least from 0.1 to 10."""
    powers = np.log10(np.clip(np.concatenate(rows), GROUND, CEILING))
    return min(-1, int(np.floor(powers.min()))), max(1, int(np.ceil(powers.max())))
