"""Attention in the plane in a browser: it reacts to mouse and keyboard, and says what Python says."""

import re

import numpy as np
import pytest
from explorers import (
    PICTURE,
    check_named_and_readable,
    contrast,
    press,
    reacts,
    record_letters,
    record_words,
    wait_for_words,
    words,
)

from vit_tutorial.explore import AttentionPlane, attention_plane_state
from vit_tutorial.explore.attention_plane.numbers import PRESETS
from vit_tutorial.explore.words import decimals, fine_percent

WIDTH, HEIGHT, TOP, ACROSS, SECOND = 912, 366, 22, 440, 472
HAND = {  # all numbers are easy
    "q": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    "k": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    "v": [[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]],
    "query": 0,
}
ON_WHITE = ("#0072b2", "#d55e00", "#007a5a")


def spot(point, plane=0):
    """Where a point lies in the canvas, with axes to 2 for queries and keys and from -2 to 12 for values."""
    high = HEIGHT - TOP
    unit = (high - 24) / (4, 14)[plane]  # a mark has room at each end
    middle = 0 if plane == 0 else 5
    left = (0, SECOND)[plane] + ACROSS / 2
    return left + (point[0] - middle) * unit, TOP + high / 2 - (point[1] - middle) * unit


def on_page(lab, x, y):
    box = lab.page.locator(PICTURE).bounding_box()
    scale = box["width"] / WIDTH
    return box["x"] + scale * x, box["y"] + scale * y


def moved(which, token, point, **changes):
    """The hand example with one vector somewhere else."""
    points = [list(point) if i == token else one for i, one in enumerate(HAND[which])]
    return HAND | {which: points} | changes


def says(**state):
    return attention_plane_state(**(HAND | state)).words


def drag(lab, start, end):
    """Press the mouse on a point, move in three steps, and let go."""
    page = lab.page
    page.mouse.move(*on_page(lab, *start))
    page.mouse.down()
    page.mouse.move(*on_page(lab, *end), steps=3)
    page.mouse.up()


def tables(lab):
    """The four tables as they are shown: lists of rows of text."""
    return lab.page.locator(".vit-matrix").evaluate_all(
        """tables => tables.map(table => Array.from(table.tBodies[0].rows, row =>
            Array.from(row.querySelectorAll("td"), cell => cell.textContent)))"""
    )


def expected_tables(**state):
    state = attention_plane_state(**(HAND | state))
    hidden = state.scaled == -np.inf
    weights = np.where(hidden, -np.inf, state.weights)
    steps = [(state.scores, decimals, ""), (state.scaled, decimals, "-inf"), (weights, fine_percent, "0.0%")]
    return [
        [[masked if number == -np.inf else write(number) for number in row] for row in rows]
        for rows, write, masked in [*steps, (state.outputs, decimals, "")]
    ]


def is_colour_of(lab, token, place):
    """Whether a place of the canvas has a token's colour."""
    drawn = lab.page.locator(PICTURE).evaluate(
        """(canvas, [x, y]) => {
            const unit = canvas.width / 912;
            return Array.from(canvas.getContext("2d").getImageData(unit * x, unit * y, 1, 1).data);
        }""",
        place,
    )
    wanted = [int(ON_WHITE[token][start : start + 2], 16) for start in (1, 3, 5)]
    return np.abs(np.array(drawn[:3]) - wanted).max() < 40


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_arrows_are_dragged_and_moved_with_keys(show, theme):
    lab = show(AttentionPlane(more=True, **HAND), theme)
    assert words(lab) == says()
    reacts(lab, lambda: drag(lab, spot((1, 0)), spot((0.4, -1.2))))
    state = moved("q", 0, (0.4, -1.2))
    wait_for_words(lab, says(**state))
    assert tables(lab) == expected_tables(**state)
    reacts(lab, lambda: drag(lab, spot((1, 0)), spot((-1.5, 1))))  # where q0 was, k0 is left
    state["k"] = moved("k", 0, (-1.5, 1))["k"]
    wait_for_words(lab, says(**state, chosen="k0"))
    reacts(lab, lambda: drag(lab, spot((10, 0), 1), spot((2.5, 4), 1)))
    state["v"] = moved("v", 0, (2.5, 4))["v"]
    wait_for_words(lab, says(**state, chosen="v0"))
    assert tables(lab) == expected_tables(**state)
    lab.follow()
    assert np.array_equal([lab.lab.q, lab.lab.k, lab.lab.v], [state[kind] for kind in "qkv"])
    assert press(lab, "ArrowRight") == says(**(state | {"v": moved("v", 0, (3, 4))["v"]}), chosen="v0")
    assert press(lab, "2") == says(**(state | {"v": moved("v", 0, (3, 4))["v"]}), chosen="v2")
    check_named_and_readable(lab, theme)


