"""Verdicts: what a comparison shows, computed from its numbers, never written beside them by hand.

    >>> one, other = study.scores("class token"), study.scores("mean")    # of a recorded study, seed by seed
    >>> print(compare(one, other, "the class token is better"))
    class token minus mean: +0.5 points, 95% interval -0.5 to +1.5 (5 seeds)
    verdict: NOT SHOWN that the class token is better; each at its own learning rate, chosen by validation from 4

    compare            one claim, from the differences seed by seed
    compare_each       the same claim in several cases: in all of them, in any, in none, or in which
    against_shuffles   one number, against what it comes to if the order were chance
    accuracy_above     one model on so many pictures, against a threshold
    with_error         an accuracy as it is printed, with its standard error
    judge              what chance has no part in: equalities and counts, right or wrong in each case
    best_rate          the learning rate that a variant is given, chosen by validation

A verdict is TRUE, FALSE or NOT SHOWN; of several cases also TRUE IF. Where there is chance, a claim is TRUE if the
whole interval agrees with it, FALSE if the whole interval contradicts it, and NOT SHOWN otherwise. Limits are strict: a
tie is no win.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from statistics import NormalDist, fmean, stdev

TRUE, FALSE, NOT_SHOWN = "TRUE", "FALSE", "NOT SHOWN"
HOLDS = ("all", "any", "none", "if")  # in which of several cases a claim has to be right
FEWEST_SEEDS = 3  # below that no interval is computed
FEWEST_SHUFFLES = 100
FEWEST_RATES = 3  # below that a learning rate does not count as chosen
EXACT_DIGITS = 12  # of the largest number in a computation; what lies behind them is rounding


# --- What is compared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """A learning rate, and all those that were tried when it was chosen."""

    value: float
    tried: tuple[float, ...]  # ascending

    @property
    def is_at_an_end(self) -> bool:
        """Say whether it is the smallest or the largest of several: then a better one may lie outside."""
        return len(self.tried) > 1 and self.value in (self.tried[0], self.tried[-1])


def best_rate(validation: Mapping[float, Sequence[float]]) -> Rate:
    """Choose the learning rate with the highest mean validation score; of equal ones, the smallest.

    `validation` has the scores of each rate, one a seed. A rate with a score that is no finite number (a training that
    went astray) is never chosen. Raises ValueError if none is left, or if the rates have different numbers of scores.
    """
    if len({len(scores) for scores in validation.values()}) > 1:
        counts = ", ".join(f"{rate:g}: {len(scores)}" for rate, scores in validation.items())
        raise ValueError(f"the learning rates have different numbers of scores ({counts}); give each the same seeds")
    scored = {rate: validation[rate] for rate in sorted(validation) if len(validation[rate])}
    finite = {rate: fmean(scores) for rate, scores in scored.items() if all(map(math.isfinite, scores))}
    if not finite:
        raise ValueError(f"none of {len(validation)} learning rates has finite scores; try other rates")
    size = max(map(abs, finite.values()))
    return Rate(max(finite, key=lambda rate: _rounded(finite[rate], size)), tuple(sorted(validation)))


@dataclass(frozen=True)
class Scores:
    """What one variant came to, seed by seed, and the learning rate that it was given."""

    name: str
    by_seed: dict[int, float]
    rate: Rate | None = None
    unit: str = ""  # "points": of accuracy, from scores of 0..1; otherwise what to write after a number
    made_of: tuple["Scores", ...] = ()  # those from which these are computed, if they are: a verdict tells their rates

    def __sub__(self, other: "Scores") -> "Scores":
        """Give the lead over another variant, seed by seed; leads can be compared in turn.

        Raises ValueError if the two have different seeds.
        """
        if self.by_seed.keys() != other.by_seed.keys():
            raise ValueError(
                f"{self.name} has the seeds {sorted(self.by_seed)} and {other.name} has {sorted(other.by_seed)}; a "
                "lead needs the same seeds of both"
            )
        by_seed = {seed: score - other.by_seed[seed] for seed, score in self.by_seed.items()}
        return Scores(f"{self.name} minus {other.name}", by_seed, unit=self.unit, made_of=(self, other))


Values = Scores | Mapping[int, float] | Sequence[float]  # a sequence is in the order of the seeds


# --- What is found ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Finding:
    """The verdict on one claim, with the numbers that it was computed from. Printed, it is two lines."""

    claim: str  # goes on after "that"
    verdict: str
    label: str  # what the difference is: "class token minus mean"
    difference: float  # in the unit of the scores, as are all numbers here
    low: float
    high: float
    confidence: float  # of the interval from low to high, 0..1
    count: int
    of: str  # what was counted: "seeds", "images", "shuffles" …
    limits: tuple[float, ...] = (0.0,)  # the verdict is about the side of these on which the interval lies
    unit: str = ""
    conditions: tuple[str, ...] = ()  # what has to be said with the verdict
    reason: str = ""  # why there is no interval
    by_chance: tuple[float, float] | None = None  # of shuffles: between which two numbers their middle part lies

    @property
    def numbers(self) -> str:
        """The difference and its interval in words, with as many decimals as show on which side of a limit it lies."""
        if self.reason:
            return f"no interval, {self.reason}"
        if self.by_chance is not None:
            return self._among_shuffles(*self.by_chance)
        scale, unit = (100, " points") if self.unit == "points" else (1, self.unit and f" {self.unit}")
        one, low, high, *limits = (scale * number for number in (self.difference, self.low, self.high, *self.limits))
        digits = _decimals(low, high, limits, 1 if self.unit == "points" else None)
        one, low, high, *limits = (f"{round(number, digits) + 0.0:+.{digits}f}" for number in (one, low, high, *limits))
        asked = "" if self.limits == (0.0,) else f", limit{'s' * (len(limits) > 1)} {' and '.join(limits)}"
        return f"{one}{unit}, {_percent(self.confidence)} interval {low} to {high}{asked} ({self.count:,} {self.of})"

    def _among_shuffles(self, least: float, most: float) -> str:
        """Say the number itself, and what shuffles come to: how much another model would show, they do not tell."""
        value = self.low + most
        digits = _decimals(least, most, [value], None)
        value, least, most = (f"{round(number, digits) + 0.0:+.{digits}f}" for number in (value, least, most))
        return f"{value}; of {self.count:,} shuffles {_percent(self.confidence)} lie between {least} and {most}"

    def __str__(self) -> str:
        return f"{self.label}: {self.numbers}\n{_last_line(self.verdict, self.claim, self.conditions)}"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Findings:
    """The verdict on a claim about several cases, and what was found in each. Printed, it is a line each, and one."""

    claim: str
    verdict: str
    parts: dict[str, Finding]
    conditions: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max(map(len, self.parts))
        lines = [
            f"{name:<{width}}  {part.verdict:<{len(NOT_SHOWN)}}  {part.numbers}" for name, part in self.parts.items()
        ]
        return "\n".join([*lines, _last_line(self.verdict, self.claim, self.conditions)])

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Judgement:
    """The verdict on a claim that chance has no part in, with the cases. Printed, it is one line."""

    claim: str
    verdict: str
    cases: dict[str, bool]
    conditions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return _last_line(self.verdict, self.claim, self.conditions)

    __repr__ = __str__


def _last_line(verdict: str, claim: str, conditions: tuple[str, ...]) -> str:
    return "; ".join([f"verdict: {verdict} that {claim}", *conditions])


def _percent(confidence: float) -> str:
    """Write a confidence with three digits, or as many as it takes not to look like certainty."""
    return next(text for digits in range(3, 18) if (text := f"{100 * confidence:.{digits}g}%") != "100%")


def _decimals(low: float, high: float, limits: Sequence[float], digits: int | None) -> int:
    """Find how many decimals to write: those of `digits`, or two that count in the interval's width, or more."""
    if digits is None:
        width = high - low or abs(high) or 1.0
        digits = max(0, 1 - math.floor(math.log10(width)))

    pairs = [(bound, limit) for bound in (low, high) for limit in limits]
    for more in range(digits, digits + 9):  # until a bound that is not the limit does not look like it
        if all((round(bound, more) == round(limit, more)) == (bound == limit) for bound, limit in pairs):
            return more
    return digits


