"""Answers to the exercises of lesson 3."""

import math

import numpy as np
import torch
from einops import rearrange
from references import sincos_1d_by_loops
from torch import nn
from torch.nn.functional import interpolate

from exercises.answers import Answers
from vit_tutorial import interpolate_positions, sincos_1d, sincos_2d

# ---------------------------------------------------------------------------------------------- position_parameters


def counted_by_shape(image_size, patch_size, dim):
    tokens = len(range(0, image_size, patch_size)) ** 2 + 1
    return torch.empty(1, tokens, dim).numel()


# --------------------------------------------------------------------------------------------------- is_equivariant


def by_largest_difference(layer, tokens, order):
    difference = layer(tokens[:, order]) - layer(tokens)[:, order]
    return difference.abs().max() < 1e-4


def by_taking_back(layer, tokens, order):
    shuffled = layer(tokens[:, order])
    back = torch.empty_like(shuffled)
    back[:, order] = shuffled
    return bool(torch.isclose(back, layer(tokens), atol=1e-5).all())


def token_by_token(layer, tokens, order):
    straight, shuffled = layer(tokens), layer(tokens.index_select(1, order))
    return all(torch.allclose(shuffled[:, i], straight[:, n], atol=1e-5) for i, n in enumerate(order.tolist()))


def stays_as_it_is(layer, tokens, order):
    return torch.allclose(layer(tokens), layer(tokens[:, order, :]), atol=1e-4)


def never_shuffled(layer, tokens, order):
    out = layer(tokens)
    return torch.allclose(out, out[:, order], atol=1e-4)


def to_the_last_bit(layer, tokens, order):
    return bool((layer(tokens[:, order]) == layer(tokens)[:, order]).all())


def along_the_batch(layer, tokens, order):
    return torch.allclose(layer(tokens[order]), layer(tokens)[order], atol=1e-4)


def the_other_way(layer, tokens, order):
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return torch.allclose(layer(tokens[:, order]), layer(tokens)[:, back], atol=1e-4)


def in_an_order_of_its_own(layer, tokens, order):
    shuffle = torch.randperm(tokens.shape[1])
    return torch.allclose(layer(tokens[:, shuffle]), layer(tokens)[:, shuffle], atol=1e-5)


def one_for_each_number(layer, tokens, order):
    return (layer(tokens[:, order]) - layer(tokens)[:, order]).abs() < 1e-4


def yes_for_no(layer, tokens, order):
    return not token_by_token(layer, tokens, order)


def the_difference(layer, tokens, order):
    return float((layer(tokens[:, order]) - layer(tokens)[:, order]).abs().max())


# ----------------------------------------------------------------------------------------------- position_embedding


class ByEmbedding(nn.Module):
    """A table of PyTorch's own, asked for every place."""

    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Embedding(num_tokens, dim)

    def forward(self, tokens):
        return tokens + self.table(torch.arange(tokens.shape[1]))


class ByNumberedPlaces(ByEmbedding):
    def __init__(self, num_tokens, dim):
        super().__init__(num_tokens, dim)
        self.register_buffer("places", torch.arange(num_tokens))

    def forward(self, tokens):
        return tokens + self.table(self.places)


