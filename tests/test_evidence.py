"""Verdicts: fed with made-up results they answer rightly, and the intervals behind them hold as often as they say."""

import math
import random

import numpy as np
import pytest
import torch
from scipy import stats

from vit_tutorial.evidence import (
    FALSE,
    NOT_SHOWN,
    TRUE,
    Rate,
    Scores,
    accuracy_above,
    accuracy_interval,
    against_shuffles,
    best_rate,
    compare,
    compare_each,
    judge,
    t_probability,
    t_quantile,
    with_error,
)

BASE = [0.80, 0.82, 0.79, 0.81, 0.83]


def moved(*points):
    return [value + by / 100 for value, by in zip(BASE, points, strict=False)]


# --- Planted results -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "points", "verdict"),
    [
        ("no effect", (0.5, -0.4, 0.1, -0.6, 0.3), NOT_SHOWN),
        ("a tie", (0, 0, 0, 0, 0), NOT_SHOWN),
        ("a small true effect, as large with every seed", (0.30, 0.25, 0.35, 0.20, 0.30), TRUE),
        ("the same the other way round", (-0.30, -0.25, -0.35, -0.20, -0.30), FALSE),
        ("the same effect in noise", (1.5, -0.9, 0.8, -0.4, 0.4), NOT_SHOWN),
        ("one wild seed makes the mean", (0, 0.1, -0.1, 9, 0), NOT_SHOWN),
        ("ahead with every seed, one of them wild", (0.1, 0.2, 0.1, 9, 0.2), NOT_SHOWN),
        ("four ties and a win", (0, 0, 0, 0, 0.5), NOT_SHOWN),
        ("the same difference with every seed", (1, 1, 1, 1, 1), TRUE),
    ],
)
def test_planted_results_get_the_right_verdict(name, points, verdict):
    finding = compare(moved(*points), BASE)
    assert finding.verdict == verdict, name
    assert finding.difference == pytest.approx(sum(points) / 500, abs=1e-9)


def test_only_differences_seed_by_seed_count():
    scattered = [0.2, 0.9, 0.5, 0.7]
    ahead = [value + by for value, by in zip(scattered, (0.02, 0.03, 0.02, 0.03), strict=True)]
    assert compare(ahead, scattered).verdict == TRUE  # though their ranges overlap
    assert compare(sorted(ahead), sorted(scattered, reverse=True)).verdict == NOT_SHOWN


def test_seeds_are_paired_by_their_numbers():
    a, b = dict(enumerate(moved(1, 1.2, 0.8))), {2: BASE[2], 0: BASE[0], 1: BASE[1]}
    assert str(compare(a, b)) == str(compare(moved(1, 1.2, 0.8), BASE[:3]))
    with pytest.raises(ValueError, match=r"seeds \[0, 1, 2\] cannot be paired with seeds \[0, 1, 3\]"):
        compare(a, {0: 0.8, 1: 0.8, 3: 0.8})
    with pytest.raises(ValueError, match=r"seeds \[0, 1, 2, 3\] cannot be paired with seeds \[0, 1, 2\]"):
        compare(BASE[:4], BASE[:3])


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_score_that_is_no_number_shows_nothing_and_is_named(wrong):
    a = moved(5, 5.1, 5.2, 5.1, 5)
    a[3] = wrong
    for finding in (compare(a, BASE), compare(BASE, a), compare(a, BASE, within=1.0)):
        assert finding.verdict == NOT_SHOWN
        assert "no interval, seed 3 has a score that is no finite number" in str(finding)


def test_fewer_than_three_seeds_show_nothing():
    finding = compare([0.9, 0.9], [0.1, 0.1], "it is better")
    assert str(finding) == (
        "the first minus the second: no interval, 2 of the 3 seeds that it takes\nverdict: NOT SHOWN that it is better"
    )
    assert compare([], []).verdict == NOT_SHOWN


