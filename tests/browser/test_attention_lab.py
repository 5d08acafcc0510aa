"""The attention lab in a browser: it reacts to mouse and keyboard, and says what Python says."""

import re

import numpy as np
import pytest
from drawn import seen, tops
from explorers import GREY_NOISE, PICTURE, check_named_and_readable, reacts, record_words, words

from vit_tutorial.explore import AttentionLab, attention_lab_state

HEAT = "canvas[aria-label^='Map of']"
SCORES = "canvas[aria-label^='Scores of']"
WEIGHTS = np.exp(2 * np.random.default_rng(1).normal(size=(3, 4, 50, 50)))
WEIGHTS /= WEIGHTS.sum(-1, keepdims=True)
MAPS = WEIGHTS.astype(np.float16)
BEFORE = (np.log(WEIGHTS) + 2).astype(np.float32)


def attention_lab():
    return AttentionLab(GREY_NOISE, WEIGHTS, 7, class_names=["shirt", "shoe"], prediction=[0.25, 0.75], more=True)


def with_scores():
    return AttentionLab(GREY_NOISE, WEIGHTS, 7, scores=BEFORE, more=True)


def patches(lab, canvas):
    """The colours in the middles of the 49 patches of a map: [49, 3]."""
    drawn = lab.page.locator(canvas).evaluate(
        """canvas => Array.from({ length: 49 }, (_, i) => {
            const step = canvas.width / 7;
            const [x, y] = [((i % 7) + 0.5) * step, (Math.floor(i / 7) + 0.5) * step];
            return Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data);
        })"""
    )
    return np.array(drawn)[:, :3]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_attention_lab_reacts_to_mouse_and_keys(show, theme):
    lab = show(attention_lab(), theme)
    page = lab.page

    def python_says(layer, head, query):
        return attention_lab_state(MAPS, 7, layer, head, query).words

    assert words(lab) == python_says(2, -1, 0)
    assert page.get_by_text("The model says: shoe 75.0%, shirt 25.0%").is_visible()
    box = page.locator(PICTURE).bounding_box()
    cell = box["width"] / 7
    at = (box["x"] + 3.5 * cell, box["y"] + 1.5 * cell)
    assert reacts(lab, lambda: page.mouse.click(*at), [PICTURE, HEAT]) == python_says(2, -1, 11)
    for key, query in {"ArrowDown": 18, "ArrowRight": 19, "ArrowUp": 12, "ArrowLeft": 11, "Home": 1, "End": 49}.items():
        assert reacts(lab, lambda key=key: page.keyboard.press(key), [PICTURE, HEAT]) == python_says(2, -1, query)
    assert reacts(lab, lambda: page.keyboard.press("c")) == python_says(2, -1, 0)
    assert page.get_by_role("button", name="Class token looks").get_attribute("aria-pressed") == "true"
    page.keyboard.press("c")
    assert words(lab) == python_says(2, -1, 0), "c again keeps the class token"
    assert reacts(lab, lambda: page.keyboard.press("ArrowUp")) == python_says(2, -1, 49), "back to the patch before"
    assert reacts(lab, lambda: page.keyboard.press("PageDown"), [HEAT]) == python_says(1, -1, 49)
    page.get_by_role("slider", name="Head", exact=True).focus()
    assert reacts(lab, lambda: page.keyboard.press("ArrowRight"), [HEAT]) == python_says(1, 0, 49)
    page.get_by_role("slider", name="Layer", exact=True).focus()
    assert reacts(lab, lambda: page.keyboard.press("ArrowLeft"), [HEAT]) == python_says(0, 0, 49)
    clicked = page.get_by_role("button", name="Class token looks").click
    assert reacts(lab, clicked, [HEAT]) == python_says(0, 0, 0)
    clicked()
    assert words(lab) == python_says(0, 0, 0), "the button again keeps the class token"
    top = [line.split("\t")[:2] for line in page.locator(".vit-top tr").all_inner_texts()]
    state = attention_lab_state(MAPS, 7, 0, 0, 0)
    assert [int(re.search(r"patch (\d+)", name).group(1)) for name, _ in top] == [patch for patch, _ in state.top]
    lab.follow()
    check_named_and_readable(lab, theme)


