"""The probe lab in a browser: it says what Python says, and reacts to mouse and keyboard."""

import numpy as np
import pytest
from drawn import apart, seen, tops
from explorers import PICTURE, check_named_and_readable, press, reacts, record_words, words

from vit_tutorial.explore import ProbeLab
from vit_tutorial.explore.probe_lab.data import probe_lab_data
from vit_tutorial.explore.probe_lab.numbers import probe_lab_state

BARS = "canvas[role=img]"
NAMES = ["Shirt", "Sneaker", "Bag"]
RANDOM = np.random.default_rng(3)
LABELS = np.arange(24) % 3
PIXELS = RANDOM.integers(0, 256, (24, 1, 28, 28), dtype=np.uint8)
NOISE = RANDOM.normal(size=(24, 6))
FEATURES = {f"after {i} epochs": NOISE + 0.7 * i * np.eye(3, 6)[LABELS] for i in range(4)}
SIDE, RIM = 440, 14


def lab_of(**choices):
    return ProbeLab(FEATURES, PIXELS, LABELS, 9, NAMES, **{"neighbours": 3, "more": True, **choices})


@pytest.fixture(scope="module")
def state_of():
    """`state_of(picture=2)`: what Python says of these choices; the others are those at the beginning."""
    data = probe_lab_data(FEATURES, PIXELS, LABELS, 9, NAMES)

    def state(stage=0, picture=0, neighbours=3):
        return probe_lab_state(data, list(FEATURES)[stage], picture, neighbours)

    return state


def place_of(lab, state, number):
    """Where on the page a dot lies: its number counts all pictures, the labelled ones first."""
    box = lab.page.locator(PICTURE).bounding_box()
    x, y = state.places[number]
    scale = box["width"] / SIDE
    half = SIDE / 2
    return box["x"] + scale * (half + (half - RIM) * x), box["y"] + scale * (half - (half - RIM) * y)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_probe_lab_reacts_to_mouse_and_keys(show, state_of, theme):
    lab = show(lab_of(), theme)
    page = lab.page
    page.locator(PICTURE).focus()
    assert words(lab) == state_of().words
    for key, stage in {"PageUp": 1, "PageDown": 0}.items():
        assert press(lab, key, [PICTURE, BARS]) == state_of(stage).words
    assert press(lab, "+") == state_of(neighbours=4).words
    assert press(lab, "-") == state_of().words
    assert press(lab, "End") == state_of(picture=14).words
    assert press(lab, "Home") == state_of().words
    state = state_of()
    wrong = [i for i in range(1, 15) if state.answers[i] != LABELS[9 + i]]
    assert press(lab, "w") == state_of(picture=wrong[0]).words
    other = wrong[0] + 1
    assert reacts(lab, lambda: page.mouse.move(*place_of(lab, state, 9 + other))) == state_of(picture=other).words
    lab.follow()
    check_named_and_readable(lab, theme)


@pytest.mark.parametrize(("key", "axis", "sign"), [("ArrowRight", 0, 1), ("ArrowLeft", 0, -1), ("ArrowUp", 1, 1)])
def test_an_arrow_key_goes_on_in_its_direction_until_the_edge(show, state_of, key, axis, sign):
    lab = show(lab_of())
    lab.page.locator(PICTURE).focus()
    places = state_of().places[9:]
    by_words = {state_of(picture=i).words: i for i in range(15)}
    along = [places[by_words[words(lab)], axis]]
    for _ in range(15):
        lab.page.keyboard.press(key)
        along.append(places[by_words[words(lab)], axis])
    assert (np.diff(sign * np.array(along)) >= 0).all()
    assert along[-1] == along[-2] != along[0]  # it moved, and it ends


def test_every_control_works_by_mouse(show, state_of):
    lab = show(lab_of())
    page = lab.page
    box = page.locator(BARS).bounding_box()
    line = box["height"] / 4
    assert reacts(lab, lambda: page.mouse.click(box["x"] + 250, box["y"] + 2.5 * line)) == state_of(2).words
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"
    state = state_of(2)
    wrong = [*[i for i in range(1, 15) if state.answers[i] != LABELS[9 + i]], 0]
    assert reacts(lab, page.get_by_role("button", name="Next wrong one (w)").click) == state_of(2, wrong[0]).words
    page.get_by_role("slider", name="Stage").focus()
    assert press(lab, "ArrowLeft") == state_of(1, wrong[0]).words
    page.get_by_role("slider", name="Neighbours that vote").focus()
    assert press(lab, "ArrowRight") == state_of(1, wrong[0], 4).words
    lab.follow()
    lab.set(stage="after 3 epochs", picture=0, neighbours=1)
    assert words(lab) == state_of(3, 0, 1).words


def test_the_neighbours_are_shown_nearest_first_and_nothing_below_them_jumps(show, state_of):
    lab = show(lab_of())
    height = lab.page.locator(BARS).bounding_box()["y"]
    for neighbours in (1, 4):
        lab.set(neighbours=neighbours)
        shown = lab.page.locator(".vit-neighbour:not([hidden]) span:first-child").all_text_contents()
        assert shown == [NAMES[LABELS[i]] for i in state_of(neighbours=neighbours).near]
        assert lab.page.locator(BARS).bounding_box()["y"] == height


