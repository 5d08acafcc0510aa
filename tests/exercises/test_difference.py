"""Words for differences: each is true of every input on which an answer is wrong, and the simplest comes first."""

import math
import operator
import re

import numpy as np
import pytest
import torch
from einops import rearrange

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.exercises import check
from vit_tutorial.exercises.builders import small_vit
from vit_tutorial.exercises.difference import (
    Call,
    Case,
    Hints,
    Moved,
    Trace,
    behaviour,
    compare_parts,
    explain,
    meaning,
    partly_right,
    where_wrong,
)
from vit_tutorial.exercises.difference.errors import MEANINGS
from vit_tutorial.exercises.difference.quantities import name_of, number

GENERATOR = torch.Generator().manual_seed(0)
X = [torch.randn(shape, generator=GENERATOR) for shape in ((1, 3, 4), (2, 5, 4), (2, 4, 6))]
SIZES = [{"N": float(x.shape[1]), "D": float(x.shape[2])} for x in X]


def cases(got, expected=lambda x: x):
    return [
        Case({"z": x + 100}, got(x), expected(x), sizes, ("B", "N", "D")) for x, sizes in zip(X, SIZES, strict=True)
    ]


def exchanged(x, axis):
    """The first and the last along an axis have changed places."""
    return x.index_select(axis, torch.tensor([x.shape[axis] - 1, *range(1, x.shape[axis] - 1), 0]))


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (lambda x: -x, "the sign is wrong: every number is the negative of the right one."),
        (lambda x: 2 * x, "every number is twice as large as it should be."),
        (
            lambda x: x / x.shape[-1] ** 0.5,
            "every number is too small by the factor √D: it should be √D times as large.",
        ),
        (lambda x: x * x.shape[1], "every number is too large by the factor N."),
        (lambda x: -x * x.shape[1], "every number is too large by the factor N, and the sign is wrong."),
        (lambda x: x + 3, "every number is too large by 3."),
        (lambda x: x / 2, "every number is half as large as it should be."),
        (lambda x: 2.5371 * x, "every number is 2.537 times as large as it should be, on each of these inputs."),
        (lambda x: x.deg2rad(), "every number is too small by the factor 180/π: it should be 180/π times as large."),
        (lambda x: x - x.shape[1], "every number is too small by N."),
        (lambda x: x - x.sum().abs(), "the numbers are right but for something that is subtracted from all of them."),
        (lambda x: 2 * x + 1.2345, "your numbers lie on a straight line over the right ones"),
        (lambda x: x * (1 + x[:, :1] ** 2), "along axis N your numbers are right up to a factor, another one for each"),
        (lambda x: x + x[:, :1] ** 2, "along axis N your numbers are right but for something added, another amount"),
        (lambda x: x * 0, "every number is 0."),
        (
            lambda x: (x / 0).softmax(-1),
            "your numbers are NaN, no numbers at all: that comes of 0/0, 0 times infinity, infinity minus infinity, a "
            "root or a logarithm of something negative, or a softmax over a row that has +inf in it",
        ),
        (lambda x: x + torch.nan, "your numbers are NaN, no numbers at all"),
        (lambda x: x.where(x < x.max(), torch.nan), "some of your numbers are NaN, no numbers: that comes of 0/0"),
        (
            lambda x: (x - x.amax()).neg().log(),
            "some of your numbers are infinite: that comes of a division by 0, a log",
        ),
        (lambda x: torch.ones_like(x), "every number is 1."),
        (lambda x: torch.full_like(x, 3.3), "all your numbers are the same, and different ones are expected."),
        (lambda x: x.abs(), "it is the absolute value of what is expected."),
        (lambda x: x.softmax(-1), "it is a softmax along axis -1 of what is expected."),
        (lambda x: x.log_softmax(-2), "it is a log-softmax along axis -2 of what is expected."),
        (lambda x: x / x.norm(dim=-1, keepdim=True), "it is what is expected, divided by its length along axis -1."),
        (lambda x: x.cumsum(1), "it is a running sum along axis -2 of what is expected."),
        (lambda x: x.double().round(decimals=2), "right, but rounded to 2 digits behind the point."),
        (lambda x: x.trunc(), "all is cut off behind the point"),
        (lambda x: x.half(), "nearly right: no number is off by more than 1 part in 1,000"),
        (lambda x: x.flip(1), "it is mirrored along axis N: the last comes first."),
        (lambda x: x.roll(1, 1), "everything has moved on by 1 along axis N."),
        (lambda x: x.mT.reshape(x.shape), "right up to the last reshape: axis N and axis D were exchanged before it"),
        (lambda x: x.unflatten(2, (2, -1)).mT.flatten(2), "within axis D, what should come in 2 blocks is inter"),
        (lambda x: x.unflatten(2, (-1, 2)).mT.flatten(2), "within axis D, what should be interleaved comes in 2 "),
        (lambda x: x.roll(x.shape[2] // 2, 2), "within axis D, the halves have changed places."),
        (lambda x: exchanged(x, 1), "the rows are right, and stand in another order along axis N."),
        (lambda x: exchanged(x, 2), "every row holds the right numbers, in another order."),
        (lambda x: exchanged(x.flatten(1), 1).view_as(x), "every image holds the right numbers, but in other places"),
        (lambda x: exchanged(x.flatten(), 0).view_as(x), "all the right numbers are there, in another order."),
        (lambda x: x + 100, "it is `z` as it came in."),
        (lambda x: -x - 100, "it is `z` with the sign turned."),
        (lambda x: x + (x + 100), "`z` is added to it, once too often."),
        (lambda x: x + 2 * (x + 100), "`z` is added twice too often."),
        (lambda x: x - 2 * (x + 100), "`z` is subtracted where it should be added."),
        (lambda x: x * (x + 100), "it is multiplied by `z`, once too often."),
        (lambda x: x / (x + 100), "it is divided by `z`, and should not be."),
        (lambda x: x.mT, "axes N and D have changed places. Otherwise the numbers are right."),
        (lambda x: x[:, 1:], "axis N is too short: the first is missing. Otherwise the numbers are right."),
        (lambda x: x[:, :1] * 7, "axis N has length 1"),
        (lambda x: x.sum(1), "axis N is summed over. It should stay."),
        (lambda x: x.mean(1, keepdim=True), "axis N has length 1: it is averaged over, and should stay."),
        (lambda x: x[:, 0], "axis N is missing: only the first along it is there."),
        (lambda x: x[:, -1], "axis N is missing: only the last along it is there."),
        (lambda x: x[:, 0] ** 3, "axis N is missing."),
        (lambda x: x.amax(1), "only the largest along axis N is there."),
        (lambda x: x.mT**3, "axes N and D have changed places."),
        (lambda x: x.permute(1, 2, 0), "your axes stand in the order (N, D, B). Otherwise the numbers are right."),
        (lambda x: x[:, :-1], "axis N is too short: the last is missing. Otherwise the numbers are right."),
        (lambda x: x[:, :2] if x.shape[1] > 4 else x[:, :1], "axis N is too short: from some place on, all is missing"),
        (lambda x: torch.cat([x[:, 1:2], x], 1), "axis N is too long: the first is too many."),
        (lambda x: torch.cat([x, x[:, :1]], 1), "axis N is too long: the last is too many."),
        (lambda x: torch.cat([x, x, x], 1), "axis N is too long: behind what is expected there is more."),
        (lambda x: x.sum(2, keepdim=True), "axis D has length 1: it is summed over, and should stay."),
        (lambda x: torch.stack([x / 3, x / 6, x / 2], -1), "axis -1 is left over. Sum along it."),
        (lambda x: torch.stack([x, 2 * x, 0 * x], -1), "axis -1 is left over. Take the mean along it."),
        (lambda x: torch.stack([x - 1, x, x - 3], 1), "axis -3 is left over. Take the largest along it."),
        (lambda x: torch.stack([x, -x, x + 1], 1), "axis -3 is left over: the first along it is what is expected."),
        (lambda x: torch.stack([x - 1, x + 3, x], 1), "axis -3 is left over: the last along it is what is expected."),
        (lambda x: x.unflatten(2, (2, -1)), "axes 2 and 3 of yours are still two, and should be one: glue them"),
        (lambda x: x[None], "there is an axis of length 1 too many"),
        (lambda x: x.flatten(0, 1), "axes B and N are glued into one. Keep them apart."),
        (lambda x: x.flatten(0, 1) ** 3, "axes B and N are glued into one axis. Keep them apart."),
        (lambda x: torch.cat([x[:, :1], x[:, 1:] + x[:, 1:] ** 3], 1), "the first token alone is right."),
        (lambda x: torch.cat([x[:, :1] ** 3, x[:, 1:]], 1), "all is right but for the first token."),
        (lambda x: "words", "you returned words, and numbers are expected."),
        (lambda x: torch.nn.ReLU(), "what came back is a layer, not a tensor."),
        (lambda x: torch.relu, "what came back is a function, not its result."),
        (lambda x: x * 1j, "your numbers are complex, and real ones are expected."),
        (lambda x: object(), "what came back holds no numbers."),
        (lambda x: torch.zeros(1000, 1000), "more numbers came back than are expected, by far."),
        (lambda x: (2 * x).to_sparse(), "every number is twice as large as it should be."),
        (lambda x: (x, 2 * x, x**2), "you returned several things. The first is right: return it alone."),
        (lambda x: (x + 1, 2 * x, x**2), "you returned several things, and one tensor is expected."),
        (lambda x: list(x[:, :-1]), "axis N is too short: the last is missing. Otherwise the numbers are right."),
        (lambda x: [x, x[:, 1:]], "you returned several things. The first is right"),
        (lambda x: [x[:, 1:], 2 * x], "you returned several tensors in a list; one tensor is expected."),
        (lambda x: x if len(x) == 1 else x**3 + x.flip(2), ""),
        (lambda x: x if len(x) == 1 else 2 * x, "on the inputs where it is wrong: every number is twice as large"),
        (lambda x: x**3 + x.flip(2), ""),
    ],
)
def test_a_difference_has_words(got, said):
    words = explain(cases(got))
    assert words.startswith(said) if said else not words, words


def test_a_sentence_that_fails_on_one_input_is_not_said():
    words = explain(cases(lambda x: 2 * x if x.shape[1] < 5 else 3 * x))
    assert "twice" not in words
    assert words == "the numbers are right up to a factor, another one for each input."


def test_a_factor_is_told_where_one_input_has_nothing_but_zeros():
    given = [Case({}, 2 * x, x) for x in (*X, torch.zeros(2, 3))]
    assert explain(given) == "every number is twice as large as it should be."


def test_weights_that_sum_to_one_elsewhere_are_told():
    right, wrong = (lambda x: x.softmax(-1)), (lambda x: x.softmax(-2))
    assert explain(cases(wrong, right)).startswith("your weights sum to 1 along axis N. They should along axis D")
    assert explain(cases(lambda x: x.exp(), right)).startswith("your numbers do not sum to 1 along axis D")
    assert explain(cases(wrong, right)[2:]).startswith("your weights sum to 1 along axis N.")
    of_all = "all your weights together sum to 1. They should along axis D."
    assert explain(cases(lambda x: x.flatten().softmax(0).view_as(x), right)) == of_all


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        ((1, 1, 1), (2, 3, 5), "it is the same number on each of these inputs, and different ones are expected."),
        ((True, True), (False, False), "it says True where False is right."),
        ((False, False), (True, True), "it says False where True is right."),
        ((True, False), (False, True), "it says True where False is right, and False where True is."),
        ((2.0, 3.0, 7.0), (4.0, 6.0, 14.0), "it is half as large as it should be."),
        ((4, 9, 10), (2, 7, 8), ""),
    ],
)
def test_a_single_number_has_words(got, expected, said):
    assert explain([Case({}, mine, right) for mine, right in zip(got, expected, strict=True)]) == said


