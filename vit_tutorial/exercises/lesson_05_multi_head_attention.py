"""Lesson 5: cut tokens into heads, put them together, count, follow one head, write the layer, and find six faults."""

import math
from collections.abc import Callable
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.attention import MultiHeadAttention, scaled_dot_product_attention
from vit_tutorial.exercises.builders import FORGOT_MODULE, changed, fill, misfit_of, numbered, uneven
from vit_tutorial.exercises.counting import mistakes_of, pairs_of, solution_of
from vit_tutorial.exercises.difference import Hints, Moved, Said
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.exercises.properties import forgets, learns, passes_on

LESSON = "05_multi_head_attention"
__all__ = ["attention_ward", "head_map", "head_numbers", "merge_heads", "multi_head_attention", "split_heads"]


# ------------------------------------------------------------------------------------------ split


def _as(pattern: str) -> Callable:
    return lambda x, num_heads: rearrange(x, pattern, h=num_heads)


def _input(batch: int, num_tokens: int, dim: int, num_heads: int) -> tuple[Tensor, int]:
    return numbered(batch, num_tokens, dim), num_heads


split_heads = Exercise(
    name="split_heads",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=_as("b n (h d) -> b h n d"),
    inputs=[
        _input(1, 3, 4, 2),
        _input(2, 3, 6, 2),
        _input(2, 5, 8, 4),
        _input(1, 2, 6, 1),
        _input(3, 4, 12, 3),
        (uneven(2, 3, 8), 2),
    ],
    hints=Hints(
        axes="B h N d",
        sizes=lambda x, num_heads: {"N": x.shape[1], "D": x.shape[2], "d": x.shape[2] // num_heads},
        moved=Moved(
            names=("B", "h", "N", "d"),
            lengths=lambda x, num_heads: (len(x), num_heads, x.shape[1], x.shape[2] // num_heads),
        ),
    ),
    mistakes=[
        Mistake(
            lambda x, num_heads: x.reshape(len(x), num_heads, x.shape[1], -1),
            "you used view or reshape alone. That deals out tokens to heads; each head must see every token. "
            "Split D into (h, d) first, then swap the axes N and h.",
        ),
        Mistake(
            _as("b n (h d) -> b n h d"),
            "the axes h and N are not swapped yet: attention works on the last two axes, which must be (N, d).",
        ),
        Mistake(
            _as("b n (d h) -> b h n d"),
            "each head takes every h-th number of a token. A head takes d neighbouring numbers: D splits into (h, d).",
        ),
        Mistake(
            _as("b n (d h) -> b d n h"),
            "you made d heads of h numbers. Make h heads of d = D/h numbers: D splits into (h, d), with h in front.",
        ),
        Mistake(
            _as("b n (h d) -> b h d n"),
            "the last two axes are (d, N), and should be (N, d): one row per token.",
        ),
        Mistake(
            lambda x, num_heads: x.transpose(1, 2).reshape(len(x), num_heads, x.shape[1], -1),
            "you swapped N and D before the split, and reshape mixed them. Split D into (h, d) first, then swap N "
            "and h.",
        ),
        Mistake(
            _as("b n (h d) -> b n d h"),
            "the split is right, but you swapped h and d. Swap N and h: transpose(1, 2).",
        ),
        Mistake(
            _as("b n (h d) -> h b n d"),
            "the head axis is in front of the batch axis. The order is (B, h, N, d).",
        ),
        Mistake(
            _as("b n (h d) -> (b h) n d"),
            "batch and heads are one axis. Keep them apart: four axes, (B, h, N, d).",
        ),
        Mistake(
            lambda x, num_heads: x.chunk(num_heads, dim=-1),
            "you returned the heads one by one. Put them into one tensor, with the heads along axis 1: (B, h, N, d).",
        ),
    ],
    done="Every head sees every token, through d numbers of its own.",
)


# ------------------------------------------------------------------------------------------ merge


def _to(pattern: str) -> Callable:
    return lambda heads: rearrange(heads, pattern)


def _heads(batch: int, num_heads: int, num_tokens: int, d: int) -> tuple[Tensor]:
    return (numbered(batch, num_heads, num_tokens, d),)


merge_heads = Exercise(
    name="merge_heads",
    lesson=LESSON,
    difficulty=2,
    minutes=6,
    solution=_to("b h n d -> b n (h d)"),
    inputs=[
        _heads(1, 2, 3, 2),
        _heads(1, 1, 2, 3),
        _heads(2, 3, 4, 2),
        _heads(2, 2, 2, 4),
        _heads(3, 4, 5, 3),
        (uneven(2, 3, 5, 4),),
    ],
    hints=Hints(
        axes="B N D",
        sizes=lambda heads: {"h": heads.shape[1], "N": heads.shape[2], "d": heads.shape[3]},
        moved=Moved(
            names=("B", "N", "h", "d"),
            lengths=lambda heads: (len(heads), heads.shape[2], heads.shape[1], heads.shape[3]),
        ),
    ),
    mistakes=[
        Mistake(
            lambda heads: heads.reshape(len(heads), heads.shape[2], -1),
            "you used reshape alone. It reads head 0 of all tokens first, so that a row holds several tokens of one "
            "head. Swap h and N back first, then join the last two axes.",
        ),
        Mistake(
            _to("b h n d -> b n (d h)"),
            "the heads are interleaved: number 0 of each head, then number 1 of each. Lay them side by side, all d "
            "numbers of head 0 first: (h, d), not (d, h).",
        ),
        Mistake(
            lambda heads: heads.transpose(2, 3).reshape(len(heads), heads.shape[2], -1),
            "you swapped N and d. Swap h and N, transpose(1, 2), then join the last two axes.",
        ),
        Mistake(
            lambda heads: heads.transpose(1, 3).reshape(len(heads), heads.shape[2], -1),
            "you swapped h and d. Swap h and N, transpose(1, 2): h must stand right before d.",
        ),
        Mistake(
            _to("b h n d -> b n h d"),
            "h and d are still two axes. Join them: [B, N, h, d] -> [B, N, D].",
        ),
        Mistake(
            lambda heads: heads.sum(dim=1),
            "you added the heads up, and have d numbers a token. Side by side they are D = h·d.",
        ),
        Mistake(
            lambda heads: heads.mean(dim=1),
            "you took the mean of the heads, and have d numbers a token. Side by side they are D = h·d.",
        ),
        Mistake(
            _to("b h n d -> b (h n) d"),
            "the heads lie one below the other: h·N tokens of d numbers. They belong side by side: N tokens of D.",
        ),
        Mistake(
            _to("b h n d -> (b n) (h d)"),
            "batch and tokens are one axis. Keep them apart: [B, N, D].",
        ),
        Mistake(
            _to("b h n d -> b (h d) n"),
            "your last two axes are (D, N), and should be (N, D): one row per token.",
        ),
        Mistake(
            lambda heads: heads.transpose(1, 2).view(len(heads), heads.shape[2], -1),
            "the axes are right, but `view` cannot join numbers that do not lie side by side in memory. `reshape` can: "
            "it copies them first.",
        ),
    ],
    done="The cut, run backwards: each token has its D numbers again.",
)


# ------------------------------------------------------------------------------------------ count

# For each of the three numbers, how to work it out: rightly first, then with a mistake and its sentence.
_COUNTS = (
    (
        (lambda dim, heads: dim // heads, ""),
        (
            lambda dim, heads: dim,
            "your first number is D. The heads share the D numbers: each has d = D/h.",
        ),
        (
            lambda dim, heads: heads,
            "your first number is h, how many heads there are. Each of them has d = D/h numbers.",
        ),
        (
            lambda dim, heads: 3 * dim // heads,
            "your first number is that of query, key and value together. A query alone has d = D/h.",
        ),
    ),
    (
        (lambda dim, heads: math.sqrt(dim / heads), ""),
        (
            lambda dim, heads: math.sqrt(dim),
            "your second number is √D. A score is a sum of d products, so the root is that of d.",
        ),
        (
            lambda dim, heads: dim / heads,
            "your second number is d itself. The scores are divided by its root.",
        ),
        (
            lambda dim, heads: math.sqrt(heads),
            "your second number is √h. How many heads there are does not matter to a score; how long a query is does.",
        ),
    ),
    (
        (lambda dim, heads: 4 * dim * dim + 4 * dim, ""),
        (
            lambda dim, heads: 4 * dim * dim,
            "your third number leaves out the biases: 3·D of qkv, and D of the output projection.",
        ),
        (
            lambda dim, heads: 4 * dim * dim + dim,
            "your third number has the biases of the output projection only. qkv has 3·D more.",
        ),
        (
            lambda dim, heads: 4 * dim * dim + 3 * dim,
            "your third number has the biases of qkv only. The output projection has D more.",
        ),
        (
            lambda dim, heads: 3 * dim * dim + 3 * dim,
            "your third number stops after queries, keys and values. The output projection has D·D + D more.",
        ),
        (
            lambda dim, heads: heads * (3 * dim * dim + 3 * dim) + dim * dim + dim,
            "your third number gives every head matrices of D·D. A head's own are D·d: together they are D·D again.",
        ),
        (
            lambda dim, heads: 3 * dim * (dim // heads) + 3 * (dim // heads) + dim * dim + dim,
            "your third number counts the matrices of one head. There are h of them.",
        ),
        (
            lambda dim, heads: 3 * dim * (dim // heads) + 3 * (dim // heads),
            "your third number is what one head has for query, key and value. There are h heads, and the output "
            "projection is missing.",
        ),
        (
            lambda dim, heads: heads * (4 * dim * dim + 4 * dim),
            "your third number is h times too large. The heads share one layer: they are blocks of its matrices.",
        ),
    ),
)

head_numbers = Exercise(
    name="head_numbers",
    lesson=LESSON,
    difficulty=1,
    minutes=5,
    solution=solution_of(_COUNTS),
    inputs=[(8, 2), (12, 3), (64, 4), (192, 3), (768, 12), (1280, 16)],
    hints=Hints(inputs="D h", sizes=lambda dim, heads: {"d": dim // heads}),
    mistakes=[
        *mistakes_of(_COUNTS),
        Mistake(
            lambda dim, heads: (math.sqrt(dim / heads), dim // heads, 4 * dim * dim + 4 * dim),
            "your first two numbers have changed places: first d, then the divisor.",
        ),
        Mistake(
            lambda dim, heads: (dim // heads, math.sqrt(dim / heads)),
            "you returned two numbers. The third is missing: the count of the parameters.",
        ),
    ],
    done="d and the divisor change with h. The parameters do not.",
)


# ------------------------------------------------------------------------------------------ one head's own map


def _own_map(
    down: Callable[[Tensor, int, int, int], Tensor] = lambda qkv, d, h, i: qkv[2 * h * d :][i * d : (i + 1) * d],
    up: Callable[[Tensor, int, int, int], Tensor] = lambda proj, d, h, i: proj[:, i * d : (i + 1) * d],
    finish: Callable[[Tensor, Tensor], Tensor] = lambda down, up: down.T @ up.T,
) -> Callable:
    """The map of one head with one step done differently; `down` is [d, D], `up` is [D, d], as nn.Linear keeps them."""

    def answer(qkv_weight: Tensor, proj_weight: Tensor, num_heads: int, head: int) -> Tensor:
        d = proj_weight.shape[1] // num_heads
        return finish(down(qkv_weight, d, num_heads, head), up(proj_weight, d, num_heads, head))

    return answer


def _matrices(dim: int, num_heads: int, head: int) -> tuple[Tensor, Tensor, int, int]:
    return uneven(3 * dim, dim), uneven(dim, dim).flip(0) + 0.3, num_heads, head


_CHANGED_PARTS = (
    (
        {"finish": lambda down, up: up @ down},
        "your map is transposed. Tokens are rows here, so the map is used as z @ map: first W_V down, then W_O up.",
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[i * d : (i + 1) * d]},
        "you took the rows of Q. The order in the fused matrix is Q, K, V: the values are its last D rows.",
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[h * d :][i * d : (i + 1) * d]},
        "you took the rows of K. The order in the fused matrix is Q, K, V: the values are its last D rows.",
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[(3 * i + 2) * d : (3 * i + 3) * d]},
        "you read the fused matrix head by head. It is (three, h, d): Q of all heads, then K, then V.",
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[2 * h * d :][i::h]},
        "you took every h-th row of V. A head has d neighbouring rows: from head·d to (head + 1)·d.",
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[2 * h * d :][i::h], "up": lambda proj, d, h, i: proj[:, i::h]},
        "you took every h-th number of both matrices. A head has d neighbouring ones: from head·d to (head + 1)·d.",
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[2 * h * d :][:, i * d : (i + 1) * d].T},
        (
            "you took columns of the stored W_V. nn.Linear keeps its matrix transposed, [output, input]: what makes "
            "the head's numbers are rows."
        ),
    ),
    (
        {
            "down": lambda qkv, d, h, i: qkv[2 * h * d :][:, i * d : (i + 1) * d].T,
            "up": lambda proj, d, h, i: proj[i * d : (i + 1) * d].T,
        },
        (
            "you took both matrices as if they were used as z @ W. nn.Linear keeps them transposed, [output, input]: "
            "take rows of W_V and columns of W_O, and transpose both."
        ),
    ),
    (
        {"up": lambda proj, d, h, i: proj[i * d : (i + 1) * d].T},
        (
            "you took rows of the stored output projection. nn.Linear keeps its matrix transposed, [output, input]: "
            "what reads the head's numbers are columns."
        ),
    ),
    (
        {"down": lambda qkv, d, h, i: qkv[2 * h * d :], "up": lambda proj, d, h, i: proj},
        "this is the sum of the maps of all heads. Cut out the head's own rows of W_V and its own part of W_O.",
    ),
    (
        {
            "down": lambda qkv, d, h, i: qkv[2 * h * d :][(i - 1) * d : i * d],
            "up": lambda proj, d, h, i: proj[:, (i - 1) * d : i * d],
        },
        "you took the head before, and nothing at all for head 0. Heads count from 0: from head·d to (head + 1)·d.",
    ),
    (
        {"finish": lambda down, up: up.T @ down.T},
        "your product is [d, d]: first up, then down. A token has D numbers: first down to d, then up to D.",
    ),
    (
        {"finish": lambda down, up: down @ up},
        (
            "your product is [d, d]: both parts still lie as nn.Linear keeps them. Transpose each: down is [D, d], up "
            "is [d, D]."
        ),
    ),
)

head_map = Exercise(
    name="head_map",
    lesson=LESSON,
    difficulty=3,
    minutes=12,
    solution=_own_map(),
    inputs=[_matrices(4, 2, 0), _matrices(4, 2, 1), _matrices(6, 3, 1), _matrices(8, 2, 1), _matrices(12, 4, 2)],
    hints=Hints(
        sizes=lambda qkv, proj, num_heads, head: {"D": proj.shape[1], "d": proj.shape[1] // num_heads},
    ),
    mistakes=[
        *(Mistake(_own_map(**change), sentence) for change, sentence in _CHANGED_PARTS),
    ],
    pairs=pairs_of(_own_map, _CHANGED_PARTS),
    done="One matrix from D numbers to D numbers, of rank d at most. The layer's output is a sum over such maps.",
)


# ------------------------------------------------------------------------------------------ the layer from scratch


def _with_known_weights(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds the layer, gives it known numbers, and runs it in eval.

    The function returns what `look(layer, x)` gives instead, if there is a `look`; the layer is in training mode then.
    Two errors that come on every input are returned as words, so that they can be among the known mistakes.
    """

    def run(x: Tensor, num_heads: int, look: Callable | None = None) -> Tensor | str:
        layer = make(x.shape[-1], num_heads)
        if misfit := misfit_of(layer):
            return misfit
        wanted = {name: value.shape for name, value in MultiHeadAttention(x.shape[-1], num_heads).named_parameters()}
        if {name: value.shape for name, value in layer.named_parameters()} != wanted:
            return "layers with other names or shapes than qkv and proj"
        fill(layer.named_parameters(), spread=0.6)
        try:
            out = look(layer.train(), x) if look else layer.eval()(x)
        except (AttributeError, TypeError, ValueError) as error:
            if f"not enough values to unpack (expected 3, got {len(x)})" in str(error):
                return "an error: q, k and v are taken along the batch"
            if "'tuple' object" in str(error) or "not tuple" in str(error):
                return "an error: several things are used as one tensor"
            raise
        return "several things, not one tensor" if isinstance(out, tuple) else out

    return run


class _Steps(MultiHeadAttention):
    """The layer in steps; each wrong answer below, and each patient of the ward, does one step differently."""

    def cut(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(rearrange(qkv, "b n (three h d) -> three b h n d", three=3, h=self.num_heads))

    def weigh(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)

    def merge(self, heads: Tensor) -> Tensor:
        return rearrange(heads, "b h n d -> b n (h d)")

    def finish(self, merged: Tensor, x: Tensor) -> Tensor:
        return self.proj(merged)

    def forward(self, x: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        q, k, v = self.cut(self.qkv(x))
        weights = self.weigh(q, k)
        out = self.finish(self.merge(weights @ v), x)
        return (out, weights) if return_weights else out


_layer = partial(changed, _Steps)  # a layer with other steps


def _scaled(scale: Callable[[Tensor], float], axis: int = -1) -> Callable:
    return lambda self, q, k: (q @ k.transpose(-2, -1) * scale(q)).softmax(dim=axis)


def _cut_as(pattern: str) -> Callable:
    return lambda self, qkv: tuple(rearrange(qkv, pattern, three=3, h=self.num_heads))


def _cut_by_view(self, qkv: Tensor) -> tuple[Tensor, ...]:
    batch, number, _ = qkv.shape
    return tuple(part.reshape(batch, self.num_heads, number, -1) for part in qkv.chunk(3, dim=-1))


def _merge_by_view(self, heads: Tensor) -> Tensor:
    return heads.reshape(len(heads), heads.shape[2], -1)


def _cut_in_order(*order: int) -> Callable:
    """Take for queries, keys and values these parts of qkv."""
    return lambda self, qkv: tuple(_Steps.cut(self, qkv)[place] for place in order)


_SWAPPED = _cut_in_order(1, 0, 2)


class _AlongTheBatch(_Steps):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x)
        return self.proj(scaled_dot_product_attention(q, k, v)[0])


class _ProjectedAlone(_Steps):
    def __init__(self, dim: int, num_heads: int):
        super().__init__(dim, num_heads)
        self.proj = nn.Linear(dim // num_heads, dim // num_heads)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.cut(self.qkv(x))
        return self.merge(self.proj(self.weigh(q, k) @ v))


class _ThreeLayers(nn.Module):
    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))


def _tokens(*shape: int, num_heads: int) -> tuple[Tensor, int]:
    return uneven(*shape) / 2, num_heads


_LOOK_AT_LAYER = _tokens(2, 5, 8, num_heads=2)

_CHANGED_STEPS = (
    (
        {"weigh": _scaled(lambda q: (q.shape[-1] * q.shape[1]) ** -0.5)},
        "the scores are divided by √D. A query of one head has d = D/h numbers: divide by √d.",
    ),
    (
        {"weigh": _scaled(lambda q: q.shape[-2] ** -0.5)},
        (
            "the scores are divided by √N, the root of how many tokens there are. It is the length of a query that "
            "counts: divide by √d."
        ),
    ),
    ({"weigh": _scaled(lambda q: 1.0)}, "the scores are not divided by √d before the softmax."),
    ({"weigh": _scaled(lambda q: 1 / q.shape[-1])}, "the scores are divided by d. Divide by its root."),
    (
        {"weigh": _scaled(lambda q: q.shape[-1] ** -0.5, axis=-2)},
        "the softmax runs over the queries. Each query shares out 1 over the keys: dim=-1.",
    ),
    (
        {"weigh": _scaled(lambda q: q.shape[-1] ** -0.5, axis=1)},
        "the softmax runs over the heads. Each head has its own, over the keys: dim=-1.",
    ),
    (
        {"weigh": lambda self, q, k: q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])},
        "there is no softmax: the scores are used as weights.",
    ),
    (
        {"cut": _cut_by_view},
        (
            "the tokens are dealt out to the heads: view or reshape alone does not bring h in front of N. Split, then "
            "swap the axes."
        ),
    ),
    (
        {"cut": _cut_by_view, "merge": _merge_by_view},
        (
            "the tokens are dealt out to the heads, on the way in and on the way out. view or reshape alone moves "
            "nothing: swap N and h after the split, and swap them back before you join h and d."
        ),
    ),
    (
        {
            "cut": _cut_as("b n (three h d) -> three b n h d"),
            "merge": lambda self, heads: rearrange(heads, "b n h d -> b n (h d)"),
        },
        "attention ran over the heads of one token, so no token looked at another: swap N and h before it.",
    ),
    (
        {"cut": lambda self, qkv: qkv.chunk(3, dim=-1), "merge": lambda self, merged: merged},
        "the tokens were not cut into heads: this is one head of D numbers.",
    ),
    (
        {"cut": _cut_as("b n (three d h) -> three b h n d")},
        "a head takes every h-th number. It takes d neighbouring ones: D splits into (h, d).",
    ),
    (
        {"cut": _cut_as("b n (h three d) -> three b h n d")},
        "you cut qkv into heads first, and then into Q, K and V. It is (three, h, d): Q of all heads comes first.",
    ),
    (
        {"cut": _cut_as("b n (h d three) -> three b h n d")},
        "you took every third number of qkv for Q, K and V. It is (three, h, d): all of Q comes first.",
    ),
    ({"cut": _SWAPPED}, "queries and keys are swapped: the order in qkv is Q, K, V."),
    ({"cut": _cut_in_order(2, 1, 0)}, "the values come first in your qkv: its order is Q, K, V."),
    ({"merge": _merge_by_view}, "the heads are merged by reshape alone. Swap h and N back before you join h and d."),
    (
        {"merge": lambda self, heads: rearrange(heads, "b h n d -> b n (d h)")},
        "the merged heads are interleaved. Lay them side by side: (h, d), not (d, h).",
    ),
    (
        {"finish": lambda self, merged, x: merged},
        "the output projection is never used: give the merged heads to self.proj.",
    ),
    (
        {"finish": lambda self, merged, x: x + self.proj(merged)},
        "the input is added at the end. That plus belongs to the encoder block of lesson 6, around this layer.",
    ),
)

multi_head_attention = Exercise(
    name="multi_head_attention",
    lesson=LESSON,
    difficulty=4,
    minutes=20,
    solution=MultiHeadAttention,
    adapt=_with_known_weights,
    inputs=[
        _tokens(1, 2, 4, num_heads=1),
        _tokens(1, 3, 4, num_heads=2),
        _LOOK_AT_LAYER,
        _tokens(2, 4, 6, num_heads=3),
    ],
    hints=Hints(
        axes="B N D",
        sizes=lambda x, num_heads: {"N": x.shape[1], "D": x.shape[2], "d": x.shape[2] // num_heads},
    ),
    mistakes=[
        *(Mistake(_layer(**change), sentence) for change, sentence in _CHANGED_STEPS),
        Mistake(
            _layer(forward=lambda self, x: _Steps.forward(self, x, return_weights=True)),
            "you returned two things. Here the outputs alone are wanted.",
        ),
        Mistake(
            _layer(
                forward=lambda self, x: self.proj(
                    self.merge(scaled_dot_product_attention(*self.cut(self.qkv(x))).transpose(1, 2))
                )
            ),
            "you use several things as one tensor. scaled_dot_product_attention returns two, outputs and weights: take "
            "the outputs, [0]. chunk returns three: q, k, v = ….",
        ),
        Mistake(
            _AlongTheBatch,
            "q, k and v are taken along the first axis, which is the batch. They lie along the last one: "
            "q, k, v = self.qkv(x).chunk(3, dim=-1), with the dim, and not q, k, v = self.qkv(x).",
        ),
        Mistake(
            _ProjectedAlone,
            "your proj goes from d to d, and takes each head alone. Merge the heads first: it goes from D to D, and is "
            "where they are mixed.",
        ),
        Mistake(
            _ThreeLayers,
            "the layers have other names or shapes. Call them qkv, from D to 3·D, and proj, from D to D, both with "
            "biases: then saved weights find their places.",
        ),
        FORGOT_MODULE,
    ],
    pairs=pairs_of(_layer, _CHANGED_STEPS),
    properties=[
        Property(
            lambda run: run(*_LOOK_AT_LAYER, lambda layer, x: torch.equal(layer(x), layer(x))),
            "while training, the same tokens give another answer each time. There is nothing random in this layer.",
        ),
        learns(_with_known_weights(MultiHeadAttention), *_LOOK_AT_LAYER),
        passes_on(_with_known_weights(MultiHeadAttention), *_LOOK_AT_LAYER),
        forgets(_LOOK_AT_LAYER, (-uneven(2, 5, 8), 2), _tokens(3, 4, 8, num_heads=2)),
    ],
    done="Given the same numbers, it says what the course's MultiHeadAttention says. Now a ViT can be built of it.",
)


# ------------------------------------------------------------------------------------------ the ward

FAULTS = ("divisor", "softmax", "merge", "view", "order", "dropout")

_ILLNESSES = {
    "A": ("merge", {"merge": lambda self, heads: rearrange(heads, "b h n d -> b n (d h)")}),
    "B": ("softmax", {"weigh": _scaled(lambda q: q.shape[-1] ** -0.5, axis=-2)}),
    "C": ("order", {"cut": _SWAPPED}),
    "D": ("dropout", {"finish": lambda self, merged, x: F.dropout(self.proj(merged), 0.2)}),
    "E": ("divisor", {"weigh": _scaled(lambda q: (q.shape[-1] * q.shape[1]) ** -0.5)}),
    "F": ("view", {"cut": _cut_by_view}),
}

_ABOUT = {"__doc__": "A MultiHeadAttention with one fault, to be found by measuring."}
PATIENTS = {name: type(f"Patient{name}", (_Steps,), steps | _ABOUT) for name, (_, steps) in _ILLNESSES.items()}


def _report(answer: Callable) -> Callable:
    """Turn a diagnosis into a function that looks at all six words, and says in whom they go wrong first."""

    def run(patient: str) -> str | None:
        words = {name: answer(name) for name in PATIENTS}
        if things := [word for word in words.values() if isinstance(word, dict | list | tuple | set)]:
            kind = type(things[0]).__name__
            return Said(f"you return a {kind}. Return the word of the one patient, as in found[patient].")
        empty = [name for name, word in words.items() if word in (None, ...)]
        unknown = [name for name, word in words.items() if word not in FAULTS]
        wrong = [name for name, word in words.items() if word != _ILLNESSES[name][0]]
        if len(empty) == len(words):
            return words["A"]
        for names, what in ((empty, "no word"), (unknown, "a word that is not on the list"), (wrong, "a wrong word")):
            if names:
                return f"{what} for patient {names[0]}"
        return "six words"

    return run


def _with_word(patient: str, word: str | None) -> Callable:
    """A diagnosis that is right but for one patient."""
    return lambda name: word if name == patient else _ILLNESSES[name][0]


_HINTS = {
    "A": "Its maps are those of the healthy one, and it answers the same twice. So the fault lies behind the maps.",
    "B": "Look at the rows of its maps: each query should share out 1.",
    "C": "All its heads notice a change. Its maps are as sharp as the healthy ones, and yet are not the same. It "
    "learns as well as the healthy one; only numbers that were learned elsewhere do not fit.",
    "D": "Ask it the same twice.",
    "E": "Its rows are flatter than those of the healthy one. What makes scores smaller?",
    "F": "Change one token, and see how many heads notice.",
}

attention_ward = Exercise(
    name="attention_ward",
    lesson=LESSON,
    difficulty=3,
    minutes=15,
    solution=lambda patient: _ILLNESSES[patient][0],
    adapt=_report,
    secret=True,
    inputs=[("A to F",)],
    mistakes=[
        *(Mistake(_with_word(name, None), f"patient {name} has no word yet.") for name in PATIENTS),
        *(
            Mistake(
                _with_word(name, "healthy"),
                f"the word for patient {name} is not on the list. Write one of {', '.join(map(repr, FAULTS))}.",
            )
            for name in PATIENTS
        ),
        *(
            Mistake(
                _with_word(name, "view" if name != "F" else "merge"),
                f"all six words are on the list. But patient {name} has something else. {hint}",
            )
            for name, hint in _HINTS.items()
        ),
    ],
    done="Six faults, found without reading a line of their code.",
)
