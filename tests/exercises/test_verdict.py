"""A verdict says the same in plain text and in HTML."""

import pytest

from exercises.toys import doubled, loops, three_dots, toy
from vit_tutorial.exercises.verdict import Verdict


def test_a_verdict_prints_itself_in_words():
    assert repr(toy()(doubled)) == "✓ double: right on all 3 inputs tried. Twice as much."


def test_a_verdict_in_html_says_the_same_words():
    verdict = toy()(lambda x: x * 3)
    shown = verdict._repr_html_()
    assert "✗ double: wrong on 3 of 3 inputs. The smallest:" in shown
    assert "<pre" in shown
    assert "  expected a tensor of shape [2]: 0, 2\n  got      a tensor of shape [2]: 0, 3" in shown
    assert "This looks like: you tripled." in shown.partition("</pre>")[2]


@pytest.mark.usefixtures("impatient")
def test_html_takes_the_colours_of_the_theme():
    for verdict in (toy()(doubled), toy()(loops), toy()(three_dots)):
        shown = verdict._repr_html_()
        assert "background: #" not in shown
        assert " color: #" not in shown
        assert shown.count('"') % 2 == 0


def test_html_shows_signs_of_code_as_they_are():
    shown = Verdict("wrong", "a: x < 1 & y", ["input    <b>bold</b>"])._repr_html_()
    assert "x &lt; 1 &amp; y" in shown
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown
