"""Lesson 10."""

import math
from collections import Counter

import numpy as np
import torch
from einops import einsum, rearrange
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from exercises.answers import Answers

# ------------------------------------------------------------------------------------------ a rate for each layer


def rates_from_above(depth, decay):
    rates = [1.0]
    for _ in range(depth + 1):
        rates.insert(0, rates[0] * decay)
    return rates


def rates_in_numpy(depth, decay):
    return np.power(decay, np.arange(depth + 1, -1, -1))


def rates_in_place(depth, decay):
    rates = torch.ones(depth + 2)
    for i in reversed(range(depth + 1)):
        rates[i] = rates[i + 1] * decay
    return rates


def rates_in_half_precision_words(depth, decay):
    return tuple(math.exp(power * math.log(decay)) for power in reversed(range(depth + 2)))


def powers(exponent, start=0, end=None):
    """Return factors whose exponent is worked out from the layer and the depth; some may be cut off."""

    def answer(depth, decay):
        return [decay ** exponent(layer, depth) for layer in range(depth + 2)][start:end]

    return answer


def of_distance(factor):
    """Return factors that are worked out from the decay and from how far below the head a layer lies."""

    def answer(depth, decay):
        return [factor(decay, below) for below in range(depth + 1, -1, -1)]

    return answer


def patches_like_block_0(depth, decay):
    blocks = [decay ** (depth - i) for i in range(depth)]
    return [blocks[0], *blocks, 1]


def norm_by_itself(depth, decay):
    return [*rates_from_above(depth, decay)[:-1], decay, 1]


def class_token_by_itself(depth, decay):
    rates = rates_from_above(depth, decay)
    return [rates[0], *rates]


def head_at_rest(depth, decay):
    return [*rates_from_above(depth, decay)[:-1], 0]


def frozen_patches(depth, decay):
    return [0, *rates_from_above(depth, decay)[1:]]


def patches_at_full_rate(depth, decay):
    return [1, *rates_from_above(depth, decay)[1:]]


def blocks_backwards(depth, decay):
    rates = rates_from_above(depth, decay)
    return [rates[0], *rates[1:-1][::-1], 1]


def blocks_backwards_from_one(depth, decay):
    return [decay ** (depth + 1)] + [decay**i for i in range(depth)] + [1]


def summing_to_one(depth, decay):
    rates = torch.tensor(rates_from_above(depth, decay))
    return rates / rates.sum()


# ------------------------------------------------------------------------------------------ ask the neighbours


def by_loops(features, labels, queries, k, num_classes):
    rows = []
    for query in queries.tolist():
        cosines = []
        for feature, label in zip(features.tolist(), labels.tolist(), strict=True):
            dot = sum(a * b for a, b in zip(query, feature, strict=True))
            cosines.append((dot / math.hypot(*query) / math.hypot(*feature), label))
        votes = Counter(label for _, label in sorted(cosines, reverse=True)[:k])
        rows.append([votes[label] / k for label in range(num_classes)])
    return rows


def by_numpy(features, labels, queries, k, num_classes):
    x, q, y = features.numpy().astype(np.float64), queries.numpy().astype(np.float64), labels.numpy()
    cosines = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (x / np.linalg.norm(x, axis=1, keepdims=True)).T
    places = np.argsort(-cosines, axis=1)[:, :k]
    return np.stack([np.bincount(y[row], minlength=num_classes) / k for row in places])


def by_distance_of_unit_vectors(features, labels, queries, k, num_classes):
    distance = torch.cdist(F.normalize(queries), F.normalize(features))
    places = distance.topk(k, largest=False).indices
    return torch.zeros(len(queries), num_classes).scatter_add_(1, labels[places], torch.full(places.shape, 1 / k))


def queries_as_long_as_they_are(features, labels, queries, k, num_classes):
    cosines = einsum(queries, features / features.norm(dim=1, keepdim=True), "b d, m d -> b m")
    found = labels[cosines.sort(dim=1, descending=True).indices[:, :k]]
    return (found[..., None] == torch.arange(num_classes)).double().mean(1)