def test_attention_lab_shows_the_weights_as_colours(show):
    lab = show(attention_lab())
    lab.page.get_by_role("slider", name="Head", exact=True).focus()
    reacts(lab, lambda: lab.page.keyboard.press("ArrowRight"), [HEAT])
    drawn = patches(lab, HEAT)
    weights = attention_lab_state(MAPS, 7, 2, 0, 0).weights.reshape(-1)
    brightness = drawn @ [0.3, 0.59, 0.11]
    order = np.argsort(weights)
    assert (np.diff(brightness[order]) >= -1.5).all(), "viridis grows brighter with the weight"
    assert drawn[order[-1]].tolist() == [253, 231, 37]
    lab.page.locator(PICTURE).focus()
    reacts(lab, lambda: lab.page.keyboard.press("Home"), [PICTURE, HEAT])
    for canvas in (PICTURE, HEAT):
        corner = "canvas => Array.from(canvas.getContext('2d').getImageData(1, 1, 1, 1).data)"
        assert lab.page.locator(canvas).evaluate(corner) == [255, 255, 255, 255], "patch 0 is framed in white"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_scores_stand_beside_the_weights(show, theme):
    lab = show(with_scores(), theme)
    page = lab.page

    def python_says(layer, head, query, temperature=1.0):
        return attention_lab_state(MAPS, 7, layer, head, query, scores=BEFORE, temperature=temperature).words

    assert words(lab) == python_says(2, 0, 0)
    page.locator(PICTURE).focus()
    assert reacts(lab, lambda: page.keyboard.press("End"), [PICTURE, HEAT, SCORES]) == python_says(2, 0, 49)
    assert reacts(lab, lambda: page.keyboard.press("Home"), [PICTURE, HEAT, SCORES]) == python_says(2, 0, 1)
    drawn = patches(lab, SCORES)[1:]  # patch 0, the query, is framed
    row = BEFORE[2, 0, 1, 2:]
    assert ((drawn[:, 0] > drawn[:, 2]) == (row > 0))[np.abs(row) > 0.1].all(), "red is positive, blue negative"
    strength = np.sign(row) * (drawn.max(1) - drawn.min(1))
    assert np.corrcoef(strength, row)[0, 1] > 0.9, "the larger the score, the deeper the colour"
    assert "Of all 50 tokens: largest" in page.get_by_text("Of all 50 tokens").first.inner_text()
    scores_before = patches(lab, SCORES)
    assert reacts(lab, lambda: page.keyboard.press("+"), [PICTURE, HEAT]) == python_says(2, 0, 1, 1.1)
    assert (patches(lab, SCORES) == scores_before).all(), "the scores know no temperature"
    page.keyboard.press("-")
    assert reacts(lab, lambda: page.keyboard.press("-"), [PICTURE, HEAT]) == python_says(2, 0, 1, 0.9)
    page.get_by_role("slider", name="Head", exact=True).focus()
    assert reacts(lab, lambda: page.keyboard.press("ArrowLeft"), [HEAT, SCORES]) == python_says(2, -1, 1, 0.9)
    assert page.get_by_text("Scores, mean of the heads").first.is_visible()
    page.get_by_role("slider", name="Temperature", exact=True).focus()
    assert reacts(lab, lambda: page.keyboard.press("End"), [HEAT]) == python_says(2, -1, 1, 5.0)
    assert reacts(lab, lambda: page.keyboard.press("Home"), [HEAT]) == python_says(2, -1, 1, 0.1)
    lab.follow()
    assert reacts(lab, lambda: lab.set(temperature=0.25), [HEAT]) == python_says(2, -1, 1, 0.25)
    assert page.get_by_role("slider", name="Temperature", exact=True).get_attribute("aria-valuetext") == "0.25"
    check_named_and_readable(lab, theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_one_key_is_read_out(show, theme):
    lab = show(with_scores(), theme)
    page = lab.page

    def state(query, key, **changes):
        return attention_lab_state(MAPS, 7, 2, 0, query, scores=BEFORE, key=key, **changes)

    def read_out():
        return page.locator(".vit-reading:visible").inner_text()

    assert read_out() == "No key is marked: point at a patch in a map."
    for canvas, patch in ((HEAT, 18), (SCORES, 40)):
        box = page.locator(canvas).bounding_box()
        at = (box["x"] + (patch % 7 + 0.5) * box["width"] / 7, box["y"] + (patch // 7 + 0.5) * box["height"] / 7)
        assert reacts(lab, lambda at=at: page.mouse.move(*at), [PICTURE, HEAT, SCORES]) == state(0, patch + 1).words
        assert read_out().lower() == f"{state(0, patch + 1).reading}.".lower()
    lab.follow()
    assert (lab.lab.key, lab.lab.query) == (41, 0)
    page.locator(PICTURE).focus()
    for key, token in {"ArrowUp": 34, "ArrowRight": 35, "ArrowDown": 42, "ArrowLeft": 41}.items():
        said = reacts(lab, lambda key=key: page.keyboard.press(f"Shift+{key}"), [PICTURE, HEAT, SCORES])
        assert said == state(0, token).words
    assert reacts(lab, lambda: page.keyboard.press("Home"), [HEAT, SCORES]) == state(1, 41).words
    assert reacts(lab, lambda: page.keyboard.press("-")) == state(1, 41, temperature=0.9).words
    assert reacts(lab, lambda: page.keyboard.press("+")) == state(1, 41).words
    assert reacts(lab, lambda: page.keyboard.press("Escape"), [HEAT, SCORES]) == state(1, None).words
    most = state(1, None).top[0][0]
    assert reacts(lab, lambda: page.keyboard.press("Shift+ArrowUp"), [HEAT, SCORES]) == state(1, most + 1).words
    lab.follow()
    assert reacts(lab, lambda: lab.set(key=0)) == state(1, 0).words
    assert read_out().startswith("The class token: score ")
    check_named_and_readable(lab, theme)


def test_a_small_weight_is_not_read_out_as_nothing(show):
    maps = np.full((1, 1, 5, 5), 0.25)
    maps[..., 3:] = 0.00037, 0
    maps[..., 0] += 0.24963
    lab = show(AttentionLab(np.zeros((4, 4), np.uint8), maps, 2, key=3, more=True))
    read_out = lab.page.locator(".vit-reading:visible")
    assert read_out.inner_text() == "Patch 2 (row 1, column 0): weight 0.037%."
    lab.follow()
    lab.page.locator(PICTURE).focus()
    reacts(lab, lambda: lab.page.keyboard.press("Shift+ArrowRight"), [PICTURE, HEAT])
    assert read_out.inner_text() == "Patch 3 (row 1, column 1): weight <0.001%."
    lab.follow()


def test_without_scores_nothing_is_said_of_them(show):
    lab = show(attention_lab())
    assert lab.page.get_by_label("Temperature").count() == 0
    assert lab.page.locator(SCORES).count() == 0
    lab.page.locator(PICTURE).focus()
    lab.page.keyboard.press("+")
    assert lab.chosen()["temperature"] == 1
    assert lab.sent() == []


def test_no_key_is_lost_and_none_leaves_the_explorer(show):
    lab = show(attention_lab())
    page = lab.page
    page.locator(PICTURE).focus()
    page.keyboard.press("Home")
    said_since = record_words(lab)
    page.evaluate("() => { document.onkeydown = (event) => document.body.append(event.key) }")
    for key in ["ArrowRight"] * 6 + ["ArrowDown"] * 6 + ["ArrowLeft"] * 6:
        page.keyboard.press(key)
    said = said_since()
    page.keyboard.type("abxdm")
    assert words(lab) == said[-1]
    path = [*range(1, 7), *range(13, 49, 7), *range(47, 41, -1)]
    assert [int(re.search(r": patch (\d+)", text).group(1)) for text in said] == path
    assert (
        page.locator("body").evaluate("body => Array.from(body.childNodes, (node) => node.nodeValue)").count("a") == 0
    )
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"


def test_colours_of_weights_begin_at_0_percent_and_those_of_scores_show_0(show):
    scales = show(with_scores()).page.locator(".vit-scale").all_inner_texts()
    assert [text.split("\n")[0] for text in scales if text.count("%") == 2] == ["0%"] * 2
    assert [text.split("\n")[1] for text in scales if "%" not in text] == ["0"]


@pytest.mark.parametrize(("width", "letters"), [(390, 16), (360, 24), (1200, 16)])
def test_another_choice_moves_nothing_below(show, width, letters):
    lab = show(with_scores())
    lab.set_letters(letters)
    lab.resize(width, 844)
    places = set()
    keys = [{"key": key, "temperature": 0.1} for key in (None, *range(40, 50))]  # of many the weight is tiny
    for choices in (*keys, {"query": 49}, {"query": 3}, {"head": -1}, {"layer": 0}):
        lab.set(**choices)
        places.add(tuple(tops(lab)))
    assert len(places) == 1


def test_the_mark_stays_inside_the_picture(show):
    lab = show(attention_lab())
    lab.set(query=49)
    shown = seen(lab, PICTURE)
    assert [shown[-20, -1 - i].tolist() for i in (0, 2)] == [[0, 0, 0], [255, 255, 255]]