def test_everything_is_done_with_keys(show):
    lab = show(AttentionPlane(more=True, **HAND))
    lab.page.locator(PICTURE).focus()
    assert press(lab, "ArrowRight") == says(**moved("q", 0, (1.1, 0)))
    assert press(lab, "Shift+ArrowUp") == says(**moved("q", 0, (1.1, 1)))
    assert press(lab, "Shift+ArrowLeft") == says(**moved("q", 0, (0.1, 1)))
    assert press(lab, "ArrowDown") == says(**moved("q", 0, (0.1, 0.9)))
    state = moved("q", 0, (0.1, 0.9))
    assert press(lab, "1") == says(**(state | {"query": 1, "chosen": "q1"}))
    assert press(lab, "k") == says(**(state | {"query": 1, "chosen": "k1"}))
    assert press(lab, "v") == says(**(state | {"query": 1, "chosen": "v1"}))
    assert press(lab, "End") == says(**(state | {"query": 1, "chosen": "v2"}))
    state |= {"query": 0, "chosen": "q0"}
    assert press(lab, "Home") == says(**state)
    assert press(lab, "s") == says(**state, scaled=False)
    assert press(lab, "x") == says(**state, scaled=False, mask="causal")
    assert tables(lab) == expected_tables(**state, scaled=False, mask="causal")
    assert press(lab, "PageUp") == says(**(state | {"query": 1}), scaled=False, mask="causal")
    assert press(lab, "x") == says(**(state | {"query": 1}), scaled=False, mask="padding")
    assert press(lab, "PageDown") == says(**state, scaled=False, mask="padding")
    assert press(lab, "+") == says(**state, scaled=False, mask="padding", temperature=1.1)
    press(lab, "-")
    assert press(lab, "-") == says(**state, scaled=False, mask="padding", temperature=0.9)
    assert tables(lab) == expected_tables(**state, scaled=False, mask="padding", temperature=0.9)
    said = press(lab, "b")
    first = PRESETS["by hand"]._asdict() | {"chosen": "q2"}
    assert said == says(**first), "a beginning sets scaling, temperature and mask too"
    lab.follow()
    assert lab.lab.words() == said