def by_cosine_similarity(features, labels, queries, k, num_classes):
    cosines = F.cosine_similarity(queries[:, None], features[None], dim=-1)
    return torch.eye(num_classes)[labels[cosines.topk(k).indices]].sum(1) / k


def neighbours(near=None, places=None, shares=None):
    """Return an answer that may measure, choose or count otherwise."""
    near = near or (lambda x, q: F.cosine_similarity(q[:, None], x[None], dim=-1))
    places = places or (lambda cosines, k, num_classes: cosines.argsort(dim=1, descending=True)[:, :k])
    shares = shares or (lambda votes: votes.sum(1) / votes.shape[1])

    def answer(features, labels, queries, k, num_classes):
        chosen = places(near(features, queries), k, num_classes)
        return shares(F.one_hot(labels[chosen], num_classes).float())

    return answer


def standardised(x, q):
    middle, spread = x.mean(dim=0), x.std(dim=0)
    return F.normalize((q - middle) / spread) @ F.normalize((x - middle) / spread).T


def first_query_alone(features, labels, queries, k, num_classes):
    rows = torch.zeros(len(queries), num_classes)
    for i, query in enumerate(queries):
        for place in F.cosine_similarity(query[None], features).topk(k).indices:
            rows[i, labels[place]] += 1 / k
        return rows
    return None


def scaled_by(divide):
    return neighbours(near=lambda x, q: q @ divide(x).T)


def as_wide_as_the_labels(features, labels, queries, k, num_classes):
    chosen = F.cosine_similarity(queries[:, None], features[None], dim=-1).topk(k).indices
    return F.one_hot(labels[chosen]).float().mean(1)


def by_weight(weight):
    def answer(features, labels, queries, k, num_classes):
        best = F.cosine_similarity(queries[:, None], features[None], dim=-1).topk(k)
        rows = torch.zeros(len(queries), num_classes)
        return rows.scatter_add(1, labels[best.indices], weight(best.values))

    return answer


def nearest_class(features, labels, queries, k, num_classes):
    best = []
    for query in queries:
        near = []
        for label in range(num_classes):
            own = features[labels == label]
            near.append(F.cosine_similarity(own.mean(0), query, dim=0) if len(own) else torch.tensor(-2.0))
        best.append(torch.stack(near).argmax())
    return F.one_hot(torch.stack(best), num_classes).float()


def labels_of_the_nearest(features, labels, queries, k, num_classes):
    return labels[F.cosine_similarity(queries[:, None], features[None], dim=-1).topk(k).indices]


def mean_of_labels(features, labels, queries, k, num_classes):
    return labels_of_the_nearest(features, labels, queries, k, num_classes).float().mean(1)


def places_of_the_nearest(features, labels, queries, k, num_classes):
    return F.cosine_similarity(queries[:, None], features[None], dim=-1).topk(k).indices


# ------------------------------------------------------------------------------------------ write a LoRA


class Layer(nn.Module):
    """A LoRA in which one thing may be done otherwise."""

    a_shape = staticmethod(lambda d, m, r: (r, d))
    b_shape = staticmethod(lambda d, m, r: (m, r))

    def __init__(self, linear, rank, alpha):
        super().__init__()
        d, m = linear.in_features, linear.out_features
        self.old, self.r, self.alpha = linear, rank, alpha
        self.A, self.B = nn.Parameter(torch.rand(self.a_shape(d, m, rank))), nn.Parameter(self.first_B(d, m, rank))
        self.freeze()

    def first_B(self, d, m, r):
        return torch.zeros(self.b_shape(d, m, r))

    def freeze(self):
        for parameter in self.old.parameters():
            parameter.requires_grad = False

    def factor(self):
        return self.alpha / self.r

    def forward(self, x):
        return self.old(x) + self.factor() * F.linear(F.linear(x, self.A), self.B)


def through(way):
    return type("Through", (Layer,), {"forward": way})


def times(factor):
    return type("Times", (Layer,), {"factor": lambda self: factor(self.alpha, self.r, self.old)})


class WeightsAddedFirst(Layer):
    def forward(self, x):
        return F.linear(x, self.old.weight + self.alpha / self.r * (self.B @ self.A), self.old.bias)


