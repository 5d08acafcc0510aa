"""Answers to the exercises of lesson 11."""

import fractions
import math

import torch

from exercises.answers import Answers


def _warm_up_then(after, first=1):
    """The rate of a step: a line up, then `after` of the progress from 0 to 1 since warm-up."""

    def rate(step, steps, warmup, peak):
        if step < warmup:
            return peak * (step + first) / warmup
        return peak * after((step - warmup) / (steps - warmup))

    return rate


def by_squares(step, steps, warmup, peak):
    if step < warmup:
        return torch.linspace(0, peak, warmup + 1, dtype=torch.float64)[step + 1].item()
    return peak * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2


def no_warm_up(step, steps, warmup, peak):
    return peak * math.cos(math.pi / 2 * step / steps) ** 2


def cosine_from_zero(step, steps, warmup, peak):
    return peak * (step + 1) / warmup if step < warmup else no_warm_up(step, steps, warmup, peak)


full_turn = _warm_up_then(lambda progress: math.cos(math.pi * progress) ** 2)
line_down = _warm_up_then(lambda progress: 1 - progress)
from_zero = _warm_up_then(lambda progress: math.cos(math.pi / 2 * progress) ** 2, first=0)
rising = _warm_up_then(lambda progress: math.sin(math.pi / 2 * progress) ** 2)
square_down = _warm_up_then(lambda progress: (1 - progress) ** 2)


