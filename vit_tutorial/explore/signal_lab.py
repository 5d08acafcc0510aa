"""Signal lab: how large the numbers are that run through a stack of blocks, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.encoder import LAYER_NORM_EPS, Encoder
from vit_tutorial.explore.common import ACCENT, FAINT, INK, Explorer, browser_code, decimals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def signals(blocks: Sequence[nn.Module], tokens: Tensor, head: Tensor, labels: Tensor, norm: str, residual: bool):
    """Measure one stack: a row for each block, a column for each of QUANTITIES.

    Shapes: tokens [B, N, D], head [D, classes], labels [B] -> [blocks, 5]. The first three columns are root mean
    squares. The gradient is the length of that of the cross-entropy with respect to all weights of the block; the loss
    reads the mean token, after one last norm if norm is "pre" or "inside". Likeness is the mean cosine between two
    tokens of an image.
    """
    x, rows = tokens, []
    for block in blocks:
        x, (attention, mlp) = signal_step(block, x, norm, residual)
        rows.append([*(part.detach().square().mean().sqrt().item() for part in (x, attention, mlp)), likeness(x)])
    if norm in ("pre", "inside"):
        x = F.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)
    loss = F.cross_entropy(x.mean(dim=1) @ head, labels)
    weights = [parameter for block in blocks for parameter in block.parameters()]
    gradients = iter(torch.autograd.grad(loss, weights, allow_unused=True))
    lengths = [length([next(gradients) for _ in block.parameters()]) for block in blocks]
    return np.array([[*sizes, gradient, alike] for (*sizes, alike), gradient in zip(rows, lengths, strict=True)])


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
    """
    grid = np.zeros((len(NORMS), 2, len(SCALES), len(DEPTHS), max(DEPTHS), len(QUANTITIES)))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        encoder = Encoder(DIM, max(DEPTHS), HEADS).double()
        tokens = torch.randn(IMAGES, TOKENS, DIM, dtype=torch.float64)
        head = torch.randn(DIM, CLASSES, dtype=torch.float64) / DIM**0.5
    labels = torch.arange(IMAGES)
    matrices = [(parameter, parameter.detach().clone()) for parameter in encoder.parameters() if parameter.ndim == 2]
    for k, scale in enumerate(SCALES):
        with torch.no_grad():
            for parameter, usual in matrices:
                parameter.copy_(scale * usual)
        for i, norm in enumerate(NORMS):
            for residual in (False, True):
                for j, depth in enumerate(DEPTHS):
                    stack = list(encoder)[:depth]
                    grid[i, int(residual), k, j, :depth] = signals(stack, tokens, head, labels, norm, residual)
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
        for name, choices in (("depth", DEPTHS), ("norm", NORMS), ("scale", SCALES)):
            if getattr(self, name) not in choices:
                known = ", ".join(map(repr, choices))
                raise ValueError(f"{name} {getattr(self, name)!r} is unknown; choose from {known}")

    def __str__(self) -> str:
        residuals = "with" if self.residual else "without"
        return f"{self.depth} blocks, norm {NORM_NAMES[self.norm]}, {residuals} residuals, initial scale {self.scale:g}"


@dataclass(frozen=True)
class SignalLabState:
    """What the signal lab shows: the numbers of every block, and those of the setting that is held."""

    signals: Float[np.ndarray, "depth 5"]
    held: Float[np.ndarray, "held_depth 5"] | None
    words: str