class TwoLinears(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        self.A = nn.Linear(linear.in_features, rank, bias=False)
        self.B = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.B.weight)
        self.linear.requires_grad_(False)
        self.scaling = alpha / rank
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        return self.linear(x) + self.scaling * self.B(self.A(self.dropout(x)))


class ZeroA(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.zeros_(self.A)
        nn.init.normal_(self.B)


class Sum(nn.Module):
    def __init__(self, factor, A, B):
        super().__init__()
        self.factor, self.A, self.B = factor, A, B

    def forward(self, weight):
        return weight + self.factor * self.B @ self.A


class Parametrized(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        linear.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, linear.in_features))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.linear = linear
        parametrize.register_parametrization(linear, "weight", Sum(alpha / rank, self.A, self.B))

    def forward(self, x):
        return self.linear(x)


class OneByOne(Layer):
    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        out = [self.old(row) + self.alpha * (self.B @ (self.A @ row)) / self.r for row in rows]
        return torch.stack(out).reshape(*x.shape[:-1], -1)


class Einops(Layer):
    def forward(self, x):
        return self.old(x) + self.factor() * einsum(x, self.A, self.B, "... d, r d, m r -> ... m")


class Subclass(nn.Linear):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear.in_features, linear.out_features)
        self.load_state_dict(linear.state_dict())
        self.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, linear.in_features))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return super().forward(x) + self.scale * x @ self.A.T @ self.B.T


class NoModule:
    def __init__(self, linear, rank, alpha):
        self.linear = linear
        self.A, self.B = torch.randn(rank, linear.in_features), torch.zeros(linear.out_features, rank)

    def forward(self, x):
        return self.linear(x)

    __call__ = forward


class NotFrozen(Layer):
    def freeze(self):
        pass


class BiasNotFrozen(Layer):
    def freeze(self):
        self.old.weight.requires_grad_(False)


class AllFrozen(Layer):
    def freeze(self):
        self.requires_grad_(False)


class BothRandom(Layer):
    def first_B(self, d, m, r):
        return torch.randn(m, r)


