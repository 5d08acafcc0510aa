"""Answers to the exercises of lesson 4."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from exercises.answers import Answers

# ------------------------------------------------------------------------------------------------------ with a pencil


def pencil(*numbers):
    """Return an answer with numbers worked out on paper."""

    def answer(query, keys, values):
        return list(numbers)

    answer.__name__ = f"pencil_{numbers}"
    return answer


def by_code(query, keys, values):
    return F.scaled_dot_product_attention(query[None, None], keys[None], values[None])[0, 0]


def as_tensor(query, keys, values):
    return torch.tensor([7.553, 9.0997])


def with_dots(query, keys, values):
    return [..., 9.1]


def in_words(query, keys, values):
    return "7.6, 9.1"


# ------------------------------------------------------------------------------------------------------- the function


def by_einsum(q, k, v, mask=None):
    scores = torch.einsum("...nd,...md->...nm", q, k) * q.shape[-1] ** -0.5
    exponentials = scores.exp()
    if mask is not None:
        exponentials = exponentials * mask
    return torch.einsum("...nm,...mv->...nv", exponentials / exponentials.sum(-1, keepdim=True), v)


def by_lines(q, k, v, mask=None):
    scores = torch.matmul(q, k.mT) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = torch.where(mask, scores, float("-inf"))
    return torch.softmax(scores, dim=-1) @ v


def hidden(scores, mask):
    return scores if mask is None else scores + torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))


def not_scaled(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT, mask), dim=-1) @ v


def divided_by_d(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT / q.shape[-1], mask), dim=-1) @ v


def multiplied(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT * q.shape[-1] ** 0.5, mask), dim=-1) @ v


def divided_by_root_2(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT / 2**0.5, mask), dim=-1) @ v


def over_the_queries(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT / q.shape[-1] ** 0.5, mask), dim=-2) @ v


def no_softmax(q, k, v, mask=None):
    scores = torch.einsum("...nd,...md->...nm", q, k)
    if mask is not None:
        scores = scores * mask
    return scores @ v / q.shape[-1] ** 0.5


def scaled_too_late(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT, mask), dim=-1) @ v / q.shape[-1] ** 0.5


def weights_alone(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT / q.shape[-1] ** 0.5, mask), dim=-1)


def with_its_weights(q, k, v, mask=None):
    weights = torch.softmax(hidden(q @ k.mT / q.shape[-1] ** 0.5, mask), dim=-1)
    return weights @ v, weights


def along_axis_one(q, k, v, mask=None):
    return torch.softmax(hidden(q @ k.mT / q.shape[-1] ** 0.5, mask), dim=1) @ v


def divided_by_keys(q, k, v, mask=None):
    return torch.softmax(hidden(torch.einsum("...nd,...md->...nm", q, k) / k.size(-2) ** 0.5, mask), dim=-1) @ v


def divided_by_values(q, k, v, mask=None):
    return torch.softmax(hidden(torch.einsum("...nd,...md->...nm", q, k) / v.size(-1) ** 0.5, mask), dim=-1) @ v


def divided_by_queries(q, k, v, mask=None):
    return torch.softmax(hidden(torch.einsum("...nd,...md->...nm", q, k) / q.size(-2) ** 0.5, mask), dim=-1) @ v


def by_bmm(q, k, v, mask=None):
    return torch.softmax(hidden(torch.bmm(q, k.transpose(-2, -1)) / q.size(-1) ** 0.5, mask), dim=-1) @ v


def keepdim_forgotten(q, k, v, mask=None):
    raised = torch.exp(hidden(torch.einsum("...nd,...md->...nm", q, k) / q.size(-1) ** 0.5, mask))
    return (raised / raised.sum(dim=-1)) @ v


def mask_ignored(q, k, v, mask=None):
    return F.scaled_dot_product_attention(q, k, v)


def mask_turned_round(q, k, v, mask=None):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if mask is not None:
        scores[..., mask] = float("-inf")
    return scores.softmax(-1) @ v


def masked_weights(q, k, v, mask=None):
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return (weights if mask is None else weights * mask) @ v


def infinity_in_the_weights(q, k, v, mask=None):
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    if mask is not None:
        weights[..., ~mask] = float("-inf")
    return weights @ v


def masked_with_zero(q, k, v, mask=None):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores * mask
    return scores.softmax(-1) @ v


def mask_as_numbers(q, k, v, mask=None):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + mask.float()
    return scores.softmax(-1) @ v


def of_other_sign(q, k, v, mask=None):
    return -by_lines(q, k, v, mask)


# --------------------------------------------------------------------------------------------------------------- masks


def by_product(lengths, size):
    causal = torch.ones(size, size).tril().bool()
    real = torch.arange(size)[None] < lengths[:, None]  # [B, N]
    return causal * real[:, None]


def mask_by(rule):
    """Return an answer that asks `rule(query, key, length)` for every place."""

    def answer(lengths, size):
        places = range(size)
        return torch.tensor([[[rule(i, j, n) for j in places] for i in places] for n in lengths.tolist()])

    return answer


by_loops = mask_by(lambda i, j, n: j <= i and j < n)


def as_an_array(lengths, size):
    return np.tril(np.ones((size, size), dtype=bool)) & (np.arange(size) < lengths.numpy()[:, None])[:, None]


def as_lists(lengths, size):
    return by_loops(lengths, size).tolist()


def axis_forgotten(lengths, size):
    real = torch.arange(size)[None] < lengths[:, None]
    return torch.tril(torch.ones(size, size)).bool() & real


def cut_off_without_batch(lengths, size):
    m = torch.ones(size, size, dtype=torch.bool).tril()
    m[:, lengths:] = False
    return m


def with_the_diagonal(lengths, size):
    return by_product(lengths, size) | torch.eye(size, dtype=torch.bool)


def padding_alone(lengths, size):
    return (torch.arange(size)[None] < lengths[:, None])[:, None]


def opposite(lengths, size):
    return ~by_product(lengths, size)


def one_for_all(lengths, size):
    return torch.tril(torch.ones(size, size, dtype=torch.bool))


def transposed(lengths, size):
    return by_product(lengths, size).transpose(1, 2)


def additive(lengths, size):
    return torch.where(by_product(lengths, size), 0.0, float("-inf"))


def as_numbers(lengths, size):
    return by_product(lengths, size).float()


def nothing_allowed(lengths, size):
    return torch.zeros(len(lengths), size, size).bool()


# ---------------------------------------------------------------------------------------------------------------- cost


def step_by_step(tokens, dim):
    scores = tokens * tokens * dim
    outputs = tokens * tokens * dim
    mlp = tokens * (dim * 4 * dim) + tokens * (4 * dim * dim)
    return scores + outputs, mlp, mlp * tokens / (scores + outputs)


def counting(squared, mlp, crossing):
    """Return an answer with three formulas in the words of Python."""
    return lambda tokens, dim: tuple(eval(text, {"N": tokens, "D": dim}) for text in (squared, mlp, crossing))


RIGHT = ("2 * N**2 * D", "8 * N * D**2", "4 * D")


def wrong_count(place, text):
    return counting(*(text if i == place else right for i, right in enumerate(RIGHT)))


# ----------------------------------------------------------------------------------------- a self-attention of your own


class ByFunction(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.value = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)

    def forward(self, x):
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


class ByLines(ByFunction):
    def scores(self, x):
        return torch.einsum("bnd,bmd->bnm", self.query(x), self.key(x)) / x.size(-1) ** 0.5

    def forward(self, x):
        return torch.softmax(self.scores(x), -1) @ self.value(x)


class NotScaled(ByLines):
    def scores(self, x):
        return self.query(x) @ self.key(x).transpose(1, 2)


class DividedByD(NotScaled):
    def scores(self, x):
        return super().scores(x) / x.size(-1)


class DividedByTokens(NotScaled):
    def scores(self, x):
        keys = self.key(x).transpose(1, 2)
        return self.query(x) @ keys / math.sqrt(keys.shape[-1])


class DividedByAllTokens(NotScaled):
    def scores(self, x):
        return super().scores(x) / x.shape[1]


class DividedByBoth(DividedByTokens):
    def scores(self, x):
        return super().scores(x) / x.shape[2] ** 0.5


class OverTheQueries(ByLines):
    def forward(self, x):
        return torch.softmax(self.scores(x), dim=1) @ self.value(x)


class OverTheBatch(ByLines):
    def forward(self, x):
        return torch.softmax(self.scores(x), dim=0) @ self.value(x)


class NoSoftmax(ByLines):
    def forward(self, x):
        return self.scores(x) @ self.value(x)


class KeysAsk(ByLines):
    def scores(self, x):
        return super().scores(x).mT


class MixedTokens(ByLines):
    def forward(self, x):
        return self.scores(x).softmax(-1) @ x


class MixedKeys(ByLines):
    def forward(self, x):
        return self.scores(x).softmax(-1) @ self.key(x)


class BareTokens(ByFunction):
    def forward(self, x):
        return F.scaled_dot_product_attention(x, x, self.value(x))


class NothingButTokens(ByFunction):
    def forward(self, x):
        return (x @ x.mT / math.sqrt(x.shape[-1])).softmax(-1) @ x


class WithResidual(ByFunction):
    def forward(self, x):
        return x + super().forward(x)


class WeightsAlone(ByLines):
    def forward(self, x):
        return self.scores(x).softmax(-1)


class OutputAndWeights(ByLines):
    def forward(self, x):
        weights = self.scores(x).softmax(-1)
        return weights @ self.value(x), weights


class ShortNames(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x):
        return F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x))


class NoBias(ByFunction):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in "qkv")


class WithProjection(ByFunction):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.output = nn.Linear(dim, dim)

    def forward(self, x):
        return self.output(super().forward(x))


class DividedByRootOf32(NotScaled):
    def scores(self, x):
        return super().scores(x) / 32**0.5


class DividedByRootOf17(NotScaled):
    def scores(self, x):
        return super().scores(x) / math.sqrt(17)


class NoModule:
    def __init__(self, dim, num_heads):
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in "qkv")

    def __call__(self, x):
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


class MeanOfTokens(ByFunction):
    def forward(self, x):
        return super().forward(x).mean(dim=1, keepdim=True)


class ScaledTooLate(NotScaled):
    def forward(self, x):
        return torch.softmax(self.scores(x), -1) / x.shape[-1] ** 0.5 @ self.value(x)


class WithoutGradients(ByFunction):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class WithoutGradientsInside(ByLines):
    def forward(self, x):
        with torch.no_grad():
            out = super().forward(x)
        return out


class WeightsCutOff(ByLines):
    def forward(self, x):
        return torch.softmax(self.scores(x), -1).detach() @ self.value(x)


class FrozenQuery(ByFunction):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.query = nn.Linear(dim, dim).requires_grad_(False)


class TokensCutOff(ByFunction):
    def forward(self, x):
        return super().forward(x.detach())


class KeysOfTokensCutOff(ByLines):
    def scores(self, x):
        return self.query(x) @ self.key(x.detach()).mT / x.shape[-1] ** 0.5


class KeepsTheFirstWeights(ByLines):
    weights = None

    def forward(self, x):
        if self.weights is None:
            self.weights = self.scores(x).softmax(-1)
        return self.weights @ self.value(x)


class KeepsWeightsByShape(ByLines):
    weights = None

    def forward(self, x):
        if self.weights is None or self.weights.shape[:2] != x.shape[:2]:
            self.weights = self.scores(x).softmax(-1)
        return self.weights @ self.value(x)


NOT_LEARNING = [
    (WithoutGradients, "no gradient arrives at your parameters, so they never learn."),
    (WithoutGradientsInside, "no gradient arrives at your parameters, so they never learn."),
    (WeightsCutOff, "no gradient arrives at `query` and `key`, so they never learn. Is there"),
    (FrozenQuery, "no gradient arrives at `query`, so it never learns. Leave out requires_grad=False."),
    (TokensCutOff, "no gradient goes on to what lies below"),
    (KeysOfTokensCutOff, "the gradient that goes on to what lies below is not that of this model"),
    (KeepsTheFirstWeights, "called a second time, with another batch"),
    (KeepsWeightsByShape, "called a second time, with another batch"),
]


# ------------------------------------------------------------------------------------------ to several exercises


def scores_number_by_number(q, k, v, mask=None):
    scores = q * k / q.shape[-1] ** 0.5
    return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1) @ v


def all_number_by_number(q, k, v, mask=None):
    scores = q * k / q.shape[-1] ** 0.5
    return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1) * v


def without_the_last_word(lengths, size):
    return by_product(lengths - 1, size)


class ListOfOutputs(ByLines):
    def forward(self, x):
        return list(super().forward(x))


ANSWERS = {
    "attention_by_hand": Answers(
        right=[pencil(7.6, 9.1), pencil(7.55, 9.1), by_code, as_tensor],
        wrong=[
            (pencil(8.83, 9.84), "the scores are not scaled."),
            (pencil(8.8, 9.8), "the scores are not scaled."),
            (pencil(6.93, 8.14), "you divided by d."),
            (pencil(8.15, 9.51), "you divided by √2"),
            (pencil(7.82, 9.27), "you divided by √3"),
            (pencil(20, 30), "the scaled scores were used as weights."),
            (pencil(40, 60), "the bare scores were used as weights."),
            (pencil(6.67, 10), "you divided each score by the sum of the scores."),
            (pencil(83.9, 101.1), "the exponentials were not divided"),
            (pencil(4.41, 4.92), "you divided by 2 after the softmax."),
            (pencil(8, 9), "you rounded the weights to one decimal"),
            (pencil(10, 10), "you took the value of the best key alone."),
            (pencil(6.67, 6.67), "you gave all three values the same weight"),
            (pencil(0.09, 0.24, 0.67), "these are the weights."),
            (pencil(9.1, 7.6), "your two numbers have changed places"),
            (pencil(0, 2, 4), "these are the scores"),
        ],
        unknown=[pencil(1.0, 2.0), with_dots, in_words],
    ),
    "attention": Answers(
        right=[by_einsum, by_lines, F.scaled_dot_product_attention],
        wrong=[
            (scores_number_by_number, "you multiplied q and k number by number."),
            (all_number_by_number, "you multiplied q and k number by number."),
            (not_scaled, "the scores are not scaled."),
            (divided_by_d, "you divide by d."),
            (multiplied, "you multiply by sqrt(d)."),
            (over_the_queries, "the softmax runs over the queries."),
            (no_softmax, "there is no softmax"),
            (scaled_too_late, "you scaled after the softmax."),
            (weights_alone, "you returned the weights."),
            (with_its_weights, "you returned two things."),
            (divided_by_root_2, "you divide by √2, as in the lesson's example."),
            (along_axis_one, "right without a batch"),
            (divided_by_keys, "you divide by the square root of the number of keys."),
            (divided_by_values, "you divide by the square root of the length of a value."),
            (divided_by_queries, "you divide by the square root of the number of queries."),
            (by_bmm, "`bmm` multiplies batches of matrices, three axes each"),
            (keepdim_forgotten, "the sum has lost its last axis"),
            (mask_ignored, "right without a mask, but a mask changes nothing."),
            (mask_turned_round, "your mask is the wrong way round"),
            (masked_weights, "you masked after the softmax"),
            (infinity_in_the_weights, "you put -inf into the weights"),
            (masked_with_zero, "forbidden scores became 0"),
            (mask_as_numbers, "you added the mask itself"),
        ],
        unknown=[of_other_sign],
    ),
    "attention_mask": Answers(
        right=[by_product, by_loops, as_an_array],
        wrong=[
            (without_the_last_word, "the last word of each sentence is forbidden, too."),
            (opposite, "the mask is the wrong way round"),
            (mask_by(lambda i, j, n: i <= j < n), "your words look at what comes after them"),
            (mask_by(lambda i, j, n: j < i and j < n), "the diagonal is missing"),
            (mask_by(lambda i, j, n: j < n), "words may look at what comes after them."),
            (mask_by(lambda i, j, n: j <= i), "the padding is forgotten"),
            (one_for_all, "the padding is forgotten"),
            (mask_by(lambda i, j, n: j <= i and j <= n), "one padded place too many"),
            (mask_by(lambda i, j, n: j <= i < n), "you forbid padded rows"),
            (mask_by(lambda i, j, n: j <= i or j < n), "you joined the two with `or`."),
            (axis_forgotten, "the padding needs an axis for the queries"),
            (cut_off_without_batch, "the batch axis is missing"),
            (with_the_diagonal, "padded rows look at padding"),
            (mask_by(lambda i, j, n: j <= i < n or i == j), "padded rows look at padding"),
            (padding_alone, "this is the padding alone"),
            (transposed, "rows and columns have changed places."),
            (additive, "this is the additive form"),
            (as_numbers, "it holds numbers, not True and False."),
            (as_lists, "return a tensor, not a list"),
        ],
        unknown=[nothing_allowed],
    ),
    "attention_cost": Answers(
        right=[step_by_step, counting("N * N * D + N * D * N", "N * D * 4 * D * 2", "8 * D / 2")],
        wrong=[
            (wrong_count(0, "N**2 * D"), "your first number is one of two products."),
            (wrong_count(0, "2 * N * N"), "your first number counts the numbers in the tables."),
            (wrong_count(0, "N * N"), "your first number is the size of the table."),
            (wrong_count(0, "2 * N * N * D + 4 * N * D * D"), "your first number holds the projections too."),
            (wrong_count(0, "4 * N * N * D"), "your first number is twice too large"),
            (wrong_count(0, "2 * N * D**2"), "your first number has N and D the wrong way round."),
            (wrong_count(1, "N * D * 4 * D"), "your second number is the first layer of the MLP alone."),
            (wrong_count(1, "2 * D * 4 * D"), "your second number is for one token."),
            (wrong_count(1, "2 * N * D * D"), "your second number is for an MLP that is not wider"),
            (wrong_count(1, "2 * 8 * N * D**2"), "your second number is twice too large"),
            (wrong_count(2, "6 * D"), "your third number compares the N² part with everything else"),
            (wrong_count(2, "8 * D"), "your third number is twice too large."),
            (wrong_count(2, "2 * D"), "your third number is 2·D."),
            (wrong_count(2, "4 * N"), "your third number is 4·N."),
            (wrong_count(2, "D"), "your third number is D."),
            (counting("N * N", "8 * D * D", "D"), "your first number is the size of the table. Each"),
        ],
    ),
    "self_attention": Answers(
        right=[ByFunction, ByLines],
        wrong=[
            (ListOfOutputs, "your forward returns a list"),
            (NotScaled, "the scores are not scaled."),
            (DividedByD, "you divide by D."),
            (DividedByTokens, "you divide by the square root of N"),
            (OverTheQueries, "the softmax runs over the queries."),
            (OverTheBatch, "the softmax runs along the batch"),
            (NoSoftmax, "there is no softmax"),
            (KeysAsk, "queries and keys have changed places"),
            (MixedTokens, "you mixed the tokens themselves."),
            (MixedKeys, "you mixed the keys."),
            (BareTokens, "the tokens were compared as they are."),
            (NothingButTokens, "the tokens themselves are compared and mixed"),
            (WithResidual, "the tokens are added at the end."),
            (WeightsAlone, "you returned the weights."),
            (OutputAndWeights, "you returned two things."),
            (ShortNames, "the layers have other names."),
            (WithProjection, "there is a layer besides query, key and value."),
            (NoBias, "your three layers must be nn.Linear(dim, dim)"),
            (NoModule, "your class is no nn.Module"),
            *NOT_LEARNING,
        ],
        unknown=[MeanOfTokens],
    ),
    "mended_attention": Answers(
        right=[ByFunction, ByLines],
        wrong=[
            (DividedByTokens, "the fault is still there"),
            (DividedByAllTokens, "you divide by N"),
            (NotScaled, "you took the division away."),
            (DividedByD, "you divide by d."),
            (DividedByRootOf32, "√32 is right for D = 32 only."),
            (DividedByRootOf17, "√17 is that of the 17 tokens"),
            (DividedByBoth, "you divide by both roots."),
            (OverTheQueries, "the scale is mended, but now"),
            (ScaledTooLate, "you divide by the right number in the wrong place"),
            *NOT_LEARNING,
        ],
        unknown=[MeanOfTokens],
    ),
}
