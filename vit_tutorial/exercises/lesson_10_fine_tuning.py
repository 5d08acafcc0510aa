"""Lesson 10: rates by layer, neighbours in frozen features, a LoRA and its merging, and what ails a fine-tuning."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.datasets import Dataset
from vit_tutorial.exercises.builders import FORGOT_MODULE, changed, held_by, misfit_of, scattered, uneven
from vit_tutorial.exercises.clinic import make_clinic
from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.counting import pairs_of
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training import TrainingConfig, reset_head
from vit_tutorial.vit import ViT

LESSON = "10_fine_tuning"
__all__ = ["fine_tuning_clinic", "knn", "layer_rates", "lora", "merged_qkv"]


# ------------------------------------------------------------------------------------------ a rate for each layer


def _factors(
    power: Callable[[int, int], float] = lambda place, depth: depth + 1 - place,
    factor: Callable[[float, float], float] = lambda decay, power: decay**power,
    give: Callable[[list[float]], list[float]] = list,
) -> Callable:
    """Give the factors from the patches (place 0) up to the head, with one thing done in another way."""

    def rates(depth: int, decay: float) -> Tensor:
        factors = [factor(decay, power(place, depth)) for place in range(depth + 2)]
        return torch.tensor(give(factors), dtype=torch.float64)

    return rates


layer_rates = Exercise(
    name="layer_rates",
    lesson=LESSON,
    difficulty=1,
    minutes=5,
    solution=_factors(),
    inputs=[(1, 0.5), (2, 0.7), (4, 0.7), (3, 0.9), (12, 0.75)],
    mistakes=[
        Mistake(
            _factors(lambda place, depth: place),
            "it stands upside down: the head has got the least, and the patches 1. The factor falls from the head "
            "down, and yours should stand from the patches up.",
        ),
        Mistake(
            _factors(lambda place, depth: place + 1),
            "two things: it stands upside down, the patches come first and get the least. And the head gets 1: the "
            "exponents run from depth + 1 down to 0.",
        ),
        Mistake(
            _factors(give=lambda factors: [*factors[:-1], 0.0]),
            "the head has got 0, and would never learn. It is new and goes at the full rate: 1.",
        ),
        Mistake(
            [
                _factors(lambda place, depth: depth + 2 - place),
                _factors(lambda place, depth: max(depth + 1 - place, 1)),
            ],
            "the head has got less than 1. It is new and goes at the full rate: the exponents end with 0.",
        ),
        Mistake(
            _factors(lambda place, depth: depth - place),
            "every exponent is one too small: the head would go at more than the full rate. Its exponent is 0, and "
            "that of the patches depth + 1.",
        ),
        Mistake(
            _factors(lambda place, depth: max(depth - place, 0)),
            "the last block has got 1, as the head has. It lies one layer below: it gets the decay.",
        ),
        Mistake(
            [
                _factors(lambda place, depth: depth + 1 - max(place, 1)),
                _factors(lambda place, depth: max(depth + 1 - max(place, 1), 0)),
            ],
            "the patches have got the factor of block 0. They lie one layer below it: one decay more.",
        ),
        Mistake(
            _factors(give=lambda factors: factors[1:]),
            "the patches are missing. They lie below block 0, and there are depth + 2 factors.",
        ),
        Mistake(
            _factors(give=lambda factors: factors[:-1]),
            "the head is missing. It comes last, with the factor 1: there are depth + 2 factors.",
        ),
        Mistake(
            _factors(give=lambda factors: factors[1:-1]),
            "only the blocks are there. The patches come before them, and the head after them: depth + 2 factors.",
        ),
        *(
            Mistake(
                _factors(give=lambda factors, kept=kept: factors[:kept]),
                f"{what} The answer has depth + 2 factors, from the patches to the head.",
            )
            for kept, what in (
                (-2, "the last block and the head are missing."),
                (1, "only the patches are there. Is the `return` inside the loop?"),
            )
        ),
        Mistake(
            _factors(give=lambda factors: [*factors[:-1], factors[-2], 1.0]),
            "that is one factor too many. The last norm goes with the last block, class token and positions with the "
            "patches: depth + 2 factors.",
        ),
        Mistake(
            [
                _factors(give=lambda factors: factors[:1] + factors),
                _factors(give=lambda factors: [factors[0] * factors[-2], *factors]),
            ],
            "that is one factor too many, at the bottom. Class token and positions go with the patches: depth + 2 "
            "factors.",
        ),
        Mistake(
            _factors(lambda place, depth: place - depth - 1),
            "your factors are larger than 1, and grow towards the patches. What lies far below should hardly move: "
            "multiply by the decay, and do not divide.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: decay if power else 1.0),
            "every layer below the head has got the same. Each layer gets the factor of the one above, times the "
            "decay: a power of it.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: decay),
            "every layer has got the same, the head too. Each layer gets the factor of the one above, times the decay: "
            "a power of it, which is 1 for the head.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: 1.0),
            "every layer has got 1: that is one rate for all, as without layer-wise rates.",
        ),
        Mistake(
            [
                _factors(factor=lambda decay, power: 1 - (1 - decay) * power),
                _factors(factor=lambda decay, power: 1 - decay * power),
                _factors(factor=lambda decay, power: max(1 - (1 - decay) * power, 0)),
                _factors(factor=lambda decay, power: max(1 - decay * power, 0)),
                lambda depth, decay: 1 - decay * torch.arange(depth + 2),
                lambda depth, decay: torch.linspace(decay, 1, depth + 2),
                lambda depth, decay: torch.linspace(0, 1, depth + 2),
                lambda depth, decay: torch.arange(1, depth + 3) / (depth + 2),
                lambda depth, decay: torch.linspace(decay ** (depth + 1), 1, depth + 2),
            ],
            "your factors fall by equal steps. Each is the one above *times* the decay: a power, decay ** n.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: decay * power if power else 1.0),
            "you multiply the decay by the number of layers. Multiply it by itself: decay ** n.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: decay * power),
            "you multiply the decay by the number of layers. Multiply it by itself: decay ** n, which is 1 for the "
            "head.",
        ),
        Mistake(
            [
                _factors(factor=lambda decay, power: decay / (power + 1)),
                _factors(factor=lambda decay, power: decay / power if power else 1.0),
                lambda depth, decay: decay / (1 + torch.arange(depth + 2)),
            ],
            "you divide by the number of layers. Multiply by the decay, once for each layer: decay ** n.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: (1 - decay) ** power),
            "you took 1 - decay. The decay itself is the factor from one layer to the next: 0.7 leaves 70%.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: power**decay),
            "base and exponent have changed places: decay ** n, not n ** decay.",
        ),
        Mistake(
            _factors(factor=lambda decay, power: math.exp(-decay * power)),
            "you took e to the power of -decay. The decay itself is the factor from one layer to the next.",
        ),
        Mistake(
            _factors(give=lambda factors: [0.0, *factors[1:]]),
            "the patches have got 0, and so never move. That is freezing; here they get one decay less than block 0.",
        ),
        Mistake(
            _factors(lambda place, depth: depth + 1 - place if 0 < place <= depth else 0),
            "the patches have got 1, as if nothing lay above them. They lie lowest, and get the least.",
        ),
        Mistake(
            [
                _factors(give=lambda factors: [*factors[-2:0:-1], factors[0], factors[-1]]),
                _factors(give=lambda factors: [factors[0], *factors[-2:0:-1], factors[-1]]),
            ],
            "the blocks stand upside down: block 0 has got what the last block should get.",
        ),
        Mistake(
            lambda depth, decay: torch.tensor([decay ** (depth + 1), *(decay**i for i in range(depth)), 1.0]),
            "the blocks stand upside down, and block 0 has got 1. The last block gets the decay, the one below it the "
            "decay squared, and so on.",
        ),
        Mistake(
            _factors(give=lambda factors: [factor / sum(factors) for factor in factors]),
            "you made the factors sum to 1. They need not: the head gets 1, and each layer below it a decay less.",
        ),
    ],
    done="The head goes at the full rate, and the patches hardly move. This is what layer_decay does in fit.",
)


# ------------------------------------------------------------------------------------------ ask the neighbours


def _knn_input(seed: int, known: int, dim: int, asked: int, k: int, classes: int, unknown: int = 0) -> tuple:
    """Return features of very different lengths around a mean that is not 0; so many classes have no picture."""
    generator = torch.Generator().manual_seed(seed)

    def features(count: int) -> Tensor:
        lengths = torch.empty(count, 1, dtype=torch.float64).uniform_(0.3, 3, generator=generator)
        return lengths * (torch.randn(count, dim, generator=generator, dtype=torch.float64) + 0.7)

    labels = torch.randint(classes - unknown, (known,), generator=generator)
    labels[: classes - unknown] = torch.arange(classes - unknown)
    return features(known), labels, features(asked), k, classes


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


def _cosine(features: Tensor, queries: Tensor) -> Tensor:
    return _unit(queries) @ _unit(features).T


def _nearest(similarity: Tensor, k: int) -> Tensor:
    return similarity.topk(k, dim=1).indices


def _votes(labels: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(labels, num_classes).to(torch.get_default_dtype())


def _knn(
    similarity: Callable[[Tensor, Tensor], Tensor] = _cosine,
    choose: Callable[[Tensor, int], Tensor] = _nearest,
    count: Callable[[Tensor], Tensor] = lambda votes: votes.mean(dim=1),
    give: Callable[[Tensor], object] = lambda shares: shares,
) -> Callable:
    """Ask the neighbours, with one thing done in another way."""

    def ask(features: Tensor, labels: Tensor, queries: Tensor, k: int, num_classes: int) -> object:
        places = choose(similarity(features, queries), k)  # [B, k]
        return give(count(_votes(labels[places], num_classes)))  # [B, k, K] -> [B, K]

    return ask


def _weighted(weights: Callable[[Tensor], Tensor]) -> Callable:
    """Ask the neighbours, each of which has a vote by its similarity."""

    def ask(features: Tensor, labels: Tensor, queries: Tensor, k: int, num_classes: int) -> Tensor:
        values, places = _cosine(features, queries).topk(k, dim=1)
        return (weights(values)[:, :, None] * _votes(labels[places], num_classes)).sum(1)

    return ask


def _by_class_mean(features: Tensor, labels: Tensor, queries: Tensor, k: int, num_classes: int) -> Tensor:
    seen = labels.unique()
    means = torch.stack([_unit(features[labels == label].mean(0)) for label in seen])
    return _votes(seen[(queries @ means.T).argmax(1)], num_classes)


def _neighbours_labels(features: Tensor, labels: Tensor, queries: Tensor, k: int, num_classes: int) -> Tensor:
    return labels[_nearest(_cosine(features, queries), k)]


knn = Exercise(
    name="knn",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=_knn(),
    inputs=[
        _knn_input(42, known=4, dim=2, asked=2, k=1, classes=2),
        _knn_input(1, known=8, dim=3, asked=4, k=3, classes=4, unknown=1),
        _knn_input(0, known=12, dim=5, asked=6, k=5, classes=4),
        _knn_input(0, known=20, dim=4, asked=6, k=4, classes=5),
    ],
    hints=Hints(
        axes="B K",
        sizes=lambda features, labels, queries, k, num_classes: {
            "M": len(features),
            "k": k,
            "K": num_classes,
            "B": len(queries),
        },
        steps=[
            ("dividing the features by their lengths", lambda _, features, *rest: _unit(features)),
            (
                "the cosines",
                lambda units, features, labels, queries, *rest: (
                    _unit(queries) @ (features if units is None else units).mT
                ),
            ),
            (
                "choosing the k nearest",
                lambda similarity, features, labels, queries, k, num_classes: _nearest(similarity, k),
            ),
            ("looking up their labels", lambda places, features, labels, *rest: labels[places]),
            ("the votes", lambda found, features, labels, queries, k, num_classes: _votes(found, num_classes)),
            ("the mean over the k neighbours", lambda votes, *rest: votes.mean(1)),
        ],
    ),
    mistakes=[
        Mistake(
            _knn(lambda features, queries: queries @ features.T),
            "this is the plain dot product, in which a long vector is near to everybody. Divide the features by "
            "their lengths first: F.normalize(features, dim=-1).",
        ),
        Mistake(
            [
                _knn(lambda features, queries: -torch.cdist(queries, features)),
                _knn(lambda features, queries: -torch.cdist(queries, features, p=1)),
            ],
            "this is the distance between the points, and not the angle between the vectors. Divide both by their "
            "lengths first.",
        ),
        Mistake(
            _knn(lambda features, queries: -_cosine(features, queries)),
            "you asked the k farthest. A large cosine means near, and a large distance far.",
        ),
        Mistake(
            [
                _knn(lambda features, queries, divide=divide: queries @ divide(features).T)
                for divide in (
                    lambda x: F.normalize(x, dim=0),
                    lambda x: x / x.norm(),
                    lambda x: x / x.sum(0),
                )
            ],
            "you divided the features by something that runs over the pictures. Each picture has a length of its "
            "own, over its D numbers: dim=-1.",
        ),
        Mistake(
            _knn(lambda features, queries: F.normalize(queries, dim=0) @ F.normalize(features, dim=0).T),
            "you normalised along axis 0, over the pictures. The length of each picture's own vector is meant: dim=-1.",
        ),
        Mistake(
            _knn(lambda features, queries: F.normalize(queries, dim=0) @ _unit(features).T),
            "you normalised the queries along axis 0, over the pictures. The length of each picture's own vector is "
            "meant: dim=-1.",
        ),
        Mistake(
            [
                _knn(lambda features, queries, size=size: queries @ (features / size(features)).T)
                for size in (lambda x: x.sum(-1, keepdim=True), lambda x: x.abs().sum(-1, keepdim=True))
            ],
            "you divided by the sum of each row. The length is the root of the sum of squares: F.normalize.",
        ),
        Mistake(
            _knn(lambda features, queries: _unit(queries) @ features.softmax(-1).T),
            "you took a softmax of the features. Divide each row by its length: F.normalize(features, dim=-1).",
        ),
        Mistake(
            _knn(
                lambda features, queries: _cosine(
                    *((each - features.mean(0)) / features.std(0) for each in (features, queries))
                )
            ),
            "you standardised the features first: minus their mean, divided by their spread. That is another angle: "
            "take the vectors as they are.",
        ),
        Mistake(
            _knn(lambda features, queries: _cosine(features, features)),
            "you asked for the neighbours of the known pictures. Asked for are those of the queries: queries @ "
            "features.T.",
        ),
        Mistake(
            [
                _knn(
                    lambda features, queries, of=of: _cosine(
                        features - features.mean(0), queries - of(queries, features)
                    )
                )
                for of in (
                    lambda queries, features: queries.mean(0),
                    lambda queries, features: 0,
                    lambda queries, features: features.mean(0),
                )
            ],
            "you subtracted the mean of the features first. That is another angle: take the vectors as they are.",
        ),
        Mistake(
            [_knn(lambda features, queries, of=of: of(_cosine(features, queries))) for of in (torch.abs, torch.square)],
            "you took the sign of the cosine away. Vectors that point in opposite directions are far from each other.",
        ),
        Mistake(
            _knn(lambda features, queries: _cosine(queries, features)),
            "your similarities are turned round, [M, B]: for each known picture they look for queries. Put the queries "
            "first: queries @ features.T is [B, M].",
        ),
        Mistake(
            [
                _knn(choose=lambda similarity, k: similarity.topk(k, dim=0).indices),
                _knn(choose=lambda similarity, k: similarity.argsort(dim=0, descending=True)[:, :k]),
                _knn(choose=lambda similarity, k: similarity.argsort(dim=0, descending=True)[:k]),
            ],
            "you chose along axis 0, which holds the queries. The known pictures lie along axis 1 of [B, M].",
        ),
        Mistake(
            lambda features, labels, queries, k, num_classes: _knn()(
                features, labels, queries, num_classes, num_classes
            ),
            "as many neighbours vote as there are classes. k of them should.",
        ),
        Mistake(
            [
                lambda features, labels, queries, k, num_classes: (
                    F.one_hot(labels[_nearest(_cosine(features, queries), k)]).float().mean(1)
                ),
                lambda features, labels, queries, k, num_classes: (
                    F.one_hot(labels)[_nearest(_cosine(features, queries), k)].float().mean(1)
                ),
            ],
            "F.one_hot alone makes as many columns as the labels that it sees need. Tell it how many classes there "
            "are: F.one_hot(…, num_classes).",
        ),
        Mistake(
            _knn(choose=lambda similarity, k: _nearest(similarity, 1)),
            "only the nearest one votes in yours. Ask k of them: topk(k).",
        ),
        Mistake(
            _knn(choose=lambda similarity, k: _nearest(similarity, k)[:, -1:]),
            "only the last of the k votes in yours. All k of them do.",
        ),
        Mistake(
            _knn(choose=lambda similarity, k: _nearest(similarity, min(k + 1, similarity.shape[1]))),
            "k + 1 neighbours vote in yours.",
        ),
        Mistake(
            [
                _knn(choose=lambda similarity, k: _nearest(similarity, k)[:, 1:]),
                _knn(choose=lambda similarity, k: _nearest(similarity, min(k + 1, similarity.shape[1]))[:, 1:]),
            ],
            "you left out the nearest one, as if it were the query itself. The queries are other pictures: nobody "
            "meets himself here.",
        ),
        Mistake(
            _knn(choose=lambda similarity, k: _nearest(similarity, similarity.shape[1])),
            "all M pictures vote in yours, so that every query gets the same. The k nearest alone do.",
        ),
        Mistake(
            _knn(choose=lambda similarity, k: _nearest(similarity, k)[:1].expand(len(similarity), -1)),
            "every query has got the answer of the first. Each has neighbours of its own.",
        ),
        Mistake(
            _knn(count=lambda votes: votes.sum(dim=1)),
            "these are numbers of votes. Divide by k: shares, which sum to 1 for each query.",
        ),
        Mistake(
            _knn(count=lambda votes: votes.mean(dim=0)),
            "you averaged over the queries. The neighbours lie along axis 1 of [B, k, K].",
        ),
        Mistake(
            _knn(count=lambda votes: votes.mean(dim=2)),
            "you averaged over the classes. The neighbours lie along axis 1 of [B, k, K].",
        ),
        Mistake(
            _knn(count=lambda votes: votes.mean(dim=(0, 1))),
            "you averaged over the queries too. Each query has a row of its own: the answer is [B, K].",
        ),
        Mistake(
            _knn(count=lambda votes: votes.amax(dim=1)),
            "yours says who has any vote at all. Return the share of the k votes: the mean over axis 1.",
        ),
        Mistake(
            _knn(count=lambda votes: votes),
            "these are the votes of each neighbour by itself, [B, k, K]. Take their mean over axis 1.",
        ),
        Mistake(
            _knn(give=lambda shares: torch.cat([shares[:1], torch.zeros_like(shares[1:])])),
            "only the first query has got an answer. Is the `return` inside the loop?",
        ),
        Mistake(
            _knn(give=lambda shares: shares.argmax(dim=1)),
            "you returned the class with the most votes. Return the shares of all classes: [B, K].",
        ),
        Mistake(
            _knn(give=lambda shares: F.one_hot(shares.argmax(dim=1), shares.shape[1])),
            "you gave everything to the class with the most votes. Return the shares as they are.",
        ),
        Mistake(
            _knn(give=lambda shares: shares.amax(dim=1)),
            "you returned the largest share alone. Return the shares of all classes: [B, K].",
        ),
        Mistake(
            [
                _knn(give=lambda shares: shares.softmax(dim=1)),
                _knn(count=lambda votes: votes.sum(dim=1).softmax(dim=1)),
            ],
            "you applied softmax to the votes. Their shares sum to 1 as they are: divide by k.",
        ),
        Mistake(
            [
                _weighted(lambda values: values),
                _weighted(lambda values: values / values.sum(1, keepdim=True)),
                _weighted(lambda values: values / values.shape[1]),
                _weighted(lambda values: values.softmax(1)),
            ],
            "your neighbours vote by how near they are. Here each of the k has one vote, and all count the same.",
        ),
        Mistake(
            _by_class_mean,
            "you asked which class's mean is nearest. Ask single pictures: the k nearest vote.",
        ),
        Mistake(
            _neighbours_labels,
            "these are the labels of the neighbours, [B, k]. Turn them into votes, F.one_hot(…, num_classes), and take "
            "the mean over the neighbours.",
        ),
        Mistake(
            lambda *given: _neighbours_labels(*given).to(torch.get_default_dtype()).mean(1),
            "you averaged the labels, as if class 2 were twice class 1. Count votes: F.one_hot(…, num_classes), [B, k, "
            "K], and then the mean over the neighbours.",
        ),
        Mistake(
            lambda features, labels, queries, k, num_classes: _nearest(_cosine(features, queries), k),
            "these are the places of the neighbours, [B, k]. Look up their labels: labels[places].",
        ),
    ],
    done="No training at all. What these neighbours know, the features know.",
)


# ------------------------------------------------------------------------------------------ write a LoRA


def _small(module: nn.Module, name: str) -> Tensor | None:
    """Return the matrix of this name, which may be the weight of a linear layer; or None."""
    found = getattr(module, name, None)
    found = found.weight if isinstance(found, nn.Linear) else found
    return found if isinstance(found, Tensor) else None


def _misfit(module: nn.Module, old: nn.Linear, weight: Tensor, rank: int) -> Said | None:
    """Say what is wrong with a LoRA that was just made, or return None."""
    shapes = {"A": (rank, old.in_features), "B": (old.out_features, rank)}
    matrices = {name: _small(module, name) for name in shapes}
    if missing := [name for name, matrix in matrices.items() if matrix is None]:
        names = " and ".join(f"`self.{name}`" for name in missing)
        return Said(f"your layer has no tensor {names} after __init__. Its two small matrices are self.A and self.B.")
    if plain := [name for name, matrix in matrices.items() if not isinstance(matrix, nn.Parameter)]:
        return Said(
            f"`self.{plain[0]}` is a tensor that no optimizer ever sees. Make it something to learn: nn.Parameter(…)."
        )
    if fault := _wrong_shapes(matrices, shapes):
        return fault
    if still := [name for name, matrix in matrices.items() if not matrix.requires_grad]:
        return Said(f"`self.{still[0]}` is frozen. Freeze the old layer alone, before you make A and B.")
    kept = [tensor for tensor in held_by(module) if tensor.ndim == 2]
    if not any(
        tensor.shape == weight.shape and torch.equal(tensor, weight) for tensor in (*kept, *(t.T for t in kept))
    ):
        return Said(
            "the old layer's weight is not in your layer, or not as it was. Keep the layer that you are given, and "
            "leave it as it is: self.linear = linear."
        )
    small = {id(matrix) for matrix in matrices.values()}
    others = [name for name, each in module.named_parameters() if each.requires_grad and id(each) not in small]
    if others:
        return _learns_too(module, others)
    return _wrong_beginning(matrices)


def _wrong_shapes(matrices: dict[str, Tensor], shapes: dict[str, tuple[int, int]]) -> Said | None:
    wrong = [name for name, matrix in matrices.items() if tuple(matrix.shape) != shapes[name]]
    if not wrong:
        return None
    got = {name: tuple(matrix.shape) for name, matrix in matrices.items()}
    if (got["A"], got["B"]) == (shapes["B"], shapes["A"]):
        return Said("`self.A` and `self.B` have changed places: A is [r, D] and comes first, B is [M, r].")
    if all(got[name] == shapes[name][::-1] for name in shapes):
        return Said(
            "your A is [D, r] and your B is [r, M], for x @ A @ B. That can be done, but here the shapes are those of "
            "the paper, in which BAx reads from the right: A is [r, D] and B is [M, r]."
        )
    name, letters = wrong[0], {"A": "[r, D]", "B": "[M, r]"}[wrong[0]]
    return Said(f"`self.{name}` has shape {list(got[name])}, and {letters} is {list(shapes[name])} here.")


def _learns_too(module: nn.Module, others: list[str]) -> Said:
    linears = [name for name in ("A", "B") if isinstance(getattr(module, name), nn.Linear)]
    if biased := [name for name in linears if f"{name}.bias" in others]:
        return Said(f"`self.{biased[0]}` is a linear layer with a bias. A and B are matrices alone: bias=False.")
    if all(name.endswith("bias") for name in others):
        return Said("the bias of the old layer is not frozen. Freeze the whole layer: linear.requires_grad_(False).")
    if len(others) > 2:
        return Said(f"besides A and B there is more to learn: {', '.join(others)}. A and B are all that learns.")
    return Said("the old layer is not frozen: linear.requires_grad_(False). A and B are all that learns.")


def _wrong_beginning(matrices: dict[str, Tensor]) -> Said | None:
    zero = {name for name, matrix in matrices.items() if not matrix.any()}
    if len(zero) == 2:
        return Said(
            "A and B are both zero. Then the gradient of each of them is zero too, and they stay so for ever. Give A "
            "random numbers."
        )
    if not zero:
        return Said(
            "at first BA is not zero, so putting the layer in changes what the model says. Make B of zeros: "
            "torch.zeros(M, r)."
        )
    name, parts, vectors = ("A", "rows", matrices["A"]) if "B" in zero else ("B", "columns", matrices["B"].T)
    if len(vectors) > 1 and (vectors == vectors[0]).all():
        return Said(f"the {parts} of {name} are all alike, and stay so: r has no effect. Give {name} random numbers.")
    return None


def _with_matrices(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that puts it around a linear layer, gives A and B these numbers, and runs it.

    The function returns what `look(module, x)` gives instead, if there is a `look`.
    """

    def run(x: Tensor, weight: Tensor, bias: Tensor, A: Tensor, B: Tensor, alpha: float, look: Callable | None = None):
        old = nn.Linear(weight.shape[1], weight.shape[0])
        old.weight.data, old.bias.data = weight.clone(), bias.clone()
        module = make(old, len(A), alpha)
        if misfit := misfit_of(module) or _misfit(module, old, weight, len(A)):
            return misfit
        with torch.no_grad():
            _small(module, "A").copy_(A)
            _small(module, "B").copy_(B)
        module.eval()  # dropout may stand before A, and rests here
        if look:
            return look(module, x)
        given = module(x)
        if isinstance(given, Tensor) and not all(same(module(x), given) for _ in range(5)):
            return Said(
                "the same input gives another output each time, in eval() too: something in it is random, such as "
                "F.dropout that is not told `training=self.training`."
            )
        return given

    return run


class _LoRA(nn.Module):
    """The right layer; the wrong ones change one thing."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.linear, self.rank, self.alpha = linear.requires_grad_(False), rank, alpha
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def small(self, x: Tensor) -> Tensor:
        return x @ self.A.T @ self.B.T

    def scale(self) -> float:
        return self.alpha / self.rank

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.scale() * self.small(x)


_lora = partial(changed, _LoRA)  # a LoRA with other steps


def _lora_input(*shape: int, out: int, rank: int, alpha: float) -> tuple:
    dim = shape[-1]
    weight = scattered(out, dim) / 10 + 0.05
    return uneven(*shape), weight, uneven(out) + 0.3, uneven(rank, dim).flip(1) + 0.1, uneven(out, rank) - 0.25, alpha


_LOOK_AT_LORA = _lora_input(2, 3, out=4, rank=2, alpha=3.0)


def _reaches_the_input(module: nn.Module, x: Tensor) -> bool:
    """Whether the gradient comes through both ways to what lies below."""
    x = x.clone().requires_grad_()
    module(x).sum().backward()
    ones, scale = torch.ones(_LOOK_AT_LORA[1].shape[0]), _LOOK_AT_LORA[5] / len(_LOOK_AT_LORA[3])
    weight, A, B = (tensor.float() for tensor in (_LOOK_AT_LORA[1], _LOOK_AT_LORA[3], _LOOK_AT_LORA[4]))
    wanted = (ones @ (weight + scale * B @ A)).expand_as(x)
    return x.grad is not None and torch.allclose(x.grad, wanted, atol=1e-4)


def _both_learn(module: nn.Module, x: Tensor) -> bool:
    """Whether gradients arrive at A and B while training."""
    out = module.train()(x).sum()
    if out.requires_grad:
        out.backward()
    gradients = [_small(module, name).grad for name in ("A", "B")]
    return all(gradient is not None and bool(gradient.any()) for gradient in gradients)


lora = Exercise(
    name="lora",
    lesson=LESSON,
    difficulty=3,
    minutes=12,
    solution=_LoRA,
    adapt=_with_matrices,
    inputs=[
        _lora_input(1, 2, out=3, rank=1, alpha=2.0),
        _lora_input(2, 3, 4, out=5, rank=2, alpha=3.0),
        _lora_input(3, 5, out=2, rank=3, alpha=1.0),
        _lora_input(2, 2, 3, out=9, rank=2, alpha=8.0),
    ],
    hints=Hints(
        inputs="x W b A B alpha",
        axes="M",
        sizes=lambda x, W, b, A, B, alpha: {"r": len(A), "D": x.shape[-1], "M": len(W)},
        steps=[
            ("A", lambda _, x, W, b, A, B, alpha: x @ A.T),
            ("B", lambda low, x, W, b, A, B, alpha: low @ B.T),
            (
                "the factor α / r",
                lambda small, x, W, b, A, B, alpha: 0 if small is None else small * (alpha / len(A)),
            ),
            (
                "adding what the old layer gives",
                lambda small, x, W, b, A, B, alpha: small + F.linear(x, W, b),
            ),
        ],
    ),
    mistakes=[
        FORGOT_MODULE,
        Mistake(
            _lora(forward=lambda self, x: self.linear(x)),
            "this is what the old layer gives, whatever is in A and B. Add BAx in forward; what is multiplied in "
            "__init__ knows A and B as they were before they learned.",
        ),
        Mistake(
            _lora(scale=lambda self: 1.0),
            "the factor α / r is missing before BAx.",
        ),
        Mistake(
            _lora(scale=lambda self: self.alpha),
            "BAx is multiplied by α alone. Divide by the rank: α / r.",
        ),
        Mistake(
            _lora(scale=lambda self: 1 / self.rank),
            "BAx is divided by r, and α is missing: α / r.",
        ),
        Mistake(
            _lora(scale=lambda self: self.rank / self.alpha),
            "your factor is upside down: α / r, not r / α.",
        ),
        Mistake(
            _lora(scale=lambda self: self.alpha * self.rank),
            "you multiplied by the rank. Divide by it: α / r.",
        ),
        Mistake(
            _lora(scale=lambda self: self.alpha / math.sqrt(self.rank)),
            "you divided by the root of the rank. There is a variant that does so, rsLoRA; here it is α / r.",
        ),
        Mistake(
            [
                _lora(scale=lambda self: self.alpha / self.linear.in_features),
                _lora(scale=lambda self: self.alpha / self.linear.out_features),
            ],
            "you divided α by the width of the old layer. Divide it by the rank: α / r.",
        ),
        Mistake(
            _lora(scale=lambda self: self.alpha // self.rank),
            "you rounded the factor: // gives whole numbers. Divide with one stroke: α / r.",
        ),
        Mistake(
            [
                _lora(forward=lambda self, x: self.scale() * (self.linear(x) + self.small(x))),
                _lora(forward=lambda self, x: self.scale() * self.linear(x) + self.small(x)),
            ],
            "the factor α / r stands before the old layer's part too. It belongs to BAx alone.",
        ),
        Mistake(
            _lora(forward=lambda self, x: self.scale() * self.small(x)),
            "what the old layer gives is missing: Wx + b. BAx is added to it.",
        ),
        Mistake(
            _lora(forward=lambda self, x: x @ self.linear.weight.T + self.scale() * self.small(x)),
            "the old layer's bias is missing. Call it like a function: self.linear(x).",
        ),
        Mistake(
            _lora(forward=lambda self, x: _LoRA.forward(self, x) + self.linear.bias),
            "the old layer's bias comes twice. self.linear(x) has it already.",
        ),
        Mistake(
            _lora(scale=lambda self: -self.alpha / self.rank),
            "BAx is subtracted. Add it.",
        ),
        Mistake(
            _lora(forward=lambda self, x: self.linear(x) * (self.scale() * self.small(x))),
            "the two parts are multiplied. Add them: Wx + b + (α / r) BAx.",
        ),
        Mistake(
            [
                _lora(small=lambda self, x, bend=bend: bend(x @ self.A.T) @ self.B.T)
                for bend in (F.relu, F.gelu, torch.tanh, F.silu)
            ],
            "there is a bend between A and B. That is an adapter; a LoRA has nothing between the two, so that BA "
            "is one matrix, which can be added to W.",
        ),
        Mistake(
            [_lora(forward=lambda self, x, bend=bend: bend(_LoRA.forward(self, x))) for bend in (F.relu, F.gelu)],
            "there is an activation after the sum. The old layer had none, and yours takes its place.",
        ),
        Mistake(
            _lora(forward=lambda self, x: _LoRA.forward(self, x) + self.linear(x)),
            "what the old layer gives comes twice.",
        ),
        Mistake(
            _lora(small=lambda self, x: _LoRA.small(self, x) + self.linear.bias),
            "the bias comes twice, the second time with BAx. There is none in BAx.",
        ),
    ],
    properties=[
        Property(
            lambda answer: answer(*_LOOK_AT_LORA, _both_learn),
            "no gradient arrives at A and B, so they never learn. Is there a no_grad, a detach, a .data or a new "
            "nn.Parameter on the way?",
        ),
        Property(
            lambda answer: answer(*_LOOK_AT_LORA, _reaches_the_input),
            "the gradient that goes on to the layers below is not that of this layer. Freeze the old layer with "
            "linear.requires_grad_(False); a no_grad or a detach around it also stops what should pass through it.",
        ),
    ],
    done="At first it changes nothing, and what it learns are two small matrices.",
)


# ------------------------------------------------------------------------------------------ merge it


def _merged(
    scale: Callable[[float, Tensor], float] = lambda alpha, A: alpha / len(A),
    product: Callable[[Tensor, Tensor], Tensor] = lambda A, B: B @ A,
    add: Callable[[Tensor, Tensor], Tensor] = torch.add,
    to: tuple[str, str, str] = ("q", "", "v"),
    chunks: Callable[[Tensor], tuple[Tensor, ...]] = lambda weight: weight.chunk(3),
    join: Callable[[tuple[Tensor, ...]], Tensor] = torch.cat,
    unscaled: str = "",
) -> Callable:
    """Merge, with one thing done in another way; `to` says whose product each of the three matrices gets."""

    def merge(weight: Tensor, A_q: Tensor, B_q: Tensor, A_v: Tensor, B_v: Tensor, alpha: float) -> Tensor:
        made = {"q": (A_q, B_q), "v": (A_v, B_v), "A_q B_v": (A_q, B_v), "A_v B_q": (A_v, B_q)}
        small = {name: (1 if name == unscaled else scale(alpha, A)) * product(A, B) for name, (A, B) in made.items()}
        small["q and v"] = small["q"] + small["v"]
        parts = chunks(weight)
        return join(tuple(add(part, small[name]) if name else part for part, name in zip(parts, to, strict=True)))

    return merge


def _merge_input(dim: int, rank: int, alpha: float) -> tuple:
    weight = scattered(3 * dim, dim) / 7 + torch.arange(3 * dim)[:, None] / 50
    matrices = uneven(4, rank, dim) + torch.arange(4)[:, None, None] / 9
    return weight, matrices[0], matrices[1].T - 0.3, matrices[2].flip(1), matrices[3].T + 0.2, alpha


def _interleaved(weight: Tensor) -> tuple[Tensor, ...]:
    """Take every third row as if q, k and v took turns."""
    return tuple(weight[start::3] for start in range(3))


def _weights_scaled(keys: bool, products: bool) -> Callable:
    """Merge, with the factor before the old matrices as well; before the products, too, or not."""

    def merge(weight: Tensor, A_q: Tensor, B_q: Tensor, A_v: Tensor, B_v: Tensor, alpha: float) -> Tensor:
        (w_q, w_k, w_v), scale = weight.chunk(3), alpha / len(A_q)
        small = scale if products else 1.0
        return torch.cat(
            [scale * w_q + small * B_q @ A_q, scale * w_k if keys else w_k, scale * w_v + small * B_v @ A_v]
        )

    return merge


_USUAL_SLIPS = (
    ({"scale": lambda alpha, A: 1.0}, "the factor α / r is missing before both products."),
    ({"scale": lambda alpha, A: alpha}, "the products are multiplied by α alone. Divide by the rank: α / r."),
    (
        {"product": lambda A, B: (B @ A).T},
        "your products are transposed: AᵀBᵀ is (BA)ᵀ. Multiply B @ A, [D, r] by [r, D].",
    ),
    ({"add": torch.sub}, "the products are subtracted. Add them."),
    (
        {"add": lambda part, small: small},
        "W_q and W_v are gone: only the products are there. Add them: W + (α / r) BA.",
    ),
    ({"to": ("v", "", "q")}, "q and v have changed places: W_q gets B_q A_q, and W_v gets B_v A_v."),
    (
        {"to": ("q", "v", "")},
        "the product of the values was added to the keys. The order in the weight is queries, keys, values.",
    ),
    (
        {"to": ("q", "q", "v")},
        "the keys have got the product of the queries as well. They have no LoRA, and stay as they are.",
    ),
    (
        {"to": ("q", "v", "v")},
        "the keys have got the product of the values as well. They have no LoRA, and stay as they are.",
    ),
    ({"to": ("q", "", "")}, "the values have got nothing. They have a LoRA of their own: (α / r) B_v A_v."),
    ({"to": ("", "", "v")}, "the queries have got nothing. They have a LoRA of their own: (α / r) B_q A_q."),
)
_CHANGED_MERGES = (
    *_USUAL_SLIPS,
    ({"scale": lambda alpha, A: 1 / len(A)}, "the products are divided by r, and α is missing: α / r."),
    ({"scale": lambda alpha, A: len(A) / alpha}, "your factor is upside down: α / r, not r / α."),
    ({"scale": lambda alpha, A: alpha * len(A)}, "you multiplied by the rank. Divide by it: α / r."),
    (
        {"scale": lambda alpha, A: alpha / A.shape[1]},
        "you divided α by D. The rank is the other size of the matrices: A is [r, D], B is [D, r].",
    ),
    (
        {"scale": lambda alpha, A: alpha / len(A) ** 0.5},
        "you divided by the root of the rank. There is a variant that does so, rsLoRA; here it is α / r.",
    ),
    (
        {"scale": lambda alpha, A: alpha / (3 * A.shape[1])},
        "you divided α by 3D, the rows of the weight. The rank is the number of rows of A: A is [r, D].",
    ),
    *(
        ({"unscaled": name}, f"the factor α / r is missing before the product of the {whose}.")
        for name, whose in (("q", "queries"), ("v", "values"))
    ),
    (
        {"scale": lambda alpha, A: alpha // len(A)},
        "you rounded the factor: // gives whole numbers. Divide with one stroke: α / r.",
    ),
    (
        {"product": lambda A, B: A @ B},
        "your products are [r, r]. The other way round they are [D, D], as W_q is: B @ A.",
    ),
    ({"add": torch.mul}, "the products are multiplied into the matrices, number by number. Add them."),
    (
        {"add": lambda part, small: part @ small},
        "the products are multiplied with the matrices. Add them: W + (α / r) BA.",
    ),
    (
        {"to": ("", "q", "v")},
        "the product of the queries was added to the keys. The order in the weight is queries, keys, values.",
    ),
    (
        {"to": ("q and v", "q and v", "q and v")},
        "every matrix has got both products. W_q gets B_q A_q alone, W_v gets B_v A_v alone, and W_k none.",
    ),
    *(
        (
            {"to": to},
            f"the product of the {whose} was added to all three matrices. It belongs to one of them.",
        )
        for to, whose in ((("q", "q", "q and v"), "queries"), (("q and v", "v", "v"), "values"))
    ),
    (
        {"to": ("q and v", "", "q and v")},
        "W_q and W_v have each got both products. W_q gets B_q A_q alone, and W_v gets B_v A_v alone.",
    ),
    ({"to": ("q", "", "q")}, "the values have got the product of the queries. Theirs is B_v A_v."),
    ({"to": ("v", "", "v")}, "the queries have got the product of the values. Theirs is B_q A_q."),
    ({"to": ("", "", "")}, "this is the weight as it came in: no product was added."),
    (
        {"to": ("A_v B_q", "", "A_q B_v")},
        "the A of one was multiplied with the B of the other. Queries: B_q @ A_q. Values: B_v @ A_v.",
    ),
    (
        {"to": ("A_q B_v", "", "A_v B_q")},
        "the A of one was multiplied with the B of the other. Queries: B_q @ A_q. Values: B_v @ A_v.",
    ),
    (
        {"chunks": _interleaved, "join": lambda parts: torch.stack(parts, dim=1).flatten(0, 1)},
        "you took every third row for the queries. The three matrices lie above each other: the first D rows are W_q.",
    ),
    (
        {"chunks": _interleaved},
        "you took every third row for the queries. The three matrices lie above each other: the first D rows are W_q.",
    ),
    (
        {"chunks": lambda weight: weight.chunk(3)[::-1]},
        "queries and values have changed places. The order in the weight is queries, keys, values.",
    ),
    (
        {"join": lambda parts: torch.cat((parts[0], torch.zeros_like(parts[1]), parts[2]))},
        "W_k is all zero. It has no LoRA, and stays as it is.",
    ),
    (
        {"join": lambda parts: torch.cat(parts).reshape(len(parts[0]), -1)},
        "your result is [D, 3D]. Wanted is [3D, D], without a last reshape.",
    ),
    (
        {"join": torch.stack},
        "the three matrices are stacked: [3, D, D]. Put them above each other, [3D, D]: torch.cat.",
    ),
    (
        {"join": lambda parts: torch.cat(parts, dim=1)},
        "the three matrices stand side by side: [D, 3D]. They lie above each other, along axis 0.",
    ),
    ({"join": tuple}, "these are three matrices. Put them above each other in one: torch.cat."),
    (
        {"join": lambda parts: torch.cat((parts[0], parts[2]))},
        "W_k is left out. It stays as it is, but it stays: [3D, D].",
    ),
    (
        {"join": lambda parts: torch.cat((parts[0], parts[2], parts[1]))},
        "keys and values have changed places. The order in the weight is queries, keys, values.",
    ),
    ({"join": lambda parts: torch.cat(parts).T}, "your result is transposed: [D, 3D]. Wanted is [3D, D]."),
    ({"join": sum}, "you added the three matrices up. Put them above each other: torch.cat, [3D, D]."),
)

merged_qkv = Exercise(
    name="merged_qkv",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=_merged(),
    inputs=[
        _merge_input(2, 1, 3.0),
        _merge_input(3, 2, 1.0),
        _merge_input(4, 3, 8.0),
        _merge_input(6, 2, 3.0),
    ],
    hints=Hints(
        axes="3D D",
        row="row",
        sizes=lambda weight, A_q, B_q, A_v, B_v, alpha: {"r": len(A_q), "D": weight.shape[1]},
    ),
    mistakes=[
        *(Mistake(_merged(**change), sentence) for change, sentence in _CHANGED_MERGES),
        Mistake(
            [_weights_scaled(keys, products) for keys in (False, True) for products in (False, True)],
            "the factor α / r stands before the old matrices. It belongs to the products: W + (α / r) BA.",
        ),
    ],
    pairs=pairs_of(_merged, _USUAL_SLIPS),
    done="A and B are gone, the model says the same, and costs what it cost before.",
)


# ------------------------------------------------------------------------------------------ the clinic

FAULTS = {"A": "frozen", "B": "statistics", "C": "head", "D": "well", "E": "weights", "F": "rate"}
SETTINGS = TrainingConfig(
    epochs=30, batch_size=20, learning_rate=0.003, warmup_epochs=3, validation_fraction=0, device="cpu"
)


class Patient(NamedTuple):
    """What somebody brought to `fit`: a model, pictures and the settings."""

    model: ViT
    data: Dataset
    config: TrainingConfig


def patient(letter: str, model: ViT, data: Dataset) -> Patient:
    """Give the fine-tuning of the clinic with this letter, "A" to "F", of a trained model that has a card.

    The model is a copy. Raises KeyError for another letter.
    """
    fault, config = FAULTS[letter], SETTINGS
    start = copy.deepcopy(model)
    if fault == "weights":
        with seeded(0):
            start = ViT(model.config).to(model.head.weight).eval()
        start.card = model.card
    if fault != "head":
        start = reset_head(start, data.num_classes)
    if fault == "statistics":
        channels = model.config.in_channels
        start.card = replace(start.card, mean=(0.0,) * channels, std=(1.0,) * channels)
    if fault == "frozen":
        config = replace(config, freeze=("cls_token", "pos_embed", "patch_embed", "blocks", "norm"))
    if fault == "rate":
        config = replace(config, learning_rate=10 * config.learning_rate, warmup_epochs=0)
    return Patient(start, replace(data, mean=start.card.mean, std=start.card.std), config)


_SIGNS = {
    "A": "look how far patient A's blocks have moved.",
    "B": "patient B's features are other ones than the trained model's. Before you ask the weights, ask what goes in: "
    "its mean and its std.",
    "C": "look at patient C's loss before the training. A head that knows nothing has log 4 = 1.39; who is so sure, "
    "and so wrong?",
    "D": "look at patient D's line once more, column by column. Each of them says what it should.",
    "E": "patient E's features are other ones than the trained model's, and what goes in is right. So what is not?",
    "F": "look how patient F's loss begins, and how far its blocks have moved: by more than they were long.",
}

fine_tuning_clinic = make_clinic(
    "fine_tuning_clinic",
    LESSON,
    FAULTS,
    _SIGNS,
    done="Five mistakes. None gives an error, each leaves a trace, and you look for it before the training.",
)