@pytest.mark.parametrize(("axes", "letters"), [(("N", "D"), ", [N, D]"), (("D",), ""), ((), "")])
def test_the_letters_of_a_shape_are_told_where_all_axes_have_one(axes, letters):
    words = explain([Case({}, torch.zeros(5), torch.ones(3, 4), axes=axes)])
    assert words == f"your output has 1 axis fewer than expected: shape [5], and [3, 4] is wanted{letters}."


def test_an_axis_of_length_1_that_is_missing_is_told():
    said = "an axis of length 1 is missing: keep it. Otherwise the numbers are right."
    assert explain(cases(lambda x: x[:, 0], lambda x: x[:, :1])) == said


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (0.5, "axis K is 2 times too short: 14 on the smallest of these inputs is expected."),
        (3, "axis K is 3 times as long as it should be: 14 on the smallest of these inputs is expected."),
    ],
)
def test_lengths_that_no_size_names_are_told_by_their_factor(factor, said):
    lengths = (14, 22, 26)
    assert explain([Case({}, torch.zeros(int(factor * n)), torch.ones(n), axes="K") for n in lengths]) == said


STEPS = Hints(
    steps=[
        ("the scores", lambda _, z: z @ z.mT),
        ("the scaling", lambda scores, z: scores / 5),
        ("the softmax", lambda scores, z: scores.softmax(-1)),
        ("the product", lambda weights, z: weights @ z),
    ]
)


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (
            lambda z: (z @ z.mT / 5).softmax(-1),
            "all is right up to the softmax. What comes after is missing: the product.",
        ),
        (lambda z: (z @ z.mT).softmax(-1) @ z, "the scaling is missing"),
        (lambda z: (z @ z.mT).softmax(-1) / 5 @ z, "the scaling stands in another place: after the softmax."),
        (lambda z: (z @ z.mT / 25).softmax(-1) @ z, "the scaling comes twice."),
        (lambda z: (z @ z.mT / 5).exp() @ z, "in place of the softmax there is e to the power alone."),
        (lambda z: (z @ z.mT / 5).softmax(1) @ z, "in place of the softmax there is a softmax over another axis."),
        (lambda z: (z @ z.mT / 5).softmax(0) @ z, "in place of the softmax there is a softmax over the first axis."),
        (lambda z: (z @ z.mT / 5).log_softmax(2) @ z, "in place of the softmax there is a log-softmax."),
        (lambda z: (z @ z.mT / 5).sigmoid() @ z, "in place of the softmax there is a sigmoid."),
        (lambda z: (z @ z.mT / 5).softmax(2).round() @ z, "in place of the softmax there is a rounded softmax."),
        (lambda z: z @ z.mT @ z, "two steps are missing: the scaling, and the softmax."),
    ],
)
def test_steps_that_are_missing_or_stand_elsewhere_are_told(got, said):
    given = [Case({"z": x}, got(x), (x @ x.mT / 5).softmax(-1) @ x) for x in X]
    assert explain(given, STEPS).startswith(said)


def test_the_order_of_small_axes_is_told():
    moved = Hints(moved=Moved(names=("B", "h", "N", "d"), lengths=lambda x: (len(x), 2, x.shape[1], x.shape[2] // 2)))
    given = [
        Case({"x": x}, x.unflatten(2, (2, -1)).permute(0, 2, 1, 3).mT.reshape(len(x), 2, x.shape[1], -1), right)
        for x in X
        for right in [x.unflatten(2, (2, -1)).transpose(1, 2)]
    ]
    assert explain(given, moved) == (
        "before the last reshape your axes stand in the order (B, h, d, N), and should be (B, h, N, d)."
    )


def test_each_of_several_numbers_has_its_words():
    given = [
        Case({"D": d}, (4 * d * d + 3 * d, 7, 2 * d), (4 * d * d + 4 * d, 7, d), {"D": float(d)}) for d in (2, 8, 48)
    ]
    assert explain(given) == (
        "your first number: it is too small by D; your third number: it is twice as large as it should be. "
        "Your second is right."
    )


def test_a_small_number_beside_a_large_one_is_not_taken_for_right():
    given = [Case({"D": d}, (d, int(d**0.5), d**6), (d, d**0.5, d**6), {"D": float(d)}) for d in (4, 64, 80)]
    assert explain(given) == "your second number: it is rounded down to a whole number. Your first and third are right."


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (lambda x: x.flip(1)[:, 0], "this is right for `z` taken backwards, its last row first."),
        (lambda x: x[:, 0].flip(-1), "this is right for `z` mirrored along its last axis."),
    ],
)
def test_the_right_answer_for_another_order_of_an_input_is_told(got, said):
    given = [Case({"z": x}, got(x), x[:, 0], axes=("B", "D")) for x in X]
    assert explain(given, solve=lambda z: z[:, 0]) == said


def waves(n, k):
    return (torch.arange(5.0) * n + k).sin()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda n: 2, "2"),
        (lambda n: n + 1, "1 more"),
        (lambda n: n - 1, "1 less"),
        (lambda n: 2 * n, "twice as much"),
        (lambda n: n // 2, "half as much"),
        (lambda n: n * n, "its square"),
        (lambda n: n**0.5, "its root"),
    ],
)
def test_the_right_answer_for_another_number_is_told(other, said):
    given = [Case({"n": n, "k": k}, waves(other(n), k), waves(n, k)) for n, k in ((4, 3), (16, 5), (36, 7))]
    assert explain(given, solve=waves) == f"this is right for `n` replaced by {said}."


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda x: 2 * x, "twice as large"),
        (lambda x: x / 2, "half as large"),
        (lambda x: -x, "with its sign turned"),
        (lambda x: x[:, 1:], "without its first row"),
        (lambda x: x[:, :-1], "without its last row"),
    ],
)
def test_the_right_answer_for_another_tensor_is_told(other, said):
    def solve(z):
        return z.softmax(-1).mean(-2)

    given = [Case({"z": x}, solve(other(x)), solve(x)) for x in X]
    assert explain(given, solve=solve) == f"this is right for `z` {said}."


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda mask: None, "`mask` changes nothing: this is right without it."),
        (lambda mask: ~mask, "this is right for the opposite of `mask`."),
    ],
)
def test_the_right_answer_without_a_mask_or_for_its_opposite_is_told(other, said):
    def solve(z, mask):
        return (z if mask is None else z.masked_fill(~mask, -9)).softmax(-1)

    given = [Case({"z": x, "mask": x > 0}, solve(x, other(x > 0)), solve(x, x > 0)) for x in X]
    assert explain(given, solve=solve) == said


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [([X[0][0]], X, "where `z` has 2 axes"), ([*X, X[0][None]], [X[0][0]], "where `z` has 3 axes or more")],
)
def test_how_many_axes_an_input_has_comes_before_how_long_they_are(wrong, right, said):
    wrong, right = ([Case({"z": x}, 0, 1, {"N": float(x.shape[-2])}) for x in xs] for xs in (wrong, right))
    assert where_wrong(wrong, right) == said