def signal_lab_state(
    setting: SignalSetting, block: int = 1, held: SignalSetting | None = None, seed: int = 0
) -> SignalLabState:
    """Compute all that the signal lab shows; blocks count from 1.

    Raises ValueError if there is no such block.
    """
    if not 1 <= block <= setting.depth:
        raise ValueError(f"block {block} is not among 1 to {setting.depth}")
    found = numbers_of(setting, seed)
    return SignalLabState(
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


def limits(rows: Sequence[np.ndarray]) -> tuple[int, int]:
    """The powers of ten between which an axis has room for these numbers: at least from 0.1 to 10."""
    powers = np.log10(np.clip(np.concatenate(rows), GROUND, CEILING))
    return min(-1, int(np.floor(powers.min()))), max(1, int(np.ceil(powers.max())))


def signal_lab_figure(
    setting: SignalSetting, block: int = 1, held: SignalSetting | None = None, seed: int = 0
) -> Figure:
    """Draw what `signal_lab_state` says as a still picture."""
    from matplotlib.figure import Figure

    state = signal_lab_state(setting, block, held, seed)
    figure = Figure(figsize=(9.4, 3.4), layout="constrained")
    figure.suptitle(str(setting), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    looks = {
        "stream": (INK, "o"),
        "attention branch": (ACCENT, "s"),
        "MLP branch": ("#d55e00", "^"),
        "gradient": (INK, "o"),
        "likeness": (INK, "o"),
    }
    for axes, (title, names) in zip(figure.subplots(1, 3), CHARTS.items(), strict=True):
        for name in names:
            colour, marker = looks[name]
            column = QUANTITIES.index(name)
            for rows, line in ((state.held, "--"), (state.signals, "-")):
                if rows is not None:
                    values = rows[:, column] if name == "likeness" else np.clip(rows[:, column], GROUND, CEILING)
                    size = {"marker": marker, "markersize": 4, "label": name} if line == "-" else {"alpha": 0.6}
                    axes.plot(range(1, len(rows) + 1), values, color=colour, linestyle=line, linewidth=1.5, **size)
        if names == ("likeness",):
            axes.set_ylim(-0.05, 1.05)
        else:
            drawn = [state.signals, *([] if state.held is None else [state.held])]
            low, high = limits([rows[:, [QUANTITIES.index(name) for name in names]].ravel() for rows in drawn])
            axes.set_yscale("log")
            axes.set_ylim(10.0**low, 10.0**high)
        axes.axvline(block, color=FAINT, linewidth=1)
        axes.set_title(title, fontsize=10, loc="left", color=INK)
        axes.set_xlabel("block", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
    return figure


class SignalLab(Explorer):
    """An explorer: what depth, norm, residuals and initial scale do to the numbers in a stack of untrained blocks.

    The traits `depth` (2, 6, 12 or 24), `norm` ("pre", "post", "inside" as in Swin v2, or "none"), `residual`, `scale`
    (0.25, 0.5, 1 or 2 times the usual start of all matrices) and `block` (counted from 1) follow what the learner does
    and can be set from code. `hold()` keeps the setting of the moment as dashed lines, to compare others with it.
    All settings are measured when the lab is made, with the course's own blocks, in double precision; that takes a few
    seconds. `seed` draws other weights.
    Raises ValueError if a choice is unknown or out of range.
    """

    _esm = browser_code("signal_lab.js")
    _norms = traitlets.List().tag(sync=True)
    _depths = traitlets.List(traitlets.Int()).tag(sync=True)
    _scales = traitlets.List(traitlets.Float()).tag(sync=True)
    _quantities = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _charts = traitlets.List().tag(sync=True)
    _ends = traitlets.List(traitlets.Float()).tag(sync=True)
    _grid = traitlets.Bytes().tag(sync=True)
    depth = traitlets.Enum(DEPTHS, 12).tag(sync=True)
    norm = traitlets.Enum(NORMS, NORMS[0]).tag(sync=True)
    residual = traitlets.Bool(True).tag(sync=True)
    scale = traitlets.Float(1.0).tag(sync=True)
    block = traitlets.Int(1, min=1).tag(sync=True)
    _held = traitlets.List().tag(sync=True)

    def __init__(self, seed: int = 0, **choices: Any):
        self._seed = seed
        setting = SignalSetting(**{name: value for name, value in choices.items() if name != "block"})
        signal_lab_state(setting, choices.get("block", 1), seed=seed)
        super().__init__(
            _norms=[[norm, NORM_NAMES[norm]] for norm in NORMS],
            _depths=list(DEPTHS),
            _scales=list(SCALES),
            _quantities=list(QUANTITIES),
            _charts=[[title, [QUANTITIES.index(name) for name in names]] for title, names in CHARTS.items()],
            _ends=[GROUND, CEILING],
            _grid=signal_grid(seed).tobytes(),
            **choices,
        )

    @traitlets.validate("scale")
    def _known_scale(self, proposal) -> float:
        return SignalSetting(scale=proposal["value"]).scale

    def setting(self) -> SignalSetting:
        """The arrangement that is shown now."""
        return SignalSetting(self.depth, self.norm, self.residual, self.scale)

    def held(self) -> SignalSetting | None:
        """The arrangement that is held for comparison, if there is one."""
        return SignalSetting(*self._held) if self._held else None

    def hold(self) -> None:
        """Keep the setting of the moment as dashed lines."""
        self._held = [self.depth, self.norm, self.residual, self.scale]

    def _now(self) -> tuple[SignalSetting, int, SignalSetting | None, int]:
        return self.setting(), min(self.block, self.depth), self.held(), self._seed

    def state(self) -> SignalLabState:
        """The numbers that the explorer shows now."""
        return signal_lab_state(*self._now())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return signal_lab_figure(*self._now())

    def __repr__(self) -> str:
        return f"SignalLab(depth={self.depth}, norm={self.norm!r}, residual={self.residual}, scale={self.scale:g})"
