"""Token table: the sequence row by row, its parts switched on and off, and what the head says of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Float16, UInt8

from vit_tutorial.explore.common import (
    ACCENT,
    FAINT,
    INK,
    Explorer,
    as_rgb,
    browser_code,
    class_names_of,
    decimals,
    diverging,
    model_input,
    named_pictures,
    percent,
    still,
)
from vit_tutorial.introspection import in_eval_mode
from vit_tutorial.vit import ViT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SWITCHES = tuple(itertools.product((True, False), repeat=3))  # patch embeddings, class token, positions
READS = ("row 0", "the mean of the patches", "the chosen row")
LARGEST = 32_000_000  # bytes of tokens that travel to the browser
NUMBERS_SHOWN = 8  # of a row, side by side


@dataclass(frozen=True)
class TokenStages:
    """The tokens of some pictures at every stage of a model, for all eight ways to switch its three parts.

    Stage 0 is the embedding, stage k the output of block k. Row 0 is the class token, row p + 1 is patch p; without the
    class token, row 0 is there and holds zeros that mean nothing.
    """

    grid_size: tuple[int, int]
    embeddings: Float16[np.ndarray, "B N+1 D"]  # row 0 is the vector of the class token
    positions: Float16[np.ndarray, "N+1 D"]
    tokens: Float16[np.ndarray, "B 8 L+1 N+1 D"]
    chances: Float16[np.ndarray, "B 8 L+1 N+2 classes"]  # of the head reading each row; last, the mean of the patches
    class_names: tuple[str, ...]

    def limit(self, stage: int) -> float:
        """The size of number that gets the last colour at a stage: 99.5% of the full sequence's numbers are smaller."""
        sizes = np.abs(self.tokens[:, 0, stage].astype(np.float64))
        return max(float(np.ceil(np.quantile(sizes, 0.995) * 10) / 10), 0.1)


@torch.no_grad()
def token_stages(model: ViT, pictures: list[UInt8[np.ndarray, "C H W"]]) -> TokenStages:
    """Run the model once for each way to switch its parts and keep every token, and what the head says of each.

    The pictures are uint8 [C, H, W]; the model's card says how they are normalised, without one they become 0 to 1.
    Raises ValueError if the model has no class token, or there is too much for the browser.
    """
    if model.num_prefix_tokens != 1:
        raise ValueError("the model has no class token; build it with ViTConfig(pool='cls')")
    config, batch = model.config, len(pictures)
    num_tokens = model.grid_size[0] * model.grid_size[1] + 1
    size = batch * len(SWITCHES) * (config.depth + 1) * num_tokens * config.dim * 2
    if size > LARGEST:
        raise ValueError(
            f"the tokens of {batch} pictures are {size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}; "
            "give fewer pictures or a smaller model"
        )
    with in_eval_mode(model):
        embedded = model.patch_embed(torch.cat([model_input(model, picture) for picture in pictures]))
        with_class = model.class_token(embedded)  # [B, N+1, D]
        positions = model.position(torch.zeros_like(with_class))[0]  # [N+1, D]
        tokens, chances = [], []
        for patches, class_token, position in SWITCHES:
            x = with_class.clone()
            x[:, 1:] *= patches
            x = (x + positions * position)[:, 0 if class_token else 1 :]
            stages = [x]
            for block in model.blocks:
                stages.append(block(stages[-1]))
            z = torch.stack(stages, dim=1)  # [B, L+1, N+1 or N, D]
            z = torch.nn.functional.pad(z, (0, 0, num_tokens - z.shape[2], 0))
            last = model.norm(z)
            read = torch.cat([last, last[:, :, 1:].mean(dim=2, keepdim=True)], dim=2)  # [B, L+1, N+2, D]
            tokens.append(z)
            chances.append(model.head(model.pre_logits(read)).softmax(dim=-1))
    names = tuple(class_names_of(model))
    half = [torch.stack(parts, dim=1).half().numpy() for parts in (tokens, chances)]
    return TokenStages(model.grid_size, with_class.half().numpy(), positions.half().numpy(), *half, names)