def overlapping(rows):
    rows[:, torch.tensor([1, 2])] = rows[:, 1:]


RAISED = [
    (lambda: torch.zeros(2, 3) @ torch.zeros(2, 3), "in a matrix product the last axis of the first, here 3 long"),
    (lambda: torch.zeros(2, 3).T.view(6), "`view` can only join axes that lie side by side"),
    (lambda: torch.zeros(2, 3) + torch.zeros(2, 4), "two tensors are joined number by number"),
    (lambda: torch.zeros(4).reshape(3, 2), "you ask for the shape [3, 2], and there are 4 numbers"),
    (
        lambda: torch.nn.Conv2d(3, 1, 2)(torch.zeros(1, 1, 2, 2)),
        "the convolution is made for 3 channels, and the images have 1. Is in_channels its first",
    ),
    (
        lambda: torch.nn.Linear(2, 2)(torch.nn.GELU()),
        "`linear` wants a tensor, and gets a GELU, which is a layer and not what it returns.",
    ),
    (lambda: torch.nn.Linear(2, 2)("x"), "`linear` wants a tensor, and gets a str."),
    (lambda: [names.pop(name) for names in [{1: 2, 3: 4}] for name in names], "the dictionary is changed while"),
    (lambda: torch.zeros(4)[torch.zeros(2)], "only whole numbers or True and False can be places"),
    (lambda: torch.nn.functional.one_hot(torch.tensor([3]), 2), "F.one_hot got a number that is no class"),
    (lambda: torch.zeros(4)[7], "there is no place 7 along this axis: it has 4"),
    (lambda: torch.zeros(4, 1).sum(5), "there is no axis 5"),
    (lambda: torch.zeros(4).reshape(2.0, 2), "lengths and axes are whole numbers, and here is another thing"),
    (lambda: torch.zeros(2, 4 / 2), "lengths and axes are whole numbers: divide with //"),
    (lambda: torch.zeros(4 / 2, 2), "lengths and axes are whole numbers, and here is another thing"),
    (lambda: torch.randn(4 / 2, 2), "lengths and axes are whole numbers: divide with //"),
    (lambda: torch.zeros(2, 2).sum(0.5), "lengths and axes are whole numbers: divide with //"),
    (lambda: range(4 / 2), "a whole number is needed, and this is a fraction: divide with //"),
    (lambda: range([4]), "a whole number is needed, and this is a list."),
    (lambda: sum(0.5), "a fraction is gone through, or unpacked, as if it were several things."),
    (lambda: operator.setitem(0.5, 0, 1), "x[…] = … writes into a fraction, in which no place can be written."),
    (lambda: torch.stack([0.5, 1.0]), "a list of Tensors is needed, and number 0 in it is a float."),
    (lambda: torch.max(0.5, 1), "`max` cannot be called like this"),
    (lambda: [0.5] * torch.zeros(2), "one whole number is needed, as a place or a count"),
    (lambda: math.sqrt(np.zeros(2)), "`math` works on one number"),
    (lambda: int(torch.tensor(torch.inf)), "infinity cannot become a whole number. Is something divided by 0?"),
    (lambda: int(math.nan), "NaN cannot become a whole number."),
    (lambda: torch.zeros(0)[0], "there is no place 0 along this axis: it has length 0."),
    (lambda: (lambda a: a)(1, 2), "`<lambda>` is called with 2 things in its brackets, and takes 1."),
    (lambda: torch.nn.ReLU().forward(1, 2), "`forward` is called with 3 things in its brackets, and takes 2 (self"),
    (lambda: torch.nn.ModuleList([torch.nn.ReLU()])(1), "a ModuleList is a list of layers"),
    (lambda: torch.nn.Dropout(0.2, training=True), "nn.Dropout makes a layer, and knows no `training`"),
    (lambda: torch.nn.ReLU().training(), "True or False is called like a function"),
    (lambda: torch.nn.LayerNorm(4, width=3), "`LayerNorm` knows no `width`."),
    (lambda: torch.zeros(2) < torch.zeros(2, 2).min(dim=0), "`min` with an axis gives two things"),
    (lambda: small_vit(0)[0].position(torch.zeros(1, 4, 8)), "the number of tokens is not that of the positions"),
    (lambda: small_vit(0)[0].position(torch.zeros(1, 5, 3)), "each position holds 8 numbers, and each token 3"),
    (lambda: small_vit(0)[0].position(torch.zeros(5, 8)), "positions are added to tokens, [B, N, D], and here are"),
    (lambda: MultiHeadAttention(1, 4), "the heads must share D evenly."),
    (lambda: torch.nn.MultiheadAttention(7, 2), "`embed_dim` must be a multiple of `num_heads`."),
    (lambda: torch.nn.Conv2d(3, 4, 1, groups=2), "`in_channels` must be a multiple of `groups`."),
    (lambda: torch.nn.GroupNorm(3, 4), "`num_channels` must be a multiple of `num_groups`."),
    (lambda: torch.nn.MultiheadAttention(6, 2)(*[torch.zeros(2, 4)] * 3), "an assert does not hold: was expecting"),
    (lambda: rearrange(torch.zeros(2, 5), "b (n p) -> b n p", p=2), "an axis of 5 cannot be cut into parts of 2."),
    (lambda: rearrange(torch.zeros(2, 5), "b n d -> b d n"), "the left side of the pattern has another number of"),
    (lambda: rearrange(torch.zeros(2, 5), "b n -> b d"), "an axis stands on one side of the pattern only."),
    (lambda: rearrange(torch.zeros(2, 5), "b n -> b n n"), "the pattern does not fit the tensor: Indexing"),
    (lambda: nothing, "nothing here is called `nothing`"),  # noqa: F821
    (lambda: None.shape, "`shape` is asked of None."),
    (lambda: int("x", 1), ""),
    (lambda: torch.nn.Embedding(3, 2)(torch.rand(2)), "an nn.Embedding takes whole numbers"),
    (lambda: torch.zeros(3, 2).__setitem__(torch.tensor([0, 1]), torch.zeros(3, 2)), "the places on the left of ="),
    (lambda: torch.zeros(2).add_(torch.zeros(3, 2)), "a tensor of shape [2] is changed in place"),
    (lambda: overlapping(torch.zeros(1, 3, 2)), "you read from the tensor that you write to."),
    (lambda: torch.zeros(1, 2).repeat(3), "`repeat` wants one number for each axis"),
    (lambda: torch.nn.Parameter(1, 1, 4), "nn.Parameter takes one tensor"),
    (lambda: torch.nn.Parameter(4), "`detach` is asked of something that is no tensor."),
    (lambda: 0.5 ^ 2, "`^` does not work between a fraction and a whole number. A power is **."),
    (lambda: torch.zeros(1, 2).expand(torch.zeros(3), -1), "lengths and axes are whole numbers, and here is an"),
    (lambda: len("abc")[0], "square brackets stand behind a whole number"),
    (lambda: torch.arange(3) // 0, "something is divided by 0."),
    (lambda: torch.zeros(1, 2).gather(1, torch.zeros(1, 2)), "`gather` takes places, whole numbers such as"),
    (lambda: torch.zeros(2, 2).roll((1, 1)), "`roll` wants as many axes as numbers"),
    (lambda: list("a") + torch.zeros(2).shape, "something is added to a list."),
    (lambda: max([]), "`max` gets a list with nothing in it."),
    (lambda: torch.nn.functional.one_hot(3), "`one_hot` wants a tensor for input, and gets a whole number."),
    (lambda: 0.5 + "a", "`+` does not work between a fraction and a text."),
    (
        lambda: torch.zeros(1, 4).expand(3, -2),
        "`expand`, or writing into a slice, wants -2 along axis 1, where there are 4",
    ),
    (lambda: torch.zeros(2).size[0], "functions and methods need round brackets"),
    (lambda: torch.zeros(2).shape(0), "a torch.Size is called like a function"),
    (lambda: ~torch.zeros(2), "`~` turns True and False around"),
    (lambda: torch.zeros(2).masked_fill(torch.zeros(2), 0), "the mask must hold True and False"),
    (lambda: torch.nn.Linear(2, 2)(torch.zeros(2, 2).long()), "numbers of two kinds meet"),
    (lambda: torch.nn.ModuleList([torch.nn.ReLU()])(1, mask=None), "what is called has no forward."),
]
RAISED_TOO = """
torch.zeros(1, 2, 3) @ torch.zeros(1, 2, 3)
(x := torch.ones(2, requires_grad=True).exp()).add_(1).sum().backward()
torch.bmm(torch.zeros(2, 2), torch.zeros(2, 2))
torch.zeros(2, 3) @ torch.zeros(4)
torch.zeros(2) @ torch.zeros(3)
torch.inner(torch.zeros(2, 3), torch.zeros(2, 4))
torch.cat([torch.zeros(2, 3), torch.zeros(3, 3)], dim=1)
torch.cat([torch.zeros(2, 3), torch.zeros(2)])
torch.zeros(2, 3).expand(2, 4)
torch.zeros(2, 3).expand(2)
torch.stack([torch.zeros(2), torch.zeros(3)])
torch.zeros(6).split([2, 3])
torch.zeros(2, 3).permute(0, 1, 2)
torch.zeros(2, 3).permute(0, 0)
torch.zeros(2, 6).unflatten(1, (4, 2))
torch.nn.Conv2d(1, 1, 5)(torch.zeros(1, 1, 3, 3))
torch.arange(3).softmax(0)
torch.nn.Parameter(torch.zeros(2)).add_(1)
torch.nn.Parameter(torch.zeros(2)).numpy()
1 if torch.zeros(2) else 0
torch.zeros(2) & torch.zeros(2)
1 - torch.ones(2).bool()
torch.einsum("ij,jk->ik", torch.zeros(2, 3), torch.zeros(4, 2))
torch.nn.Conv2d(1, 1, 1)(torch.zeros(2, 2))
torch.nn.LayerNorm(3)(torch.zeros(2, 4))
torch.zeros(2).long().add_(0.5)
torch.arange(3) ** -1
torch.zeros(2)[0, 0]
torch.tensor(1.0).size(0)
[1][3]
torch.zeros(2, 3)[torch.ones(3).bool()]
torch.tensor(1.0)[0]
a, b = torch.zeros(1)
a, b = torch.zeros(3)
torch.tensor([torch.zeros(2)])
math.sqrt(-1)
torch.zeros(2)(3)
print()(3)
list(torch.tensor(1.0))
(lambda a: a)()
(lambda a: a)(1, a=2)
setattr(small_vit(0)[0], "norm", torch.zeros(2))
{[1]: 2}
[1] < 2
{**[1]}
-"a"
torch.zeros(2).item()
setattr(object.__new__(torch.nn.Linear), "bias", torch.nn.Parameter(torch.zeros(2)))
(1, 2).shape
torch.zeros(2).width
torch.width
[late for _ in [0] if late for late in [1]]
torch.zeros(2).unfold(0, 3, 1)
torch.zeros(2).expand(-1, 2)
torch.nn.functional.interpolate(torch.zeros(1, 0, 2, 2), size=2, mode="bicubic")
[1, 2][: 1 / 2]
type("Mine", (torch.nn.Module,), {})()(1)
{}["a"]
1 / 0
math.exp(1000)
(f := lambda: f())()
raise MemoryError
import width
"""  # an error for each of the other meanings


@pytest.mark.parametrize(("raises", "said"), RAISED)
def test_an_exception_has_a_meaning(raises, said):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        raises()
    words = meaning(raised.value)
    assert words.startswith(said) if said else not words, (words, raised.value)


def test_every_meaning_is_that_of_an_error_that_is_raised():
    """An entry that stands behind a wider one, or that waits for words of another PyTorch, would never be said."""
    raised = [raises for raises, _ in RAISED]
    raised += [lambda line=line: exec(line, dict(globals())) for line in RAISED_TOO.strip().splitlines()]
    reached = set()
    for raises in raised:
        with pytest.raises(Exception) as error:  # noqa: PT011
            raises()
        fitting = (
            pattern
            for kind, pattern, _ in MEANINGS
            if isinstance(error.value, kind) and re.search(pattern, str(error.value))
        )
        reached.add(next(fitting, None))
    assert [pattern for _, pattern, _ in MEANINGS if pattern not in reached] == []


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ((2,), "Is an axis forgotten, the batch or the channels?"),
        ((3, 2), "Yours multiply to 6."),
        ((8,), "Yours multiply to 8."),
        ((3, -1), "They cannot, whatever -1 stands for: 3 does not divide 4."),
    ],
)
def test_an_axis_may_be_forgotten_only_where_numbers_are_left_over(lengths, said):
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(4).reshape(lengths)
    assert meaning(raised.value).endswith(f"the lengths must multiply to that. {said}")


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ([[(0, 1)], [(2, 2)]], "yours are all right, and some are missing."),
        ([[], []], "your list is empty, and something is expected."),
        ([[(0, 1)], []], "some are missing, and none is too many."),
        ([[(0, 1), (1, 0), (7, 7)], [(2, 2), (3, 3), (4, 4)]], "all that are expected are there, and others besides."),
        ([[(1, 1)], [(5, 5)]], "none of yours is among those expected."),
        ([[(0, 1), (5, 5)], [(2, 2), (0, 0)]], "some are missing, and others are too many."),
        ([[(0, 1)], [(2, 2), (0, 0)]], ""),
        ([[(0, 1), (1, 0), (7, 7)], [(2, 2), (0, 0)]], ""),
    ],
)
def test_lists_of_pairs_are_told_what_is_missing_and_what_is_too_much(got, said):
    wanted = [[(0, 1), (1, 0)], [(2, 2), (3, 3)]]
    assert explain([Case({}, mine, right) for mine, right in zip(got, wanted, strict=True)]) == said