class BothZero(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.zeros_(self.A)


class OnesInA(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.ones_(self.A)


class OneNumberInA(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.constant_(self.A, 0.01)


class OneNumberInB(ZeroA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.constant_(self.B, 0.5)


class SmallNumbersInA(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.normal_(self.A, std=0.001)


class AsWideAsTheLayer(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)


class DropsAlways(Layer):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.1))


class DropsInA(Layer):
    def forward(self, x):
        return self.old(x) + self.factor() * F.linear(F.linear(F.dropout(x, 0.1), self.A), self.B)


class RestsInTraining(Layer):
    def forward(self, x):
        return self.old(x) if self.training else super().forward(x)


class PlainTensors(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        del self.A
        self.A = torch.randn(rank, linear.in_features)


class OtherNames(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.down.T @ self.up.T


class RowsFirst(Layer):
    a_shape = staticmethod(lambda d, m, r: (d, r))
    b_shape = staticmethod(lambda d, m, r: (r, m))

    def forward(self, x):
        return self.old(x) + self.factor() * x @ self.A @ self.B


class ChangedPlaces(Layer):
    a_shape = staticmethod(lambda d, m, r: (m, r))
    b_shape = staticmethod(lambda d, m, r: (r, d))


class SquareB(Layer):
    b_shape = staticmethod(lambda d, m, r: (m, m))


class BiasedA(TwoLinears):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.A = nn.Linear(linear.in_features, rank)


class OneMoreMatrix(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.C, self.bias, self.gain = (nn.Parameter(torch.zeros(rank)) for _ in range(3))


class NewLayer(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(nn.Linear(linear.in_features, linear.out_features), rank, alpha)


class ProductMadeOnce(Layer):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.delta = (self.factor() * self.B @ self.A).detach()

    def forward(self, x):
        return self.old(x) + x @ self.delta.T


def without_gradient(self, x):
    with torch.no_grad():
        small = self.factor() * F.linear(F.linear(x, self.A), self.B)
    return self.old(x) + small


def old_without_gradient(self, x):
    with torch.no_grad():
        old = self.old(x)
    return old + self.factor() * F.linear(F.linear(x, self.A), self.B)


def small(self, x):
    return F.linear(F.linear(x, self.A), self.B)


# ------------------------------------------------------------------------------------------ merge it


def merged_by_slices(weight, A_q, B_q, A_v, B_v, alpha):
    D, new = weight.shape[-1], weight.detach().clone()
    new[:D] = new[:D] + torch.matmul(B_q, A_q) * alpha / A_q.size(0)
    new[-D:] = new[-D:] + torch.matmul(B_v, A_v) * alpha / B_v.size(1)
    return new


def merged_by_einops(weight, A_q, B_q, A_v, B_v, alpha):
    three = rearrange(weight, "(three m) d -> three m d", three=3)
    small = torch.stack([B_q @ A_q, torch.zeros_like(weight[: len(B_q)]), B_v @ A_v])
    return rearrange(three + alpha / len(A_v) * small, "three m d -> (three m) d")


def merged_in_numpy(weight, A_q, B_q, A_v, B_v, alpha):
    w, scale = weight.numpy().astype(np.float64), alpha / A_q.shape[0]
    w_q, w_k, w_v = np.split(w, 3)
    return np.concatenate([w_q + scale * (B_q.numpy() @ A_q.numpy()), w_k, w_v + scale * (B_v.numpy() @ A_v.numpy())])


def merged_by_loops(weight, A_q, B_q, A_v, B_v, alpha):
    new, (rank, D) = weight.tolist(), A_q.shape
    for A, B, first in ((A_q, B_q, 0), (A_v, B_v, 2 * D)):
        for i in range(D):
            for j in range(D):
                new[first + i][j] += alpha / rank * sum(float(B[i, r] * A[r, j]) for r in range(rank))
    return new


def merging(
    scale=lambda alpha, A: alpha / len(A),
    product=lambda A, B: B @ A,
    put=lambda w, small: w + small,
    give=lambda q, k, v: torch.cat([q, k, v]),
    small=lambda q, v: (q, None, v),
):
    """Return a merge in which one thing may be done otherwise."""

    def answer(weight, A_q, B_q, A_v, B_v, alpha):
        made = small(scale(alpha, A_q) * product(A_q, B_q), scale(alpha, A_v) * product(A_v, B_v))
        pairs = zip(weight.chunk(3), made, strict=True)
        return give(*(w if added is None else put(w, added) for w, added in pairs))

    return answer


def rows_in_turn(weight, A_q, B_q, A_v, B_v, alpha):
    new = weight.clone()
    new[0::3] += alpha / len(A_q) * B_q @ A_q
    new[2::3] += alpha / len(A_v) * B_v @ A_v
    return new


def backwards(weight, A_q, B_q, A_v, B_v, alpha):
    w_v, w_k, w_q = weight.chunk(3)
    return torch.cat([w_q + alpha / len(A_q) * B_q @ A_q, w_k, w_v + alpha / len(A_v) * B_v @ A_v])


def old_weights_scaled(weight, A_q, B_q, A_v, B_v, alpha):
    w_q, w_k, w_v = weight.chunk(3)
    return torch.cat([alpha / len(A_q) * (w_q + B_q @ A_q), w_k, alpha / len(A_v) * (w_v + B_v @ A_v)])


def crossed(weight, A_q, B_q, A_v, B_v, alpha):
    return merged_by_slices(weight, A_v, B_q, A_q, B_v, alpha)


def crossed_and_exchanged(weight, A_q, B_q, A_v, B_v, alpha):
    return merged_by_slices(weight, A_q, B_v, A_v, B_q, alpha)


def exchanged(weight, A_q, B_q, A_v, B_v, alpha):
    return merged_by_slices(weight, A_v, B_v, A_q, B_q, alpha)


def as_it_was(weight, A_q, B_q, A_v, B_v, alpha):
    return weight.clone()


def queries_unscaled(weight, A_q, B_q, A_v, B_v, alpha):
    return merged_by_slices(weight, A_q, B_q * A_q.shape[0] / alpha, A_v, B_v, alpha)


def values_unscaled(weight, A_q, B_q, A_v, B_v, alpha):
    return merged_by_slices(weight, A_q, B_q, A_v, B_v * A_v.shape[0] / alpha, alpha)


# ------------------------------------------------------------------------------------------ the clinic

FOUND = {"A": "frozen", "B": "statistics", "C": "head", "D": "well", "E": "weights", "F": "rate"}


def all_found(patients):
    return dict(FOUND)


def saying(**changed):
    return lambda patients: {letter: changed.get(letter, FOUND[letter]) for letter in patients}


def one_forgotten(patients):
    return {letter: FOUND[letter] for letter in patients[:-1]}


def as_a_list(patients):
    return list(FOUND.values())


# ------------------------------------------------------------------------------------------ to several exercises


def rows_of_votes(features, labels, queries, k, num_classes):
    near = labels[(F.normalize(queries) @ F.normalize(features).T).topk(k, dim=1).indices]
    return [torch.bincount(row, minlength=num_classes) / k for row in near]


SMALL = "the factor α / r is missing"

ANSWERS = {
    "layer_rates": Answers(
        right=[rates_from_above, rates_in_numpy, rates_in_place, rates_in_half_precision_words],
        wrong=[
            (powers(lambda layer, depth: layer), "it stands upside down"),
            (powers(lambda layer, depth: layer + 1), "two things: it stands upside down"),
            (head_at_rest, "the head has got 0"),
            (powers(lambda layer, depth: depth + 2 - layer), "the head has got less than 1."),
            (powers(lambda layer, depth: depth - layer), "every exponent is one too small"),
            (powers(lambda layer, depth: abs(depth - layer) * (layer <= depth)), "the last block has got 1"),
            (patches_like_block_0, "the patches have got the factor of block 0."),
            (powers(lambda layer, depth: depth + 1 - layer, start=1), "the patches are missing."),
            (powers(lambda layer, depth: depth + 1 - layer, end=-1), "the head is missing."),
            (powers(lambda layer, depth: depth + 1 - layer, start=1, end=-1), "only the blocks are there."),
            (powers(lambda layer, depth: depth + 1 - layer, end=-2), "the last block and the head are missing."),
            (powers(lambda layer, depth: depth + 1 - layer, end=1), "only the patches are there."),
            (norm_by_itself, "that is one factor too many. The last norm"),
            (class_token_by_itself, "that is one factor too many, at the bottom."),
            (powers(lambda layer, depth: layer - depth - 1), "your factors are larger than 1"),
            (of_distance(lambda decay, below: decay if below else 1), "every layer below the head has got the same."),
            (of_distance(lambda decay, below: decay), "every layer has got the same, the head too."),
            (of_distance(lambda decay, below: 1), "every layer has got 1"),
            (of_distance(lambda decay, below: 1 - below * (1 - decay)), "your factors fall by equal steps."),
            (
                of_distance(lambda decay, below: below * decay if below else 1),
                "you multiply the decay by the number of layers. Multiply it by itself: decay ** n.",
            ),
            (
                of_distance(lambda decay, below: below * decay),
                "you multiply the decay by the number of layers. Multiply it by itself: decay ** n, which",
            ),
            (of_distance(lambda decay, below: decay / (1 + below)), "you divide by the number of layers."),
            (of_distance(lambda decay, below: (1 - decay) ** below), "you took 1 - decay."),
            (of_distance(lambda decay, below: below**decay), "base and exponent have changed places"),
            (of_distance(lambda decay, below: math.exp(-below * decay)), "you took e to the power of -decay."),
            (frozen_patches, "the patches have got 0"),
            (patches_at_full_rate, "the patches have got 1"),
            (blocks_backwards, "the blocks stand upside down: block 0 has got what"),
            (blocks_backwards_from_one, "the blocks stand upside down, and block 0 has got 1."),
            (summing_to_one, "you made the factors sum to 1."),
        ],
        unknown=[of_distance(lambda decay, below: 3 * decay**below)],
    ),
    "knn": Answers(
        right=[
            rows_of_votes,
            by_loops,
            by_numpy,
            by_distance_of_unit_vectors,
            queries_as_long_as_they_are,
            by_cosine_similarity,
            neighbours(),
        ],
        wrong=[
            (neighbours(near=lambda x, q: q @ x.T), "this is the plain dot product"),
            (neighbours(near=lambda x, q: -torch.cdist(q, x)), "this is the distance between the points"),
            (neighbours(near=lambda x, q: torch.cdist(F.normalize(q), F.normalize(x))), "you asked the k farthest."),
            (scaled_by(lambda x: F.normalize(x, dim=0)), "you divided the features by something that runs over"),
            (
                neighbours(near=lambda x, q: F.normalize(q, dim=0) @ F.normalize(x, dim=0).T),
                "you normalised along axis 0",
            ),
            (scaled_by(lambda x: x / x.sum(1, keepdim=True)), "you divided by the sum of each row."),
            (scaled_by(lambda x: x.softmax(1)), "you took a softmax of the features."),
            (
                neighbours(near=lambda x, q: F.normalize(q - x.mean(0)) @ F.normalize(x - x.mean(0)).T),
                "you subtracted the mean of the features first.",
            ),
            (neighbours(near=standardised), "you standardised the features first"),
            (neighbours(near=lambda x, q: F.normalize(x) @ F.normalize(x).T), "you asked for the neighbours of the"),
            (first_query_alone, "only the first query has got an answer."),
            (
                neighbours(near=lambda x, q: (F.normalize(q) @ F.normalize(x).T).abs()),
                "you took the sign of the cosine away.",
            ),
            (neighbours(near=lambda x, q: F.normalize(x) @ F.normalize(q).T), "your similarities are turned round"),
            (neighbours(places=lambda c, k, n: c.topk(k, dim=0).indices), "you chose along axis 0"),
            (neighbours(places=lambda c, k, n: c.topk(n).indices), "as many neighbours vote as there are classes."),
            (as_wide_as_the_labels, "F.one_hot alone makes as many columns"),
            (neighbours(places=lambda c, k, n: c.argmax(1, keepdim=True)), "only the nearest one votes"),
            (neighbours(places=lambda c, k, n: c.topk(k).indices[:, k - 1 :]), "only the last of the k votes"),
            (neighbours(places=lambda c, k, n: c.argsort(1).flip(1)[:, : k + 1]), "k + 1 neighbours vote"),
            (neighbours(places=lambda c, k, n: c.argsort(1).flip(1)[:, 1 : k + 1]), "you left out the nearest one"),
            (neighbours(places=lambda c, k, n: c.argsort(1)), "all M pictures vote"),
            (
                neighbours(places=lambda c, k, n: c[0].topk(k).indices.repeat(len(c), 1)),
                "every query has got the answer of the first.",
            ),
            (neighbours(shares=lambda votes: votes.sum(1)), "these are numbers of votes."),
            (neighbours(shares=lambda votes: votes.mean(0)), "you averaged over the queries. The neighbours"),
            (neighbours(shares=lambda votes: votes.mean(2)), "you averaged over the classes."),
            (neighbours(shares=lambda votes: votes.mean(0).mean(0)), "you averaged over the queries too."),
            (neighbours(shares=lambda votes: votes.max(1).values), "yours says who has any vote at all."),
            (neighbours(shares=lambda votes: votes), "these are the votes of each neighbour by itself"),
            (neighbours(shares=lambda votes: votes.sum(1).argmax(-1)), "you returned the class with the most votes."),
            (
                neighbours(shares=lambda votes: F.one_hot(votes.sum(1).argmax(-1), votes.shape[-1])),
                "you gave everything to the class with the most votes.",
            ),
            (neighbours(shares=lambda votes: votes.mean(1).max(-1).values), "you returned the largest share alone."),
            (neighbours(shares=lambda votes: votes.mean(1).softmax(-1)), "you applied softmax to the votes."),
            (by_weight(lambda cosines: cosines.softmax(-1)), "your neighbours vote by how near they are."),
            (nearest_class, "you asked which class's mean is nearest."),
            (labels_of_the_nearest, "these are the labels of the neighbours"),
            (
                neighbours(near=lambda x, q: F.normalize(q, dim=0) @ F.normalize(x).T),
                "you normalised the queries along axis 0",
            ),
            (mean_of_labels, "you averaged the labels"),
            (places_of_the_nearest, "these are the places of the neighbours"),
        ],
        unknown=[neighbours(shares=lambda votes: votes.mean(1) * 3)],
    ),
    "lora": Answers(
        right=[
            Layer,
            WeightsAddedFirst,
            TwoLinears,
            ZeroA,
            Parametrized,
            OneByOne,
            Einops,
            Subclass,
            SmallNumbersInA,
            AsWideAsTheLayer,
        ],
        wrong=[
            (NoModule, "your class is no nn.Module"),
            (through(lambda self, x: self.old(x)), "this is what the old layer gives"),
            (ProductMadeOnce, "this is what the old layer gives"),
            (times(lambda alpha, r, old: 1), SMALL),
            (times(lambda alpha, r, old: alpha), "BAx is multiplied by α alone."),
            (times(lambda alpha, r, old: 1 / r), "BAx is divided by r, and α is missing"),
            (times(lambda alpha, r, old: r / alpha), "your factor is upside down"),
            (times(lambda alpha, r, old: alpha * r), "you multiplied by the rank."),
            (times(lambda alpha, r, old: alpha * r**-0.5), "you divided by the root of the rank."),
            (times(lambda alpha, r, old: alpha / old.in_features), "you divided α by the width"),
            (times(lambda alpha, r, old: alpha // r), "you rounded the factor"),
            (
                through(lambda self, x: self.factor() * (self.old(x) + small(self, x))),
                "the factor α / r stands before the old layer's part too.",
            ),
            (through(lambda self, x: self.factor() * small(self, x)), "what the old layer gives is missing"),
            (
                through(lambda self, x: F.linear(x, self.old.weight) + self.factor() * small(self, x)),
                "the old layer's bias is missing.",
            ),
            (
                through(lambda self, x: self.old(x) + self.factor() * small(self, x) + self.old.bias),
                "the old layer's bias comes twice.",
            ),
            (
                through(lambda self, x: self.old(x) + self.factor() * (small(self, x) + self.old.bias)),
                "the bias comes twice, the second time with BAx.",
            ),
            (through(lambda self, x: self.old(x) - self.factor() * small(self, x)), "BAx is subtracted."),
            (through(lambda self, x: self.old(x) * self.factor() * small(self, x)), "the two parts are multiplied."),
            (
                through(lambda self, x: self.old(x) + self.factor() * F.linear(F.relu(F.linear(x, self.A)), self.B)),
                "there is a bend between A and B.",
            ),
            (
                through(lambda self, x: F.gelu(self.old(x) + self.factor() * small(self, x))),
                "there is an activation after the sum.",
            ),
            (
                through(lambda self, x: 2 * self.old(x) + self.factor() * small(self, x)),
                "what the old layer gives comes twice.",
            ),
            (through(without_gradient), "no gradient arrives at A and B"),
            (RestsInTraining, "no gradient arrives at A and B"),
            (through(old_without_gradient), "the gradient that goes on to the layers below"),
            (DropsAlways, "the same input gives another output each time"),
            (DropsInA, "the same input gives another output each time"),
        ],
        unknown=[
            NotFrozen,
            BiasNotFrozen,
            AllFrozen,
            BothRandom,
            BothZero,
            PlainTensors,
            OtherNames,
            RowsFirst,
            ChangedPlaces,
            SquareB,
            BiasedA,
            OneMoreMatrix,
            NewLayer,
            OnesInA,
            OneNumberInA,
            OneNumberInB,
        ],
    ),
    "merged_qkv": Answers(
        right=[merged_by_slices, merged_by_einops, merged_in_numpy, merged_by_loops, merging()],
        wrong=[
            (merging(scale=lambda alpha, A: 1), "the factor α / r is missing before both"),
            (merging(scale=lambda alpha, A: alpha), "the products are multiplied by α alone."),
            (merging(scale=lambda alpha, A: 1 / len(A)), "the products are divided by r, and α is missing"),
            (merging(scale=lambda alpha, A: len(A) / alpha), "your factor is upside down"),
            (merging(scale=lambda alpha, A: alpha * len(A)), "you multiplied by the rank."),
            (merging(scale=lambda alpha, A: alpha / A.shape[1]), "you divided α by D."),
            (merging(scale=lambda alpha, A: alpha / math.sqrt(len(A))), "you divided by the root of the rank."),
            (merging(scale=lambda alpha, A: alpha / A.shape[1] / 3), "you divided α by 3D"),
            (merging(scale=lambda alpha, A: alpha // len(A)), "you rounded the factor"),
            (queries_unscaled, "the factor α / r is missing before the product of the queries."),
            (values_unscaled, "the factor α / r is missing before the product of the values."),
            (merging(product=lambda A, B: A @ B), "your products are [r, r]."),
            (merging(product=lambda A, B: A.T @ B.T), "your products are transposed"),
            (merging(put=lambda w, added: w - added), "the products are subtracted."),
            (merging(put=lambda w, added: w * added), "the products are multiplied into the matrices"),
            (merging(put=lambda w, added: added), "W_q and W_v are gone"),
            (merging(put=lambda w, added: w @ added), "the products are multiplied with the matrices."),
            (exchanged, "q and v have changed places"),
            (merging(small=lambda q, v: (q, v, None)), "the product of the values was added to the keys."),
            (merging(small=lambda q, v: (None, q, v)), "the product of the queries was added to the keys."),
            (merging(small=lambda q, v: (q, q, v)), "the keys have got the product of the queries as well."),
            (merging(small=lambda q, v: (q, v, v)), "the keys have got the product of the values as well."),
            (merging(small=lambda q, v: (q + v, q + v, q + v)), "every matrix has got both products."),
            (merging(small=lambda q, v: (q, q, q + v)), "the product of the queries was added to all three"),
            (merging(small=lambda q, v: (q + v, v, v)), "the product of the values was added to all three"),
            (merging(small=lambda q, v: (q + v, None, q + v)), "W_q and W_v have each got both products."),
            (merging(small=lambda q, v: (q, None, q)), "the values have got the product of the queries."),
            (merging(small=lambda q, v: (v, None, v)), "the queries have got the product of the values."),
            (merging(small=lambda q, v: (q, None, None)), "the values have got nothing."),
            (merging(small=lambda q, v: (None, None, v)), "the queries have got nothing."),
            (as_it_was, "this is the weight as it came in"),
            (crossed, "the A of one was multiplied with the B of the other."),
            (crossed_and_exchanged, "the A of one was multiplied with the B of the other."),
            (rows_in_turn, "you took every third row"),
            (backwards, "queries and values have changed places."),
            (merging(give=lambda q, k, v: torch.cat([q, 0 * k, v])), "W_k is all zero."),
            (merging(give=lambda q, k, v: torch.cat([q, k, v]).view(len(q), -1)), "your result is [D, 3D]. Wanted is"),
            (old_weights_scaled, "the factor α / r stands before the old matrices."),
            (merging(give=lambda q, k, v: torch.stack([q, k, v])), "the three matrices are stacked"),
            (merging(give=lambda q, k, v: torch.cat([q, k, v], 1)), "the three matrices stand side by side"),
            (merging(give=lambda q, k, v: [q, k, v]), "these are three matrices."),
            (merging(give=lambda q, k, v: torch.cat([q, v])), "W_k is left out."),
            (merging(give=lambda q, k, v: torch.cat([q, v, k])), "keys and values have changed places."),
            (merging(give=lambda q, k, v: torch.cat([q, k, v]).T), "your result is transposed"),
            (merging(give=lambda q, k, v: q + k + v), "you added the three matrices up."),
        ],
        unknown=[
            merging(put=lambda w, added: w + 3 * added),
            merging(give=lambda q, k, v: 2 * torch.cat([q, k, v])),
        ],
    ),
    "fine_tuning_clinic": Answers(
        right=[all_found, saying()],
        wrong=[
            (saying(A="well"), "look how far patient A's blocks"),
            (saying(B="weights"), "patient B's features are other ones"),
            (saying(C="rate"), "look at patient C's loss"),
            (saying(D="rate"), "look at patient D's line"),
            (saying(E="statistics"), "patient E's features are other ones"),
            (saying(F="head"), "look how patient F's loss begins"),
            (saying(B="normalisation"), "the word for patient "),
            (one_forgotten, "there is no word for patient "),
            (as_a_list, "Return a dict"),
        ],
    ),
}
