"""Words for differences: each is true of every input on which an answer is wrong, and the simplest comes first."""

import pytest
import torch

from vit_tutorial.exercises.difference import Case, Hints, Moved, explain, meaning

GENERATOR = torch.Generator().manual_seed(0)
X = [torch.randn(shape, generator=GENERATOR) for shape in ((1, 3, 4), (2, 5, 4), (2, 4, 6))]
SIZES = [{"N": float(x.shape[1]), "D": float(x.shape[2])} for x in X]


def cases(got, expected=lambda x: x):
    return [
        Case({"z": x + 100}, got(x), expected(x), sizes, ("B", "N", "D")) for x, sizes in zip(X, SIZES, strict=True)
    ]


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
        (lambda x: x * 0, "every number is 0."),
        (lambda x: x + torch.nan, "your numbers are NaN, no numbers at all"),
        (lambda x: x.abs(), "it is the absolute value of what is expected."),
        (lambda x: x.softmax(-1), "it is a softmax along axis -1 of what is expected."),
        (lambda x: x.double().round(decimals=2), "right, but rounded to 2 digits behind the point."),
        (lambda x: x.half(), "nearly right: no number is off by more than 1 part in 1,000"),
        (lambda x: x.flip(1), "it is mirrored along axis N: the last comes first."),
        (lambda x: x.roll(1, 1), "everything has moved on by 1 along axis N."),
        (lambda x: x.mT.reshape(x.shape), "right up to the last reshape: axis N and axis D were exchanged before it"),
        (lambda x: x + 100, "it is `z` as it came in."),
        (lambda x: x.mT, "axes N and D have changed places. Otherwise the numbers are right."),
        (lambda x: x[:, 1:], "axis N is too short: the first is missing. Otherwise the numbers are right."),
        (lambda x: x[:, :1] * 7, "axis N has length 1"),
        (lambda x: x.sum(1), "axis N is summed over. It should stay."),
        (lambda x: x.mean(1, keepdim=True), "axis N has length 1: it is averaged over, and should stay."),
        (lambda x: x[:, 0], "axis N is missing: only the first along it is there."),
        (lambda x: x[None], "there is an axis of length 1 too many"),
        (lambda x: x.flatten(0, 1), "axes B and N are glued into one. Keep them apart."),
        (lambda x: torch.cat([x[:, :1], x[:, 1:] + x[:, 1:] ** 3], 1), "the first token alone is right."),
        (lambda x: torch.cat([x[:, :1] ** 3, x[:, 1:]], 1), "all is right but for the first token."),
        (lambda x: "words", "you returned words, and numbers are expected."),
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


def test_weights_that_sum_to_one_elsewhere_are_told():
    right, wrong = (lambda x: x.softmax(-1)), (lambda x: x.softmax(-2))
    assert explain(cases(wrong, right)).startswith("your weights sum to 1 along axis N. They should along axis D")
    assert explain(cases(lambda x: x.exp(), right)).startswith("your weights do not sum to 1 along axis D")


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


@pytest.mark.parametrize(
    ("raises", "said"),
    [
        (lambda: torch.zeros(2, 3) @ torch.zeros(2, 3), "in a matrix product the last axis of the first, here 3 long"),
        (lambda: torch.zeros(2, 3).T.view(6), "`view` can only join axes that lie side by side"),
        (lambda: torch.zeros(2, 3) + torch.zeros(2, 4), "two tensors are joined number by number"),
        (lambda: torch.zeros(4).reshape(3, 2), "you ask for the shape [3, 2], and there are 4 numbers"),
        (lambda: torch.zeros(4)[7], "there is no place 7 along axis 0: it has 4"),
        (lambda: torch.zeros(4, 1).sum(5), "there is no axis 5"),
        (lambda: torch.zeros(4).reshape(2.0, 2), "a length must be a whole number"),
        (lambda: torch.nn.ModuleList([torch.nn.ReLU()])(1), "a ModuleList is a list of layers"),
        (lambda: nothing, "nothing here is called `nothing`"),  # noqa: F821
        (lambda: None.shape, "`shape` is asked of None."),
        (lambda: int("x", 1), ""),
    ],
)
def test_an_exception_has_a_meaning(raises, said):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        raises()
    words = meaning(raised.value)
    assert words.startswith(said) if said else not words, (words, raised.value)