def test_a_list_that_should_be_empty_is_told():
    assert explain([Case({}, [(0, 1)], [])]) == "none is expected, and your list holds some."


def test_right_numbers_in_a_set_are_told():
    assert explain([Case({}, {3, 5}, (3, 5)), Case({}, {4, 7}, (7, 4))]).startswith(
        "the numbers are right, and stand in a"
    )


def keeps_count(x, y, calls=[]):  # noqa: B006  as in the answer of whoever does not know it
    calls.append(x)
    return x + y**2 * len(calls)


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (lambda x, y: x * torch.rand(()), "the same input gives another output each time: something in it is random"),
        (keeps_count, "the same input gives another output each time, also with the same random numbers."),
        (lambda x, y: 2 * x, "`y` changes nothing in what you return, and it should."),
        (lambda x, y: x * y - x.mean(0), "what comes out for one image depends on the other images of the batch"),
        (lambda x, y: x + y, ""),
    ],
)
def test_what_an_answer_does_when_it_is_asked_again_is_told(got, said):
    def answer(x, y, seed=0):
        torch.manual_seed(seed)
        return got(x, y)

    inputs = [{"x": x, "y": x.flip(0) + 3} for x in X[1:]]
    wrong = [Case(given, answer(**given), given["x"] * given["y"]) for given in inputs]
    words = behaviour(wrong, answer, lambda x, y: x * y)
    assert words.startswith(said) if said else not words, words