# --- Comparisons over seeds ------------------------------------------------------------------------------------------


def compare(
    a: Values,
    b: Values,
    claim: str | None = None,
    *,
    at_least: float = 0.0,
    within: float | None = None,
    names: tuple[str, str] = ("the first", "the second"),
    unit: str | None = None,
    of: str = "seeds",
    confidence: float = 0.95,
) -> Finding:
    """Compare two variants by the differences a - b of each seed.

    The claim is that `a` is higher than `b`; `at_least` asks for more than that difference (or, if negative, allows
    for it: "no worse by more than"); `within` asks for a difference smaller than that in both directions, "as good
    as". Both limits are in the unit of the scores, and are said before one looks. The interval is Student's t of the
    paired differences. It assumes that the seeds are independent and their differences roughly normal, and speaks of
    other seeds on the same data, not of other data. Where the pairs are something else, such as groups of pictures,
    `of` names them, and it speaks of other ones of these. For `within`, an interval inside both limits is two one-sided
    tests. Fewer than three seeds, or a score that is no finite number, show nothing.
    Raises ValueError if `a` and `b` have different seeds, or if a limit or the confidence makes no sense.
    """
    if not math.isfinite(at_least) or (within is not None and (at_least != 0 or not 0 < within < math.inf)):
        raise ValueError(
            f"within is {within} and at_least {at_least}; give one of them, a finite number, and within above 0"
        )
    _check_confidence(confidence)
    one, other = _by_seed(a), _by_seed(b)
    if set(one) != set(other):
        raise ValueError(
            f"seeds {sorted(one)} cannot be paired with seeds {sorted(other)}; compare runs of the same seeds"
        )
    names = tuple(x.name if isinstance(x, Scores) else name for x, name in zip((a, b), names, strict=True))
    differences = [one[seed] - other[seed] for seed in one]
    limits = (at_least,) if within is None else (-within, within)
    difference, low, high, reason = math.nan, math.nan, math.nan, ""
    if len(differences) < FEWEST_SEEDS:
        reason = f"{len(differences)} of the {FEWEST_SEEDS} {of} that it takes"
    elif bad := [seed for seed, value in zip(one, differences, strict=True) if not math.isfinite(value)]:
        reason = f"seed {bad[0]} has a score that is no finite number"
    else:
        difference = fmean(differences)
        half = t_quantile(confidence, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
        # Rounded, all of them alike, so that an interval that only just reaches a limit does not pass it.
        size = max(_size(a), _size(b), *map(abs, limits))
        low, high, *limits = (_rounded(number, size) for number in (difference - half, difference + half, *limits))
        difference = min(max(difference, low), high)  # where scores are large, rounding leaves it outside
    return Finding(
        claim=claim or (f"{names[0]} is higher than {names[1]}" if within is None else f"{' and '.join(names)} agree"),
        verdict=_verdict(low, high, limits),
        label=f"{names[0]} minus {names[1]}",
        difference=difference,
        low=low,
        high=high,
        confidence=confidence,
        count=len(differences),
        of=of,
        limits=tuple(limits),
        unit=unit if unit is not None else a.unit if isinstance(a, Scores) else "",
        conditions=_about_rates(a, b),
        reason=reason,
    )


def compare_each(
    pairs: Mapping[str, tuple[Values, Values]], claim: str, *, holds: str = "all", confidence: float = 0.95, **options
) -> Findings:
    """Compare several pairs, by name, and give one verdict: the claim holds in "all", in "any", in "none", or "if".

    `options` are those of `compare`. "if" says in which: TRUE IF. Whoever looks at many intervals finds one that
    misses by chance; so they are widened, by Holm's rule: the clearest of m at a confidence of 1 - 0.05/m, the next at
    1 - 0.05/(m - 1), and so on until one of them shows nothing; those after it stay as wide. With that, the chance of
    any false TRUE or FALSE among them is at most 0.05 together.
    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    if holds not in HOLDS or not pairs:
        raise ValueError(f"holds is {holds!r} for {len(pairs)} pairs; it is all, any, none or if, for one pair or more")
    if unnamed := [name for name in pairs if not isinstance(name, str)]:
        raise TypeError(f"the name of a pair is {unnamed[0]!r}; give words, such as {str(unnamed[0])!r}")
    plain = {name: compare(*pair, claim, confidence=confidence, **options) for name, pair in pairs.items()}
    parts, left = {}, len(plain)
    for name in sorted(plain, key=lambda name: -_clearness(plain[name])):
        widened = 1 - (1 - confidence) / left
        parts[name] = compare(*pairs[name], claim, confidence=widened, **options)
        left -= parts[name].verdict != NOT_SHOWN
    parts = {name: parts[name] for name in plain}  # in the order of the pairs
    verdict = _verdict_on_all({name: part.verdict for name, part in parts.items()}, holds)
    return Findings(claim, verdict, parts, _about_rates(*chain.from_iterable(pairs.values())))


def _clearness(finding: Finding) -> float:
    """Give the confidence at which the interval would just reach the nearest limit: the larger, the clearer."""
    if not math.isfinite(finding.low):
        return -1.0
    middle, half = (finding.low + finding.high) / 2, (finding.high - finding.low) / 2
    distance = min(abs(middle - limit) for limit in finding.limits)
    degrees = finding.count - 1
    if half == 0:
        return 1.0 if distance else 0.0
    return t_probability(distance / half * t_quantile(finding.confidence, degrees), degrees)


def _verdict(low: float, high: float, limits: tuple[float, ...]) -> str:
    """Judge the claim that a value lies above the one limit, or between the two: strictly, and NaN shows nothing."""
    if len(limits) == 1:
        return TRUE if low > limits[0] else FALSE if high < limits[0] else NOT_SHOWN
    return TRUE if limits[0] < low and high < limits[1] else FALSE if high < limits[0] or low > limits[1] else NOT_SHOWN


def _verdict_on_all(verdicts: dict[str, str], holds: str) -> str:
    where = {
        verdict: [name for name, own in verdicts.items() if own == verdict] for verdict in (TRUE, FALSE, NOT_SHOWN)
    }
    if holds == "all":
        return FALSE if where[FALSE] else NOT_SHOWN if where[NOT_SHOWN] else TRUE
    if holds == "any":
        return TRUE if where[TRUE] else NOT_SHOWN if where[NOT_SHOWN] else FALSE
    if holds == "none":
        return FALSE if where[TRUE] else NOT_SHOWN if where[NOT_SHOWN] else TRUE
    if not where[TRUE] or len(where[TRUE]) == len(verdicts):
        return _verdict_on_all(verdicts, "any")
    rest = [f"{verdict}: {', '.join(where[verdict])}" for verdict in (FALSE, NOT_SHOWN) if where[verdict]]
    return f"TRUE IF {' or '.join(where[TRUE])} ({'; '.join(rest)})"


def _by_seed(values: Values) -> dict[int, float]:
    if isinstance(values, Scores):
        values = values.by_seed
    pairs = values.items() if isinstance(values, Mapping) else enumerate(values)
    return {seed: float(value) for seed, value in pairs}


def _size(values: Values) -> float:
    """Give the largest of the numbers that are compared, or that these were computed from: rounding goes with it."""
    made_of = values.made_of if isinstance(values, Scores) else ()
    return max(chain(map(abs, _by_seed(values).values()), map(_size, made_of)))


def _rounded(number: float, size: float) -> float:
    """Round to the digits that are exact in numbers of this size: 0.92 - 0.90 is 0.02, and not a little more."""
    return round(number, EXACT_DIGITS - 1 - math.floor(math.log10(size))) if size else number


def judge(cases: bool | Mapping[str, bool], claim: str, *, holds: str = "all") -> Judgement:
    """Judge a claim that chance has no part in: an equality, a count, a number against a limit said beforehand.

    `cases` says of each case, by name, whether the claim is right there; one case needs no name. The claim holds in
    "all", in "any", in "none", or "if", as in `compare_each`; NOT SHOWN cannot come out, since nothing is uncertain.
    Raises ValueError if there is no case, or `holds` is another word.
    """
    cases = {name: bool(right) for name, right in (cases if isinstance(cases, Mapping) else {"": cases}).items()}
    if holds not in HOLDS or not cases:
        raise ValueError(f"holds is {holds!r} for {len(cases)} cases; it is all, any, none or if, for one case or more")
    verdict = _verdict_on_all({name: TRUE if right else FALSE for name, right in cases.items()}, holds)
    told = len(cases) > 1 and not verdict.startswith("TRUE IF")
    return Judgement(claim, verdict, cases, (f"so in {sum(cases.values())} of {len(cases)} cases",) if told else ())


def _with_rates(compared: Iterable[Values]) -> list[Scores]:
    """Find whatever has a learning rate in what is compared, or in what that is made of, each once."""
    found = []
    for one in compared:
        if isinstance(one, Scores):
            found += [one] if one.rate else _with_rates(one.made_of)
    return [one for place, one in enumerate(found) if one not in found[:place]]


def _about_rates(*compared: Values) -> tuple[str, ...]:
    """Say how the learning rates were chosen, and what is not as it should be; nothing if there are none."""
    rates = [scores.rate for scores in _with_rates(compared)]
    if not rates:
        return ()
    fewest, values = min(len(rate.tried) for rate in rates), sorted({rate.value for rate in rates})
    if fewest == 1:
        one = f"one learning rate, {values[0]:g}, for {'both' if len(rates) == 2 else 'all'}"
        return (f"at {one}" if len(values) == 1 else "at learning rates that were not chosen from several",)
    own = f"each at its own learning rate, chosen by validation from {fewest}"
    if fewest < FEWEST_RATES:
        return (f"{own} only, and {FEWEST_RATES} are the fewest",)
    ends = sum(rate.is_at_an_end for rate in rates)
    return (own, f"{ends} of {len(rates)} took the smallest or the largest rate tried") if ends else (own,)


# --- Comparisons without seeds ---------------------------------------------------------------------------------------


def against_shuffles(
    value: float, shuffled: Sequence[float], claim: str, *, name: str = "the number", confidence: float = 0.95
) -> Finding:
    """Compare a number with what it comes to when what it is about is put in random order: a permutation test.

    The claim is that `value` is higher than chance. `shuffled` are the numbers of as many random orders. The verdict
    says if it lies above, in or below their middle part (`confidence` of them all). `low` and `high` are `value` less
    the upper and the lower end of that part. All this speaks of this very model: another one may have learned something
    else. Fewer than 100 shuffles, or too few for the confidence, or a number that is not finite, show nothing.
    Raises ValueError if the confidence makes no sense.
    Source: Fisher 1935, "The Design of Experiments", section 21.
    """
    _check_confidence(confidence)
    value, shuffled = float(value), list(map(float, shuffled))
    difference, low, high, reason, by_chance = math.nan, math.nan, math.nan, "", None
    fewest = max(FEWEST_SHUFFLES, math.ceil(2 / (1 - confidence) - 1e-9) - 1)  # so that one lies outside on each side
    if len(shuffled) < fewest:
        reason = f"{len(shuffled)} of the {fewest} shuffles that it takes"
    elif not all(map(math.isfinite, [value, *shuffled])):
        reason = "one of the numbers is not finite"
    else:
        ordered, outside = sorted(shuffled), math.floor((1 - confidence) / 2 * (len(shuffled) + 1) + 1e-9)
        difference = value - fmean(shuffled)
        by_chance = least, most = ordered[outside - 1], ordered[-outside]
        size = max(map(abs, [value, *shuffled]))
        low, high = _rounded(value - most, size), _rounded(value - least, size)
    return Finding(
        claim=claim,
        verdict=_verdict(low, high, (0.0,)),
        label=name,
        difference=difference,
        low=low,
        high=high,
        confidence=confidence,
        count=len(shuffled),
        of="shuffles",
        reason=reason,
        by_chance=by_chance,
    )


def accuracy_above(
    right: int,
    images: int,
    threshold: float,
    claim: str | None = None,
    confidence: float = 0.95,
    *,
    name: str = "accuracy",
) -> Finding:
    """Judge whether a model that had `right` of so many images right is above a threshold (0..1), by Wilson's interval.

    The threshold is said before one looks. The verdict speaks of this model on other images, not of other trainings.
    `name` is for another share of the images than that of right answers, which is counted the same way.
    Raises ValueError as `accuracy_interval` does, and for a threshold outside 0..1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; an accuracy is from 0 to 1")
    low, high = accuracy_interval(right, images, confidence)
    share = float(right) / images
    return Finding(
        claim=claim or f"the {name} is above {100 * threshold:g}%",
        verdict=_verdict(low, high, (threshold,)),
        label=f"{name} {share:.1%}, minus {100 * threshold:g}%",
        difference=share - threshold,
        low=low - threshold,
        high=high - threshold,
        confidence=confidence,
        count=images,
        of="images",
        unit="points",
    )


def accuracy_interval(right: int, images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Give Wilson's interval for an accuracy, 0..1, of `right` in so many images.

    Raises ValueError if `right` is no whole number from 0 to `images`, or there are none, or the confidence makes no
    sense.
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    _check_counts(right, images)
    if right % 1:
        raise ValueError(f"right is {right}; give how many of {images} images are right, and not which share")
    _check_confidence(confidence)
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), float(right) / images
    middle, half = share + z * z / (2 * images), z * math.sqrt((share * (1 - share) + z * z / (4 * images)) / images)
    low, high = ((middle + sign * half) / (1 + z * z / images) for sign in (-1, 1))
    return 0.0 if right == 0 else low, 1.0 if right == images else high  # not 3e-17, which would be above 0


def with_error(accuracy: float, images: int) -> str:
    """Write an accuracy (0..1) of so many images in percent, with its standard error in points, such as "87.0% ± 1.5".

    The standard error says how far this model's accuracy on other images of the kind would lie from it, as a rule. Two
    right and two wrong answers are added for it, so that it is not 0 where all are right.
    Raises ValueError if the accuracy is not between 0 and 1, or there are no images.
    Source: Agresti and Coull 1998, "Approximate is better than 'exact' for interval estimation".
    """
    _check_counts(accuracy * images, images)
    share = (accuracy * images + 2) / (images + 4)
    return f"{accuracy:.1%} ± {100 * math.sqrt(share * (1 - share) / (images + 4)):.1f}"


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it lies between 0 and 1, such as 0.95")


def _check_counts(right: int, images: int) -> None:
    if not 0 <= right <= images or not images:
        raise ValueError(f"{right} of {images} images right is no accuracy; give 0 to {images} of 1 or more")


# --- The distributions -----------------------------------------------------------------------------------------------


def t_probability(t: float, degrees: int) -> float:
    """Give the probability that Student's t lies between -t and t.

    Source: Abramowitz and Stegun 1964, equations 26.7.3 and 26.7.4, exact for whole degrees of freedom.
    """
    return _t_probability(math.atan2(abs(t), math.sqrt(degrees)), degrees)


@cache
def t_quantile(probability: float, degrees: int) -> float:
    """Give the t for which Student's t lies between -t and t with this probability."""
    angle = _solve(lambda angle: _t_probability(angle, degrees), probability, 0, math.pi / 2)
    return math.sqrt(degrees) * math.tan(angle)


def _t_probability(angle: float, degrees: int) -> float:
    cosine, odd = math.cos(angle), degrees % 2
    term = cosine if odd else 1.0
    total = 0.0
    for k in range(2 if not odd else 3, degrees + 1, 2):  # the k-th term has the power k - 2 of the cosine
        total += term
        term *= cosine**2 * (k - 1) / k
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def _solve(rising: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Find where a rising function reaches a value, by halving the interval."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2