def test_every_control_works(show):
    lab = show(AttentionPlane(more=True, **HAND))
    page = lab.page
    for preset, begin in list(PRESETS.items())[:0:-1]:
        choose = page.get_by_label("Begin with")
        said = reacts(lab, lambda preset=preset, choose=choose: choose.select_option(preset))
        assert said == says(**begin._asdict(), chosen=f"q{begin.query}")
        assert tables(lab) == expected_tables(**begin._asdict())
    state = PRESETS["all keys equal"]._asdict()
    follow = page.get_by_role("button", name="query 2")
    assert reacts(lab, follow.click) == says(**(state | {"query": 2}))
    assert follow.get_attribute("aria-pressed") == "true"
    assert reacts(lab, page.locator(".vit-matrix").nth(2).get_by_text("q1").click) == says(**(state | {"query": 1}))
    state |= {"query": 1, "chosen": "k2"}
    assert reacts(lab, page.get_by_role("button", name="k2", exact=True).click) == says(**state)
    assert press(lab, "ArrowUp") == says(**(state | {"k": [[1, 1], [1, 1], [1, 1.1]]})), "the picture has the focus"
    assert press(lab, "ArrowDown") == says(**state)
    first = page.get_by_label("Its first number")
    assert first.input_value() == "1"
    first.fill("-3.25")
    state["k"] = [[1, 1], [1, 1], [-3.25, 1]]
    assert reacts(lab, lambda: first.press("Enter")) == says(**state)
    second = page.get_by_label("Its second number")
    second.fill("99")
    state["k"] = [[1, 1], [1, 1], [-3.25, 8]]
    assert reacts(lab, lambda: second.press("Enter")) == says(**state)
    assert second.input_value() == "8"
    assert page.get_by_label("Begin with").input_value() == "your own"
    assert reacts(lab, page.get_by_label("divide by").click) == says(**state, scaled=False)
    page.get_by_label("Temperature").focus()
    assert press(lab, "ArrowRight") == says(**state, scaled=False, temperature=1.1)
    assert press(lab, "End") == says(**state, scaled=False, temperature=5.0)
    chosen = page.get_by_label("Mask")
    assert reacts(lab, lambda: chosen.select_option("padding")) == says(
        **state, scaled=False, temperature=5.0, mask="padding"
    )
    lab.follow()
    assert repr(lab.lab) == "AttentionPlane(scaled=False, temperature=5, mask='padding')"
    lab.set(temperature=0.25, k=(np.array(state["k"]) - 1 / 3).tolist())
    assert page.get_by_label("Temperature").get_attribute("aria-valuetext") == "0.25"
    assert [first.input_value(), second.input_value()] == ["-3.58", "7.67"]


def test_a_small_weight_is_not_shown_as_nothing(show):
    lab = show(AttentionPlane(more=True, **HAND))
    page = lab.page
    for temperature, shown in ((1.0, "0.0012%"), (0.1, "<0.001%")):
        lab.set(q=[[8, -8], [0, 1], [1, 1]], temperature=temperature)
        state = moved("q", 0, (8, -8), temperature=temperature)
        wait_for_words(lab, says(**state))
        assert tables(lab) == expected_tables(**state)
        assert tables(lab)[2][0][1] == shown
    assert page.get_by_text("n is 3 for three equal weights, and 1 if one key takes all").is_visible()


def test_a_click_where_two_lie_takes_the_other_one(show):
    lab = show(AttentionPlane(more=True, **HAND))
    click = lambda: lab.page.mouse.click(*on_page(lab, *spot((1, 0))))  # noqa: E731
    assert reacts(lab, click) == says(chosen="k0")
    assert reacts(lab, click) == says(chosen="q0")
    assert reacts(lab, lambda: lab.page.mouse.click(*on_page(lab, *spot((1, 1))))) == says(query=2, chosen="q2")
    lab.page.mouse.click(*on_page(lab, *spot((-1.5, -1.5))))
    assert words(lab) == says(query=2, chosen="q2"), "nothing lies there"


def test_axes_keep_still_while_something_is_dragged(show):
    lab = show(AttentionPlane(more=True, **HAND))
    page = lab.page
    page.mouse.move(*on_page(lab, *spot((1, 0))))
    page.mouse.down()
    page.mouse.move(*on_page(lab, *spot((2.5, 0))), steps=2)
    wait_for_words(lab, says(**moved("q", 0, (2.5, 0))))
    assert is_colour_of(lab, 1, spot((0, 0.6))), "query 1 stays where it was drawn"
    page.mouse.move(*on_page(lab, *spot((1.5, 0.5))), steps=2)
    wait_for_words(lab, says(**moved("q", 0, (1.5, 0.5))))
    page.mouse.up()
    drag(lab, spot((1.5, 0.5)), spot((40, 0)))  # out of the picture: the axes follow when the button is let go
    wait_for_words(lab, says(**moved("q", 0, (8, 0))))
    lab.follow()
    assert lab.lab.q[0] == [8.0, 0.0]
    assert not is_colour_of(lab, 1, spot((0, 0.6))), "the axes reach further now, so query 1 is shorter"


def test_one_plane_lies_below_the_other_where_there_is_little_room(show):
    lab = show(AttentionPlane(more=True, **HAND))
    lab.resize(620, 1400)
    assert lab.page.locator(PICTURE).evaluate("canvas => canvas.vitWidth") == 440
    box = lab.page.locator(PICTURE).bounding_box()
    assert box["height"] > 1.5 * box["width"]
    start, end = (spot(point, 1) for point in ((5, 5), (7.5, 8)))
    start, end = ((x - SECOND, y + HEIGHT) for x, y in (start, end))
    scale = box["width"] / 440
    lab.page.mouse.move(box["x"] + scale * start[0], box["y"] + scale * start[1])
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + scale * end[0], box["y"] + scale * end[1], steps=2)
    lab.page.mouse.up()
    wait_for_words(lab, says(**moved("v", 2, (7.5, 8)), chosen="v2"))


def test_points_are_drawn_where_the_numbers_are(show):
    lab = show(AttentionPlane(more=True, preset="one long query", mask="causal", q=[[-1.5, 1], [1, 0.5], [0.5, -1.5]]))
    state = attention_plane_state(
        **(PRESETS["one long query"]._asdict() | {"q": [[-1.5, 1], [1, 0.5], [0.5, -1.5]], "mask": "causal"})
    )
    assert words(lab).startswith(state.words.split(" Output")[0])
    along = [spot(0.6 * np.array(point)) for point in ([-1.5, 1], [1, 0.5], [0.5, -1.5])]
    dots = [spot(point, 1) for point in state.outputs]
    for token, (arrow, dot) in enumerate(zip(along, dots, strict=True)):
        for place in (arrow, dot):
            assert is_colour_of(lab, token, place), (token, place)


def test_scores_have_two_signs_and_weights_one_colour(show):
    lab = show(AttentionPlane(more=True, preset="three directions"))
    colours = lab.page.locator(".vit-matrix").evaluate_all(
        "tables => tables.map(table => Array.from(table.querySelectorAll('td[style]'), cell => cell.style.background))"
    )
    state = attention_plane_state(**PRESETS["three directions"]._asdict())
    for shown, numbers in zip(colours[:2], (state.scores, state.scaled), strict=True):
        for colour, number in zip(shown, numbers.ravel(), strict=True):
            red, _, blue, strength = map(float, re.findall(r"[\d.]+", colour))
            assert (red > blue) == (number > 0)
            assert strength == pytest.approx(0.55 * abs(number) / np.abs(numbers).max(), abs=0.01)
    strengths = [float(re.findall(r"[\d.]+", colour)[3]) for colour in colours[2]]
    assert strengths == pytest.approx((0.45 * state.weights).ravel(), abs=0.01)


def test_a_change_from_code_is_drawn(show):
    lab = show(AttentionPlane(more=True, **HAND))
    state = {"q": [[0, 2], [2, 0], [0, 0]], "mask": "padding", "query": 2}
    assert reacts(lab, lambda: lab.set(**state)) == says(**state)
    assert tables(lab) == expected_tables(**state)
    said = reacts(lab, lambda: lab.set(**PRESETS["three directions"]._asdict(), chosen="q0"))
    assert said == says(**PRESETS["three directions"]._asdict(), mask="padding")
    assert lab.page.get_by_label("Begin with").input_value() == "three directions"


def test_no_key_is_lost_and_keys_stay_inside(show):
    lab = show(AttentionPlane(more=True, **HAND))
    lab.page.locator(PICTURE).focus()
    said_since = record_words(lab)
    for key in [*["ArrowRight"] * 8, *["ArrowUp"] * 5, *"abdsmk"]:
        lab.page.keyboard.press(key)
    numbers = [re.search(r"move \w+, \(([-\d.]+), ([-\d.]+)\)", text).groups() for text in said_since()]
    right = [(f"{1 + 0.1 * step:.2f}", "0.00") for step in range(1, 9)]
    assert numbers[:13] == [*right, *[("1.80", f"{0.1 * step:.2f}") for step in range(1, 6)]]
    assert len(numbers) == 17


def pixels_in(lab, left, top, right, bottom):
    """The colours of a part of the canvas on the ground of the explorer, and this ground: [n, 3] and [3]."""
    drawn = lab.page.locator(PICTURE).evaluate(
        """(canvas, [x, y, wide, high]) => {
            const unit = canvas.width / canvas.vitWidth;
            const all = [x, y, wide, high].map((one) => Math.round(unit * one));
            return Array.from(canvas.getContext("2d").getImageData(...all).data);
        }""",
        [left, top, right - left, bottom - top],
    )
    ground = lab.page.locator(".vit-lab").evaluate("root => getComputedStyle(root).backgroundColor")
    ground = np.array([int(number) for number in re.findall(r"\d+", ground)])
    drawn = np.reshape(drawn, (-1, 4))
    opaque = drawn[:, 3:] / 255
    return np.round(opaque * drawn[:, :3] + (1 - opaque) * ground).astype(int), ground


@pytest.mark.parametrize(("width", "theme"), [(1200, "light"), (1200, "dark"), (390, "light")])
def test_a_name_stands_on_a_ground_of_its_own_and_meets_no_number_of_the_axes(show, width, theme):
    lab = show(AttentionPlane(), theme)
    written = record_letters(lab)
    lab.page.evaluate("() => { window.vitMuted = /^(q|k|v|out)[ 0-9]/ }")
    for preset in PRESETS.values():
        lab.set(**preset._asdict(), chosen=f"q{preset.query}")
        lab.resize(width, 840)
        lab.resize(width, 844)
        lab.set(temperature=lab.lab.temperature + 0.1)
        letters = written()
        first = max(i for i, one in enumerate(letters) if one["text"].startswith("Queries"))  # drawn last
        names = [one for one in letters[first:] if re.match(r"(q|k|v|out )\d", one["text"])]
        numbers = [one["box"] for one in letters[first:] if re.fullmatch(r"-?\d+", one["text"])]
        assert len(names) >= 4
        assert len(numbers) >= 6
        for name in names:
            left, top, right, bottom = name["box"]
            found, ground = pixels_in(lab, left + 1, top + 1, right - 1, bottom - 1)
            assert (found == ground).all(), name
            for box in numbers:
                assert box[2] <= left or right <= box[0] or box[3] <= top or bottom <= box[1], (name, box)


def test_a_number_of_the_axes_stands_neither_in_the_mark_nor_on_a_point(show):
    lab = show(AttentionPlane(**(HAND | {"q": [[2, 0], [0, 1], [1, 1]], "v": [[8, -0.5], [-0.5, 8], [5, 5]]})))
    written = record_letters(lab)
    lab.set(temperature=0.9)
    places = [(spot((2, 0)), 11), (spot((8, -0.5), 1), 6), (spot((-0.5, 8), 1), 6)]
    texts = written()
    assert [one["text"] for one in texts].count("4") == 2, "where there is no point, a number stays"
    for one in texts:
        left, top, right, bottom = one["box"]
        for (x, y), reach in places:
            assert not (left < x + reach and right > x - reach and top < y + reach and bottom > y - reach), one["text"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_keys_stand_out_from_the_ground(show, theme):
    lab = show(AttentionPlane(**(HAND | {"q": [[-1, 0], [0, -1], [-1, -1]]})), theme)
    for key in HAND["k"]:
        x, y = spot(0.5 * np.array(key))
        aside = np.array([key[1], key[0]]) / np.hypot(*key) * 4  # on the canvas, across the arrow, to its edge
        for sign in (1, -1):
            left, top = np.array([x, y]) + sign * aside - 1.5
            found, ground = pixels_in(lab, left, top, left + 3, top + 3)
            best = max(contrast(*(f"rgb{tuple(one.tolist())}" for one in (colour, ground))) for colour in found)
            assert best >= 3, (key, sign, best)


def test_large_letters_find_their_room_on_a_phone(show):
    lab = show(AttentionPlane(more=True))
    lab.set_letters(24)
    lab.resize(360, 844)
    written = record_letters(lab)
    nothing, far = np.zeros((3, 2)).tolist(), [[8, 8], [-8, -8], [8, -8]]
    for points in (dict.fromkeys("qkv", nothing), {"q": far, "k": far, "temperature": 0.1}):
        lab.set(**points)
        for one in written():
            assert one["box"][0] >= 0, "it is pressed together"
            assert one["box"][2] <= one["canvas"]["width"]
        assert lab.page.evaluate("document.documentElement.scrollWidth") <= 360