class TwoAxes(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Parameter(torch.randn(num_tokens, dim) * 0.02)

    def forward(self, tokens):
        return torch.stack([image + self.table for image in tokens])


class OnItsSide(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Parameter(torch.randn(dim, num_tokens) * 0.02)

    def forward(self, tokens):
        return tokens + self.table.T


class TokensInFront(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.register_parameter("table", nn.Parameter(torch.zeros(num_tokens, 1, dim)))

    def forward(self, tokens):
        return (tokens.transpose(0, 1) + self.table).transpose(0, 1)


class Learner(nn.Module):
    """What the wrong answers start from."""

    def __init__(self, num_tokens, dim):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(1, num_tokens, dim))

    def forward(self, tokens):
        return tokens + self.pos


class NoModule:
    def __init__(self, num_tokens, dim):
        self.pos = nn.Parameter(torch.randn(1, num_tokens, dim))

    def __call__(self, tokens):
        return tokens + self.pos


class RowOfTheImage(Learner):
    def forward(self, tokens):
        return torch.stack([image + self.pos[0, b] for b, image in enumerate(tokens)])


class PatchesOnly(Learner):
    def forward(self, tokens):
        out = tokens.clone()
        out[:, 1:] = out[:, 1:] + self.pos[:, 1:]
        return out


class OneRowTooFew(Learner):
    def __init__(self, num_tokens, dim):
        super().__init__(num_tokens - 1, dim)


class OneRowTooMany(Learner):
    def __init__(self, num_tokens, dim):
        super().__init__(num_tokens + 1, dim)

    def forward(self, tokens):
        return tokens + self.pos[:, -tokens.shape[1] :]


class OneRowTooManyToAdd(Learner):
    def __init__(self, num_tokens, dim):
        super().__init__(num_tokens + 1, dim)


class SameForAll(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(1, 1, dim))

    def forward(self, tokens):
        return tokens + self.pos


class OneNumber(SameForAll):
    def __init__(self, num_tokens, dim):
        super().__init__(num_tokens, dim)
        self.pos = nn.Parameter(torch.randn(1, num_tokens, 1))


class Beside(Learner):
    def forward(self, tokens):
        return torch.cat([tokens, self.pos.repeat(len(tokens), 1, 1)], dim=-1)


class Behind(Learner):
    def forward(self, tokens):
        return torch.hstack([tokens, self.pos.repeat(len(tokens), 1, 1)])


class Times(Learner):
    def forward(self, tokens):
        return torch.mul(tokens, self.pos)


class Alone(Learner):
    def forward(self, tokens):
        return self.pos.repeat(len(tokens), 1, 1)


class Forgotten(Learner):
    def forward(self, tokens):
        return tokens.clone()


class PlainTensor(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.pos = torch.randn(1, num_tokens, dim)

    def forward(self, tokens):
        return tokens + self.pos


class ListOfRows(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.rows = nn.ParameterList([torch.zeros(dim) for _ in range(num_tokens)])

    def forward(self, tokens):
        return tokens + torch.stack(list(self.rows))


class GradientAlone(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = torch.zeros(1, num_tokens, dim, requires_grad=True)

    def forward(self, tokens):
        return tokens + self.table


class RowsInReserve(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(num_tokens + 1, dim))

    def forward(self, tokens):
        return tokens + self.table[: tokens.shape[1]]


class LastRowFixed(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.last = torch.zeros(1, dim)
        self.others = nn.Parameter(torch.zeros(num_tokens - 1, dim))

    def forward(self, tokens):
        return tokens + torch.cat([self.others, self.last])


class FixedTable(PlainTensor):
    def __init__(self, num_tokens, dim):
        super().__init__(num_tokens, dim)
        del self.pos
        self.register_buffer("pos", torch.randn(num_tokens, dim))


class TokensCutOff(Learner):
    def forward(self, tokens):
        return super().forward(tokens.detach())


class AddedInPlace(Learner):
    def forward(self, tokens):
        out = tokens.detach().clone()
        out += super().forward(torch.zeros_like(tokens))
        return out


class KeepsTheFirstSum(Learner):
    first = None

    def forward(self, tokens):
        if self.first is None:
            self.first = super().forward(tokens)
        return self.first


class Subtracted(Learner):
    def forward(self, tokens):
        return tokens - self.pos


# -------------------------------------------------------------------------------------------------------- sincos_1d


def by_strides(num_positions, dim):
    angle = torch.arange(num_positions)[:, None] / 10_000 ** (torch.arange(0, dim, 2) / dim)
    table = torch.zeros(num_positions, dim)
    table[:, ::2], table[:, 1::2] = angle.sin(), angle.cos()
    return table


def by_exponentials(num_positions, dim):
    """As in many tutorials: the power of 10,000 as an exponential of a logarithm, in float32."""
    wave = torch.exp(torch.arange(0, dim, 2).float() * (-math.log(10_000.0) / dim))
    angle = torch.arange(num_positions).float()[:, None] * wave
    return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(num_positions, dim)


def by_phase(num_positions, dim):
    """A cosine is a sine a quarter of a turn later."""
    j = torch.arange(dim)
    angle = torch.arange(num_positions)[:, None] / 10_000.0 ** (2 * (j // 2) / dim)
    return torch.sin(angle + math.pi / 2 * (j % 2))


def by_numpy(num_positions, dim):
    return np.asarray(sincos_1d_by_loops(num_positions, dim))


def by_lists(num_positions, dim):
    return sincos_1d_by_loops(num_positions, dim).tolist()


def _by_formula(angle, even=math.sin, odd=math.cos, start=0):
    """A table whose column j at position pos is even or odd of angle(pos, j, dim)."""
    return lambda num_positions, dim: torch.tensor(
        [
            [(odd if j % 2 else even)(angle(pos, j, dim)) for j in range(dim)]
            for pos in range(start, start + num_positions)
        ]
    )


def _right_angle(pos, j, dim):
    return pos / 10_000 ** (2 * (j // 2) / dim)


def sines_first(num_positions, dim):
    table = by_strides(num_positions, dim)
    return torch.hstack([table[:, ::2], table[:, 1::2]])


def in_float32(angle):
    """Return an answer as it is written after the lesson: whole positions and numbers i, so angles in float32."""

    def answer(num_positions, dim):
        angles = angle(torch.arange(num_positions)[:, None], torch.arange(dim // 2), dim)
        table = torch.zeros(num_positions, dim)
        table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
        return table

    return answer


def negative(num_positions, dim):
    return -by_strides(num_positions, dim)


# -------------------------------------------------------------------------------------------------------- sincos_2d


def place_by_place(rows, columns, dim, numbers=None):
    """Row by row, place by place; `numbers` gives those of one place from its column, row and the waves."""
    quarter = dim // 4
    waves = [10_000 ** (-i / (quarter - 1)) for i in range(quarter)]
    numbers = numbers or (lambda x, y, waves: [f(p * w) for p in (x, y) for f in (math.sin, math.cos) for w in waves])
    return torch.tensor([numbers(column, row, waves) for row in range(rows) for column in range(columns)])


def by_meshgrid(rows, columns, dim):
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    wave = torch.exp(-math.log(10_000) * torch.arange(dim // 4) / (dim // 4 - 1))
    x, y = (p.reshape(-1, 1) * wave for p in (x, y))
    return torch.hstack([x.sin(), x.cos(), y.sin(), y.cos()])


def by_outer_products(rows, columns, dim):
    wave = np.float64(10_000) ** -np.linspace(0, 1, dim // 4)
    x, y = np.outer(np.arange(columns), wave), np.outer(np.arange(rows), wave)
    of_column, of_row = np.hstack([np.sin(x), np.cos(x)]), np.hstack([np.sin(y), np.cos(y)])
    return np.hstack([np.tile(of_column, (rows, 1)), np.repeat(of_row, columns, axis=0)])


def row_first(rows, columns, dim):
    return place_by_place(
        rows, columns, dim, lambda x, y, w: [f(p * v) for p in (y, x) for f in (math.sin, math.cos) for v in w]
    )


def walk_down(rows, columns, dim):
    return torch.cat([sincos_2d((rows, columns), dim).reshape(rows, columns, dim)[:, c] for c in range(columns)])


def along_the_line(rows, columns, dim):
    return sincos_1d_by_loops(rows * columns, dim)


def sum_of_lines(rows, columns, dim):
    rows_table, columns_table = sincos_1d(rows, dim), sincos_1d(columns, dim)
    return torch.stack([rows_table[r] + columns_table[c] for r in range(rows) for c in range(columns)])


def sines_then_cosines(rows, columns, dim):
    return place_by_place(
        rows, columns, dim, lambda x, y, w: [f(p * v) for f in (math.sin, math.cos) for p in (x, y) for v in w]
    )


def cosines_first(rows, columns, dim):
    return place_by_place(
        rows, columns, dim, lambda x, y, w: [f(p * v) for p in (x, y) for f in (math.cos, math.sin) for v in w]
    )


def alternating(rows, columns, dim):
    return place_by_place(
        rows, columns, dim, lambda x, y, w: [f(p * v) for p in (x, y) for v in w for f in (math.sin, math.cos)]
    )


def two_lines(rows, columns, dim):
    rows_table, columns_table = sincos_1d(rows, dim // 2), sincos_1d(columns, dim // 2)
    return torch.stack([torch.cat([columns_table[c], rows_table[r]]) for r in range(rows) for c in range(columns)])


def two_lines_row_first(rows, columns, dim):
    half = dim // 2
    return two_lines(rows, columns, dim)[:, [*range(half, dim), *range(half)]]


def never_quite_there(rows, columns, dim):
    def numbers(x, y, waves):
        waves = [10_000 ** (-i / len(waves)) for i in range(len(waves))]
        return [f(p * w) for p in (x, y) for f in (math.sin, math.cos) for w in waves]

    return place_by_place(rows, columns, dim, numbers)


def from_one(rows, columns, dim):
    return sincos_2d((rows + 1, columns + 1), dim).reshape(rows + 1, columns + 1, dim)[1:, 1:].reshape(-1, dim)


def growing(omega):
    """Return an answer whose waves grow faster, as `omega(i, count)` says."""

    def answer(rows, columns, dim):
        n = torch.arange(rows * columns)
        w = omega(torch.arange(dim // 4), dim // 4 - 1)
        along, down = (n % columns)[:, None] * w, (n // columns)[:, None] * w
        return torch.cat([along.sin(), along.cos(), down.sin(), down.cos()], dim=1)

    return answer


def on_the_grid(rows, columns, dim):
    return by_meshgrid(rows, columns, dim).unflatten(0, (rows, columns))


def columns_alone(rows, columns, dim):
    return by_meshgrid(rows, columns, dim)[:, : dim // 2]


# -------------------------------------------------------------------------------------------- interpolate_positions


def by_the_library(pos_embed, old, new):
    return interpolate_positions(pos_embed, (old, old), (new, new))


def by_permute(pos_embed, old, new, back=(0, 2, 3, 1), **how):
    grid = pos_embed[0, 1:].view(1, old, old, -1).permute(0, 3, 1, 2)
    grid = interpolate(grid, (new, new), **(how or {"mode": "bicubic", "antialias": True}))
    patches = grid.permute(*back).reshape(1, new * new, -1)
    return torch.hstack([pos_embed[:, :1], patches])


def channel_by_channel(pos_embed, old, new):
    stretched = [
        interpolate(pos_embed[:, 1:, d].reshape(1, 1, old, old), (new, new), mode="bicubic", antialias=True).flatten()
        for d in range(pos_embed.shape[2])
    ]
    return torch.cat([pos_embed[0, :1], torch.stack(stretched, dim=1)])[None]


def line_with_class_token(pos_embed, old, new):
    return interpolate(rearrange(pos_embed, "1 n d -> 1 d n"), size=1 + new**2, mode="linear").mT


def line_of_patches(pos_embed, old, new):
    return torch.hstack([pos_embed[:, :1], interpolate(pos_embed[:, 1:].mT, size=new**2, mode="linear").mT])


def class_token_in_the_grid(pos_embed, old, new):
    grid = rearrange(pos_embed[:, : old * old], "1 (h w) d -> 1 d h w", h=old)
    grid = interpolate(grid, (new, new), mode="bicubic", antialias=True)
    return torch.hstack([pos_embed[:, :1], rearrange(grid, "1 d h w -> 1 (h w) d")])


def class_token_kept(pos_embed, old, new):
    grid = interpolate(pos_embed.view(1, old, old, -1).permute(0, 3, 1, 2), (new, new), mode="bicubic", antialias=True)
    return grid.permute(0, 2, 3, 1).reshape(1, new * new, -1)


def class_token_dropped(pos_embed, old, new):
    return interpolate_positions(pos_embed[:, 1:], old, new, num_prefix_tokens=0)


def last_row_for_the_class_token(pos_embed, old, new):
    grid = pos_embed[:, :-1].mT.unflatten(2, (old, old))
    grid = interpolate(grid, size=(new, new), mode="bicubic", antialias=True)
    return torch.cat([pos_embed[:, -1:], grid.flatten(2).mT], dim=1)


def class_token_behind(pos_embed, old, new):
    return torch.hstack([class_token_dropped(pos_embed, old, new), pos_embed[:, :1]])


def careless_forth(pos_embed, old, new):
    grid = interpolate(pos_embed[:, 1:].reshape(1, -1, old, old), (new, new), mode="bicubic", antialias=True)
    return torch.hstack([pos_embed[:, :1], grid.flatten(2).mT])


def careless_back(pos_embed, old, new):
    grid = pos_embed[:, 1:].mT.reshape(1, -1, old, old)
    grid = interpolate(grid, (new, new), mode="bicubic", antialias=True)
    return torch.hstack([pos_embed[:, :1], grid.reshape(1, new * new, -1)])


def careless_twice(pos_embed, old, new):
    grid = interpolate(pos_embed[:, 1:].reshape(1, -1, old, old), (new, new), mode="bicubic", antialias=True)
    return torch.hstack([pos_embed[:, :1], grid.reshape(1, new * new, -1)])


def with_options(**how):
    return lambda pos_embed, old, new: by_permute(pos_embed, old, new, **how)


def by_a_factor(pos_embed, old, new):
    grid = pos_embed[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)
    grid = interpolate(grid, scale_factor=new / old, mode="bicubic", antialias=True)
    return torch.cat([pos_embed[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def still_a_picture(pos_embed, old, new):
    grid = pos_embed[:, 1:].mT.unflatten(2, (old, old))
    return interpolate(grid, (new, new), mode="bicubic", antialias=True)


def class_token_stretched_to_zero(pos_embed, old, new):
    return nn.functional.pad(class_token_dropped(pos_embed, old, new), (0, 0, 1, 0))


# ------------------------------------------------------------------------------------------ to several exercises


def equal_number_by_number(layer, tokens, order):
    return layer(tokens[:, order]) == layer(tokens)[:, order]


ANSWERS = {
    "position_parameters": Answers(
        right=[counted_by_shape],
        wrong=[
            (lambda side, p, dim: (side // p**2 + 1) * dim, "** comes before //"),
            (lambda side, p, dim: (side // p) * (side // p) * dim, "you left out the class token."),
            (lambda side, p, dim: 1 + (side // p) ** 2 * dim, "you added one number for the class token."),
            (lambda side, p, dim: 1 + (side // p) ** 2, "you counted the rows."),
            (lambda side, p, dim: (side // p) ** 2, "you counted the patches."),
            (lambda side, p, dim: dim + side // p * dim, "you counted the patches along one side."),
            (lambda side, p, dim: dim + (side // p + side // p) * dim, "you doubled the number of patches in a row."),
            (lambda side, p, dim: side * side * dim + dim, "you gave each pixel a position."),
            (lambda side, p, dim: (1 + side // p) ** 2 * dim, "you added 1 before you squared."),
            (lambda side, p, dim: (side // p) ** 2 + 1 * dim, "you added D to the number of patches."),
            (lambda side, p, dim: side * side + p * p, "you took the P·P pixels of a patch"),
            (lambda side, p, dim: ((side // p) ** 2 + 1) ** 2, "you counted a number for each pair of tokens."),
        ],
        unknown=[lambda side, p, dim: 0],
    ),
    "is_equivariant": Answers(
        right=[by_largest_difference, by_taking_back, token_by_token],
        wrong=[
            (equal_number_by_number, "you returned one yes or no for each number."),
            (stays_as_it_is, "you tested whether the output stays as it is: that is invariance."),
            (never_shuffled, "your two sides come of one input."),
            (to_the_last_bit, "you asked for equality to the last bit."),
            (along_the_batch, "it says True of everything."),
            (the_other_way, "you shuffled the output back the other way."),
            (one_for_each_number, "you returned one yes or no for each number."),
            (yes_for_no, "yes and no are swapped"),
            (the_difference, "you returned the largest difference."),
            (in_an_order_of_its_own, "you shuffle in an order of your own."),
        ],
        unknown=[lambda layer, tokens, order: False],
    ),
    "position_embedding": Answers(
        right=[ByEmbedding, ByNumberedPlaces, TwoAxes, OnItsSide, TokensInFront, ListOfRows],
        wrong=[
            (NoModule, "your class is no nn.Module, so a model does not see what it holds"),
            (RowOfTheImage, "you took one row for each image of the batch."),
            (PatchesOnly, "the class token has no position"),
            (OneRowTooFew, "your table has a row too few."),
            *((each, "your table has a row too many.") for each in (OneRowTooMany, OneRowTooManyToAdd)),
            (SameForAll, "all tokens get the same vector"),
            (OneNumber, "each token gets a single number."),
            (Beside, "you put the position beside the token"),
            (Behind, "you put the positions behind the tokens"),
            (Times, "you multiplied."),
            (Alone, "you returned the positions alone."),
            (Forgotten, "the tokens came back as they were."),
            (PlainTensor, "no gradient reaches your table"),
            (FixedTable, "no gradient reaches your table"),
            (GradientAlone, "your table is a plain tensor with requires_grad=True."),
            (RowsInReserve, "your parameters hold more numbers than the table needs"),
            (LastRowFixed, "some rows of your table are no parameters"),
            *((each, "no gradient goes on to what lies below") for each in (TokensCutOff, AddedInPlace)),
            (KeepsTheFirstSum, "called a second time, with another batch"),
        ],
        unknown=[Subtracted],
    ),
    "sincos_1d": Answers(
        right=[by_strides, by_exponentials, by_phase, by_numpy, by_lists, sincos_1d_by_loops],
        wrong=[
            (sines_first, "all sines come first and all cosines last."),
            (_by_formula(_right_angle, math.cos, math.sin), "sine and cosine are swapped."),
            (_by_formula(_right_angle, start=1), "your first position is 1."),
            (_by_formula(lambda pos, j, dim: pos / 10_000 ** (2 * (j // 2 + 1) / dim)), "your i begins at 1."),
            (_by_formula(lambda pos, j, dim: pos / 10_000 ** (j // 2 / dim)), "your waves grow half as fast"),
            (_by_formula(lambda pos, j, dim: pos / 10_000 ** (4 * (j // 2) / dim)), "the exponent is 4i/D,"),
            (_by_formula(lambda pos, j, dim: pos / 10_000 ** (j / dim)), "each column has a wave of its own."),
            (_by_formula(lambda pos, j, dim: pos / 10_000 ** (2 * j / dim)), "your i runs over all D columns."),
            (_by_formula(_right_angle, math.sin, math.sin), "all columns are sines."),
            (lambda num_positions, dim: by_strides(num_positions, dim).T, "the table lies on its side."),
            (_by_formula(lambda pos, j, dim: pos / 1_000 ** (2 * (j // 2) / dim)), "the base is 1,000,"),
            (_by_formula(lambda pos, j, dim: pos * 10_000 ** (2 * (j // 2) / dim)), "you multiply by 10,000"),
            (_by_formula(lambda *place: math.radians(_right_angle(*place))), "your angles are in degrees."),
            (_by_formula(_right_angle, float, float), "these are the angles themselves."),
            (torch.zeros, "the table is still full of zeros."),
            *(
                (in_float32(angle), "you multiply by 10,000^(2i/D)")
                for angle in (
                    lambda pos, i, dim: pos * 10_000 ** (2 * i / dim),
                    lambda pos, i, dim: pos / 10_000 ** (-2 * i / dim),
                    lambda pos, i, dim: pos / (1 / 10_000 ** (2 * i / dim)),
                    lambda pos, i, dim: pos * torch.exp(2 * i * math.log(10_000) / dim),
                    lambda pos, i, dim: pos / torch.exp(2 * i * (-math.log(10_000) / dim)),
                    lambda pos, i, dim: pos * 10_000 ** (2 * i.double() / dim),
                )
            ),
            (in_float32(lambda pos, i, dim: pos / 10_000**2 * i / dim), "the exponent has no brackets"),
            (in_float32(lambda pos, i, dim: pos / (10_000**2 * i / dim)), "the exponent has no brackets"),
            (in_float32(lambda pos, i, dim: pos / 10_000 ** (2 * i // dim)), "all columns have the same wave"),
        ],
        unknown=[negative],
    ),
    "sincos_2d": Answers(
        right=[place_by_place, by_meshgrid, by_outer_products],
        wrong=[
            (row_first, "rows and columns are swapped."),
            (walk_down, "your table goes through the grid column by column."),
            (along_the_line, "this is the 1-D table"),
            (sum_of_lines, "you added the waves of row and column."),
            (sines_then_cosines, "the sines of column and row come first"),
            (cosines_first, "sine and cosine are swapped."),
            (alternating, "sine and cosine alternate"),
            (two_lines, "these are two halves of the 1-D kind. That would work too"),
            (two_lines_row_first, "these are two halves of the 1-D kind, with the row first."),
            (never_quite_there, "the exponent is i/(D/4), and should be i/(D/4−1)"),
            (from_one, "your first row and column are 1."),
            (on_the_grid, "the table still lies on the grid"),
            (columns_alone, "the rows are missing"),
            *(
                (growing(omega), "you multiply by 10,000^(i/(D/4−1))")
                for omega in (
                    lambda i, last: 10_000 ** (i / last),
                    lambda i, last: 10_000 ** (i.double() / last),
                    lambda i, last: torch.exp(i * math.log(10_000) / last),
                )
            ),
        ],
        unknown=[lambda rows, columns, dim: torch.zeros(rows * columns, dim)],
    ),
    "interpolate_positions": Answers(
        right=[by_the_library, by_permute, channel_by_channel],
        wrong=[
            (line_with_class_token, "you stretched all rows, the class token's too"),
            (line_of_patches, "you stretched the rows as if they lay on a line."),
            (class_token_in_the_grid, "the class token's row is in the grid"),
            (class_token_kept, "the class token's row is still there when you make the grid"),
            (class_token_dropped, "the class token's position is gone."),
            (class_token_behind, "the class token's position is at the end."),
            (last_row_for_the_class_token, "you took the last row for the class token's."),
            (careless_forth, "you reshaped [N, D] to [D, h, w] without moving anything"),
            (careless_back, "you reshaped [D, h, w] to [N, D] without moving anything"),
            (careless_twice, "you reshaped there and back without moving anything."),
            (with_options(back=(0, 3, 2, 1)), "the new table is transposed"),
            (with_options(mode="nearest"), "each position was repeated"),
            (with_options(mode="bilinear", antialias=True), 'you used mode="bilinear". Here mode="bicubic" is wanted.'),
            (with_options(mode="bilinear"), 'you used mode="bilinear". Here mode="bicubic", antialias=True'),
            (with_options(mode="bicubic"), "nearly: antialias=True is missing."),
            (
                with_options(mode="bicubic", align_corners=True),
                "you set align_corners=True, which pins the corners. Leave it out, and set antialias=True.",
            ),
            (
                with_options(mode="bicubic", align_corners=True, antialias=True),
                "you set align_corners=True, which pins the corners. Leave it out.",
            ),
            (still_a_picture, "the result is still a picture"),
            (by_a_factor, "you gave a scale_factor."),
        ],
        unknown=[class_token_stretched_to_zero],
    ),
}