@pytest.mark.parametrize(
    ("at_least", "verdict"), [(0.0, TRUE), (0.005, TRUE), (0.01, NOT_SHOWN), (0.02, FALSE), (-0.01, TRUE)]
)
def test_a_threshold_is_part_of_the_claim(at_least, verdict):
    assert compare(moved(1, 1.1, 0.9, 1, 1.05), BASE, at_least=at_least).verdict == verdict


def test_a_difference_that_only_reaches_the_threshold_does_not_pass_it():
    assert compare(moved(2, 2, 2), BASE[:3], at_least=0.02).verdict == NOT_SHOWN
    assert compare(moved(2, 2, 2), BASE[:3], at_least=0.0199).verdict == TRUE
    assert compare([0.92] * 3, [0.9] * 3, at_least=0.02).verdict == NOT_SHOWN  # 0.92 - 0.9 is 0.02 and a little


def test_a_difference_lies_in_its_interval_however_large_the_scores_are():
    finding = compare([1e6 + 1e-5, 1e6 + 1.1e-5, 1e6 + 1.2e-5], [1e6] * 3)
    assert finding.low <= finding.difference <= finding.high


@pytest.mark.parametrize("unit", [1e-300, 3e-13, 1e-3, 1.0, 7.0, 1e6, 1e200])
def test_a_verdict_does_not_hang_on_the_unit_of_the_scores(unit):
    def scores(*values):
        return [unit * value for value in values]

    ahead, ones = scores(1, 1.05, 1.1), scores(1, 1, 1)
    assert compare(ahead, [0, 0, 0]).verdict == TRUE
    assert compare([0, 0, 0], ahead, at_least=-0.9 * unit).verdict == FALSE
    assert compare(ahead, scores(1.01, 1.06, 1.1), within=unit / 10).verdict == TRUE
    for limit in (0.02, 1 / 3, 0.1 + 0.2):
        level = [value + limit * unit for value in ones]  # the limit and a little, or less a little
        assert compare(level, ones, at_least=limit * unit).verdict == NOT_SHOWN
        assert compare(ones, level, within=limit * unit).verdict == NOT_SHOWN
        pairs = {"level": (level, ones), "ahead": (scores(1.9, 2, 2.1), ones)}
        parts = compare_each(pairs, "", at_least=limit * unit).parts
        assert [part.confidence for part in parts.values()] == pytest.approx([0.95, 0.975])  # level is the least clear
    shuffled = [unit * (0.3 + 0.2 + 0.1)] * 200
    assert against_shuffles(unit * (0.1 + 0.2 + 0.3), shuffled, "it is more").verdict == NOT_SHOWN
    assert against_shuffles(unit * 0.61, shuffled, "it is more").verdict == TRUE


def test_a_lead_is_as_exact_as_the_scores_that_it_is_made_of():
    one, other, third = (
        Scores(name, dict.fromkeys(range(3), score)) for name, score in (("a", 0.1 + 0.2), ("b", 0.3), ("c", 0.3))
    )
    assert compare(one - other, other - third).verdict == NOT_SHOWN  # 5.6e-17 and 0


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        ((0.1, -0.1, 0.2, 0, -0.1), TRUE),
        ((0, 0, 0, 0, 0), TRUE),
        ((0.5, -1.5, 2, -1, 0.5), NOT_SHOWN),  # nothing shown is not equality shown
        ((3, 3.2, 2.9, 3.1, 3), FALSE),
        ((-3, -3.2, -2.9, -3.1, -3), FALSE),
        ((1, 1, 1, 1, 1), NOT_SHOWN),  # on the margin is not inside
    ],
)
def test_as_good_as_takes_a_margin(points, verdict):
    assert compare(moved(*points), BASE, within=0.01).verdict == verdict


