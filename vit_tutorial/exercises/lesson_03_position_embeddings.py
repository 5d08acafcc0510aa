"""Lesson 3: count positions, test for order, add a table of positions, make one of waves, and stretch one."""

import math
from collections.abc import Callable
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial import positions
from vit_tutorial.exercises.builders import FORGOT_MODULE, changed, held_by, misfit_of, number_of_patches
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.exercises.properties import forgets, passes_on

LESSON = "03_position_embeddings"
__all__ = [
    "interpolate_positions",
    "is_equivariant",
    "position_embedding",
    "position_parameters",
    "sincos_1d",
    "sincos_2d",
]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------------ count them


position_parameters = Exercise(
    name="position_parameters",
    lesson=LESSON,
    difficulty=1,
    minutes=3,
    solution=lambda image_size, patch_size, dim: (number_of_patches(image_size, patch_size) + 1) * dim,
    inputs=[(4, 2, 3), (12, 2, 5), (28, 4, 64), (28, 7, 48), (224, 16, 768), (384, 16, 1024)],
    hints=Hints(sizes=lambda image_size, patch_size, dim: {"N": number_of_patches(image_size, patch_size)}),
    mistakes=[
        Mistake(
            lambda image_size, patch_size, dim: number_of_patches(image_size, patch_size) * dim,
            "you left out the class token. It has a row in the table too: N+1 rows.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: number_of_patches(image_size, patch_size) * dim + 1,
            "you added one number for the class token. Its row has D numbers like every other: (N+1)·D.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: number_of_patches(image_size, patch_size) + 1,
            "you counted the rows. Each of them has D numbers.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: number_of_patches(image_size, patch_size),
            "you counted the patches. Wanted are the numbers in the table: N+1 rows of D numbers.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (2 * (image_size // patch_size) + 1) * dim,
            "you doubled the number of patches in a row. Rows times columns is its square: N = (H/P)².",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (image_size // patch_size + 1) * dim,
            "you counted the patches along one side. The grid has as many rows as columns: N = (H/P)².",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (image_size // patch_size**2 + 1) * dim,
            "** comes before //, so you divided by the square of P. Put H/P in brackets before you square: N = (H/P)².",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (image_size // patch_size + 1) ** 2 * dim,
            "you added 1 before you squared. One token more than the patches: (H/P)² + 1 rows.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: number_of_patches(image_size, patch_size) + dim,
            "you added D to the number of patches. N+1 rows of D numbers: put N + 1 in brackets, and multiply.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (image_size**2 + 1) * dim,
            "you gave each pixel a position. Positions belong to tokens: N = (H/P)².",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (number_of_patches(image_size, patch_size) + 1) * patch_size**2,
            "you took the P·P pixels of a patch for the length of a row. A position is added to a token of D numbers.",
        ),
        Mistake(
            lambda image_size, patch_size, dim: (number_of_patches(image_size, patch_size) + 1) ** 2,
            "you counted a number for each pair of tokens. The table has one row for each token, of D numbers.",
        ),
    ],
    done="One row for each token, the class token's included.",
)


# --------------------------------------------------------------------------------------------- does it ask for order?


def add_the_largest(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: the toy block of the lesson."""
    return tokens + tokens.amax(dim=1, keepdim=True)


def double_each(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: each token alone."""
    return 2 * tokens


def add_the_sum(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: the sum is rounded at each step, so that its last bits depend on the order."""
    total = torch.zeros_like(tokens[:, 0])
    for token in tokens.unbind(dim=1):
        total = total + token
    return tokens + total[:, None]


def mean_for_all(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: every token becomes the mean of all."""
    return tokens.mean(dim=1, keepdim=True).expand_as(tokens)


def add_places(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: adds 0 to the first token, 1 to the second and so on."""
    return tokens + torch.arange(tokens.shape[1])[:, None]


def running_sum(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: each token and all before it."""
    return tokens.cumsum(dim=1)


def sort_tokens(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: the tokens from the smallest first number to the largest."""
    return tokens.gather(1, tokens[:, :, :1].argsort(dim=1).expand_as(tokens))


def nudge_one(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: adds a little to a single number, of the last token of the last image."""
    return tokens + 0.01 * F.one_hot(torch.tensor(tokens.numel() - 1), tokens.numel()).view_as(tokens)


def add_the_ups(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: adds how often the first number grows from one token to the next."""
    return tokens + (tokens[:, :, 0].diff() > 0).sum(dim=1)[:, None, None]


def add_the_downs(tokens: Tensor) -> Tensor:
    """[B, N, D] -> [B, N, D]: adds how often the first number falls from one token to the next."""
    return tokens + (tokens[:, :, 0].diff() < 0).sum(dim=1)[:, None, None]


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def _equivariant(layer: Callable, tokens: Tensor, order: Tensor) -> bool:
    return _alike(layer(tokens[:, order]), layer(tokens)[:, order])


_TURN, _SWAP, _STAY = torch.tensor([1, 2, 3, 0]), torch.tensor([1, 0, 2, 3]), torch.arange(4)
_SORTED, _MANY = _random(4, 4, 3).sort(dim=1).values, _random(128, 4, 8)
_TOKENS = _random(4, 4, 3)  # as many images as tokens, so that a shuffle along the wrong axis runs too

is_equivariant = Exercise(
    name="is_equivariant",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=_equivariant,
    inputs=[
        (double_each, _TOKENS, _TURN),
        (add_places, _TOKENS, _TURN),
        (add_the_largest, _TOKENS, _TURN),
        (add_the_largest, _TOKENS, _SWAP),
        (add_the_sum, _TOKENS, _TURN),
        (mean_for_all, _TOKENS, _TURN),
        (running_sum, _TOKENS, _TURN),
        (sort_tokens, _TOKENS, _TURN),
        (add_places, _TOKENS, _STAY),
        (add_the_ups, _SORTED, _TURN),  # every difference is negative
        (add_the_downs, _SORTED, _TURN),  # every difference is positive
        (nudge_one, _MANY, _TURN),  # the mean difference is tiny
    ],
    mistakes=[
        Mistake(
            lambda layer, tokens, order: _alike(layer(tokens[:, order]), layer(tokens)),
            "you tested whether the output stays as it is: that is invariance. Equivariant means that the output is "
            "shuffled likewise: shuffle layer(tokens) too, before you compare.",
        ),
        Mistake(
            lambda layer, tokens, order: _alike(layer(tokens)[:, order], layer(tokens)),
            "your two sides come of one input. Give the layer both, the tokens as they are and the shuffled ones: "
            "compare layer(tokens[:, order]) with layer(tokens)[:, order].",
        ),
        Mistake(
            lambda layer, tokens, order: torch.equal(layer(tokens[:, order]), layer(tokens)[:, order]),
            "you asked for equality to the last bit. A sum is rounded differently in another order: "
            "use torch.allclose.",
        ),
        Mistake(
            lambda layer, tokens, order: _alike(layer(tokens[order]), layer(tokens)[order]),
            "it says True of everything. Do you shuffle along the tokens, [:, order]? [order] alone shuffles the "
            "images of the batch.",
        ),
        Mistake(
            lambda layer, tokens, order: _alike(layer(tokens[:, order]), layer(tokens)[:, order.argsort()]),
            "you shuffled the output back the other way. Input and output get the same order.",
        ),
        Mistake(
            lambda layer, tokens, order: _equivariant(layer, tokens, _TURN),
            "you shuffle in an order of your own. Shuffle as `order` says: where it moves nothing, every layer passes.",
        ),
        Mistake(
            [
                lambda layer, tokens, order, equal=equal: equal(layer(tokens[:, order]), layer(tokens)[:, order])
                for equal in (partial(torch.isclose, rtol=1e-4, atol=1e-5), torch.eq)
            ],
            "you returned one yes or no for each number. Wanted is one for the whole: torch.allclose, or .all().",
        ),
        Mistake(
            lambda layer, tokens, order: not _equivariant(layer, tokens, order),
            "yes and no are swapped: return True if the two are the same.",
        ),
        Mistake(
            lambda layer, tokens, order: (layer(tokens[:, order]) - layer(tokens)[:, order]).abs().max(),
            "you returned the largest difference. Wanted is yes or no: is it as small as rounding?",
        ),
    ],
    done="With this test you can ask any layer whether it looks at the order of its tokens.",
)


# ----------------------------------------------------------------------------------------------------- add the table


ROW_TOO_MANY = "your table has a row too many. `num_tokens` counts the class token already: it needs num_tokens rows."


def _fill_with(table: Tensor, held: list[Tensor]) -> None:
    """Copy the table's numbers into tensors, one after the other; from the beginning again where there is room."""
    done = 0
    for tensor in held:
        if tensor.shape == table.T.shape != table.shape:
            tensor.copy_(table.T)
        else:
            places = (torch.arange(tensor.numel()) + done) % table.numel()
            tensor.copy_(table.flatten()[places].reshape(tensor.shape))
        done += tensor.numel() if tensor.numel() < table.numel() else 0


def _with_table(module_class: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds it for the tokens, gives it the table's numbers, and calls it.

    The numbers go into whatever tensors of real numbers the module holds: a Parameter, one for each row, a buffer, or a
    plain tensor. The function returns what `look(module)` gives instead, if there is a `look`.
    """

    def add(tokens: Tensor, table: Tensor, look: Callable | None = None) -> Tensor:
        module = module_class(*table.shape)
        if misfit := misfit_of(module):
            return misfit
        if look:
            return look(module)
        with torch.no_grad():
            _fill_with(table, [held for held in held_by(module) if held.is_floating_point()])
        try:
            return module(tokens)
        except RuntimeError:
            if any(held.shape[-2:] == (len(table) + 1, table.shape[1]) for held in held_by(module)):
                return Said(ROW_TOO_MANY)
            raise

    return add


class _Table(nn.Module):
    """What the wrong answers below have in common; each changes one thing."""

    def __init__(self, num_tokens: int, dim: int):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(self.shape(num_tokens, dim)))

    def shape(self, num_tokens: int, dim: int) -> tuple[int, ...]:
        return 1, num_tokens, dim

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.pos_embed


def _on_patches(rows: slice) -> type[nn.Module]:
    """Add these rows of the table to the patches, and nothing to the class token."""

    def forward(self: _Table, tokens: Tensor) -> Tensor:
        return torch.cat([tokens[:, :1], tokens[:, 1:] + self.pos_embed[:, rows]], dim=1)

    return changed(_Table, forward=forward)


def _joined(dim: int) -> type[nn.Module]:
    """Put the table and the tokens side by side along an axis."""

    def forward(self: _Table, tokens: Tensor) -> Tensor:
        return torch.cat([tokens, self.pos_embed.expand(tokens.shape[0], -1, -1)], dim=dim)

    return changed(_Table, forward=forward)


def _learns(add: Callable) -> bool:
    """Say whether a gradient would reach the table."""
    return add(torch.ones(2, 3, 4), torch.ones(3, 4)).requires_grad


def _learned(add: Callable) -> int:
    """Return how many numbers an optimizer finds, for a table of 3 times 4."""
    count = add(torch.ones(2, 3, 4), torch.ones(3, 4), lambda module: sum(p.numel() for p in module.parameters()))
    return count if isinstance(count, int) else 12


position_embedding = Exercise(
    name="position_embedding",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=positions.PositionEmbedding,
    adapt=_with_table,
    hints=Hints(inputs="tokens table", axes="B N D", sizes=lambda tokens, table: {"D": tokens.shape[-1]}),
    inputs=[
        (_random(1, 2, 3, seed=1), _random(2, 3, seed=2)),
        (_random(2, 3, 4, seed=3), _random(3, 4, seed=4)),
        (_random(3, 5, 2, seed=5), _random(5, 2, seed=6)),
        (_random(1, 17, 8, seed=7), _random(17, 8, seed=8)),
    ],
    mistakes=[
        Mistake(
            changed(_Table, forward=lambda self, tokens: tokens + self.pos_embed[0, : len(tokens), None]),
            "you took one row for each image of the batch. Rows belong to tokens: token n of every image gets row n.",
        ),
        Mistake(
            [_on_patches(slice(1, None)), _on_patches(slice(None, -1))],
            "the class token has no position: they were added to the patches alone, as if before it came. "
            "All N+1 tokens get one (equation 1).",
        ),
        Mistake(
            changed(_Table, shape=lambda self, num_tokens, dim: (1, num_tokens - 1, dim)),
            "your table has a row too few. `num_tokens` counts the class token already: it needs num_tokens rows.",
        ),
        Mistake(
            changed(
                _Table,
                shape=lambda self, num_tokens, dim: (1, num_tokens + 1, dim),
                forward=lambda self, tokens: tokens + self.pos_embed[:, 1:],
            ),
            ROW_TOO_MANY,
        ),
        Mistake(
            changed(_Table, shape=lambda self, num_tokens, dim: (dim,)),
            "all tokens get the same vector, so none can tell where it is. Each needs a row of its own.",
        ),
        Mistake(
            changed(_Table, shape=lambda self, num_tokens, dim: (num_tokens, 1)),
            "each token gets a single number. A position is a vector of D numbers, as long as the token.",
        ),
        Mistake(_joined(2), "you put the position beside the token, which is now 2·D long. Add it: the token keeps D."),
        Mistake(_joined(1), "you put the positions behind the tokens, as tokens of their own. Add them to the tokens."),
        Mistake(
            changed(_Table, forward=lambda self, tokens: tokens * self.pos_embed),
            "you multiplied. Equation 1 adds: tokens + E_pos.",
        ),
        Mistake(
            changed(_Table, forward=lambda self, tokens: self.pos_embed.expand(tokens.shape[0], -1, -1)),
            "you returned the positions alone. Add them to the tokens.",
        ),
        Mistake(
            changed(_Table, forward=lambda self, tokens: tokens + 0 * self.pos_embed),
            "the tokens came back as they were. Add the positions to them.",
        ),
        FORGOT_MODULE,
    ],
    properties=[
        Property(
            _learns,
            "no gradient reaches your table, so training will never change it. Wrap the tensor in nn.Parameter.",
        ),
        Property(
            lambda add: _learned(add) > 0,
            "your table is a plain tensor with requires_grad=True. A gradient reaches it, and no optimizer finds it in "
            "model.parameters(): wrap it in nn.Parameter.",
        ),
        Property(
            lambda add: _learned(add) <= 12,
            "your parameters hold more numbers than the table needs: num_tokens rows of dim numbers, the same for "
            "every image.",
        ),
        Property(lambda add: _learned(add) == 12, "some rows of your table are no parameters, so they never train."),
        passes_on(_with_table(positions.PositionEmbedding), _random(2, 3, 4), _random(3, 4)),
        forgets(*((_random(batch, 3, 4, seed=seed), _random(3, 4)) for batch, seed in ((2, 0), (2, 1), (3, 2)))),
    ],
    done="It adds row n to token n of every image, and it can learn. Now it can go into a ViT.",
)


# ----------------------------------------------------------------------------------------------- waves, on a line


def _angles(num_positions: int, dim: int, start: int = 0, step: float = 2, base: float = 10_000) -> Tensor:
    i = torch.arange(dim // 2, dtype=torch.float64)
    return torch.arange(start, start + num_positions)[:, None] * base ** (-step * i / dim)


def _interleave(even: Tensor, odd: Tensor) -> Tensor:
    return torch.stack([even, odd], dim=-1).flatten(1)


def _with(order: Callable, **options) -> Callable:
    return lambda num_positions, dim: order(_angles(num_positions, dim, **options))


def _sin_cos(angle: Tensor) -> Tensor:
    return _interleave(angle.sin(), angle.cos())


def _wave_in_each_column(step: float) -> Callable:
    """Column j has a wave of its own, with the exponent step·j/D."""

    def answer(num_positions: int, dim: int) -> Tensor:
        angle = _angles(num_positions, 2 * dim, step=2 * step)  # [N, D], not [N, D/2]
        return _interleave(angle[:, ::2].sin(), angle[:, 1::2].cos())

    return answer


# 10,000^(n/last) times position, as it may be written: in float32 each of these is rounded otherwise.
_TIMES = (
    lambda position, n, last: position * 10_000 ** (n / last),
    lambda position, n, last: position / 10_000 ** (-n / last),
    lambda position, n, last: position / (1 / 10_000 ** (n / last)),
    lambda position, n, last: position * torch.exp(n / last * math.log(10_000)),
    lambda position, n, last: position * torch.exp(n * math.log(10_000) / last),
    lambda position, n, last: position * torch.exp(n * (math.log(10_000) / last)),
    lambda position, n, last: position / torch.exp(n / last * -math.log(10_000)),
    lambda position, n, last: position / torch.exp(n * -math.log(10_000) / last),
    lambda position, n, last: position / torch.exp(n * (-math.log(10_000) / last)),
    lambda position, n, last: position * 10_000 ** (n.double() / last),
)


def _sin_cos_of(angle: Callable[[Tensor, Tensor, int], Tensor]) -> Callable:
    """A table of other angles, `angle(positions, i, dim)`."""

    def answer(num_positions: int, dim: int) -> Tensor:
        return _sin_cos(angle(torch.arange(num_positions)[:, None], torch.arange(dim // 2), dim))

    return answer


sincos_1d = Exercise(
    name="sincos_1d",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=positions.sincos_1d,
    inputs=[(2, 4), (3, 6), (1, 8), (10, 16), (50, 64)],
    hints=Hints(axes="N D", row="position"),
    mistakes=[
        Mistake(
            _with(lambda angle: torch.cat([angle.sin(), angle.cos()], dim=1)),
            "all sines come first and all cosines last. They alternate: sin in columns 0, 2, 4 …, cos in 1, 3, 5 …",
        ),
        Mistake(
            _with(lambda angle: _interleave(angle.cos(), angle.sin())),
            "sine and cosine are swapped. Even columns hold the sine.",
        ),
        Mistake(_with(_sin_cos, start=1), "your first position is 1. Positions are counted from 0."),
        Mistake(
            _sin_cos_of(lambda position, i, dim: position / 10_000 ** (2 * (i + 1) / dim)),
            "your i begins at 1. It is counted from 0: the first wave is divided by 10,000⁰ = 1.",
        ),
        Mistake(
            _with(_sin_cos, step=1),
            "your waves grow half as fast as they should: the exponent is i/D and not 2i/D, or the base is 100 and "
            "not 10,000.",
        ),
        Mistake(
            _with(_sin_cos, step=4),
            "the exponent is 4i/D, and should be 2i/D: if your i already counts 0, 2, 4 …, do not double it again.",
        ),
        Mistake(
            _wave_in_each_column(step=1),
            "each column has a wave of its own. A sine and the cosine to its right share one: the exponent is 2i/D for "
            "both columns, 2i and 2i+1.",
        ),
        Mistake(
            _wave_in_each_column(step=2),
            "your i runs over all D columns. It counts pairs of them, from 0 to D/2 - 1: column 2i takes the sine and "
            "column 2i+1 the cosine of one angle.",
        ),
        Mistake(
            _with(lambda angle: _interleave(angle.sin(), angle.sin())),
            "all columns are sines. Odd columns hold the cosine.",
        ),
        Mistake(
            lambda num_positions, dim: positions.sincos_1d(num_positions, dim).T,
            "the table lies on its side. Rows are positions, columns are the numbers of each: [N, D].",
        ),
        Mistake(_with(_sin_cos, base=1_000), "the base is 1,000, and should be 10,000."),
        Mistake(
            [_sin_cos_of(lambda position, i, dim, times=times: times(position, 2 * i, dim)) for times in _TIMES],
            "you multiply by 10,000^(2i/D), and should divide: later columns are slower waves, not faster ones.",
        ),
        Mistake(
            [
                _sin_cos_of(lambda position, i, dim: position / 10_000**2 * i / dim),
                _sin_cos_of(lambda position, i, dim: position / (10_000**2 * i / dim)),
            ],
            "the exponent has no brackets: Python takes 10_000**2 first. Write 10_000 ** (2 * i / dim).",
        ),
        Mistake(
            _sin_cos_of(lambda position, i, dim: position / 10_000 ** (2 * i // dim)),
            "all columns have the same wave: // gives whole numbers, and 2i // D is always 0. Divide with one stroke.",
        ),
        Mistake(
            _with(lambda angle: _sin_cos(torch.deg2rad(angle))),
            "your angles are in degrees. The formula takes radians: leave out the conversion.",
        ),
        Mistake(
            lambda num_positions, dim: _angles(num_positions, dim).repeat_interleave(2, dim=1),
            "these are the angles themselves. Take the sine in even columns and the cosine in odd ones.",
        ),
        Mistake(
            lambda num_positions, dim: torch.zeros(num_positions, dim),
            "the table is still full of zeros. Write the sines and cosines into it.",
        ),
    ],
    done="Each position has its own vector, and no number was learned.",
)


# ------------------------------------------------------------------------------------------------ waves, on a grid


def _places(rows: int, columns: int, start: int = 0) -> tuple[Tensor, Tensor]:
    """Column and row of each place of the grid, in reading order, [N] each."""
    n = torch.arange(rows * columns)
    return n % columns + start, n // columns + start


def _frequencies(count: int, last: int = -1, base: float = 10_000) -> Tensor:
    return base ** (-torch.arange(count, dtype=torch.float64) / (count + last))


def _waves(places: Callable = _places, order: Callable | None = None, **options) -> Callable:
    """A table made of the angles of columns x and rows y, [N, D/4] each, put side by side by `order`."""

    def answer(rows: int, columns: int, dim: int) -> Tensor:
        frequency = _frequencies(dim // 4, **options)
        x, y = (place[:, None] * frequency for place in places(rows, columns))
        parts = order(x, y) if order else (x.sin(), x.cos(), y.sin(), y.cos())
        return torch.cat(parts, dim=1).float()

    return answer


def _multiplied_grid(times: Callable) -> Callable:
    def answer(rows: int, columns: int, dim: int) -> Tensor:
        i = torch.arange(dim // 4)
        x, y = (times(place[:, None], i, dim // 4 - 1) for place in _places(rows, columns))
        return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1)

    return answer


def _two_halves(rows: int, columns: int, dim: int, swapped: bool = False) -> Tensor:
    x, y = _places(rows, columns)
    halves = [positions.sincos_1d(max(rows, columns), dim // 2)[place] for place in (x, y)]
    return torch.cat(halves[::-1] if swapped else halves, dim=1)


def _added(rows: int, columns: int, dim: int) -> Tensor:
    x, y = _places(rows, columns)
    frequency = _frequencies(dim // 2)
    return sum(torch.cat([(p[:, None] * frequency).sin(), (p[:, None] * frequency).cos()], dim=1) for p in (x, y))


def _added_lines(rows: int, columns: int, dim: int) -> Tensor:
    x, y = _places(rows, columns)
    table = positions.sincos_1d(max(rows, columns), dim)
    return table[x] + table[y]


def _column_by_column(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    n = torch.arange(rows * columns)
    return n // rows, n % rows


sincos_2d = Exercise(
    name="sincos_2d",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=lambda rows, columns, dim: positions.sincos_2d((rows, columns), dim),
    inputs=[(2, 3, 8), (3, 2, 8), (3, 3, 12), (1, 4, 16), (7, 7, 64)],
    hints=Hints(
        axes="N D",
        row="position",
        sizes=lambda rows, columns, dim: {"N": rows * columns},
    ),
    mistakes=[
        Mistake(
            _waves(order=lambda x, y: (y.sin(), y.cos(), x.sin(), x.cos())),
            "rows and columns are swapped. The first half of the numbers says in which column the patch lies.",
        ),
        Mistake(
            _waves(places=_column_by_column),
            "your table goes through the grid column by column. Patches come row by row: n = row · columns + column.",
        ),
        Mistake(
            lambda rows, columns, dim: positions.sincos_1d(rows * columns, dim),
            "this is the 1-D table, along the flattened grid. Row and column get waves of their own.",
        ),
        Mistake(
            [_added, _added_lines],
            "you added the waves of row and column. Then (1, 2) and (2, 1) look alike: give each half of the numbers.",
        ),
        Mistake(
            _waves(order=lambda x, y: (x.sin(), y.sin(), x.cos(), y.cos())),
            "the sines of column and row come first, then the cosines. The order is sin x, cos x, sin y, cos y.",
        ),
        Mistake(
            _waves(order=lambda x, y: (x.cos(), x.sin(), y.cos(), y.sin())),
            "sine and cosine are swapped. The order is sin x, cos x, sin y, cos y.",
        ),
        Mistake(
            _waves(order=lambda x, y: (_sin_cos(x), _sin_cos(y))),
            "sine and cosine alternate, as in the 1-D table. Here they come in blocks of D/4: sin x, cos x, sin y, "
            "cos y.",
        ),
        Mistake(
            _two_halves,
            "these are two halves of the 1-D kind. That would work too, but the course's table has its numbers in "
            "blocks, sin x, cos x, sin y, cos y, and the exponent i/(D/4−1).",
        ),
        Mistake(
            lambda rows, columns, dim: _two_halves(rows, columns, dim, swapped=True),
            "these are two halves of the 1-D kind, with the row first. The course's table has its numbers in blocks, "
            "sin x, cos x, sin y, cos y, and the exponent i/(D/4−1).",
        ),
        Mistake(
            _waves(last=0),
            "the exponent is i/(D/4), and should be i/(D/4−1): the slowest wave is divided by 10,000 exactly.",
        ),
        Mistake(
            [_multiplied_grid(times) for times in _TIMES],
            "you multiply by 10,000^(i/(D/4−1)), and should divide: the exponent is negative, and later numbers "
            "are slower waves.",
        ),
        Mistake(
            _waves(places=lambda rows, columns: _places(rows, columns, start=1)),
            "your first row and column are 1. They are counted from 0.",
        ),
        Mistake(
            lambda rows, columns, dim: positions.sincos_2d((rows, columns), dim).reshape(rows, columns, dim),
            "the table still lies on the grid, [rows, columns, D]. Glue rows and columns into N.",
        ),
        Mistake(
            _waves(order=lambda x, y: (x.sin(), x.cos())),
            "the rows are missing: there are D/2 numbers, all about the column.",
        ),
    ],
    done="Half of the numbers say the column, half the row, and neighbours above are as near as neighbours beside.",
)


# --------------------------------------------------------------------------------------------------- stretch it


BICUBIC = {"mode": "bicubic", "antialias": True}


def _to_size(old: int, new: int) -> dict:
    return {"size": (new, new)}


def _to_grid(rows: Tensor, old: int) -> Tensor:
    return rearrange(rows, "one (h w) d -> one d h w", h=old)


def _stretch(
    there: Callable[[Tensor, int], Tensor] = _to_grid,
    back: Callable[[Tensor], Tensor] = lambda grid: rearrange(grid, "one d h w -> one (h w) d"),
    size: Callable = _to_size,
    **how,
) -> Callable:
    def answer(pos_embed: Tensor, old: int, new: int) -> Tensor:
        grid = F.interpolate(there(pos_embed[:, 1:], old), **size(old, new), **(how or BICUBIC))
        return torch.cat([pos_embed[:, :1], back(grid)], dim=1)

    return answer


def _reshaped_there(rows: Tensor, old: int) -> Tensor:
    return rows.reshape(1, -1, old, old)


def _reshaped_back(grid: Tensor) -> Tensor:
    return grid.reshape(1, -1, grid.shape[1])


def _patches_as_a_line(pos_embed: Tensor, old: int, new: int) -> Tensor:
    line = F.interpolate(pos_embed[:, 1:].transpose(1, 2), size=new * new, mode="linear").transpose(1, 2)
    return torch.cat([pos_embed[:, :1], line], dim=1)


def _all_as_a_grid(pos_embed: Tensor, old: int, new: int) -> Tensor:
    """No square grid takes 1 + old·old rows, so the reshape fails, unless it happens to find room in D."""
    grid = pos_embed.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    return F.interpolate(grid, size=(new, new), **BICUBIC).flatten(2).transpose(1, 2)


def _table(old: int, new: int, dim: int) -> tuple[Tensor, int, int]:
    return _random(1, 1 + old * old, dim, seed=old + 10 * new), old, new


LINE = (
    "as if they lay on a line. The patches lie on a grid: make it a picture of old × old pixels with D channels first."
)

interpolate_positions = Exercise(
    name="interpolate_positions",
    lesson=LESSON,
    difficulty=4,
    minutes=12,
    solution=_stretch(),
    inputs=[_table(2, 3, 4), _table(11, 15, 4), _table(4, 3, 3), _table(3, 3, 2), _table(7, 14, 8)],
    hints=Hints(
        axes="1 N D",
        row="position",
        sizes=lambda pos_embed, old, new: {"old²": old * old, "new²": new * new, "D": pos_embed.shape[-1]},
    ),
    mistakes=[
        Mistake(
            lambda pos_embed, old, new: F.interpolate(
                pos_embed.transpose(1, 2), size=new * new + 1, mode="linear"
            ).transpose(1, 2),
            f"you stretched all rows, the class token's too, {LINE} The class token stays out.",
        ),
        Mistake(_patches_as_a_line, f"you stretched the rows {LINE}"),
        Mistake(
            _all_as_a_grid,
            "the class token's row is still there when you make the grid, and 1 + old·old rows fill no square. It has "
            "no place on the grid: take it off first, [:, 1:].",
        ),
        Mistake(
            lambda pos_embed, old, new: _stretch()(torch.cat([pos_embed[:, :1], pos_embed[:, :-1]], dim=1), old, new),
            "the class token's row is in the grid, and all patches have moved on by one place. It has no place on the "
            "grid: take it off first, [:, 1:].",
        ),
        Mistake(
            lambda *given: _stretch()(*given)[:, 1:],
            "the class token's position is gone. Put it back in front, as it was.",
        ),
        Mistake(
            lambda *given: _stretch()(*given).roll(-1, dims=1),
            "the class token's position is at the end. It goes in front.",
        ),
        Mistake(
            lambda pos_embed, old, new: _stretch()(pos_embed.roll(1, dims=1), old, new),
            "you took the last row for the class token's. Its row is the first, [:, :1], and the patches' are [:, 1:].",
        ),
        Mistake(
            _stretch(there=_reshaped_there),
            "you reshaped [N, D] to [D, h, w] without moving anything, so each channel holds numbers of different "
            "kinds. Make it [h, w, D] first, then permute.",
        ),
        Mistake(
            _stretch(back=_reshaped_back),
            "you reshaped [D, h, w] to [N, D] without moving anything, so a row holds numbers of different places. "
            "Permute to [h, w, D] first, then reshape.",
        ),
        Mistake(
            _stretch(_reshaped_there, _reshaped_back),
            "you reshaped there and back without moving anything. [N, D] becomes [h, w, D] and then, by permute, "
            "[D, h, w]; the way back is the same in reverse.",
        ),
        Mistake(
            _stretch(back=lambda grid: rearrange(grid, "one d h w -> one (w h) d")),
            "the new table is transposed: on one of the two ways you went through the grid column by column. Rows come "
            "first both times: (h w).",
        ),
        Mistake(
            _stretch(mode="nearest"),
            'each position was repeated (mode="nearest", what F.interpolate does unless told otherwise). Use '
            'mode="bicubic", antialias=True.',
        ),
        Mistake(_stretch(mode="bilinear", antialias=True), 'you used mode="bilinear". Here mode="bicubic" is wanted.'),
        Mistake(_stretch(mode="bilinear"), 'you used mode="bilinear". Here mode="bicubic", antialias=True is wanted.'),
        Mistake(_stretch(mode="bicubic"), "nearly: antialias=True is missing. It uses a slightly softer curve."),
        Mistake(
            _stretch(mode="bicubic", align_corners=True),
            "you set align_corners=True, which pins the corners. Leave it out, and set antialias=True.",
        ),
        Mistake(
            _stretch(mode="bicubic", align_corners=True, antialias=True),
            "you set align_corners=True, which pins the corners. Leave it out.",
        ),
        Mistake(
            _stretch(size=lambda old, new: {"scale_factor": new / old}),
            "you gave a scale_factor. old · (new / old) may be rounded to less than new, and then a row is missing: "
            "size=(new, new).",
        ),
        Mistake(
            lambda pos_embed, old, new: F.interpolate(_to_grid(pos_embed[:, 1:], old), size=(new, new), **BICUBIC),
            "the result is still a picture, [1, D, h, w]. Bring it back to rows, and put the class token's in front.",
        ),
    ],
    done="The patterns of the table stay, drawn finer, and the class token keeps its own row.",
)