@dataclass(frozen=True)
class TokenTableState:
    """What the token table shows: the rows, the chosen one with its parts, and what the head says."""

    table: Float[np.ndarray, "rows D"]
    row: int  # where the chosen token stands in the sequence
    parts: tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"], Float[np.ndarray, " D"]]  # first + second = third
    part_names: tuple[str, str, str]
    similarity: Float[np.ndarray, " rows"]  # cosine of each row with the chosen one; 0 beside a row of zeros
    shapes: tuple[tuple[str, str], ...]  # what happens to the sequence, and its shape then
    here: tuple[str, float]  # the class that the head would name at this stage, and its probability
    at_the_end: tuple[str, float]  # after the last block
    all_on: tuple[str, float]  # after the last block, with every part switched on
    words: str


def stage_name(stage: int) -> str:
    """Where in the model a stage lies."""
    return "after the embedding" if stage == 0 else f"after block {stage}"


def cosines(rows: Float[np.ndarray, "rows D"], row: int) -> Float[np.ndarray, " rows"]:
    """The cosine similarity of every row with one of them; 0 where either holds nothing but zeros."""
    norms = np.sqrt((rows * rows).sum(axis=1))
    lengths = norms * norms[row]
    return np.divide((rows * rows[row]).sum(axis=1), lengths, out=np.zeros(len(rows)), where=lengths > 0)


def token_table_state(
    stages: TokenStages,
    picture: int = 0,
    stage: int = 0,
    patches: bool = True,
    class_token: bool = True,
    positions: bool = True,
    token: int = 0,
    number: int = 0,
    reads: str = "row 0",
    name: str = "The picture",
) -> TokenTableState:
    """Compute all that the token table shows of one picture, counted from 0, which the words call `name`.

    `stage` 0 is the embedding, k the output of block k. `token` 0 is the class token, p + 1 is patch p, whether or not
    the class token is switched on; without it, token 0 stands for patch 0. `number` is one of the D numbers of a token.
    Raises ValueError if a choice is out of range.
    """
    num_stages, num_tokens, dim = stages.tokens.shape[2:]
    ranges = {"picture": len(stages.tokens), "stage": num_stages, "token": num_tokens, "number": dim}
    for what, chosen in {"picture": picture, "stage": stage, "token": token, "number": number}.items():
        if not 0 <= chosen < ranges[what]:
            raise ValueError(f"{what} {chosen} is not among 0 to {ranges[what] - 1}")
    if reads not in READS:
        raise ValueError(f"reads {reads!r} is unknown; choose from {', '.join(map(repr, READS))}")
    way = SWITCHES.index((bool(patches), bool(class_token), bool(positions)))
    first = 0 if class_token else 1  # the token that stands in row 0
    token = max(token, first)
    row = token - first
    table = stages.tokens[picture, way, stage, first:].astype(np.float64)
    if stage == 0:
        own = stages.embeddings[picture, token].astype(np.float64) * (1 if token == 0 else patches)
        parts = (own, stages.positions[token].astype(np.float64) * positions, table[row])
        part_names = ("class token" if token == 0 else "patch embedding", "position", "token")
    else:
        start = stages.tokens[picture, way, 0, token].astype(np.float64)
        parts = (start, table[row] - start, table[row])
        part_names = ("at the start", f"from {stage} block{'s' if stage > 1 else ''}", "token")
    similarity = cosines(table, row)
    others = np.floor(similarity * 1e4 + 0.5)
    others[row] = -np.inf
    nearest = int(others.argmax())

    def head_says(way: int, stage: int, first: int) -> tuple[str, float]:
        read = {"row 0": first, "the mean of the patches": num_tokens, "the chosen row": token}[reads]
        chances = stages.chances[picture, way, stage, read]
        return stages.class_names[int(chances.argmax())], float(chances.max())

    def who(token: int) -> str:
        return f"patch {token - 1}" if token else "the class token"

    here, at_the_end = head_says(way, stage, first), head_says(way, num_stages - 1, first)
    shape = f"[{len(table)}, {dim}]"
    switched = (("patches", patches), ("class token", class_token), ("positions", positions))
    on_or_off = ", ".join(f"{part} on" if on else f"{part} off" for part, on in switched)
    place = divmod(token - 1, stages.grid_size[1])
    shapes = (
        ("patch embeddings" if patches else "patches set to 0", f"[{num_tokens - 1}, {dim}]"),
        ("class token in front" if class_token else "no class token", shape),
        ("positions added" if positions else "no positions", shape),
        (f"{num_stages - 1} blocks", shape),
        (f"read {reads}", f"[{dim}]"),
        ("head", f"[{len(stages.class_names)}]"),
    )
    words = (
        f"{name}, {stage_name(stage)}: {shape}, {on_or_off}. "
        f"Row {row} is {who(token)}{f' (row {place[0]}, column {place[1]} of the picture)' if token else ''}. "
        f"Its number {number}: {decimals(parts[0][number])} ({part_names[0]}) "
        f"{plus(parts[1][number])} ({part_names[1]}) = {decimals(parts[2][number])}. "
        f"Most like it is row {nearest}, {who(nearest + first)}, with cosine {decimals(similarity[nearest])}. "
        f"The head, reading {f'row 0, {who(first)},' if reads == READS[0] else reads + ','} "
        f"says {here[0]} {percent(here[1])} here, and {at_the_end[0]} {percent(at_the_end[1])} after the last block."
    )
    return TokenTableState(
        table=table,
        row=row,
        parts=parts,
        part_names=part_names,
        similarity=similarity,
        shapes=shapes,
        here=here,
        at_the_end=at_the_end,
        all_on=head_says(0, num_stages - 1, 0),
        words=words,
    )