@pytest.mark.parametrize("name", ["at_least", "within"])
@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf])
def test_limits_that_are_no_finite_numbers_are_refused(name, limit):
    with pytest.raises(ValueError, match="a finite number, and within above 0"):
        compare(BASE, moved(1, 2, 1, 2, 1), **{name: limit})


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="give one of them"):
        compare(BASE, BASE, at_least=0.1, within=0.1)
    with pytest.raises(ValueError, match="within above 0"):
        compare(BASE, BASE, within=0)
    for confidence in (95, 1, 0):
        with pytest.raises(ValueError, match=f"confidence is {confidence}; it lies between 0 and 1"):
            compare(BASE, BASE, confidence=confidence)
        with pytest.raises(ValueError, match=f"confidence is {confidence}; it lies between 0 and 1"):
            against_shuffles(1.0, range(100), "it is more", confidence=confidence)
        with pytest.raises(ValueError, match=f"confidence is {confidence}; it lies between 0 and 1"):
            accuracy_above(9, 10, 0.5, confidence=confidence)


# --- What is printed -------------------------------------------------------------------------------------------------


def test_a_finding_prints_itself_in_two_lines():
    one = Scores("P = 4", dict(enumerate(moved(1, 2, 3))), unit="points")
    other = Scores("P = 7", dict(enumerate(BASE[:3])), unit="points")
    finding = compare(one, other, "smaller patches are better", at_least=-0.01)
    assert str(finding) == repr(finding)
    assert str(finding).splitlines() == [
        "P = 4 minus P = 7: +2.0 points, 95% interval -0.5 to +4.5, limit -1.0 (3 seeds)",
        "verdict: TRUE that smaller patches are better",
    ]
    plain = compare([0.31, 0.29, 0.33], [0.10, 0.12, 0.11], unit="s").numbers
    assert plain == "+0.20 s, 95% interval +0.13 to +0.27 (3 seeds)"


def test_an_interval_is_printed_with_the_decimals_that_show_the_verdict():
    finding = compare(moved(0.05, 0.06, 0.04, 0.05, 0.05), BASE, unit="points")
    assert finding.verdict == TRUE
    assert "95% interval +0.04 to +0.06" in finding.numbers  # with one decimal it would begin at +0.0
    assert compare(moved(-0.3, 0.2, 0), BASE[:3], unit="points").numbers.startswith("+0.0 points, 95% interval -0.7")
    touching = compare(moved(1.02, 1.03, 1.01), BASE[:3], at_least=0.01, unit="points")
    assert "interval +1.00 to" not in touching.numbers
    assert "limit" in touching.numbers


# --- Several at once -------------------------------------------------------------------------------------------------


def planted(**points):
    return {name: (moved(*by), BASE[: len(by)]) for name, by in points.items()}


YES, NO, UNCLEAR = (2, 2.1, 1.9, 2, 2.05), (-2, -2.1, -1.9, -2, -2.05), (0.5, -0.4, 0.1, -0.6, 0.3)


@pytest.mark.parametrize(
    ("cases", "verdicts"),
    [
        ({"a": YES, "b": YES}, (TRUE, TRUE, FALSE, TRUE)),
        ({"a": YES, "b": UNCLEAR}, (NOT_SHOWN, TRUE, FALSE, "TRUE IF a (NOT SHOWN: b)")),
        ({"a": YES, "b": NO, "c": YES}, (FALSE, TRUE, FALSE, "TRUE IF a or c (FALSE: b)")),
        ({"a": NO, "b": UNCLEAR}, (FALSE, NOT_SHOWN, NOT_SHOWN, NOT_SHOWN)),
        ({"a": NO, "b": NO}, (FALSE, FALSE, TRUE, FALSE)),
        ({"a": UNCLEAR}, (NOT_SHOWN, NOT_SHOWN, NOT_SHOWN, NOT_SHOWN)),
    ],
)
def test_a_claim_about_several_cases(cases, verdicts):
    findings = [compare_each(planted(**cases), "it is so", holds=holds) for holds in ("all", "any", "none", "if")]
    assert tuple(one.verdict for one in findings) == verdicts
    lines = str(findings[3]).splitlines()
    assert lines[-1] == f"verdict: {verdicts[3]} that it is so"
    assert [line[0] for line in lines[:-1]] == list(cases)
    with pytest.raises(ValueError, match="holds is 'most'"):
        compare_each(planted(**cases), "it is so", holds="most")
    with pytest.raises(ValueError, match="holds is 'any' for 0 pairs"):
        compare_each({}, "it is so", holds="any")
    with pytest.raises(TypeError, match="the name of a pair is 500; give words, such as '500'"):
        compare_each({500: ([1.0, 2.0], [0.0, 1.0])}, "")