def all_steps_below(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * math.cos(math.pi / 2 * (step - warmup) / steps) ** 2


def divides_at_once(step, steps, warmup, peak):
    rising = (step + 1) / warmup
    falling = (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    return peak * (rising if step < warmup else falling)


def multiplies_and_divides_at_once(step, steps, warmup, peak):
    rising = peak * (step + 1) / warmup
    return rising if step < warmup else by_squares(step, steps, warmup, peak)


def divides_where_there_is_warm_up(step, steps, warmup, peak):
    rising = (step + 1) / warmup if warmup else 1
    return peak * min(rising, 1) if step < warmup else by_squares(step, steps, warmup, peak)


def no_brackets_going_up(step, steps, warmup, peak):
    return peak * step + 1 / warmup if step < warmup else by_squares(step, steps, warmup, peak)


def no_brackets_in_progress(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = step - warmup / steps - warmup
    return peak * (math.cos(math.pi * progress) + 1) / 2


def no_brackets_around_the_cosine(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 1 + math.cos(math.pi * (step - warmup) / (steps - warmup)) / 2


def rounded_up(step, steps, warmup, peak):
    return peak * (step + 1) // warmup if step < warmup else by_squares(step, steps, warmup, peak)


def rounded_share_of_warm_up(step, steps, warmup, peak):
    return peak * ((step + 1) // warmup) if step < warmup else by_squares(step, steps, warmup, peak)


def rounded_down(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) // (steps - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def rounded_up_and_down(step, steps, warmup, peak):
    return peak * ((step + 1) // warmup) if step < warmup else rounded_down(step, steps, warmup, peak)


def rounded_rate_and_progress(step, steps, warmup, peak):
    return peak * (step + 1) // warmup if step < warmup else rounded_down(step, steps, warmup, peak)


# ------------------------------------------------------------------------------------------ the label of CutMix


def by_a_mask(box, size):
    top, left, bottom, right = box
    own = torch.ones(size)
    own[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 0
    return own.mean()


def by_counting(box, size):
    rows = [row for row in range(size[0]) if box[0] <= row < box[2]]
    columns = [column for column in range(size[1]) if box[1] <= column < box[3]]
    return (size[0] * size[1] - len(rows) * len(columns)) / (size[0] * size[1])


def partners_share(box, size):
    return 1 - by_counting(box, size)


def not_cut(box, size):
    top, left, bottom, right = box
    return 1 - (bottom - top) * (right - left) / (size[0] * size[1])


def cut_at_zero(box, size):
    top, left, bottom, right = (max(edge, 0) for edge in box)
    return 1 - (bottom - top) * (right - left) / math.prod(size)


def cut_at_the_end(box, size):
    height, width = size
    return 1 - (min(box[2], height) - box[0]) * (min(box[3], width) - box[1]) / (height * width)


def height_for_both(box, size):
    height, _ = size
    tall, wide = min(box[2], height) - max(box[0], 0), min(box[3], height) - max(box[1], 0)
    return 1 - tall * wide / height**2


def cut_at_the_height(box, size):
    height, width = size
    tall, wide = min(box[2], height) - max(box[0], 0), min(box[3], height) - max(box[1], 0)
    return 1 - tall * wide / (height * width)


def width_for_both(box, size):
    width = size[1]
    tall, wide = min(box[2], width) - max(box[0], 0), min(box[3], width) - max(box[1], 0)
    return 1 - tall * wide / (width * width)


def edges_included(box, size):
    top, left = max(box[0], 0), max(box[1], 0)
    bottom, right = min(box[2], size[0]), min(box[3], size[1])
    return 1 - (bottom - top + 1) * (right - left + 1) / math.prod(size)


def mean_of_sides(box, size):
    tall = min(box[2], size[0]) - max(box[0], 0)
    wide = min(box[3], size[1]) - max(box[1], 0)
    return 1 - (tall / size[0] + wide / size[1]) / 2


def without_brackets(box, size):
    tall = min(box[2], size[0]) - max(box[0], 0)
    wide = min(box[3], size[1]) - max(box[1], 0)
    return 1 - tall * wide / size[0] * size[1]


def corner_and_size(box, size):
    return 1 - box[2] * box[3] / math.prod(size)


def pixels_of_the_box(box, size):
    return round(partners_share(box, size) * math.prod(size))


def rounded_share(box, size):
    return round(by_counting(box, size), 1)


# ------------------------------------------------------------------------------------------ the moving average


def by_lerp(kept, new, decay, step):
    return torch.lerp(kept, new, 1 - min(decay, (step + 1) / (step + 10)))


def with_own_decay(choose, first=0):
    def average(kept, new, decay, step):
        share = choose(decay, (1 + step + first) / (10 + step + first))
        return kept + (new - kept) * (1 - share)

    return average


def plain_decay(kept, new, decay, step):
    return new + decay * (kept - new)


def swapped_average(kept, new, decay, step):
    return by_lerp(new, kept, decay, step)


def swapped_plain(kept, new, decay, step):
    return kept + decay * (new - kept)


def grows(kept, new, decay, step):
    return new + kept * min(decay, (1 + step) / (10 + step))


def two_decays(kept, new, decay, step):
    early = min(decay, (1 + step) / (10 + step))
    return kept * early + new * (1 - decay)


def two_decays_the_other_way(kept, new, decay, step):
    early = min(decay, (1 + step) / (10 + step))
    return kept * decay + new * (1 - early)


def rounded_decay(digits):
    def average(kept, new, decay, step):
        d = round(min(decay, (1 + step) / (10 + step)), digits)
        return d * kept + (1 - d) * new

    return average


def plain_mean(kept, new, decay, step):
    return (kept + new) / 2


# ------------------------------------------------------------------------------------------ the clinic

FOUND = ["schedule", "zero_grad", "well", "leak", "eval", "frozen"]


def all_found(patients):
    return dict(zip(patients, FOUND, strict=True))


def saying(**words):
    """Return an answer that is right but for some patients."""
    return lambda patients: all_found(patients) | words


def one_forgotten(patients):
    return {letter: word for letter, word in all_found(patients).items() if letter != "E"}


def as_a_list(patients):
    return FOUND


# ------------------------------------------------------------------------------------------ to several exercises

without_pi = _warm_up_then(lambda progress: math.cos(progress / 2) ** 2)
in_degrees = _warm_up_then(lambda progress: math.cos(90 * progress) ** 2)
below_zero = _warm_up_then(lambda progress: math.cos(math.pi * progress))


def by_fractions(box, size):
    return fractions.Fraction(by_counting(box, size))


def cut_one_too_early(box, size):
    top, left, bottom, right = box
    return by_counting((top, left, min(bottom, size[0] - 1), min(right, size[1] - 1)), size)


def min_and_max_exchanged(box, size):
    tall, wide = (max(box[i + 2], size[i]) - min(box[i], 0) for i in (0, 1))
    return 1 - tall * wide / (size[0] * size[1])


def with_abs(box, size):
    tall, wide = (min(box[i + 2], size[i]) - abs(box[i]) for i in (0, 1))
    return 1 - tall * wide / (size[0] * size[1])


def width_and_height(box, size):
    (top, left, bottom, right), (width, height) = box, size
    return 1 - (min(bottom, height) - max(top, 0)) * (min(right, width) - max(left, 0)) / (height * width)


def row_by_row(kept, new, decay, step):
    return [with_own_decay(min)(a, b, decay, step) for a, b in zip(kept, new, strict=True)]


def all_kept(kept, new, decay, step):
    return kept + new * (1 - min(decay, (1 + step) / (10 + step)))


def decay_rounded_down(kept, new, decay, step):
    d = min(decay, (1 + step) // (10 + step))
    return d * kept + (1 - d) * new


ANSWERS = {
    "learning_rate": Answers(
        right=[by_squares, divides_where_there_is_warm_up],
        wrong=[
            (without_pi, "π is missing"),
            (in_degrees, "your angle is in degrees."),
            (below_zero, "your rate falls below 0"),
            (no_warm_up, "there is no warm-up"),
            (cosine_from_zero, "your cosine starts at step 0"),
            (full_turn, "your cosine goes down and up again."),
            (all_steps_below, "you divide the progress after warm-up by all steps."),
            (rising, "after warm-up your rate rises from 0."),
            (line_down, "the rate falls on a straight line after warm-up."),
            (from_zero, "the first step has rate 0"),
            (divides_at_once, "without warm-up, `warmup` is 0"),
            (multiplies_and_divides_at_once, "without warm-up, `warmup` is 0"),
            (no_brackets_going_up, "brackets are missing in warm-up"),
            (no_brackets_in_progress, "brackets are missing in t"),
            (no_brackets_around_the_cosine, "brackets are missing around 1 + cos(…)"),
            (rounded_up, "you rounded: // gives whole numbers."),
            (rounded_down, "you rounded: // gives whole numbers."),
            (rounded_up_and_down, "you rounded: // gives whole numbers."),
            (rounded_share_of_warm_up, "you rounded: // gives whole numbers."),
            (rounded_rate_and_progress, "you rounded: // gives whole numbers."),
        ],
        unknown=[square_down],
    ),
    "cutmix_share": Answers(
        right=[by_fractions, by_a_mask, by_counting],
        wrong=[
            (cut_one_too_early, "your box is cut at height - 1"),
            (min_and_max_exchanged, "min and max have changed places"),
            (with_abs, "abs turns a box round"),
            (width_and_height, "rows and columns are mixed up."),
            (partners_share, "that is the partner's share"),
            (not_cut, "the box may stick out of the image"),
            (cut_at_zero, "your box is cut at 0, but not at the lower"),
            (cut_at_the_end, "your box is cut at the lower and the right edge"),
            (edges_included, "bottom and right are not included"),
            (mean_of_sides, "you averaged the shares of the sides."),
            (height_for_both, "you took the height for both axes."),
            (cut_at_the_height, "you took the height for both axes."),
            (width_for_both, "you took the width for both axes."),
            (without_brackets, "you divided by the height and multiplied by the width"),
            (corner_and_size, "you took the last two numbers for the height"),
            (pixels_of_the_box, "that is the number of pixels in the box."),
        ],
        unknown=[rounded_share],
    ),
    "moving_average": Answers(
        right=[row_by_row, by_lerp, with_own_decay(min)],
        wrong=[
            (all_kept, "the two shares must add up to 1, or the weights grow: multiply the kept"),
            (decay_rounded_down, "these are the new weights alone"),
            (plain_decay, "in the first steps the decay is smaller"),
            (swapped_average, "kept and new are swapped: your average jumps"),
            (swapped_plain, "two things: kept and new are swapped"),
            (with_own_decay(max), "you took the larger one"),
            (with_own_decay(lambda decay, early: early), "you always took (1 + step) / (10 + step)."),
            (with_own_decay(min, first=1), "steps are counted from 0 here"),
            (
                lambda kept, new, decay, step: new + min(decay, step / (step + 10)) * (kept - new),
                "your decay begins at 0.",
            ),
            (grows, "the two shares must add up to 1, or"),
            (two_decays, "the two shares must add up to 1: the new weights get 1 - d"),
            (two_decays_the_other_way, "the two shares must add up to 1: the kept weights get d"),
            (rounded_decay(1), "you rounded d."),
            (rounded_decay(2), "you rounded d."),
        ],
        unknown=[plain_mean],
    ),
    "training_clinic": Answers(
        right=[all_found, saying()],
        wrong=[
            (saying(A="well"), "look at patient A's rates."),
            (saying(B="schedule"), "look at the second gradient of patient B."),
            (saying(C="frozen"), "look at patient C's line again"),
            (saying(D="well"), "look at which images patient D learns from."),
            (saying(E="leak"), "ask patient E twice for the same loss."),
            (saying(F="eval"), "look at how much of patient F moves"),
            (as_a_list, "Return a dict"),
            (saying(B="healthy"), "the word for patient "),
            (one_forgotten, "there is no word for patient "),
        ],
    ),
}
