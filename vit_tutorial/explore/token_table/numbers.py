"""The numbers of the token table: the sequence at every stage, its parts switched on and off, and the head's answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16, UInt8

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.pictures import class_names_of, model_input
from vit_tutorial.explore.words import decimals, percent
from vit_tutorial.introspection import in_eval_mode
from vit_tutorial.vit import ViT

SWITCHES = tuple(itertools.product((True, False), repeat=3))  # patch embeddings, class token, positions
READS = ("row 0", "the mean of the patches", "the chosen row")
LARGEST = 32_000_000  # bytes of tokens that travel to the browser


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
    probabilities: Float16[
        np.ndarray, "B 8 L+1 N+2 classes"
    ]  # of the head reading each row; last, the mean of the patches
    class_names: tuple[str, ...]

    def limit(self, stage: int) -> float:
        """The size of number that gets the last colour at a stage: 99.5% of the full sequence's numbers are smaller."""
        sizes = np.abs(self.tokens[:, 0, stage].astype(np.float64))
        return max(float(np.ceil(np.quantile(sizes, 0.995) * 10) / 10), 0.1)


@torch.no_grad()
def run_switched(model: ViT, pictures: list[UInt8[np.ndarray, "C H W"]]) -> TokenStages:
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
        tokens, probabilities = [], []
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
            probabilities.append(model.head(model.pre_logits(read)).softmax(dim=-1))
    names = tuple(class_names_of(model))
    half = [torch.stack(parts, dim=1).half().numpy() for parts in (tokens, probabilities)]
    return TokenStages(model.grid_size, with_class.half().numpy(), positions.half().numpy(), *half, names)


def token_table_limits(stages: TokenStages) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for the tokens of a model; none depends on another."""
    num_stages, num_tokens, dim = stages.tokens.shape[2:]
    yield "stage", Between(0, num_stages - 1)
    yield "token", Between(0, num_tokens - 1)
    yield "number", Between(0, dim - 1)
    yield "reads", OneOf(READS)


@dataclass(frozen=True)
class TokenTableState:
    """What the token table shows: the rows, the chosen one with its parts, and what the head says."""

    grid_size: tuple[int, int]
    stage: int
    limit: float  # the size of number that gets the last colour
    reads: str  # what of the sequence the head reads
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
    Raises ValueError if a choice is not among those of `token_table_limits`, or there is no such picture.
    """
    num_stages, num_tokens, dim = stages.tokens.shape[2:]
    Between(0, len(stages.tokens) - 1).check("picture", picture)
    settle(token_table_limits(stages), {"stage": stage, "token": token, "number": number, "reads": reads})
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
        probabilities = stages.probabilities[picture, way, stage, read]
        return stages.class_names[int(probabilities.argmax())], float(probabilities.max())

    def who(token: int) -> str:
        return f"patch {token - 1:,}" if token else "the class token"

    here, at_the_end = head_says(way, stage, first), head_says(way, num_stages - 1, first)
    shape = f"[{len(table)}, {dim}]"
    switched = (("patches", patches), ("class token", class_token), ("positions", positions))
    on_or_off = ", ".join(f"{part} on" if on else f"{part} off" for part, on in switched)
    place = divmod(token - 1, stages.grid_size[1])
    likest = (
        f"Most like it is row {nearest:,}, {who(nearest + first)}, with cosine {decimals(similarity[nearest])}."
        if table[row].any()
        else "All its numbers are 0: no cosine tells which row is most like it."
    )
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
        f"Row {row:,} is {who(token)}{f' (row {place[0]}, column {place[1]} of the picture)' if token else ''}. "
        f"Its number {number:,}: {decimals(parts[0][number])} ({part_names[0]}) "
        f"{plus(parts[1][number])} ({part_names[1]}) = {decimals(parts[2][number])}. "
        f"{likest} The head, reading {f'row 0, {who(first)},' if reads == READS[0] else reads + ','} "
        f"says {here[0]} {percent(here[1])} here, and {at_the_end[0]} {percent(at_the_end[1])} after the last block."
    )
    return TokenTableState(
        grid_size=stages.grid_size,
        stage=stage,
        limit=stages.limit(stage),
        reads=reads,
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