def test_the_verdicts_on_several_cases_stand_below_one_another():
    lines = str(compare_each(planted(a=YES, longer=NO), "")).splitlines()
    assert [line[:15] for line in lines[:2]] == ["a       TRUE   ", "longer  FALSE  "]


def test_intervals_are_widened_by_holms_rule():
    clear, clearer = (2, 2.3, 1.7, 2, 2.2), (2, 2.01, 1.99, 2, 2)
    parts = compare_each(planted(a=UNCLEAR, b=clear, c=clearer, d=UNCLEAR), "").parts
    assert [part.confidence for part in parts.values()] == pytest.approx([1 - 0.05 / m for m in (2, 3, 4, 2)])
    alone = compare(*planted(b=clear)["b"])
    assert alone.high - alone.low < parts["b"].high - parts["b"].low


def test_the_clearest_is_the_one_that_chance_makes_least_often_however_many_seeds_there_are():
    """Chance makes a t of 20 from 3 seeds in 2.5 of 1,000 cases, and one of 3.8 from 20 seeds in 1.2."""
    few, many = [0.9134, 1.0, 1.0866], [2.147, -0.147] * 10
    parts = compare_each({"few": (few, [0.0] * 3), "many": (many, [0.0] * 20)}, "").parts
    assert {name: part.confidence for name, part in parts.items()} == pytest.approx({"few": 0.95, "many": 0.975})
    same = {"nothing": ([0.0] * 3, [0.0] * 3), "sure": ([1.0] * 3, [0.0] * 3), "few": (few, [0.0] * 3)}
    parts = compare_each(same, "").parts  # "sure" has no spread at all
    assert [parts[name].confidence for name in same] == pytest.approx([0.95, 1 - 0.05 / 3, 0.975])


def test_between_two_limits_the_nearer_one_says_how_clear_a_difference_is():
    pairs = {"near a limit": ([0.88, 0.9, 0.92], [0.0] * 3), "in the middle": ([-0.1, 0.0, 0.1], [0.0] * 3)}
    parts = compare_each(pairs, "", within=1.0).parts
    assert [part.confidence for part in parts.values()] == pytest.approx([0.95, 0.975])


def test_what_would_pass_alone_may_not_pass_among_many():
    barely = (1, 0.2, 0.9, 0.3, 1.2)
    assert compare(moved(*barely), BASE).verdict == TRUE
    noise = {f"noise {i}": UNCLEAR for i in range(9)}
    assert compare_each(planted(barely=barely, **noise), "", holds="any").verdict == NOT_SHOWN
    assert compare_each(planted(barely=barely), "", holds="any").verdict == TRUE


# --- Learning rates --------------------------------------------------------------------------------------------------