def right_where(marks, *shape):
    """A case in which the marked numbers are right."""
    x = torch.randn(shape, generator=GENERATOR)
    return Case({}, torch.where(marks, x, x**3 + 7), x, axes=("B", "N", "D"))


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (lambda i, n: i == 0, "the first token alone is right."),
        (lambda i, n: i > 0, "all is right but for the first token."),
        (lambda i, n: i < n - 1, "all is right but for the last token."),
        (lambda i, n: i == n - 1, "the last token alone is right."),
        (lambda i, n: i in (0, n - 1), "the first and the last token alone are right."),
        (lambda i, n: i < n // 2, "the first half is right, counted along tokens."),
        (lambda i, n: i >= n // 2, "the second half is right, counted along tokens."),
        (lambda i, n: i % 2 == 0, "every second token is right: 0, 2, 4 …"),
        (lambda i, n: i % 2 == 1, "every second token is right: 1, 3, 5 …"),
    ],
)
def test_the_tokens_that_are_right_are_named(right, said):
    marks = [torch.tensor([right(i, n) for i in range(n)])[:, None] for n in (5, 6, 8)]
    assert explain([right_where(mark, 2, len(mark), 3) for mark in marks]) == said


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ("N D", "numbers of each position"),
        ("K", "classes"),
        ("W", "columns of pixels"),
        ("M", "places along axis M"),
        ("", "places along axis 1"),
    ],
)
def test_half_of_an_axis_is_counted_in_the_plural(axes, said):
    x = torch.randn(2, 5, 8, generator=GENERATOR)
    given = [
        Case({}, torch.where(torch.arange(8) < 4, each, each**3 + 7), each, {}, axes.split(), "position") for each in x
    ]
    assert explain(given) == f"the first half is right, counted along {said}."


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (lambda i, j: i != j, "only the diagonal is wrong."),
        (lambda i, j: i == j, "the diagonal alone is right."),
        (lambda i, j: j <= i, "below the diagonal and on it, all is right; above it, it is wrong."),
        (lambda i, j: j >= i, "above the diagonal and on it, all is right; below it, it is wrong."),
    ],
)
def test_a_diagonal_that_is_right_or_wrong_is_named(right, said):
    marks = [torch.tensor([[right(i, j) for j in range(n)] for i in range(n)]) for n in (3, 4, 6)]
    assert explain([right_where(mark, 2, *mark.shape) for mark in marks]) == said