def plus(number: float) -> str:
    """`+ 0.25` or `- 0.25`: a number as the second part of a sum."""
    text = decimals(number)
    return f"- {text[1:]}" if text.startswith("-") else f"+ {text}"


def token_table_figure(
    image: UInt8[np.ndarray, "C H W"], stages: TokenStages, picture: int = 0, stage: int = 0, **choices: Any
) -> Figure:
    """Draw what `token_table_state(stages, picture, stage, **choices)` says as a still picture."""
    from matplotlib.patches import Rectangle

    state = token_table_state(stages, picture, stage, **choices)
    rows, columns = stages.grid_size
    num_rows, dim = state.table.shape
    first = rows * columns + 1 - num_rows
    limit = stages.limit(stage)
    figure, axes, say = still(9.4, 5.6)
    left, top, tall, wide, side = 0.75, 0.45, 3.9, 4.2, 1.7  # inches

    def frame(axis, x: float, y: float, w: float, h: float) -> None:
        for colour, line in (("black", 3.0), ("white", 1.4)):
            axis.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=line, clip_on=False))

    def heat(axis, values, most: float, across: float, down: float) -> None:
        options = {"cmap": "RdBu_r", "vmin": -most, "vmax": most, "interpolation": "nearest", "aspect": "auto"}
        axis.imshow(values, extent=(0, across, down, 0), **options)

    say(left, 0.15, f"The sequence {stage_name(stage)}: [{num_rows}, {dim}]", fontweight="bold")
    table = axes(left, top, wide, tall)
    heat(table, state.table, limit, dim, num_rows)
    frame(table, 0, state.row, dim, 1)
    for row in range(num_rows):
        token = row + first
        if token == 0 or ((token - 1) % columns == 0 and (row == 0 or row > 2)):
            middle = top + tall * (row + 0.5) / num_rows
            label = "class" if token == 0 else f"patch {token - 1}"
            say(left - 0.06, middle - 0.06, label, ha="right", fontsize=7, color=FAINT)
    say(left, top + tall + 0.05, f"blue {decimals(-limit, 1)} · white 0 · red {decimals(limit, 1)}", color=FAINT)
    aside = left + wide + 0.3
    shape = (side * columns / max(rows, columns), side * rows / max(rows, columns))
    token = state.row + first
    say(aside, 0.15, "The picture", fontweight="bold")
    shown = axes(aside, top, *shape)
    shown.imshow(as_rgb(image), interpolation="nearest", extent=(0, columns, rows, 0), aspect="auto")
    say(aside + side + 0.2, 0.15, "Similarity with it", fontweight="bold")
    alike = axes(aside + side + 0.2, top, *shape)
    heat(alike, state.similarity[1 - first :].reshape(rows, columns), 1, columns, rows)
    for axis in (shown, alike):
        axis.set_xlim(0, columns)
        axis.set_ylim(rows, 0)
        if token:
            frame(axis, (token - 1) % columns, (token - 1) // columns, 1, 1)
    say(aside + side + 0.2, top + shape[1] + 0.05, "blue −1 · white 0 · red 1", color=FAINT)
    lines = (
        (f"row {state.row}", "the class token" if token == 0 else f"patch {token - 1}"),
        (f"the head on {choices.get('reads', READS[0])}, {stage_name(stage)}", state.here),
        ("... after the last block", state.at_the_end),
        ("... with every part on", state.all_on),
    )
    for line, (what, told) in enumerate(lines):
        say(aside, top + 2.15 + 0.45 * line, what, color=FAINT, fontsize=9)
        told = told if isinstance(told, str) else f"{told[0]} {percent(told[1])}"
        say(aside, top + 2.31 + 0.45 * line, told, fontsize=12, fontweight="bold")
    for line, (what, numbers) in enumerate(zip(state.part_names, state.parts, strict=True)):
        y = top + tall + 0.4 + 0.21 * line
        say(left, y, f"{('', '+ ', '= ')[line]}{what}", fontsize=9, color=ACCENT if line == 2 else INK)
        for i, number in enumerate(numbers[:NUMBERS_SHOWN]):
            say(left + 2.4 + 0.7 * i, y, decimals(number), fontsize=9, ha="right")
        say(left + 2.5 + 0.7 * NUMBERS_SHOWN, y, "…", fontsize=9)
    return figure


class TokenTable(Explorer):
    """An explorer: the sequence of one picture, row by row, with patches, class token and positions to switch off.

    `model` is a ViT with a class token. `images` is one uint8 picture [C, H, W] or [H, W] (0 to 255) of the size that
    the model takes, or a dict from names to such pictures. The traits `picture`, `stage` (0: the embedding, k: after
    block k), `patches`, `class_token`, `positions`, `token` (0: the class token, p + 1: patch p), `number` and `reads`
    follow what the learner does and can be set from code.
    Raises ValueError if a picture does not fit the model, or the model has no class token.
    """

    _esm = browser_code("token_table.js")
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _class_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _shape = traitlets.List().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    _grid = traitlets.List().tag(sync=True)
    _tokens_shape = traitlets.List().tag(sync=True)
    _tokens = traitlets.Bytes().tag(sync=True)
    _embeddings = traitlets.Bytes().tag(sync=True)
    _positions = traitlets.Bytes().tag(sync=True)
    _chances = traitlets.Bytes().tag(sync=True)
    _limits = traitlets.List().tag(sync=True)
    _colours = traitlets.Bytes().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    stage = traitlets.Int(0, min=0).tag(sync=True)
    patches = traitlets.Bool(True).tag(sync=True)
    class_token = traitlets.Bool(True).tag(sync=True)
    positions = traitlets.Bool(True).tag(sync=True)
    token = traitlets.Int(0, min=0).tag(sync=True)
    number = traitlets.Int(0, min=0).tag(sync=True)
    reads = traitlets.Enum(READS, READS[0]).tag(sync=True)

    def __init__(self, model: ViT, images, **choices: Any):
        self._pictures = named_pictures(images, choices)
        side = model.config.image_size
        wanted = (model.config.in_channels, *(side if isinstance(side, tuple) else (side, side)))
        for name, pixels in self._pictures.items():
            if pixels.shape != wanted:
                raise ValueError(f"picture {name!r} is {list(pixels.shape)}, and the model takes {list(wanted)}")
        self._stages = stages = token_stages(model, list(self._pictures.values()))
        start = {name: choices[name] for name in choices if name != "picture"}
        token_table_state(stages, list(self._pictures).index(choices["picture"]), **start)
        super().__init__(
            _names=list(self._pictures),
            _class_names=list(stages.class_names),
            _shape=list(wanted),
            _pixels=b"".join(picture.tobytes() for picture in self._pictures.values()),
            _grid=list(stages.grid_size),
            _tokens_shape=list(stages.tokens.shape),
            _tokens=stages.tokens.tobytes(),
            _embeddings=stages.embeddings.tobytes(),
            _positions=stages.positions.tobytes(),
            _chances=stages.chances.tobytes(),
            _limits=[stages.limit(stage) for stage in range(stages.tokens.shape[2])],
            _colours=diverging().tobytes(),
            **choices,
        )

    def _choices(self) -> dict[str, Any]:
        names = ("stage", "patches", "class_token", "positions", "token", "number", "reads")
        chosen = {name: getattr(self, name) for name in names}
        return chosen | {"picture": self._names.index(self.picture), "name": self.picture}

    def state(self) -> TokenTableState:
        """The numbers that the explorer shows now."""
        return token_table_state(self._stages, **self._choices())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return token_table_figure(self._pictures[self.picture], self._stages, **self._choices())

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.state().table.shape))
        return f"TokenTable({self.picture!r}, {stage_name(self.stage)}, {shape})"