def test_the_best_rate_is_chosen_by_the_mean_of_validation():
    rate = best_rate({0.1: [0.5, 0.9], 0.001: [0.6, 0.7], 0.01: [0.8, 0.8]})
    assert rate == Rate(0.01, (0.001, 0.01, 0.1))
    assert not rate.is_at_an_end
    assert best_rate({0.1: [0.8], 0.01: [0.8], 0.001: [0.1]}).value == 0.01  # of equal ones the smallest
    assert best_rate({0.1: [0.4, 0.4], 0.01: [0.1, 0.7]}).value == 0.01  # 0.1 and 0.7: 0.4 less 6e-17
    assert best_rate({0.1: [0.9, math.nan], 0.01: [0.1, 0.2], 0.001: [0.3, 0.3]}) == Rate(0.001, (0.001, 0.01, 0.1))
    assert best_rate({0.1: [math.inf, -math.inf], 0.01: [0.1, 0.2]}).value == 0.01
    assert best_rate({0.001: [0.9, math.nan], 0.01: [0.1, 0.2]}).value == 0.01
    assert best_rate({0.1: [0.9], 0.01: [0.1]}).is_at_an_end
    assert not best_rate({0.1: [0.9]}).is_at_an_end
    with pytest.raises(ValueError, match="none of 2 learning rates has finite scores"):
        best_rate({0.1: [math.nan], 0.01: [math.inf]})
    with pytest.raises(ValueError, match=r"different numbers of scores \(0.1: 1, 0.01: 2\)"):
        best_rate({0.1: [0.9], 0.01: [0.9, 0.8]})


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ((Rate(0.01, (0.001, 0.01, 0.1)),) * 2, ("each at its own learning rate, chosen by validation from 3",)),
        (
            (Rate(0.1, (0.001, 0.01, 0.1)), Rate(0.01, (0.001, 0.01, 0.1, 1))),
            (
                "each at its own learning rate, chosen by validation from 3",
                "1 of 2 took the smallest or the largest rate tried",
            ),
        ),
        (
            (Rate(0.01, (0.001, 0.01)),) * 2,
            ("each at its own learning rate, chosen by validation from 2 only, and 3 are the fewest",),
        ),
        ((Rate(0.003, (0.003,)),) * 2, ("at one learning rate, 0.003, for both",)),
        ((Rate(0.003, (0.003,)), Rate(0.01, (0.01,))), ("at learning rates that were not chosen from several",)),
        ((None, None), ()),
    ],
)
def test_a_finding_says_how_the_rates_were_chosen(rates, words):
    a, b = (Scores(name, dict(enumerate(BASE)), rate) for name, rate in zip("ab", rates, strict=True))
    finding = compare(a, b)
    assert finding.conditions == words
    assert str(finding).endswith("; ".join(["that a is higher than b", *words]))


def test_a_claim_about_several_cases_speaks_of_each_variant_once():
    base, *others = (Scores(name, dict(enumerate(BASE)), Rate(0.003, (0.003,))) for name in "abc")
    findings = compare_each({one.name: (one, base) for one in others}, "it is so")
    assert findings.conditions == ("at one learning rate, 0.003, for all",)


def test_a_variant_that_is_read_anew_for_each_pair_counts_once():
    wide = Rate(0.1, (0.001, 0.01, 0.1))
    pairs = {name: (Scores("best", dict(enumerate(BASE)), wide), Scores(name, dict(enumerate(BASE)))) for name in "abc"}
    assert compare_each(pairs, "it is so").conditions[-1] == "1 of 1 took the smallest or the largest rate tried"


def test_a_verdict_on_leads_tells_the_rates_of_those_who_lead():
    rates = [Rate(0.01, (0.001, 0.01, 0.1)), Rate(0.1, (0.001, 0.01, 0.1))]
    a, b, c = (Scores(name, dict(enumerate(BASE)), rates[name == "b"]) for name in "abc")
    words = "1 of 3 took the smallest or the largest rate tried"
    assert compare(a - b, a - c).conditions[-1] == words
    assert compare((a - b) - c, a).conditions[-1] == words
    assert compare_each({"one": (a - b, c), "two": (a - c, b)}, "it is so").conditions[-1] == words


# --- Without seeds ---------------------------------------------------------------------------------------------------


def test_a_number_is_held_against_the_same_in_random_order():
    by_chance = [i / 1000 for i in range(1000)]  # their middle 95% lies from 0.024 to 0.975
    for value, verdict in ((0.98, TRUE), (0.97, NOT_SHOWN), (0.5, NOT_SHOWN), (0.03, NOT_SHOWN), (0.02, FALSE)):
        assert against_shuffles(value, by_chance, "it is more than chance").verdict == verdict, value
    finding = against_shuffles(1.2, by_chance[::-1], "neighbours are alike", name="likeness")
    assert (finding.low, finding.high) == pytest.approx((1.2 - 0.975, 1.2 - 0.024))
    assert finding.difference == pytest.approx(1.2 - 0.4995)
    assert str(finding).splitlines() == [
        "likeness: +1.20; of 1,000 shuffles 95% lie between +0.02 and +0.97",
        "verdict: TRUE that neighbours are alike",
    ]


def test_few_shuffles_or_a_number_that_is_not_finite_show_nothing():
    for value, shuffled in ((9.0, [0.0] * 99), (math.nan, [0.0] * 100), (9.0, [math.inf] * 100)):
        finding = against_shuffles(value, shuffled, "it is more than chance")
        assert finding.verdict == NOT_SHOWN
        assert finding.reason
    assert against_shuffles(9.0, [0.0] * 100, "it is more than chance").verdict == TRUE
    assert "between +0.0012 and +0.0012" in str(against_shuffles(9.0, [0.00123] * 100, "it is more than chance"))


def test_the_middle_part_of_shuffles_leaves_a_fortieth_at_most_on_each_side():
    for shuffles, middle in ((198, (3, 194)), (199, (4, 194)), (239, (5, 233))):
        assert against_shuffles(0.0, range(shuffles), "").by_chance == middle
    one, other = (against_shuffles(kind(7.0), kind(range(199)), "") for kind in (np.array, torch.tensor))
    assert str(one) == str(other)


def test_without_an_effect_a_number_is_called_more_than_chance_once_in_forty_times():
    numbers = random.Random(0)
    verdicts = [
        against_shuffles(numbers.gauss(0, 1), [numbers.gauss(0, 1) for _ in range(199)], "it is").verdict
        for _ in range(2000)
    ]
    assert 0.015 < verdicts.count(TRUE) / 2000 < 0.035
    assert 0.015 < verdicts.count(FALSE) / 2000 < 0.035


def test_what_is_paired_is_named():
    assert "(5 groups of pictures)" in str(compare(moved(1, 1, 1, 1, 2), BASE, "it helps", of="groups of pictures"))
    assert "2 of the 3 groups" in str(compare([1, 2], [0, 1], "it helps", of="groups"))


def test_an_accuracy_has_an_interval():
    for right, images in ((0, 10), (3, 10), (10, 10), (873, 1000), (1, 1000)):
        wilson = stats.binomtest(right, images).proportion_ci(method="wilson")
        assert accuracy_interval(right, images) == pytest.approx((wilson.low, wilson.high), abs=1e-12)
    with pytest.raises(ValueError, match="11 of 10 images right is no accuracy"):
        accuracy_interval(11, 10)


@pytest.mark.parametrize("images", [1, 5, 7, 100, 1000])
def test_an_interval_that_reaches_an_end_is_exactly_there(images):
    for confidence in (0.5, 0.9, 0.95, 0.99, 0.999):
        assert accuracy_interval(0, images, confidence)[0] == 0
        assert accuracy_interval(images, images, confidence)[1] == 1
        assert accuracy_above(0, images, 0.0, confidence=confidence).verdict == NOT_SHOWN
        assert accuracy_above(images, images, 1.0, confidence=confidence).verdict == NOT_SHOWN


