"""Lesson 11: the learning rate of a step, the label of a CutMix picture, an average of weights, and ill trainings."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn import functional as F

from vit_tutorial.datasets import Dataset
from vit_tutorial.exercises.clinic import make_clinic
from vit_tutorial.exercises.difference import Hints
from vit_tutorial.exercises.engine import Exercise, Mistake
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training import TrainingConfig, evaluate, learning_rate_at, split_validation
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights import ModelCard

LESSON = "11_train_on_a_gpu"
__all__ = ["cutmix_share", "learning_rate", "moving_average", "training_clinic"]


# ------------------------------------------------------------------------------------------ the learning rate


def _rate(
    up: Callable[[int, int, float], float] = lambda step, warmup, peak: peak * (step + 1) / warmup,
    progress: Callable[[int, int, int], float] = lambda step, steps, warmup: (step - warmup) / (steps - warmup),
    down: Callable[[float, float], float] = lambda t, peak: peak * (1 + math.cos(math.pi * t)) / 2,
) -> Callable:
    """The rate with one thing done in another way; `down` is the rate after warm-up, from its progress t."""

    def rate(step: int, steps: int, warmup: int, peak: float) -> float:
        return up(step, warmup, peak) if step < warmup else down(progress(step, steps, warmup), peak)

    return rate


_ROUNDED_UP = (
    lambda step, warmup, peak: peak * (step + 1) // warmup,
    lambda step, warmup, peak: peak * ((step + 1) // warmup),
)


def _rounded(step: int, steps: int, warmup: int) -> int:
    return (step - warmup) // (steps - warmup)


def _divides_first(fraction: Callable[[int, int], float]) -> Callable:
    """The rate by an answer that works out the warm-up before it asks whether there is any."""

    def rate(step, steps, warmup, peak):
        fraction(step, warmup)
        return _rate()(step, steps, warmup, peak)

    return rate


learning_rate = Exercise(
    name="learning_rate",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=_rate(),
    inputs=[
        (0, 10, 2, 1.0),
        (1, 10, 2, 1.0),
        (2, 10, 2, 1.0),
        (4, 10, 2, 1.0),
        (9, 10, 2, 0.25),
        (3, 10, 6, 0.5),  # late, and still warming up
        (50, 100, 20, 0.003),  # not half-way, where the cosine is 0
        (6, 10, 2, 0.25),  # half-way
        (3, 12, 3, 0.5),  # an odd warm-up, at its end
        (1, 14, 5, 0.8),
        (8, 14, 5, 0.8),
        (3, 10, 0, 0.5),  # no warm-up
    ],
    mistakes=[
        Mistake(
            lambda step, steps, warmup, peak: _rate()(step, steps, 0, peak),
            "there is no warm-up: the first step already has the full rate.",
        ),
        Mistake(
            _rate(progress=lambda step, steps, warmup: step / steps),
            "your cosine starts at step 0, so the rate jumps down when warm-up ends. Count its progress from `warmup`.",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * (1 + math.cos(2 * math.pi * t)) / 2),
            "your cosine goes down and up again. Half a turn is wanted: pi, not 2 pi.",
        ),
        Mistake(
            _rate(progress=lambda step, steps, warmup: (step - warmup) / steps),
            "you divide the progress after warm-up by all steps. Divide it by those that are left, (steps - warmup).",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * (1 + math.cos(t)) / 2),
            "π is missing: the cosine falls from 1 to −1 while its angle goes from 0 to π.",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * (1 + math.cos(180 * t)) / 2),
            "your angle is in degrees. math.cos takes radians: half a turn is π.",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * math.cos(math.pi * t)),
            "your rate falls below 0, as the cosine does. 1 + cos goes from 2 to 0: half of it is wanted.",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * (1 - math.cos(math.pi * t)) / 2),
            "after warm-up your rate rises from 0. 1 + cos falls, 1 - cos rises.",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * (1 - t)),
            "the rate falls on a straight line after warm-up. A cosine is wanted.",
        ),
        Mistake(
            _rate(up=lambda step, warmup, peak: peak * step / warmup),
            "the first step has rate 0 and teaches nothing: count warm-up from 1, (step + 1) / warmup.",
        ),
        Mistake(
            [
                _divides_first(lambda step, warmup: (step + 1) / warmup),
                _divides_first(lambda step, warmup: (step + 1.0) / warmup),
            ],
            "without warm-up, `warmup` is 0, and nothing can be divided by 0. Divide only where step < warmup.",
        ),
        Mistake(
            _rate(up=lambda step, warmup, peak: peak * step + 1 / warmup),
            "brackets are missing in warm-up: step + 1 / warmup is step + (1 / warmup). Write (step + 1) / warmup.",
        ),
        Mistake(
            _rate(progress=lambda step, steps, warmup: step - warmup / steps - warmup),
            "brackets are missing in t: step - warmup / steps - warmup divides warmup alone. Write (step - warmup) / "
            "(steps - warmup).",
        ),
        Mistake(
            _rate(down=lambda t, peak: peak * 1 + math.cos(math.pi * t) / 2),
            "brackets are missing around 1 + cos(…): the peak multiplies both. Write peak * (1 + cos(…)) / 2.",
        ),
        Mistake(
            [
                _rate(progress=_rounded),
                *(_rate(up) for up in _ROUNDED_UP),
                *(_rate(up, _rounded) for up in _ROUNDED_UP),
            ],
            "you rounded: // gives whole numbers. Divide with one stroke, and the rate changes with every step.",
        ),
    ],
    done="It rises in a line to the peak and falls along half a cosine.",
)


# ------------------------------------------------------------------------------------------ the label of CutMix


def _share(
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    low: Callable = lambda place: max(place, 0),
    high: Callable = min,
    more: int = 0,
) -> float:
    """The share of the image that the box does not cover; each wrong answer does one step differently."""
    (top, left, bottom, right), (height, width) = box, size
    tall, wide = high(bottom, height) - low(top) + more, high(right, width) - low(left) + more
    return 1 - tall * wide / (height * width)


def _as_it_is(place: int, *_: int) -> int:
    return place


def _by_sides(box, size):
    (top, left, bottom, right), (height, width) = box, size
    tall, wide = min(bottom, height) - max(top, 0), min(right, width) - max(left, 0)
    return 1 - (tall / height + wide / width) / 2


def _by_one_side(side: int, area: Callable[[tuple[int, int]], int]) -> Callable:
    """The share of an image that is taken for a square: number `side` of its size counts for both axes."""

    def share(box, size):
        return 1 - (1 - _share(box, (size[side], size[side]))) * size[side] ** 2 / area(size)

    return share


def _by_height_and_width(box, size):
    _, _, tall, wide = box
    height, width = size
    return 1 - tall * wide / (height * width)


cutmix_share = Exercise(
    name="cutmix_share",
    lesson=LESSON,
    difficulty=2,
    minutes=10,
    solution=_share,
    inputs=[
        ((1, 1, 3, 3), (4, 4)),
        ((0, 0, 4, 4), (4, 4)),
        ((2, 3, 2, 3), (4, 8)),
        ((1, 2, 4, 8), (10, 20)),
        ((-2, 1, 2, 3), (4, 4)),
        ((2, -3, 7, 4), (5, 8)),
        ((20, 10, 40, 36), (32, 32)),
        ((-4, -6, 6, 10), (28, 28)),
        ((1, 12, 9, 25), (10, 20)),
        ((3, 2, 25, 9), (20, 10)),
    ],
    hints=Hints(sizes=lambda box, size: {"height": size[0], "width": size[1]}),
    mistakes=[
        Mistake(
            lambda box, size: 1 - _share(box, size),
            "that is the partner's share: what the box covers. Asked is the share of the image itself, 1 minus it.",
        ),
        Mistake(
            lambda box, size: _share(box, size, _as_it_is, _as_it_is),
            "the box may stick out of the image, and what lies outside covers nothing. Cut it at the edges first.",
        ),
        Mistake(
            lambda box, size: _share(box, size, high=_as_it_is),
            "your box is cut at 0, but not at the lower and the right edge: at the height and the width.",
        ),
        Mistake(
            lambda box, size: _share(box, size, low=_as_it_is),
            "your box is cut at the lower and the right edge, but not at 0: top and left may be negative.",
        ),
        Mistake(
            lambda box, size: _share(box, size, high=lambda place, side: min(place, side - 1)),
            "your box is cut at height - 1 and width - 1. Row `bottom` itself does not belong to a box, so it may be "
            "the height.",
        ),
        Mistake(
            lambda box, size: _share(box, size, low=lambda place: min(place, 0), high=max),
            "min and max have changed places: cut off is what lies below 0, max(top, 0), and beyond the edge, "
            "min(bottom, height).",
        ),
        Mistake(
            lambda box, size: _share(box, size, low=abs),
            "abs turns a box round that begins above the image. What lies outside is cut off: max(top, 0).",
        ),
        Mistake(
            lambda box, size: _share(box, size[::-1]),
            "rows and columns are mixed up. The box is (top, left, bottom, right), and the size (height, width).",
        ),
        Mistake(
            lambda box, size: _share(box, size, more=1),
            "bottom and right are not included: a box from row 1 to row 3 has rows 1 and 2, so bottom - top rows.",
        ),
        Mistake(
            _by_sides,
            "you averaged the shares of the sides. The label follows the area: multiply tall by wide.",
        ),
        Mistake(
            _by_height_and_width,
            "you took the last two numbers for the height and width of the box. They are its lower and right edge.",
        ),
        *(
            Mistake(
                _by_one_side(side, area),
                f"you took the {name} for both axes. Rows end at the height, columns at the width, and an image need "
                "not be a square.",
            )
            for side, name in enumerate(("height", "width"))
            for area in (lambda size, side=side: size[side] ** 2, math.prod)
        ),
        Mistake(
            lambda box, size: 1 - (1 - _share(box, size)) * size[1] ** 2,
            "you divided by the height and multiplied by the width: a / b * c is (a / b) * c. Put height * width in "
            "brackets.",
        ),
        Mistake(
            lambda box, size: (1 - _share(box, size)) * size[0] * size[1],
            "that is the number of pixels in the box. Divide by those of the image, and take the rest.",
        ),
    ],
    done="Half the picture, half the label: the target follows the pixels.",
)


# ------------------------------------------------------------------------------------------ the moving average


def _average(kept: Tensor, new: Tensor, decay: float, step: int) -> Tensor:
    now = min(decay, (1 + step) / (10 + step))
    return now * kept + (1 - now) * new


moving_average = Exercise(
    name="moving_average",
    lesson=LESSON,
    difficulty=2,
    minutes=5,
    solution=_average,
    inputs=[
        (torch.tensor([0.0]), torch.tensor([1.0]), 0.9, 0),
        (torch.tensor([0.0]), torch.tensor([1.0]), 0.9, 1000),
        (torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0]), 0.99, 5),
        (torch.tensor([[1.0, 2.0], [5.0, -1.0]]), torch.tensor([[0.0, 1.0], [2.0, 2.0]]), 0.999, 80),
        (torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.25]), 0.5, 30),
        (torch.tensor([2.0, -4.0]), torch.tensor([1.0, 3.0]), 0.99, 3),  # d has many digits
    ],
    mistakes=[
        Mistake(
            lambda kept, new, decay, step: decay * kept + (1 - decay) * new,
            "in the first steps the decay is smaller: the smaller one of decay and (1 + step) / (10 + step).",
        ),
        Mistake(
            lambda kept, new, decay, step: _average(new, kept, decay, step),
            "kept and new are swapped: your average jumps to the new weights and remembers almost nothing.",
        ),
        Mistake(
            lambda kept, new, decay, step: decay * new + (1 - decay) * kept,
            "two things: kept and new are swapped, and in the first steps the decay is smaller.",
        ),
        Mistake(
            lambda kept, new, decay, step: _average(kept, new, max(decay, (1 + step) / (10 + step)), 10**9),
            "you took the larger one of the two decays. Then the untrained model stays in the average: take the "
            "smaller one.",
        ),
        Mistake(
            lambda kept, new, decay, step: _average(kept, new, 1.0, step),
            "you always took (1 + step) / (10 + step). It grows towards 1, and then nothing new comes in: never above "
            "decay.",
        ),
        Mistake(
            lambda kept, new, decay, step: _average(kept, new, decay, step + 1),
            "steps are counted from 0 here: the first decay is 1/10.",
        ),
        Mistake(
            lambda kept, new, decay, step: _average(kept, new, min(decay, step / (10 + step)), step),
            "your decay begins at 0. It begins at 1/10: (1 + step) / (10 + step).",
        ),
        Mistake(
            lambda kept, new, decay, step: min(decay, (1 + step) / (10 + step)) * kept + new,
            "the two shares must add up to 1, or the weights grow: multiply the new weights by 1 - d, with the d that "
            "you give the kept ones.",
        ),
        Mistake(
            lambda kept, new, decay, step: kept + (1 - min(decay, (1 + step) / (10 + step))) * new,
            "the two shares must add up to 1, or the weights grow: multiply the kept weights by d, of which you give "
            "the new ones 1 - d.",
        ),
        Mistake(
            lambda kept, new, decay, step: new,
            "these are the new weights alone, as if d were 0. Is it rounded? // gives whole numbers.",
        ),
        Mistake(
            lambda kept, new, decay, step: min(decay, (1 + step) / (10 + step)) * kept + (1 - decay) * new,
            "the two shares must add up to 1: the new weights get 1 - d, with the d that you give the kept ones, not "
            "1 - decay.",
        ),
        Mistake(
            lambda kept, new, decay, step: decay * kept + (1 - min(decay, (1 + step) / (10 + step))) * new,
            "the two shares must add up to 1: the kept weights get d, of which you give the new ones 1 - d, not decay.",
        ),
        Mistake(
            [
                lambda kept, new, decay, step, digits=digits: _average(
                    kept, new, round(min(decay, (1 + step) / (10 + step)), digits), 10**9
                )
                for digits in (1, 2, 3)
            ],
            "you rounded d. Small changes of it add up over many steps: take it as it is.",
        ),
    ],
    done="A slow copy that follows: its noise is averaged out, and it costs no gradient.",
)


# ------------------------------------------------------------------------------------------ the clinic

FAULTS = {"A": "schedule", "B": "zero_grad", "C": "well", "D": "leak", "E": "eval", "F": "frozen"}


class TrainingPatient:
    """A small training of 3 epochs, cut into the parts that can be looked at; well or with one fault.

    Raises KeyError for a letter that is not one of "A" to "F".
    """

    def __init__(self, letter: str, data: Dataset, count: int = 2000):
        self.letter = letter
        shape = ViTConfig(data.image_size, 7, data.in_channels, data.num_classes, 32, 1, 2, dropout=0.2)
        self.images, self.labels = data.train_images[:count], data.train_labels[:count]
        with seeded(0):
            self.model = ViT(shape)
        self.model.card = ModelCard(data.class_names, data.mean, data.std)
        self.config = TrainingConfig(epochs=3, batch_size=50, learning_rate=3e-3)
        self.training, self.validation = split_validation(self.labels, 0.1, 0)
        if self._has("leak"):
            self.training = torch.arange(count)
        part = self.model.blocks if self._has("frozen") else self.model
        self.optimizer = torch.optim.AdamW(part.parameters(), lr=self.config.learning_rate)
        self.steps = math.ceil(len(self.training) / self.config.batch_size)  # per epoch

    def _has(self, fault: str) -> bool:
        return FAULTS[self.letter] == fault

    def rate(self, step: int) -> float:
        """Give the learning rate of a step, counted from 0 over all epochs."""
        return learning_rate_at(step // self.steps if self._has("schedule") else step, self.steps, self.config)

    def forward_backward(self, rows: Int64[Tensor, " B"]) -> Tensor:
        """Find the gradients for some of the images, and return the loss."""
        if not self._has("zero_grad"):
            self.model.zero_grad()
        self.model.train()
        loss = F.cross_entropy(self.model(self.model.card.normalize(self.images[rows])), self.labels[rows])
        loss.backward()
        return loss.detach()

    def step(self, rate: float) -> None:
        """Move the weights against their gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Give loss and accuracy on the validation images."""
        images, labels = self.images[self.validation], self.labels[self.validation]
        if not self._has("eval"):
            result = evaluate(self.model, images, labels)
            return result.loss, result.accuracy
        logits = self.model.train()(self.model.card.normalize(images))
        return F.cross_entropy(logits, labels).item(), (logits.argmax(dim=1) == labels).float().mean().item()

    def run(self) -> list[float]:
        """Train, and return the validation accuracy after each epoch."""
        accuracies = []
        for epoch in range(self.config.epochs):
            order = self.training[torch.randperm(len(self.training))]
            for i, rows in enumerate(order.split(self.config.batch_size)):
                self.forward_backward(rows)
                self.step(self.rate(epoch * self.steps + i))
            accuracies.append(self.validate()[1])
        return accuracies


_SIGNS = {
    "A": "look at patient A's rates. How many different ones should an epoch of warm-up have?",
    "B": "look at the second gradient of patient B. Where does the first half of it come from?",
    "C": "look at patient C's line again, instrument by instrument. Each of them says what it should.",
    "D": "look at which images patient D learns from. Which of them should it never have seen?",
    "E": "ask patient E twice for the same loss. What is random in its model, and when should it rest?",
    "F": "look at how much of patient F moves in a step. Who decides which weights move?",
}

training_clinic = make_clinic(
    "training_clinic",
    LESSON,
    FAULTS,
    _SIGNS,
    done="Five faults, and every one of these trainings ran without an error and learned something.",
)
