"""Lesson 9: count what a place can see, move pictures and rows, choose rates fairly, find unfair comparisons."""

from collections.abc import Callable, Iterable, Sequence
from statistics import StatisticsError, fmean, median, median_high

import torch
from torch import Tensor, nn

from vit_tutorial.exercises.attempt import ChangedInput
from vit_tutorial.exercises.builders import scattered, small_vit
from vit_tutorial.exercises.clinic import make_clinic
from vit_tutorial.exercises.difference.hints import Hints
from vit_tutorial.exercises.engine import Exercise, Mistake

LESSON = "09_vit_versus_cnn"
__all__ = ["agreement", "comparison_clinic", "fair_leads", "moved_rows", "seen_pixels"]

Layers = Sequence[tuple[int, int]]  # (kernel, stride) of each layer, from the picture up


# ------------------------------------------------------------------------------------------ what a place can see


def _seen(
    adds: Callable[[int, int], int] = lambda kernel, step: (kernel - 1) * step,
    steps: Callable[[int, int], int] = lambda step, stride: step * stride,
    start: tuple[int, int] = (1, 1),
    stride_first: bool = False,
    layers: Callable[[Layers], Layers] = lambda layers: layers,
    give: Callable[[int, int], object] = lambda width, step: (width, step),
) -> Callable:
    """Count, with one thing done in another way."""

    def count(given: Layers) -> object:
        width, step = start
        for kernel, stride in layers(given):
            after = steps(step, stride)
            width += adds(kernel, after if stride_first else step)
            step = after
        return give(width, step)

    return count


def _products(layers: Layers) -> tuple[int, int]:
    width = step = 1
    for kernel, stride in layers:
        width, step = width * kernel, step * stride
    return width, step


seen_pixels = Exercise(
    name="seen_pixels",
    lesson=LESSON,
    difficulty=1,
    minutes=6,
    solution=_seen(),
    inputs=[
        ([(3, 1)],),
        ([(3, 1), (3, 1)],),
        ([(3, 2), (3, 2)],),
        ([(5, 1), (3, 2), (3, 1), (1, 1), (3, 3)],),
        ([(7, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)],),
        ([(4, 4), (3, 1)],),
    ],
    mistakes=[
        Mistake(
            _seen(adds=lambda kernel, step: kernel - 1),
            "the strides before a layer are missing in the width. After a stride of 2, one place further is two pixels "
            "further: a layer adds (kernel - 1) * step.",
        ),
        Mistake(
            _seen(stride_first=True),
            "a layer's own stride comes in too early. It moves the places of this layer apart, not the ones it reads: "
            "first the width, then the step.",
        ),
        Mistake(
            lambda layers: (1 + sum((kernel - 1) * stride for kernel, stride in layers), _seen()(layers)[1]),
            "each layer adds its own stride times (kernel - 1). The places that it reads lie a step apart: all strides "
            "before it, multiplied.",
        ),
        Mistake(
            _seen(adds=lambda kernel, step: kernel - 1 * step),
            "brackets are missing: kernel - 1 * step is kernel - step. Each layer adds (kernel - 1) * step.",
        ),
        Mistake(
            _seen(layers=lambda layers: [layer[::-1] for layer in layers]),
            "kernel and stride have changed places. A layer is (kernel, stride).",
        ),
        Mistake(
            _seen(adds=lambda kernel, step: kernel * step),
            "each layer adds one step too much. A kernel of 3 reaches 1 to each side, so it adds 2: kernel - 1.",
        ),
        Mistake(
            [_seen(start=(0, 1)), _seen(start=(2, 1))],
            "your width begins wrongly. Before the first layer a place is one pixel, and sees that one: width 1.",
        ),
        Mistake(
            _seen(adds=lambda kernel, step: kernel // 2 * step),
            "you count one side. A kernel of 3 reaches 1 to the left and 1 to the right: it adds 2.",
        ),
        Mistake(
            [
                _seen(steps=lambda step, stride: step + stride, start=(1, 0)),
                _seen(steps=lambda step, stride: step + stride),
                _seen(steps=lambda step, stride: step + stride - 1),
                lambda layers: (_seen()(layers)[0], sum(stride for _, stride in layers)),
            ],
            "you added the strides up. Two strides of 2 make a step of 4: they multiply.",
        ),
        Mistake(
            [_seen(steps=lambda step, stride: stride), lambda layers: (_seen()(layers)[0], layers[-1][1])],
            "your step is that of the last layer alone. The strides of all layers multiply.",
        ),
        Mistake(
            _seen(layers=lambda layers: layers[::-1]),
            "you began with the last layer. Begin at the picture: a stride counts for the layers after it.",
        ),
        Mistake(
            _products,
            "you multiplied the kernels. Each one sees the same pixels as its neighbour, but for a step: add "
            "(kernel - 1) * step.",
        ),
        Mistake(
            _seen(layers=lambda layers: layers[:1]),
            "only the first layer counts in yours. Is the `return` inside the loop?",
        ),
        Mistake(
            _seen(layers=lambda layers: layers[1:]),
            "the first layer is left out.",
        ),
        Mistake(
            _seen(layers=lambda layers: layers[:-1]),
            "the last layer is left out.",
        ),
        Mistake(
            _seen(give=lambda width, step: (step, width)),
            "the two numbers have changed places. First the width that is seen, then the step.",
        ),
        Mistake(
            _seen(give=lambda width, step: width),
            "the step is missing. Return two numbers: (width, step).",
        ),
        Mistake(
            _seen(give=lambda width, step: (width**2, step)),
            "you counted the pixels of the whole square. Asked for is its width.",
        ),
        Mistake(
            [
                _seen(give=lambda width, step: ((width - 1) // 2, step)),
                _seen(give=lambda width, step: (width // 2, step)),
            ],
            "you count how far it reaches to one side. Asked for is the width: both sides, and the pixel itself.",
        ),
    ],
    done="Width grows with (kernel - 1) * step, and the step with each stride.",
    hints=Hints(inputs="layers"),
)


# ------------------------------------------------------------------------------------------ rows of positions


def _rows_input(number: int, dim: int, order: list[int]) -> tuple[Tensor, Tensor]:
    return scattered(1, 1 + number, dim) + torch.arange(number + 1)[:, None] / 100, torch.tensor(order)


def _put(pos_embed: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    """Return the table with these rows at these places."""
    new = pos_embed.clone()
    new[:, places] = rows
    return new


def _taken(pos_embed: Tensor, order: Tensor) -> Tensor:
    """Return the rows of the patches in this order, behind that of the class token."""
    return torch.cat([pos_embed[:, :1], pos_embed[:, 1:][:, order]], dim=1)


def _overwritten(pos_embed: Tensor, order: Tensor) -> Tensor:
    """Read from the table that is written to."""
    new = pos_embed.clone()
    for i, place in enumerate(order):
        new[:, 1 + place] = new[:, 1 + i]
    return new


moved_rows = Exercise(
    name="moved_rows",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=lambda pos_embed, order: _put(pos_embed, 1 + order, pos_embed[:, 1:]),
    inputs=[
        _rows_input(2, 3, [1, 0]),
        _rows_input(4, 3, [1, 2, 3, 0]),
        _rows_input(6, 4, [3, 0, 4, 1, 5, 2]),
        _rows_input(5, 2, [0, 1, 2, 3, 4]),
    ],
    mistakes=[
        Mistake(
            _taken,
            "it is the other way round. Patch order[i] now lies at place i, and so it has row i: row i of the old "
            "table goes *to* order[i] in the new one.",
        ),
        Mistake(
            lambda pos_embed, order: pos_embed[:, order],
            "row 0 belongs to the class token, which has no place in the picture. Patch i has row 1 + i. And the class "
            "token's row must be there too.",
        ),
        Mistake(
            lambda pos_embed, order: _put(pos_embed, order, pos_embed[:, 1:]),
            "row 0 belongs to the class token, and you wrote a patch's row into it. Patch i has row 1 + i.",
        ),
        Mistake(
            [
                lambda pos_embed, order: _put(pos_embed, order, pos_embed[:, :-1]),
                lambda pos_embed, order: _put(pos_embed, torch.arange(len(order)), pos_embed[:, order]),
            ],
            "you moved rows 0 to N - 1, and row 0 is the class token's. The patches have rows 1 to N.",
        ),
        Mistake(
            lambda pos_embed, order: _put(pos_embed, 1 + order, pos_embed[:, 1:])[:, 1:],
            "the class token's row is missing. Keep it in front: the table has 1 + N rows.",
        ),
        Mistake(
            lambda pos_embed, order: _taken(pos_embed, order)[:, 1:],
            "two things: the class token's row is missing. And row i of the old table goes *to* order[i].",
        ),
        Mistake(
            _overwritten,
            "you read from the table that you write to, so that some rows are gone before they are moved. Write into a "
            "copy, and read from pos_embed.",
        ),
        Mistake(
            lambda pos_embed, order: pos_embed.clone(),
            "nothing has moved. This is the old table.",
        ),
        Mistake(
            lambda pos_embed, order: pos_embed.flip(1),
            "you turned the table round. The order says where each row goes.",
        ),
        Mistake(
            lambda pos_embed, order: _put(pos_embed, 1 + torch.arange(len(order)), pos_embed[:, 1:].flip(1)),
            "you turned the rows of the patches round. The order says where each row goes.",
        ),
        Mistake(
            lambda pos_embed, order: _put(pos_embed, 1 + order, pos_embed[:, 1:])[0],
            "the axis of length 1 in front is lost. The table is [1, 1 + N, D].",
        ),
        Mistake(
            lambda pos_embed, order: _put(torch.zeros_like(pos_embed), 1 + order, pos_embed[:, 1:]),
            "the class token's row is all zero. It stays what it was: begin with pos_embed.clone().",
        ),
    ],
    done="What a ViT knows of the arrangement stands in this table, and nowhere else.",
    hints=Hints(axes="1 M D", row="position"),
)


# ------------------------------------------------------------------------------------------ moved pictures


class _Corners(nn.Module):
    """A model that says in which corner a picture is brightest: no move leaves its answer as it was for all."""

    def forward(self, images: Tensor) -> Tensor:
        half = images.shape[-1] // 2
        rows = images.mean(dim=1).unflatten(1, (2, half)).unflatten(3, (2, half))  # [B, 2, half, 2, half]
        return rows.square().sum(dim=(2, 4)).flatten(1)


def _pictures(batch: int, channels: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, 8, 8, generator=generator, dtype=torch.float64) ** 3


_ROUND = ((1, 0), (-1, 0), (0, 1), (0, -1))  # down, up, right, left


def _rolled(images: Tensor, rows: int, columns: int) -> Tensor:
    return images.roll((rows, columns), dims=(2, 3))


def _blackened(images: Tensor, rows: int, columns: int) -> Tensor:
    moved = _rolled(images, rows, columns)
    for dim, pixels in ((2, rows), (3, columns)):
        if pixels:
            moved.narrow(dim, 0 if pixels > 0 else moved.shape[dim] + pixels, abs(pixels)).zero_()
    return moved


def _classes(logits: Tensor) -> Tensor:
    return logits.argmax(dim=1)


def _share(stays: Tensor) -> Tensor:
    return stays.double().mean()


def _agreeing(
    moves: Sequence[tuple[int, int]] = _ROUND,
    move: Callable[[Tensor, int, int], Tensor] = _rolled,
    answer: Callable[[Tensor], Tensor] = _classes,
    give: Callable[[Tensor], object] = _share,
    stays: Callable[[Tensor, Tensor], Tensor] = torch.eq,
) -> Callable:
    """Count the answers that stay, with one thing done in another way."""

    @torch.no_grad()
    def count(model: nn.Module, images: Tensor, pixels: int) -> object:
        before = answer(model(images))
        after = [answer(model(move(images, pixels * down, pixels * right))) for down, right in moves]
        return give(torch.stack([stays(one, before) for one in after]))  # [4, B]

    return count


@torch.no_grad()
def _neighbours(model: nn.Module, images: Tensor, pixels: int) -> Tensor:
    after = [_classes(model(_rolled(images, pixels * down, pixels * right))) for down, right in _ROUND]
    return _share(torch.stack([one == other for one, other in zip(after, after[1:] + after[:1], strict=True)]))


agreement = Exercise(
    name="agreement",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=_agreeing(),
    inputs=[
        (_Corners(), _pictures(6, 1, seed=1), 1),
        (_Corners(), _pictures(16, 2, seed=2), 2),
        (small_vit(1, in_channels=1, num_classes=5)[0], _pictures(16, 1, seed=3), 3),
        (_Corners(), _pictures(16, 3, seed=4), 3),
        (small_vit(3, in_channels=1, num_classes=5)[0], _pictures(16, 1, seed=5), 1),
    ],
    mistakes=[
        Mistake(
            _agreeing(give=lambda stays: 1 - _share(stays)),
            "you counted the answers that change. Asked for is the share that stays.",
        ),
        Mistake(
            [_agreeing(give=lambda stays: stays.sum()), _agreeing(give=lambda stays: stays.double().sum(dim=1).mean())],
            "you counted the answers. Divide by how many there are: the share, 0 to 1.",
        ),
        Mistake(
            _agreeing(give=lambda stays: stays.double().mean(dim=1)),
            "you returned one share for each direction. Take their mean: one number.",
        ),
        Mistake(
            _agreeing(give=lambda stays: stays.double().mean(dim=0)),
            "you returned one share for each picture. Take their mean: one number.",
        ),
        Mistake(
            _agreeing(give=lambda stays: 100 * _share(stays)),
            "you returned percent. A share lies between 0 and 1.",
        ),
        Mistake(
            [_agreeing([way]) for way in _ROUND],
            "one direction alone counts in yours. There are four: up, down, left and right. Take the mean of their "
            "shares.",
        ),
        Mistake(
            [_agreeing(_ROUND[:2]), _agreeing(_ROUND[2:]), _agreeing(_ROUND[::2]), _agreeing(_ROUND[1::2])],
            "two directions are missing. Move the pictures up and down, and to the left and right.",
        ),
        Mistake(
            [_agreeing([(1, 1)]), _agreeing([(1, 1), (-1, -1)]), _agreeing([(1, 1), (1, -1), (-1, 1), (-1, -1)])],
            "you moved along the diagonals. Move along one axis at a time: (pixels, 0), (-pixels, 0) and so on.",
        ),
        Mistake(
            _agreeing(move=_blackened),
            "black came in at the border. Here what goes out on one side comes in on the other: images.roll.",
        ),
        Mistake(
            _agreeing(move=lambda images, rows, columns: images.roll((rows, columns), dims=(0, 1))),
            "you moved the batch. The axes of [B, C, H, W] that hold rows and columns are 2 and 3.",
        ),
        Mistake(
            _agreeing(move=lambda images, rows, columns: images.roll((rows, columns), dims=(1, 2))),
            "you moved the channels. The axes of [B, C, H, W] that hold rows and columns are 2 and 3.",
        ),
        Mistake(
            _agreeing(move=lambda images, rows, columns: images.roll(rows + columns)),
            "roll without dims moves all pixels in one long row. Say along which axis: dims=2 or dims=3.",
        ),
        Mistake(
            [
                _agreeing(move=lambda images, rows, columns: _rolled(images, (rows > 0) - (rows < 0), columns)),
                lambda model, images, pixels: _agreeing()(model, images, 1),
            ],
            "you move by 1, whatever `pixels` is.",
        ),
        Mistake(
            [
                _agreeing(answer=lambda logits: logits),
                _agreeing(answer=lambda logits: logits, stays=torch.isclose),
                _agreeing(answer=lambda logits: logits, stays=lambda one, other: (one == other).all(dim=1)),
            ],
            "you compared the logits. They change with every pixel; the answer is the class with the largest one.",
        ),
        Mistake(
            _agreeing(answer=lambda logits: logits.argmax(dim=0)),
            "argmax over axis 0 looks for the picture with the largest logit. The classes are axis 1.",
        ),
        Mistake(
            _agreeing(answer=lambda logits: logits.argmax()[None]),
            "argmax without an axis gives one number for the whole batch. Give each picture its answer: dim=1.",
        ),
        Mistake(
            _agreeing(answer=lambda logits: logits.argmin(dim=1)),
            "argmin is the class that the model thinks least likely. The answer is the argmax.",
        ),
        Mistake(
            _agreeing(give=lambda stays: _share(stays.all(dim=0))),
            "you count a picture only if it keeps its answer in all four directions. Count each direction by itself.",
        ),
        Mistake(
            _agreeing(give=lambda stays: _share(stays.any(dim=0))),
            "you count a picture if it keeps its answer in any direction. Count each direction by itself.",
        ),
        Mistake(
            [
                _agreeing(give=lambda stays: stays.double().mean(dim=1).max()),
                _agreeing(give=lambda stays: stays.double().mean(dim=1).min()),
            ],
            "you took one direction of the four, the best or the worst. Take the mean of all four shares.",
        ),
        Mistake(
            _agreeing([(1, 0), (0, 0), (0, 1), (0, 0)]),
            "your moves add up: each one moves what was moved before. Begin with `images` each time.",
        ),
        Mistake(
            _neighbours,
            "you compared the moved pictures with one another. Compare each with the answer before it was moved.",
        ),
        Mistake(
            [
                _agreeing([*_ROUND[:i], other, *_ROUND[i + 1 :]])
                for i in range(len(_ROUND))
                for other in _ROUND
                if other != _ROUND[i]
            ],
            "one of the four directions is missing, and another counts twice: up, down, left and right.",
        ),
        Mistake(
            _agreeing([(0, 0)]),
            "every answer stays, as where nothing is moved. Does the model see the moved pictures, and does each move "
            "begin with `images`?",
        ),
        Mistake(
            _agreeing([*_ROUND, (0, 0)]),
            "the pictures that were not moved count as a fifth direction, and keep every answer. Take the mean of the "
            "four moves alone.",
        ),
    ],
    done="Invariance is no longer a word, but a number.",
)


# ------------------------------------------------------------------------------------------ a fair lead

FIRST_SEARCH_SEED = 100  # seeds from here on choose the rate, and judge nothing
FIELDS = ("model", "rate", "seed", "validation", "test")
Run = dict  # with these


def make_runs(seed: int, rates: Sequence[float], judging: int | Sequence[int], searching: int) -> tuple[list[Run]]:
    """Return runs of two models at each rate, made up, in no order: what they show is decided by the numbers alone.

    `judging` are the seeds that judge, or how many there are from 0 on.
    """
    judging = range(judging) if isinstance(judging, int) else judging
    generator = torch.Generator().manual_seed(seed)
    runs = [
        {"model": model, "rate": rate, "seed": number}
        for model in ("ViT", "CNN")
        for rate in rates
        for number in (*judging, *range(FIRST_SEARCH_SEED, FIRST_SEARCH_SEED + searching))
    ]
    scores = 0.5 + torch.rand(len(runs), 2, generator=generator, dtype=torch.float64) * 0.4
    for run, (validation, test) in zip(runs, scores.tolist(), strict=True):
        run |= {"validation": round(validation, 3), "test": round(test, 3)}
    return ([runs[i] for i in torch.randperm(len(runs), generator=generator)],)


def _rows(runs: list[Run]) -> tuple[list[tuple]]:
    """Return runs as a check shows them: the values of each, without their names."""
    return ([tuple(run.values()) for run in runs],)


def _with_names(lead: Callable) -> Callable:
    """Turn an answer, which gets runs, into one that gets their rows."""

    def run(runs: list[tuple]) -> object:
        named, before = ([dict(zip(FIELDS, row, strict=True)) for row in runs] for _ in range(2))
        leads = lead(named)
        if named != before:
            raise ChangedInput
        return leads

    return run


def _searching(run: Run) -> bool:
    return run["seed"] >= FIRST_SEARCH_SEED


def _rate_by(
    key: str = "validation",
    chooses: Callable[[Run], bool] = _searching,
    of: Callable[[Sequence[float]], float] = fmean,
    best: Callable = max,
) -> Callable:
    """Make a rule that chooses a model's rate."""

    def choose(runs: list[Run], model: str) -> float:
        rates = sorted({run["rate"] for run in runs})
        at = {
            rate: of([run[key] for run in runs if (run["model"], run["rate"]) == (model, rate) and chooses(run)])
            for rate in rates
        }
        return best(at, key=at.__getitem__)

    return choose


def _leads(
    rate_of: Callable[[list[Run], str], float] | None = None,
    key: str = "test",
    judges: Callable[[Run], bool] = lambda run: not _searching(run),
    give: Callable[[list[float]], object] = list,
    sign: int = 1,
    order: Callable[[dict[str, dict[int, float]]], Iterable[int]] = lambda scores: sorted(scores["CNN"]),
) -> Callable:
    """Give the leads of the CNN, with one thing done in another way."""
    rate_of = rate_of or _rate_by()

    def lead(runs: list[Run]) -> object:
        scores = {
            model: {
                run["seed"]: run[key]
                for run in runs
                if run["model"] == model and run["rate"] == rate_of(runs, model) and judges(run)
            }
            for model in ("CNN", "ViT")
        }
        return give([sign * (scores["CNN"][seed] - scores["ViT"][seed]) for seed in order(scores)])

    return lead


def _mean_or(error: type[Exception]) -> Callable[[Sequence[float]], float]:
    """Return a mean that fails in its own way where there is nothing to average."""

    def mean(numbers: Sequence[float]) -> float:
        if not numbers:
            raise error
        return fmean(numbers)

    return mean


def _each_seed_its_rate(key: str) -> Callable:
    def lead(runs: list[Run]) -> list[float]:
        seeds = sorted({run["seed"] for run in runs if not _searching(run)})

        def best(model: str, seed: int) -> float:
            mine = [run for run in runs if (run["model"], run["seed"]) == (model, seed)]
            return max(mine, key=lambda run: run[key])["test"]

        return [best("CNN", seed) - best("ViT", seed) for seed in seeds]

    return lead


def _over_all_rates(runs: list[Run]) -> list[float]:
    seeds = sorted({run["seed"] for run in runs if not _searching(run)})

    def mean(model: str, seed: int) -> float:
        return fmean(run["test"] for run in runs if (run["model"], run["seed"]) == (model, seed))

    return [mean("CNN", seed) - mean("ViT", seed) for seed in seeds]


def _not_by_seed(order: Callable[[Iterable[float]], list[float]]) -> Callable:
    """Pair the accuracies of the two models in an order that does not ask for the seed."""

    def lead(runs: list[Run]) -> list[float]:
        scores = {
            model: order(
                run["test"]
                for run in runs
                if (run["model"], run["rate"]) == (model, _rate_by()(runs, model)) and not _searching(run)
            )
            for model in ("CNN", "ViT")
        }
        return [cnn - vit for cnn, vit in zip(scores["CNN"], scores["ViT"], strict=True)]

    return lead


def _best_against_best(runs: list[Run]) -> float:
    cnn, vit = (max(run["test"] for run in runs if run["model"] == model) for model in ("CNN", "ViT"))
    return cnn - vit


def _one_alone(model: str) -> Callable:
    """The test accuracies of one model."""

    def scores(runs: list[Run]) -> list[float]:
        mine = [run for run in runs if run["model"] == model and run["rate"] == _rate_by()(runs, model)]
        return [run["test"] for run in sorted(mine, key=lambda run: run["seed"]) if not _searching(run)]

    return scores


fair_leads = Exercise(
    name="fair_leads",
    lesson=LESSON,
    difficulty=3,
    minutes=12,
    solution=_leads(),
    adapt=_with_names,
    inputs=[
        _rows(*make_runs(127, (0.01, 0.1), judging=1, searching=1)),  # few enough to be shown
        _rows(*make_runs(397, (0.001, 0.01, 0.1), judging=3, searching=1)),
        _rows(*make_runs(380, (0.001, 0.01, 0.1), judging=3, searching=2)),
        _rows(*make_runs(2, (0.003, 0.01, 0.03, 0.1), judging=(2, 3, 5, 11, 40), searching=3)),
    ],
    mistakes=[
        Mistake(
            [
                _leads(_rate_by("test", _searching)),
                _leads(_rate_by("test", lambda run: not _searching(run))),
                _leads(_rate_by("test", lambda run: True)),
            ],
            "your rates were chosen by the test pictures. What chose something does not judge it: choose by "
            "run['validation'].",
        ),
        Mistake(
            _leads(_rate_by(chooses=lambda run: not _searching(run))),
            "the seeds that judge have chosen the rates, too. Choose with the seeds from 100 on: run['seed'] >= 100.",
        ),
        Mistake(
            _leads(_rate_by(chooses=lambda run: True)),
            "all seeds have chosen the rates, those that judge among them. Choose with the seeds from 100 on alone.",
        ),
        Mistake(
            _leads(lambda runs, model: _rate_by()(runs, "CNN")),
            "the ViT had to take the CNN's rate. Choose one for each model.",
        ),
        Mistake(
            _leads(lambda runs, model: _rate_by()(runs, "ViT")),
            "the CNN had to take the ViT's rate. Choose one for each model.",
        ),
        Mistake(
            _leads(lambda runs, model: _rate_by()([{**run, "model": model} for run in runs], model)),
            "both had to take one rate, the best on the average of the two. Choose one for each model.",
        ),
        Mistake(
            [
                _leads(_rate_by(chooses=lambda run: run["seed"] > FIRST_SEARCH_SEED, of=_mean_or(error)))
                for error in (StatisticsError, ValueError, ZeroDivisionError)
            ],
            "seed 100 does not choose in yours. The seeds from 100 on do, 100 among them: run['seed'] >= 100.",
        ),
        Mistake(
            [_leads(_rate_by(of=median)), _leads(_rate_by(of=median_high))],
            "you took the rate with the best median. With several seeds that search, take the best *mean*.",
        ),
        Mistake(
            [_leads(_rate_by(of=max, chooses=_searching)), _leads(_rate_by(of=max, chooses=lambda run: True))],
            "you took the rate of the best single run. With several seeds that search, take the best *mean*.",
        ),
        Mistake(
            _leads(_rate_by(of=lambda scores: scores[-1])),
            "for each rate the last of its runs counts alone. With several seeds that search, take the best *mean*.",
        ),
        Mistake(
            _leads(lambda runs, model: max(runs, key=lambda run: run["validation"])["rate"]),
            "both had to take one rate, that of the best single run of all. Choose one for each model, by the best "
            "*mean*.",
        ),
        Mistake(
            _leads(_rate_by(best=min)),
            "these are the worst rates, not the best ones. An accuracy is good if it is high.",
        ),
        Mistake(
            _leads(lambda runs, model: min(run["rate"] for run in runs)),
            "your rates are the smallest ones, whatever the runs say. Choose by validation accuracy.",
        ),
        Mistake(
            _leads(lambda runs, model: max(run["rate"] for run in runs)),
            "your rates are the largest ones, whatever the runs say. Choose by validation accuracy: max(…, key=…).",
        ),
        Mistake(
            _each_seed_its_rate("validation"),
            "each seed has got the rate that was best for itself. Then luck chooses. Take one rate for each model, "
            "chosen by the seeds from 100 on.",
        ),
        Mistake(
            _each_seed_its_rate("test"),
            "each seed shows its best test accuracy over all rates. That is luck, twice: take one rate for each model, "
            "chosen by validation, by the seeds from 100 on.",
        ),
        *(
            Mistake(
                _one_alone(model),
                f"these are the accuracies of the {model} alone. A lead is a difference: the CNN's minus the ViT's.",
            )
            for model in ("CNN", "ViT")
        ),
        Mistake(
            _over_all_rates,
            "you averaged over the rates, the bad ones too. Nobody would use these: take each model at its best.",
        ),
        Mistake(
            _leads(key="validation"),
            "you compared validation accuracies. Those chose the rate; the test pictures judge.",
        ),
        Mistake(
            _leads(judges=lambda run: True),
            "the seeds from 100 on are among the leads. They have chosen the rate, so they judge nothing.",
        ),
        Mistake(
            _leads(judges=_searching),
            "these are the leads of the seeds that chose. The others judge: run['seed'] < 100.",
        ),
        Mistake(
            _leads(sign=-1),
            "the sign is turned round. A lead of the CNN is its accuracy minus the ViT's.",
        ),
        Mistake(
            [_leads(give=fmean), _leads(give=lambda leads: [fmean(leads)])],
            "you averaged. Return one lead for each seed; what they scatter is needed for an interval.",
        ),
        Mistake(
            _leads(give=max),
            "you kept the best seed alone. Return the leads of all that judge.",
        ),
        Mistake(
            _leads(give=lambda leads: leads[:1]),
            "you kept the first seed alone. Return the leads of all that judge.",
        ),
        Mistake(
            [
                _leads(order=lambda scores: scores["CNN"]),
                _leads(order=lambda scores: scores["ViT"]),
                _leads(order=lambda scores: sorted(scores["CNN"], reverse=True)),
                _leads(order=lambda scores: sorted(scores["CNN"], key=str)),
            ],
            "the leads are right, in another order: smallest seed first.",
        ),
        Mistake(
            _leads(give=lambda leads: [100 * one for one in leads]),
            "you returned percent. The accuracies lie between 0 and 1, and so does what one is ahead of the other.",
        ),
        *(
            Mistake(
                _leads(give=lambda leads, digits=digits: [round(one, digits) for one in leads]),
                f"right, but rounded to {digits} digit{'s' * (digits > 1)} behind the point.",
            )
            for digits in (1, 2)
        ),
        Mistake(
            _leads(give=lambda leads: list(enumerate(leads))),
            "you returned pairs of a seed and its lead. Return the leads alone.",
        ),
        Mistake(
            _leads(give=sorted),
            "you sorted the leads by size. Return them by seed, in rising order.",
        ),
        Mistake(
            _leads(give=lambda leads: [abs(one) for one in leads]),
            "you took the sign away. Where the ViT is ahead, the lead of the CNN is below 0.",
        ),
        Mistake(
            _not_by_seed(list),
            "you paired the runs as they happen to stand in the list. Pair them by seed: both learned from the same "
            "pictures.",
        ),
        Mistake(
            _not_by_seed(sorted),
            "you sorted each model's accuracies by itself, so best meets best. Pair them by seed: both learned from "
            "the same pictures.",
        ),
        Mistake(
            _best_against_best,
            "you compared the best run of one with the best run of the other: best rate, best seed, by test accuracy. "
            "That compares luck.",
        ),
    ],
    done="Each at its own rate, chosen by others than those that judge, and seed against the same seed.",
)


# ------------------------------------------------------------------------------------------ the clinic

FAULTS = {"A": "rate", "B": "seed", "C": "augmentation", "D": "well", "E": "test", "F": "budget"}

_SIGNS = {
    "A": "look at report A's rates. They are the same; who was the rate chosen for? Compare the ViT's validation "
    "accuracy at both rates.",
    "B": "count report B's dots. What would the two other seeds have said?",
    "C": "look at report C's arguments, one by one, and at the accuracy on the pictures that were learned from. What "
    "did one of the two get that the other did not?",
    "D": "look at report D once more. Its two rates differ, and each was the best on validation pictures.",
    "E": "look where report E's dots lie on their lines. Which epoch is that, and which pictures chose it?",
    "F": "look how far to the right each line of report F goes.",
}

comparison_clinic = make_clinic(
    "comparison_clinic",
    LESSON,
    FAULTS,
    _SIGNS,
    done="Five ways to a large lead or to none. Every number was measured, and five of the six reports mislead.",
)