def test_a_share_is_told_only_where_some_are_right_on_every_input():
    some, none = torch.tensor([True, False, False]), torch.tensor([False])
    assert partly_right([right_where(some, 2, 5, 3)]).startswith("it is right in part: on this input 10 of 30 numbers")
    assert partly_right([right_where(none, 2, 5, 3), right_where(some, 2, 5, 3)]) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda n, d: n * d, "D·N"),
        (lambda n, d: d / n, "D/N"),
        (lambda n, d: (n * d) ** 0.5, "√(D·N)"),
        (lambda n, d: (n / d) ** 0.5, "√(N/D)"),
        (lambda n, d: n * n * d, "N²·D"),
        (lambda n, d: n * d * d, "D²·N"),
        (lambda n, d: (n * d) ** 2, "D²·N²"),
        (lambda n, d: (n / d) ** 2, "(N/D)²"),
        (lambda n, d: n + d, "D + N"),
        (lambda n, d: n - d, "N − D"),
        (lambda n, d: 2 * (n + d), "2·(D + N)"),
        (lambda n, d: n**2, "N²"),
        (lambda n, d: 1 / d**0.5, "1/√D"),
        (lambda n, d: n**1.5, "N·√N"),
        (lambda n, d: n + 1, "N + 1"),
        (lambda n, d: d - 2, "D − 2"),
        (lambda n, d: 3 * n, "3·N"),
        (lambda n, d: n / 3, "N/3"),
        (lambda n, d: 3 * n / 2, "3/2·N"),
        (lambda n, d: 2 * d / 3, "2/3·D"),
        (lambda n, d: 3 * n * d / 4, "3/4·D·N"),
        (lambda n, d: 2 / n, "2/N"),
    ],
)
def test_a_number_is_named_by_the_sizes_that_make_it(value, said):
    sizes = [{"N": n, "D": d} for n, d in ((3.0, 4.0), (5.0, 4.0), (7.0, 6.0), (4.0, 10.0))]
    assert name_of([value(*size.values()) for size in sizes], [Case({}, 0, 0, size) for size in sizes]) == said


def test_a_sum_times_a_size_keeps_its_brackets():
    sizes = [{"N": n, "D": d, "h": h} for n, d, h in ((3.0, 4.0, 2.0), (5.0, 4.0, 3.0), (7.0, 6.0, 5.0))]
    values = [(size["N"] + size["D"]) * size["h"] for size in sizes]
    assert name_of(values, [Case({}, 0, 0, size) for size in sizes]) == "(D + N)·h"


def test_one_input_is_enough_to_name_a_root():
    assert name_of([6**0.5], [Case({}, 0, 0, {"N": 6.0})]) == "√N"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234, "1,234"),
        (0.5, "1/2"),
        (2 / 3, "2/3"),
        (5 / 12, "5/12"),
        (2**0.5, "√2"),
        (math.tau, "2·π"),
        (math.pi / 2, "π/2"),
        (math.pi / 180, "π/180"),
        (1 / math.log(2), "1/ln 2"),
        (0.123, "0.123"),
        (0.12345, ""),
    ],
)
def test_a_number_that_is_always_the_same_is_a_fraction_or_has_few_digits(value, said):
    assert number(value) == said


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((1, 0, 2), "your first and second number have changed places."),
        ((2, 1, 0), "your first and third number have changed places."),
        ((0, 2, 1), "your second and third number have changed places."),
        ((1, 2, 0), "your numbers are right, and stand in another order."),
    ],
)
def test_numbers_that_stand_elsewhere_are_named(order, said):
    assert explain([Case({}, tuple(one[i] for i in order), one) for one in ((1.0, 2.0, 5.0), (9.0, 3.0, 4.0))]) == said


def test_a_secret_is_not_given_away_in_one_of_several_numbers():
    given = [Case({}, (2 * one, one), (one, one)) for one in (3.0, 5.0, 8.0)]
    assert explain(given).startswith("your first number: it is twice as large as it should be.")
    assert "twice" not in explain(given, secret=True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((0,), "the first third along axis 3D is wrong, and the rest is right."),
        ((1,), "the second third along axis 3D is wrong, and the rest is right."),
        ((0, 2), "the second third along axis 3D is right, and the rest is wrong."),
        ((0, 1), "the last third along axis 3D is right, and the rest is wrong."),
    ],
)
def test_what_is_right_of_queries_keys_and_values_is_told(wrong, said):
    def bent(x):
        thirds = x.unflatten(0, (3, -1))
        return torch.stack([part**3 + part.flip(1) if i in wrong else part for i, part in enumerate(thirds)]).flatten(
            0, 1
        )

    right = [torch.randn(3 * dim, dim, generator=torch.Generator().manual_seed(dim)) for dim in (3, 4, 6)]
    assert explain([Case({}, bent(x), x, axes=("3D", "D")) for x in right]) == said
    assert "third" not in explain([Case({}, bent(x), x, axes=("N", "D")) for x in right])


