"""A verdict says the same in plain text and in HTML."""

import pytest

from exercises.toys import doubled, loops, three_dots, toy
from vit_tutorial.exercises.verdict import COLOURS, SIGNS, Verdict


def test_a_verdict_prints_itself_in_words():
    assert repr(toy()(doubled)) == "✓ double: right on all 3 inputs tried. Twice as much."


def test_a_verdict_in_html_says_the_same_words():
    verdict = toy()(lambda x: x * 3)
    shown = verdict._repr_html_()
    assert "✗ double: wrong on 3 of 3 inputs. The smallest:" in shown
    assert "<pre" in shown
    assert "  expected a tensor of shape [2]: 0, [2]\n  got      a tensor of shape [2]: 0, [3]" in shown
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


PARTS = {"kind": "wrong", "title": "a: wrong", "lines": ["got 1", "in line 2"], "words": ["Looks like b."]}


def test_the_text_is_made_of_the_parts():
    assert Verdict(**PARTS).message == "✗ a: wrong\n  got 1\n  in line 2\n  Looks like b."
    assert str(Verdict("right", "a: right.", note="(Not kept.)")) == "✓ a: right.\n(Not kept.)"


def test_the_html_is_made_of_the_same_parts():
    shown = Verdict(**PARTS, note="(Not kept.)")._repr_html_()
    assert "✗ a: wrong</div>" in shown
    assert ">  got 1\n  in line 2</pre>" in shown
    assert shown.endswith("</pre><div>Looks like b.</div><div>(Not kept.)</div></div>")


def test_lines_and_words_are_told_apart_by_their_part_and_not_by_their_text():
    shown = Verdict(
        "wrong", "a: first\n  second", lines=["This is a line."], words=["  These are words."]
    )._repr_html_()
    assert "✗ a: first<br>  second</div>" in shown
    assert ">  This is a line.</pre>" in shown
    assert "<div>  These are words.</div>" in shown


@pytest.mark.parametrize("kind", ["right", "wrong", "unwritten"])
def test_the_kind_decides_on_sign_colour_and_passing(kind):
    verdict = Verdict(kind, "… ✓ ✗")
    assert verdict.message[0] == SIGNS[kind]
    assert f"solid {COLOURS[kind]};" in verdict._repr_html_()
    assert verdict.passed is (kind == "right")


def test_what_is_below_stands_below_the_words():
    verdict = Verdict(**PARTS, below=["input x = 1"])
    assert verdict.message == "✗ a: wrong\n  got 1\n  in line 2\n  Looks like b.\n  input x = 1"
    assert verdict._repr_html_().endswith(">  input x = 1</pre></div>")


def test_each_kind_has_a_sign_and_a_colour_of_its_own():
    assert len(set(SIGNS.values())) == len(set(COLOURS.values())) == 3