def test_an_accuracy_is_written_with_its_standard_error():
    assert with_error(0.87, 500) == "87.0% ± 1.5"
    for accuracy, images in ((0.9352, 10_000), (0.5, 300)):
        plain = 100 * math.sqrt(accuracy * (1 - accuracy) / images)
        assert with_error(accuracy, images) == f"{accuracy:.1%} ± {plain:.1f}"
    assert with_error(1.0, 20) == "100.0% ± 5.6"  # 22 of 24: all right of 20 is no certainty
    assert with_error(7 / 9, 9).startswith("77.8% ± ")  # a share of images that is no whole number in floats
    for wrong in ((1.2, 10), (-0.1, 10), (0.5, 0), (math.nan, 10)):
        with pytest.raises(ValueError, match="images right is no accuracy"):
            with_error(*wrong)


def test_shuffles_are_too_few_for_an_interval_beyond_the_outermost():
    for shuffles, confidence, verdict in (
        (100, 0.98, TRUE),
        (100, 0.99, NOT_SHOWN),
        (198, 0.99, NOT_SHOWN),
        (199, 0.99, TRUE),
    ):
        finding = against_shuffles(10_000, range(shuffles), "it is more", confidence=confidence)
        assert finding.verdict == verdict, (shuffles, confidence)
    assert "198 of the 199 shuffles" in str(against_shuffles(10_000, range(198), "it is more", confidence=0.99))


def test_a_threshold_is_said_with_all_its_digits():
    said = str(accuracy_above(905, 1000, 0.905))
    assert "minus 90.5%" in said
    assert "is above 90.5%" in said


@pytest.mark.parametrize(("right", "verdict"), [(440, TRUE), (400, NOT_SHOWN), (425, NOT_SHOWN), (360, FALSE)])
def test_an_accuracy_is_held_against_a_threshold(right, verdict):
    finding = accuracy_above(right, 1000, 0.4)
    assert finding.verdict == verdict
    assert f"accuracy {right / 10:.1f}%, minus 40%: {(right - 400) / 10:+.1f} points" in str(finding)
    assert (finding.low + 0.4, finding.high + 0.4) == pytest.approx(accuracy_interval(right, 1000))
    assert str(accuracy_above(torch.tensor(right), 1000, 0.4)) == str(finding)


def test_a_threshold_or_a_count_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="threshold is 90; an accuracy is from 0 to 1"):
        accuracy_above(950, 1000, 90)
    with pytest.raises(ValueError, match=r"right is 0.95; give how many of 1000 images are right"):
        accuracy_above(0.95, 1000, 0.9)


def test_a_confidence_below_certainty_is_not_printed_as_certainty():
    assert "95% interval" in str(compare(BASE, moved(1, 2, 1, 2, 1)))
    assert "98.3% interval" in str(compare(BASE, moved(1, 2, 1, 2, 1), confidence=1 - 0.05 / 3))
    assert "99.96% interval" in str(compare(BASE, moved(1, 2, 1, 2, 1), confidence=0.9996))
    assert "99.99999% interval" in str(compare(BASE, moved(1, 2, 1, 2, 1), confidence=0.9999999))


def test_another_share_than_that_of_right_answers_has_its_own_name():
    finding = accuracy_above(700, 1000, 0.6, name="wrong answers")
    assert str(finding).startswith("wrong answers 70.0%, minus 60%: +10.0 points")
    assert "wrong answers" in finding.claim


# --- The intervals ---------------------------------------------------------------------------------------------------


def test_the_quantiles_of_students_t_are_exact():
    for degrees in (1, 2, 3, 4, 5, 9, 30, 101):
        for probability in (0.5, 0.9, 0.95, 0.99, 0.9995):
            t = stats.t.ppf((1 + probability) / 2, degrees)
            assert t_quantile(probability, degrees) == pytest.approx(t, rel=1e-9)
            assert t_probability(t, degrees) == pytest.approx(probability, abs=1e-12)


