"""Answers to the exercises of lesson 5."""

import math

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from exercises.answers import Answers
from vit_tutorial import MultiHeadAttention, scaled_dot_product_attention

# ------------------------------------------------------------------------------------------ split


def by_reshape_and_transpose(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.reshape(batch, num_tokens, num_heads, dim // num_heads).transpose(1, 2)


def by_loop(x, num_heads):
    d = x.shape[-1] // num_heads
    return torch.stack([x[:, :, head * d : (head + 1) * d] for head in range(num_heads)], dim=1)


def by_unflatten(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).movedim(2, 1).contiguous()


def by_view_alone(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.view(batch, num_heads, num_tokens, dim // num_heads)


def not_swapped(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.view(batch, num_tokens, num_heads, dim // num_heads)


def every_hth_number(x, num_heads):
    return torch.stack([x[:, :, head::num_heads] for head in range(num_heads)], dim=1)


def d_heads_of_h_numbers(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.view(batch, num_tokens, dim // num_heads, num_heads).transpose(1, 2)


def tokens_last(x, num_heads):
    return by_loop(x, num_heads).transpose(2, 3)


def heads_in_front(x, num_heads):
    return torch.stack(x.chunk(num_heads, dim=-1))


def heads_in_the_batch(x, num_heads):
    return by_loop(x, num_heads).flatten(0, 1)


def a_list_of_heads(x, num_heads):
    return list(x.chunk(num_heads, dim=-1))


def swapped_before_the_split(x, num_heads):
    B, N, D = x.shape
    return x.transpose(1, 2).reshape(B, num_heads, N, D // num_heads)


def swapped_the_last_two(x, num_heads):
    B, N, D = x.shape
    return x.reshape(B, N, num_heads, D // num_heads).transpose(2, 3)


def drops_the_axis_of_one_head(x, num_heads):
    return rearrange(x, "b n (h d) -> b h n d", h=num_heads).squeeze(1)


# ------------------------------------------------------------------------------------------ merge


def by_cat(heads):
    return torch.cat([heads[:, i] for i in range(heads.shape[1])], dim=-1)


def by_transpose_and_flatten(heads):
    return heads.transpose(1, 2).flatten(2)


def by_contiguous_view(heads):
    B, h, N, d = heads.shape
    return heads.permute(0, 2, 1, 3).contiguous().view(B, N, h * d)


def reshape_alone(heads):
    B, h, N, d = heads.shape
    return heads.reshape(B, N, h * d)


def interleaved(heads):
    B, h, N, d = heads.shape
    return heads.permute(0, 2, 3, 1).reshape(B, N, d * h)


def not_joined(heads):
    return heads.transpose(1, 2)


def added(heads):
    return sum(heads[:, i] for i in range(heads.shape[1]))


def averaged(heads):
    return heads.mean(1)


def one_below_the_other(heads):
    return torch.cat([heads[:, i] for i in range(heads.shape[1])], dim=1)


def all_tokens_in_one_row(heads):
    return by_cat(heads).flatten(0, 1)


def tokens_as_columns(heads):
    return by_cat(heads).mT


def view_after_transpose(heads):
    B, h, N, d = heads.shape
    return heads.transpose(1, 2).view(B, N, h * d)


def swapped_n_and_d(heads):
    B, h, N, d = heads.shape
    return heads.transpose(2, 3).reshape(B, N, h * d)


def swapped_h_and_d(heads):
    B, h, N, d = heads.shape
    return heads.transpose(1, 3).reshape(B, N, h * d)


def first_head_twice(heads):
    return torch.cat([heads[:, 0]] * heads.shape[1], dim=-1)


# ------------------------------------------------------------------------------------------ count


def by_building(dim, num_heads):
    layer = MultiHeadAttention(dim, num_heads)
    d = dim // layer.num_heads
    return [d, d**0.5, sum(p.numel() for p in layer.parameters())]


def by_heads(dim, num_heads):
    d = dim // num_heads
    return d, torch.tensor(float(d)).sqrt(), num_heads * 3 * (dim * d + d) + num_heads * d * dim + dim


def counting(*texts):
    """Return an answer with three formulas in the words of Python."""
    names = {"sqrt": math.sqrt}
    return lambda dim, num_heads: tuple(eval(text, names | {"D": dim, "h": num_heads}) for text in texts)


COUNTS = ("D // h", "sqrt(D / h)", "4 * D**2 + 4 * D")


def wrong_count(place, text):
    return counting(*(text if i == place else right for i, right in enumerate(COUNTS)))


# ------------------------------------------------------------------------------------------ one head's own map


def by_rearrange(qkv_weight, proj_weight, num_heads, head):
    W_v = rearrange(qkv_weight, "(three h d) D -> three h D d", three=3, h=num_heads)[2]
    W_o = rearrange(proj_weight, "D (h d) -> h d D", h=num_heads)
    return W_v[head] @ W_o[head]


def by_zeros(qkv_weight, proj_weight, num_heads, head):
    D = len(proj_weight)
    d = D // num_heads
    keep = torch.zeros(D, dtype=qkv_weight.dtype)
    keep[head * d : (head + 1) * d] = 1
    return (qkv_weight[2 * D :].T * keep) @ proj_weight.T


def cut(qkv_weight, proj_weight, num_heads, head, third=2):
    D = len(proj_weight)
    d = D // num_heads
    rows = slice(head * d, (head + 1) * d)
    return qkv_weight[third * D : (third + 1) * D][rows].T, proj_weight[:, rows].T  # [D, d], [d, D]


def transposed_map(*given):
    down, up = cut(*given)
    return (down @ up).T


def from_the_queries(*given):
    down, up = cut(*given, third=0)
    return down @ up


def from_the_keys(*given):
    down, up = cut(*given, third=1)
    return down @ up


def head_by_head(qkv_weight, proj_weight, num_heads, head):
    W_v = rearrange(qkv_weight, "(h three d) D -> three h D d", three=3, h=num_heads)[2]
    return W_v[head] @ cut(qkv_weight, proj_weight, num_heads, head)[1]


def every_hth_row(qkv_weight, proj_weight, num_heads, head):
    W_v = rearrange(qkv_weight, "(three d h) D -> three h D d", three=3, h=num_heads)[2]
    return W_v[head] @ cut(qkv_weight, proj_weight, num_heads, head)[1]


def every_hth_of_both(qkv_weight, proj_weight, num_heads, head):
    return qkv_weight.chunk(3)[2][head::num_heads].T @ proj_weight[:, head::num_heads].T


def rows_of_proj(qkv_weight, proj_weight, num_heads, head):
    d = len(proj_weight) // num_heads
    return cut(qkv_weight, proj_weight, num_heads, head)[0] @ proj_weight[head * d : (head + 1) * d]


def columns_of_values(qkv_weight, proj_weight, num_heads, head):
    D = len(proj_weight)
    own = slice(head * D // num_heads, (head + 1) * D // num_heads)
    return qkv_weight[2 * D :][:, own] @ proj_weight[:, own].T


def as_if_not_transposed(qkv_weight, proj_weight, num_heads, head):
    D = len(proj_weight)
    own = slice(head * D // num_heads, (head + 1) * D // num_heads)
    return qkv_weight[2 * D :][:, own] @ proj_weight[own]


def as_stored(*given):
    down, up = cut(*given)
    return down.T @ up.T


def all_heads_at_once(qkv_weight, proj_weight, num_heads, head):
    return qkv_weight[2 * len(proj_weight) :].T @ proj_weight.T


def up_before_down(*given):
    down, up = cut(*given)
    return up @ down


def counted_from_one(qkv_weight, proj_weight, num_heads, head):
    D = len(proj_weight)
    d = D // num_heads
    own = slice((head - 1) * d, head * d)
    return qkv_weight[2 * D :][own].T @ proj_weight[:, own].T


def only_down(*given):
    return cut(*given)[0]


# ------------------------------------------------------------------------------------------ the layer


class MyAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.h = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def split(self, qkv):
        B, N, _ = qkv.shape
        return qkv.reshape(B, N, 3, self.h, -1).permute(2, 0, 3, 1, 4)

    def scores(self, q, k):
        return q @ k.mT / q.shape[-1] ** 0.5

    def weights(self, scores):
        return scores.softmax(-1)

    def join(self, heads):
        return heads.transpose(1, 2).flatten(2)

    def forward(self, x):
        q, k, v = self.split(self.qkv(x))
        return self.proj(self.join(self.weights(self.scores(q, k)) @ v))


class ByLoop(MyAttention):
    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        parts = zip(*(part.chunk(self.h, dim=-1) for part in (q, k, v)), strict=True)
        return self.proj(torch.cat([F.scaled_dot_product_attention(*part) for part in parts], dim=-1))


class RootOfD(MyAttention):
    def scores(self, q, k):
        return q @ k.mT / self.proj.in_features**0.5


class RootOfN(MyAttention):
    def scores(self, q, k):
        return q @ k.mT / k.mT.shape[-1] ** 0.5


class NoDivisor(MyAttention):
    def scores(self, q, k):
        return q @ k.mT


class NoRoot(MyAttention):
    def scores(self, q, k):
        return q @ k.mT / q.shape[-1]


class OverQueries(MyAttention):
    def weights(self, scores):
        return scores.softmax(2)


class OverHeads(MyAttention):
    def weights(self, scores):
        return F.softmax(scores, dim=1)


class NoSoftmax(MyAttention):
    def weights(self, scores):
        return scores


class SplitByView(MyAttention):
    def split(self, qkv):
        B, N, _ = qkv.shape
        return [part.reshape(B, self.h, N, -1) for part in qkv.chunk(3, dim=-1)]


class ViewBothWays(SplitByView):
    def join(self, heads):
        B, _, N, _ = heads.shape
        return heads.reshape(B, N, -1)


class HeadsLookAtHeads(MyAttention):
    def split(self, qkv):
        B, N, _ = qkv.shape
        return qkv.reshape(B, N, 3, self.h, -1).permute(2, 0, 1, 3, 4)

    def join(self, heads):
        return heads.flatten(2)


class OneHead(MyAttention):
    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(F.scaled_dot_product_attention(q, k, v))


class EveryThird(MyAttention):
    def split(self, qkv):
        B, N, _ = qkv.shape
        return qkv.reshape(B, N, self.h, -1, 3).permute(4, 0, 2, 1, 3)


class OutputAndWeights(MyAttention):
    def forward(self, x):
        q, k, v = self.split(self.qkv(x))
        weights = self.weights(self.scores(q, k))
        return self.proj(self.join(weights @ v)), weights


class IndexForgotten(MyAttention):
    def forward(self, x):
        heads = scaled_dot_product_attention(*self.split(self.qkv(x)))
        B, h, N, d = heads.shape
        return self.proj(heads.transpose(1, 2).reshape(B, N, h * d))


class IndexForgottenInProj(MyAttention):
    def forward(self, x):
        return self.proj(scaled_dot_product_attention(*self.split(self.qkv(x))))


class ChunkAlongTheBatch(MyAttention):
    def forward(self, x):
        q, k, v = (by_loop(part, self.h) for part in self.qkv(x).chunk(3))
        return self.proj(by_cat(F.scaled_dot_product_attention(q, k, v)))


class UnpackedAlongTheBatch(MyAttention):
    def forward(self, x):
        q, k, v = self.qkv(x)
        return self.proj(by_cat(F.scaled_dot_product_attention(by_loop(q, self.h), k, v)))


class EveryHth(MyAttention):
    def split(self, qkv):
        B, N, _ = qkv.shape
        return qkv.reshape(B, N, 3, -1, self.h).permute(2, 0, 4, 1, 3)


class HeadsBeforeThree(MyAttention):
    def split(self, qkv):
        B, N, _ = qkv.shape
        return qkv.reshape(B, N, self.h, 3, -1).permute(3, 0, 2, 1, 4)


class KeysFirst(MyAttention):
    def split(self, qkv):
        k, q, v = super().split(qkv)
        return q, k, v


class ValuesFirst(MyAttention):
    def split(self, qkv):
        v, k, q = super().split(qkv)
        return q, k, v


class MergedByReshape(MyAttention):
    def join(self, heads):
        B, _, N, _ = heads.shape
        return heads.reshape(B, N, -1)


class MergedInterleaved(MyAttention):
    def join(self, heads):
        return heads.permute(0, 2, 3, 1).flatten(2)


class NoProjection(MyAttention):
    def forward(self, x):
        q, k, v = self.split(self.qkv(x))
        return self.join(self.weights(self.scores(q, k)) @ v)


class WithPlus(MyAttention):
    def forward(self, x):
        return x + super().forward(x)


class SeparateLayers(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        return self.W_o(F.scaled_dot_product_attention(self.W_q(x), self.W_k(x), self.W_v(x)))


class NoModuleAttention:
    def __init__(self, dim, num_heads):
        self.inside = MultiHeadAttention(dim, num_heads)

    def __call__(self, x):
        return self.inside(x)


class WithDropout(MyAttention):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.1, self.training)


class BatchAndHeadsInOne(MyAttention):
    def forward(self, x):
        q, k, v = (rearrange(part, "b n (h d) -> (b h) n d", h=self.h) for part in self.qkv(x).chunk(3, -1))
        weights = torch.softmax(torch.bmm(q, k.mT) * q.shape[-1] ** -0.5, 2)
        return self.proj(rearrange(torch.bmm(weights, v), "(b h) n d -> b n (h d)", h=self.h))


class ByTheLibrary(MyAttention):
    def forward(self, x):
        x, given = x.transpose(0, 1), (self.qkv.weight, self.qkv.bias, None, None, False, 0.0)
        out = F.multi_head_attention_forward(x, x, x, x.shape[-1], self.h, *given, self.proj.weight, self.proj.bias)
        return out[0].transpose(0, 1)


class EachHeadProjected(MyAttention):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.proj = nn.Linear(dim // num_heads, dim // num_heads)

    def forward(self, x):
        q, k, v = self.split(self.qkv(x))
        return self.join(self.proj(self.weights(self.scores(q, k)) @ v))


class WithoutGradients(MyAttention):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class AttentionWithoutGradients(MyAttention):
    def forward(self, x):
        with torch.no_grad():
            q, k, v = self.split(self.qkv(x))
            heads = self.weights(self.scores(q, k)) @ v
        return self.proj(self.join(heads))


class WeightsCutOff(MyAttention):
    def weights(self, scores):
        return super().weights(scores).detach()


class FrozenQKV(MyAttention):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.qkv = nn.Linear(dim, 3 * dim).requires_grad_(False)


class TokensCutOff(MyAttention):
    def forward(self, x):
        return super().forward(x.detach())


class KeepsTheFirstWeights(MyAttention):
    first = None

    def weights(self, scores):
        if self.first is None:
            self.first = super().weights(scores)
        return self.first


class MeanOfTokens(MyAttention):
    def forward(self, x):
        return super().forward(x).mean(dim=1, keepdim=True)


# ------------------------------------------------------------------------------------------ the ward

FOUND = {"A": "merge", "B": "softmax", "C": "order", "D": "dropout", "E": "divisor", "F": "view"}


def found_all(patient):
    return {**FOUND}[patient]


def one_by_one(patient):
    order = ["merge", "softmax", "order", "dropout", "divisor", "view"]
    return order["ABCDEF".index(patient)]


def mistaken(patient_with, word):
    """Return a diagnosis that is right but for one patient."""

    def diagnosis(patient):
        return word if patient == patient_with else FOUND[patient]

    return diagnosis


def in_own_words(patient):
    return f"patient {patient} looks ill"


def half_filled(patient):
    return {"A": "merge", "B": "softmax", "C": ..., "D": "dropout", "E": ..., "F": ...}[patient]


def all_the_same(patient):
    return "merge"


def by_a_dictionary_of_three(patient):
    return {"A": "merge", "B": "softmax", "C": "order"}[patient]


# ------------------------------------------------------------------------------------------ to several exercises


def a_list_of_pictures(x, num_heads):
    return [torch.stack(image.chunk(num_heads, dim=-1)) for image in x]


class ListOfOutputs(MyAttention):
    def forward(self, x):
        return list(super().forward(x))


ANSWERS = {
    "split_heads": Answers(
        right=[a_list_of_pictures, by_reshape_and_transpose, by_loop, by_unflatten],
        wrong=[
            (by_view_alone, "you used view or reshape alone."),
            (not_swapped, "the axes h and N are not swapped yet"),
            (every_hth_number, "each head takes every h-th number"),
            (d_heads_of_h_numbers, "you made d heads of h numbers."),
            (tokens_last, "the last two axes are (d, N)"),
            (heads_in_front, "the head axis is in front of the batch axis."),
            (heads_in_the_batch, "batch and heads are one axis."),
            (a_list_of_heads, "you returned the heads one by one."),
            (swapped_before_the_split, "you swapped N and D before the split"),
            (swapped_the_last_two, "the split is right, but you swapped h and d."),
        ],
        unknown=[drops_the_axis_of_one_head],
    ),
    "merge_heads": Answers(
        right=[by_cat, by_transpose_and_flatten, by_contiguous_view],
        wrong=[
            (reshape_alone, "you used reshape alone."),
            (interleaved, "the heads are interleaved"),
            (not_joined, "h and d are still two axes."),
            (added, "you added the heads up"),
            (averaged, "you took the mean of the heads"),
            (one_below_the_other, "the heads lie one below the other"),
            (all_tokens_in_one_row, "batch and tokens are one axis."),
            (tokens_as_columns, "your last two axes are (D, N)"),
            (view_after_transpose, "the axes are right, but `view`"),
            (swapped_n_and_d, "you swapped N and d."),
            (swapped_h_and_d, "you swapped h and d."),
        ],
        unknown=[first_head_twice],
    ),
    "head_numbers": Answers(
        right=[by_building, by_heads],
        wrong=[
            (wrong_count(0, "D"), "your first number is D."),
            (wrong_count(0, "h"), "your first number is h,"),
            (wrong_count(0, "3 * (D // h)"), "your first number is that of query, key and value together."),
            (wrong_count(1, "D**0.5"), "your second number is √D."),
            (wrong_count(1, "D / h"), "your second number is d itself."),
            (wrong_count(1, "h**0.5"), "your second number is √h."),
            (wrong_count(2, "4 * D * D"), "your third number leaves out the biases"),
            (wrong_count(2, "3 * D * (D + 1)"), "your third number stops after queries, keys and values."),
            (
                wrong_count(2, "h * 3 * (D + 1) * D + (D + 1) * D"),
                "your third number gives every head matrices of D·D.",
            ),
            (wrong_count(2, "3 * (D + 1) * (D // h) + (D + 1) * D"), "your third number counts the matrices of one"),
            (wrong_count(2, "4 * D * D + D"), "your third number has the biases of the output projection only."),
            (wrong_count(2, "D * 3 * D + 3 * D + D * D"), "your third number has the biases of qkv only."),
            (wrong_count(2, "3 * (D + 1) * (D // h)"), "your third number is what one head has"),
            (wrong_count(2, "h * 4 * D * (D + 1)"), "your third number is h times too large."),
            (counting("(D / h)**0.5", "D // h", "4 * D**2 + 4 * D"), "your first two numbers have changed places"),
            (counting("D // h", "sqrt(D / h)"), "you returned two numbers."),
            (counting("D", "D**0.5", "4 * D * D"), "your first number is D. The heads share the D numbers: each has"),
        ],
    ),
    "head_map": Answers(
        right=[by_rearrange, by_zeros],
        wrong=[
            (transposed_map, "your map is transposed."),
            (from_the_queries, "you took the rows of Q."),
            (from_the_keys, "you took the rows of K."),
            (head_by_head, "you read the fused matrix head by head."),
            (every_hth_row, "you took every h-th row of V."),
            (every_hth_of_both, "you took every h-th number of both matrices."),
            (rows_of_proj, "you took rows of the stored output projection."),
            (all_heads_at_once, "this is the sum of the maps of all heads."),
            (up_before_down, "your product is [d, d]: first up, then down."),
            (as_stored, "your product is [d, d]: both parts still lie"),
            (columns_of_values, "you took columns of the stored W_V."),
            (as_if_not_transposed, "you took both matrices as if"),
            (counted_from_one, "you took the head before"),
        ],
        unknown=[only_down],
    ),
    "multi_head_attention": Answers(
        right=[MyAttention, ByLoop, BatchAndHeadsInOne, ByTheLibrary],
        wrong=[
            (ListOfOutputs, "your forward returns a list"),
            (RootOfD, "the scores are divided by √D."),
            (RootOfN, "the scores are divided by √N"),
            (NoDivisor, "the scores are not divided by √d"),
            (NoRoot, "the scores are divided by d."),
            (OverQueries, "the softmax runs over the queries."),
            (OverHeads, "the softmax runs over the heads."),
            (NoSoftmax, "there is no softmax"),
            (SplitByView, "the tokens are dealt out to the heads: view"),
            (ViewBothWays, "the tokens are dealt out to the heads, on the way in and on the way out."),
            (HeadsLookAtHeads, "attention ran over the heads of one token"),
            (OneHead, "the tokens were not cut into heads"),
            (EveryThird, "you took every third number of qkv"),
            (OutputAndWeights, "you returned two things."),
            (IndexForgotten, "you use several things as one tensor."),
            (IndexForgottenInProj, "you use several things as one tensor."),
            (ChunkAlongTheBatch, "q, k and v are taken along the first axis"),
            (UnpackedAlongTheBatch, "q, k and v are taken along the first axis"),
            (EveryHth, "a head takes every h-th number."),
            (HeadsBeforeThree, "you cut qkv into heads first"),
            (KeysFirst, "queries and keys are swapped"),
            (ValuesFirst, "the values come first in your qkv"),
            (MergedByReshape, "the heads are merged by reshape alone."),
            (MergedInterleaved, "the merged heads are interleaved."),
            (NoProjection, "the output projection is never used"),
            (WithPlus, "the input is added at the end."),
            (SeparateLayers, "the layers have other names or shapes."),
            (NoModuleAttention, "your class is no nn.Module"),
            (WithDropout, "while training, the same tokens give another answer"),
            (EachHeadProjected, "your proj goes from d to d, and takes each head alone."),
            (WithoutGradients, "no gradient arrives at your parameters, so they never learn."),
            (AttentionWithoutGradients, "no gradient arrives at `qkv`, so it never learns. Is there"),
            (WeightsCutOff, "no gradient arrives at a part of `qkv`, so it never learns. Is there"),
            (FrozenQKV, "no gradient arrives at `qkv`, so it never learns. Leave out requires_grad=False."),
            (TokensCutOff, "no gradient goes on to what lies below"),
            (KeepsTheFirstWeights, "called a second time, with another batch"),
        ],
        unknown=[MeanOfTokens],
    ),
    "attention_ward": Answers(
        right=[found_all, one_by_one],
        wrong=[
            (in_own_words, "the word for patient A is not on the list. Write one of 'divisor', 'softmax'"),
            *((mistaken(name, "scale"), f"the word for patient {name} is not on the list.") for name in "BCDEF"),
            (half_filled, "patient C has no word yet."),
            *((mistaken(name, ...), f"patient {name} has no word yet.") for name in "ABDEF"),
            (mistaken("A", "view"), "all six words are on the list. But patient A has something else. Its maps"),
            (all_the_same, "all six words are on the list. But patient B has something else. Look at the rows"),
            (mistaken("C", "merge"), "all six words are on the list. But patient C has something else. All its heads"),
            (mistaken("D", "order"), "all six words are on the list. But patient D has something else. Ask it"),
            (mistaken("E", "softmax"), "all six words are on the list. But patient E has something else. Its rows"),
            (mistaken("F", "merge"), "all six words are on the list. But patient F has something else. Change one"),
        ],
        unknown=[by_a_dictionary_of_three],
    ),
}