@pytest.mark.parametrize("got", [["0.5", "1"], [0.5, [0.5, 1]], [0.5, None]])
def test_a_list_of_words_or_lists_is_not_taken_for_tensors(got):
    assert explain([Case({}, got, torch.ones(2))]).startswith("not all that your list holds is a number")


def test_several_things_in_place_of_a_number_are_no_axis():
    for kind, of_one in ((tuple, int), (list, torch.tensor)):
        given = [Case({"n": n}, kind((1, n, 2 * n)), of_one(2 * n * n)) for n in (2, 5)]
        assert explain(given) == "you returned several things, and one number is expected."


def test_a_set_of_numbers_is_told():
    assert explain([Case({}, {1, 7}, (1, 2)), Case({}, {3, 7}, (3, 4))]).startswith(
        "you returned a set, which keeps no"
    )


def test_the_first_layer_that_gets_something_else_is_told_after_what_is_right():
    def mean_of_all(model, images):
        x = model.blocks(model.position(model.class_token(model.patch_embed(images))))
        return model.head(model.norm(x).mean(1)).softmax(-1)

    said = check.vit_forward(mean_of_all).diagnosis
    assert said == "up to what `norm` gives, all is right. What goes into `head` is wrong."


def traced_from(calls, output, known):
    return Trace(calls, X[1], output, frozenset(known), [call.name for call in calls])


def traced(way, known=("norm", "attn")):
    """What a layer norm and a layer that mixes tokens got and gave on the way; `known` are names in the model."""
    calls = []

    def layer(name, function):
        def run(x):
            calls.append(Call(name, x, function(x), f"{name.title()}()"))
            return calls[-1].output

        return run

    mixed = layer("attn", lambda x: x + x.roll(1, 1) ** 2)
    output = way(X[1], layer("norm", torch.sin), mixed)
    return traced_from(calls, output, known)


def right_way(x, norm, attn):
    return x + attn(norm(x))


def norm_beside(x, norm, attn):
    norm(x)
    return x + attn(x)


def norm_added(x, norm, attn):
    y = norm(x)
    return x + y + attn(y)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (norm_beside, "`attn` gets what came in. It should get what `norm` returned."),
        (lambda x, norm, attn: x + attn(x + norm(x)), "`attn` gets what came in plus what `norm` returned. It should"),
        (lambda x, norm, attn: x + attn(2 * norm(x)), "`attn` gets what `norm` returned, twice. It should get"),
        (lambda x, norm, attn: x + attn(0 * norm(x)), "`attn` gets nothing but zeros. It should get what `norm`"),
        (lambda x, norm, attn: attn(norm(x)), "At the end you return what `attn` returned; it should be what came in"),
        (lambda x, norm, attn: x - attn(norm(x)), "At the end you return what came in minus what `attn` returned; it"),
        (lambda x, norm, attn: attn(norm(x)) - x, "At the end you return what `attn` returned minus what came in; it"),
        (norm_added, "At the end you return what came in plus what `norm` returned plus what `attn` returned; it"),
    ],
)
def test_what_a_layer_gets_and_what_is_returned_is_told_as_a_sum(way, said):
    words = compare_parts(traced(way), traced(right_way), explain)
    assert words.removeprefix("all layers get what they should. ").startswith(said)


def test_what_a_layer_gave_whose_name_the_learner_does_not_have_is_not_named():
    words = compare_parts(traced(norm_beside, known=("attn",)), traced(right_way), explain)
    assert words.startswith("up to what `norm` gives, all is right. What goes into `attn` is wrong: ")


def test_a_layer_whose_inside_is_right_may_be_wrong_itself():
    x = X[1]

    def trace(output):
        calls = [Call("mlp", x, output, "MLP()"), Call("mlp.fc1", x, x.exp(), "Linear(2, 2)")]
        return traced_from(calls, output, ("mlp", "mlp.fc1"))

    words = compare_parts(trace(3 * x.exp()), trace(x.exp()), explain)
    assert words.startswith("all layers get what they should. What you make of it at the end is wrong: every number is")


def test_a_layer_may_be_given_the_class_token_alone():
    def squared(model, images):
        x = model.blocks(model.position(model.class_token(model.patch_embed(images))))
        return model.head(model.norm(x[:, 0]).square())

    said = check.vit_forward(squared).diagnosis
    assert (
        said == "up to what `norm` gives, all is right. What goes into `head` is wrong: it is the square of what is "
        "expected."
    )


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (
            ("GELU()", "Linear(4, 4)"),
            "up to what `Linear number 1` gives, all is right. What goes into `Linear number 2",
        ),
        (("GELU()", "Conv2d(4, 4)"), ""),
    ],
)
def test_layers_of_other_names_are_compared_where_they_are_of_the_same_kinds(kinds, said):
    def trace(names, kinds, factor):
        given = (X[1], X[1].exp(), factor * X[1].exp())
        words = ("Linear(4, 4)", *kinds)
        calls = [
            Call(*each) for each in zip(names, given, (X[1].exp(), X[1].exp(), X[1].exp() + 1), words, strict=True)
        ]
        return traced_from(calls, given[2], names)

    mine = trace(("a", "b", "c"), kinds, 2)
    words = compare_parts(mine, trace(("fc1", "act", "fc2"), ("GELU()", "Linear(4, 4)"), 1), explain)
    assert words.startswith(said) if said else not words