def errors(claim, repeats=2000):
    """Count how many of so many made-up studies without any effect get a verdict, TRUE or FALSE."""
    generator = random.Random(0)
    return sum(claim(generator) != NOT_SHOWN for _ in range(repeats)) / repeats


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_hold_the_true_difference_as_often_as_they_say(seeds):
    generator, held = random.Random(seeds), 0
    for _ in range(4000):
        base = [generator.gauss(0.8, 0.05) for _ in range(seeds)]  # what a seed does to both variants
        finding = compare([value + generator.gauss(0.01, 0.004) for value in base], base)
        held += finding.low <= 0.01 <= finding.high
    assert held / 4000 == pytest.approx(0.95, abs=0.011)  # three standard errors


def test_without_an_effect_a_claim_is_rarely_called_true():
    def one(generator):
        return compare([generator.gauss(0, 1) for _ in range(4)], [0] * 4).verdict

    def in_any_of_five(generator):
        pairs = {i: ([generator.gauss(0, 1) for _ in range(4)], [0] * 4) for i in "abcde"}
        return "" if compare_each(pairs, "", holds="any").verdict == TRUE else NOT_SHOWN

    assert errors(one) < 0.05 + 0.015
    assert errors(in_any_of_five, 1000) < 0.05 + 0.02
    generator = random.Random(1)
    trues = [one(generator) == TRUE for _ in range(2000)]
    assert sum(trues) / 2000 <= 0.05  # both sides together have 5%, so TRUE alone has half of it


def test_a_difference_as_large_as_the_margin_is_rarely_called_equal():
    generator, equal = random.Random(0), 0
    for _ in range(2000):
        equal += compare([generator.gauss(1, 0.3) for _ in range(5)], [0] * 5, within=1.0).verdict == TRUE
    assert equal / 2000 <= 0.05


# --- Without chance --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cases", "holds", "verdict"),
    [
        (True, "all", TRUE),
        (False, "all", FALSE),
        ({"a": True, "b": True}, "all", TRUE),
        ({"a": True, "b": False}, "all", FALSE),
        ({"a": True, "b": False}, "any", TRUE),
        ({"a": False, "b": False}, "any", FALSE),
        ({"a": False, "b": False}, "none", TRUE),
        ({"a": True, "b": False}, "none", FALSE),
        ({"a": True, "b": False, "c": True}, "if", "TRUE IF a or c (FALSE: b)"),
        ({"a": True, "b": True}, "if", TRUE),
        ({"a": False, "b": False}, "if", FALSE),
    ],
)
def test_without_chance_the_cases_decide(cases, holds, verdict):
    assert judge(cases, "it is so", holds=holds).verdict == verdict


def test_a_judgement_is_one_line_that_says_in_how_many_cases():
    assert repr(judge(True, "it is so")) == "verdict: TRUE that it is so"
    assert repr(judge({"a": True, "b": False}, "it is so")) == "verdict: FALSE that it is so; so in 1 of 2 cases"
    assert repr(judge({"a": 1, "b": 0}, "it is so", holds="if")) == "verdict: TRUE IF a (FALSE: b) that it is so"


def test_a_judgement_needs_a_case_and_a_known_word():
    with pytest.raises(ValueError, match="for 0 cases"):
        judge({}, "it is so")
    with pytest.raises(ValueError, match="'some' for 1 cases"):
        judge(True, "it is so", holds="some")


def test_a_lead_is_taken_seed_by_seed_and_only_where_the_seeds_are_the_same():
    one, other = Scores("one", {0: 0.5, 7: 0.75}, unit="points"), Scores("other", {7: 0.25, 0: 0.375}, unit="points")
    assert one - other == Scores("one minus other", {0: 0.125, 7: 0.5}, unit="points", made_of=(one, other))
    with pytest.raises(
        ValueError, match=r"one has the seeds \[0, 7\] and other has \[7\]; a lead needs the same seeds"
    ):
        one - Scores("other", {7: 0.25})