@pytest.mark.parametrize(("width", "letters"), [(1200, 16), (390, 16), (390, 24)])
def test_nothing_jumps(show, width, letters):
    names = ["Ankle boot", "Bag", "T-shirt/top"]
    features = dict(zip(("raw pixels", "trained on six other kinds"), FEATURES.values(), strict=False))
    lab = show(ProbeLab(features, PIXELS, LABELS, 9, names, more=True))
    lab.set_letters(letters)
    lab.resize(width, 844)
    before = tops(lab)
    for stage in features:
        for picture in (1, 2, 8, 14):
            lab.set(stage=stage, picture=picture)
            assert tops(lab) == before, (stage, picture)
    lab.set(neighbours=9)
    assert tops(lab)[: len(before)] == before, "nothing lies below the neighbours"


def test_long_names_leave_the_picture_beside_the_map_and_stay_inside(show):
    names = ["West Highland white terrier of a good family from the north", "d" * 80, "Bag"]
    lab = show(ProbeLab(FEATURES, PIXELS, LABELS, 9, names, more=True))
    places = lab.page.locator(f"{PICTURE}, .vit-beside")
    left, beside = places.nth(0).bounding_box(), places.nth(1).bounding_box()
    assert beside["x"] > left["x"] + left["width"]
    lab.resize(360, 844)
    assert lab.page.evaluate("() => document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_dot_and_square_stands_out(show, theme):
    names = list("abcdefgh")
    places = np.array([[np.cos(turn), np.sin(turn)] for turn in np.arange(16) * np.pi / 8])
    labels = np.arange(16) % 8
    lab = show(ProbeLab({"one": places, "two": places}, np.repeat(PIXELS[:1], 16, 0), labels, 8, names), theme)
    shown = seen(lab, PICTURE)
    box = lab.page.locator(PICTURE).bounding_box()
    ground = shown[2, 2]
    state = lab.lab.state()
    for number in range(16):
        if number != 8 + state.picture:
            x, y = place_of(lab, state, number)
            left, top = round(x - box["x"]), round(y - box["y"])
            around = shown[top - 5 : top + 6, left - 5 : left + 6].reshape(-1, 3)
            ring = [colour for colour in around if apart(colour, ground) >= 3]
            assert len(ring) >= 16, names[labels[number]]


def test_no_key_is_lost_and_none_leaves_the_explorer(show, state_of):
    lab = show(lab_of())
    page = lab.page
    page.locator(PICTURE).focus()
    said_since = record_words(lab)
    page.evaluate("() => { document.onkeydown = (event) => document.body.append(event.key) }")
    keys = ["PageUp"] * 3 + ["+"] * 4 + ["End", "Home"] * 3 + ["PageDown"] * 2
    for key in keys:
        page.keyboard.press(key)
    assert len(said_since()) == len(keys)
    page.keyboard.type("bdm")
    assert words(lab) == state_of(1, 0, 7).words
    assert page.evaluate("() => Array.from(document.body.childNodes, (node) => node.nodeType)").count(3) == 0


def test_what_changes_nothing_is_not_sent_and_other_keys_are_the_browsers(show):
    lab = show(lab_of(stage="after 3 epochs"))
    lab.page.locator(PICTURE).focus()
    for key in ("PageUp", "Home", "Control+w", "Alt+x", "b"):
        lab.page.keyboard.press(key)
    assert lab.sent() == []


def test_it_fits_on_a_phone(show):
    lab = show(lab_of(neighbours=9))
    lab.resize(380, 800)
    assert lab.page.locator(PICTURE).bounding_box()["width"] < 350
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 380
    assert lab.page.locator(PICTURE).evaluate("canvas => canvas.vitWidth") < 350  # drawn anew, not made smaller


def test_a_labelled_picture_covers_no_dot_that_is_asked(show):
    """Square 0 lies on dot 0, the chosen one, and on dots 1 and 2, of which one is answered wrongly."""
    places = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    labels = [0, 1, 2, 1, 1, 0]  # three labelled ones, then dots on them: wrong, right, wrong
    lab = show(ProbeLab({"one": places, "two": places}, PIXELS[:6], labels, 3, NAMES, neighbours=1))
    shown = seen(lab, PICTURE)
    box = lab.page.locator(PICTURE).bounding_box()
    state = lab.lab.state()
    for dot, label in enumerate(labels[3:]):
        x, y = place_of(lab, state, 3 + dot)
        colour = lab.page.locator(".vit-key span span").nth(label).evaluate("one => getComputedStyle(one).color")
        there = shown[round(y - box["y"]), round(x - box["x"])]
        assert "rgb({}, {}, {})".format(*there) == colour


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_bars_of_all_stages_stand_out(show, theme):
    shown = seen(show(lab_of(), theme), BARS)
    for stage in range(4):
        assert apart(shown[24 * stage + 12, 180], shown[24 * stage + 1, 180]) >= 3
