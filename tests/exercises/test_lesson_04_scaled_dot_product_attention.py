"""What the checks of lesson 4 print, where it is not what the engine prints of itself."""

import pytest

from vit_tutorial.exercises.lesson_04_scaled_dot_product_attention import attention_by_hand


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ((8.8, 9.8), "(8.8; 9.8)"),
        ((8.83, 9.84), "(8.83; 9.84)"),
        ((20, 30), "(20; 30)"),
        ((0.09, 0.24, 0.67), "(0.09; 0.24; 0.67)"),
    ],
)
def test_numbers_from_paper_are_shown_as_they_were_written(written, shown):
    lines = [line.split() for line in str(attention_by_hand(lambda query, keys, values: written)).splitlines()]
    assert ["got", *shown.split()] in lines


@pytest.mark.parametrize(("written", "passes"), [((7.6, 9.1), True), ((7.5, 9.1), True), ((7.4, 9.1), False)])
def test_numbers_from_paper_may_be_rounded(written, passes):
    assert attention_by_hand(lambda query, keys, values: written).passed is passes
