"""The signal lab in a browser: it reacts to mouse and keyboard, and says what Python says."""

import re
from dataclasses import asdict

import numpy as np
import pytest
from explorers import PICTURE, check_named_and_readable, press, reacts, record_letters, record_words, words

from vit_tutorial.explore import SignalLab, SignalSetting, signal_lab_state
from vit_tutorial.explore.signal_lab.numbers import CEILING, GROUND, NORMS, axis_ends, say

WIDTH, GAP, LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 912, 16, 44, 6, 42, 34, 284
CHART = (WIDTH - 2 * GAP) / 3
INNER = CHART - LEFT - RIGHT
ON_WHITE = {0: "#1a1a1a", 1: "#0072b2", 2: "#d55e00"}


def place_of(lab, chart, block, longest):
    """Where on the page a block's column in a chart lies."""
    box = lab.page.locator(PICTURE).bounding_box()
    scale = box["width"] / WIDTH
    x = chart * (CHART + GAP) + LEFT + (block - 0.5) / longest * INNER
    return box["x"] + scale * x, box["y"] + scale * HEIGHT / 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_signal_lab_reacts_to_mouse_and_keys(show, theme):
    lab = show(SignalLab(more=True), theme)
    assert words(lab) == signal_lab_state(SignalSetting()).words
    for chart, block in ((0, 3), (1, 12), (2, 7)):
        at = place_of(lab, chart, block, 12)
        assert reacts(lab, lambda at=at: lab.page.mouse.move(*at)) == signal_lab_state(SignalSetting(), block).words
    lab.page.mouse.click(*place_of(lab, 0, 7, 12))
    for key, block in {"ArrowRight": 8, "ArrowLeft": 7, "End": 12, "Home": 1}.items():
        assert press(lab, key) == signal_lab_state(SignalSetting(), block).words
    lab.page.keyboard.press("ArrowLeft")
    assert words(lab) == signal_lab_state(SignalSetting(), 1).words
    assert press(lab, "PageUp") == signal_lab_state(SignalSetting(24)).words
    assert press(lab, "End") == signal_lab_state(SignalSetting(24), 24).words
    assert press(lab, "PageDown") == signal_lab_state(SignalSetting(12), 12).words
    assert press(lab, "n") == signal_lab_state(SignalSetting(12, "post"), 12).words
    assert press(lab, "r") == signal_lab_state(SignalSetting(12, "post", False), 12).words
    assert press(lab, "ArrowUp") == signal_lab_state(SignalSetting(12, "post", False, 2.0), 12).words
    lab.page.keyboard.press("ArrowUp")
    assert press(lab, "ArrowDown") == signal_lab_state(SignalSetting(12, "post", False), 12).words
    assert press(lab, "ArrowDown") == signal_lab_state(SignalSetting(12, "post", False, 0.5), 12).words
    lab.follow()
    check_named_and_readable(lab, theme)


def test_every_setting_is_found_through_the_controls(show):
    lab = show(SignalLab(more=True))
    page = lab.page
    for norm in NORMS[1:]:
        said = reacts(lab, lambda norm=norm: page.get_by_label("Norm", exact=True).select_option(norm))
        assert said == signal_lab_state(SignalSetting(12, norm)).words
    for depth in (24, 2, 6):
        said = reacts(lab, lambda depth=depth: page.get_by_label("Blocks", exact=True).select_option(str(depth)))
        assert said == signal_lab_state(SignalSetting(depth, "none")).words
    assert (
        reacts(lab, page.get_by_label("x + branch(x)").click) == signal_lab_state(SignalSetting(6, "none", False)).words
    )
    for scale in (0.25, 2.0, 0.5):
        said = reacts(lab, lambda s=scale: page.get_by_label("Initial scale", exact=True).select_option(f"{s:g}"))
        assert said == signal_lab_state(SignalSetting(6, "none", False, scale)).words
    lab.follow()
    assert repr(lab.lab) == "SignalLab(depth=6, norm='none', residual=False, scale=0.5)"


def test_a_setting_is_held_for_comparison(show):
    lab = show(SignalLab(more=True))
    held = SignalSetting(12)
    hold = lab.page.get_by_role("button", name="Hold this")
    said = reacts(lab, hold.click)
    assert said == signal_lab_state(SignalSetting(), 1, held).words
    lab.page.locator(PICTURE).focus()
    assert press(lab, "n") == signal_lab_state(SignalSetting(12, "post"), 1, held).words
    assert press(lab, "PageUp") == signal_lab_state(SignalSetting(24, "post"), 1, held).words
    for _ in range(14):
        press(lab, "ArrowRight")
    state = signal_lab_state(SignalSetting(24, "post"), 15, held)
    assert words(lab) == state.words
    shown = [line.split("\t") for line in lab.page.locator(".vit-sums tbody tr").all_inner_texts()]
    assert shown == [
        ["block 15 of 24", *map(say, state.signals[14])],
        ["held: block 12 of 12", *map(say, state.held[11])],
    ]
    lab.follow()
    assert lab.lab.words() == state.words
    said = press(lab, "h")
    assert said == signal_lab_state(SignalSetting(24, "post"), 15).words
    assert lab.page.locator(".vit-sums tbody tr").nth(1).is_hidden()


@pytest.mark.parametrize("more", [False, True])
def test_dashes_are_named_while_a_setting_is_held_and_the_button_keeps_its_name(show, more):
    lab = show(SignalLab(more=more))
    lab.resize(390, 844)
    written = record_letters(lab)
    hold = lab.page.get_by_role("button", name="Hold this (h)", exact=True)
    for held in (True, False):
        written()
        reacts(lab, hold.click)
        assert hold.get_attribute("aria-pressed") == str(held).lower()
        said = [one for one in written() if one["text"] == "dashed: held"]
        assert len(said) == held
        room = lab.page.locator(PICTURE).evaluate("canvas => canvas.vitWidth")
        assert all(one["box"][2] <= room for one in said)


@pytest.mark.parametrize(
    "setting", [SignalSetting(12), SignalSetting(24, "none", False), SignalSetting(24, "none", True, 2.0)], ids=str
)
def test_the_lines_lie_where_the_numbers_are(show, setting):
    lab = show(SignalLab(**asdict(setting), more=True))
    rows = signal_lab_state(setting).signals
    for chart, columns in enumerate(([0, 1, 2], [3], [4])):
        low, high = (0, 1) if chart == 2 else axis_ends([rows[:, columns].ravel()])
        for i, column in enumerate(columns):
            last = i == len(columns) - 1  # drawn on top
            for block in (1, setting.depth // 2, setting.depth) if last else ():
                value = rows[block - 1, column]
                level = np.clip(value, 0, 1) if chart == 2 else np.log10(np.clip(value, GROUND, CEILING))
                x = chart * (CHART + GAP) + LEFT + (block - 0.5) / setting.depth * INNER
                y = HEIGHT - BOTTOM - (level - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
                off = 0 if chart == 2 else int(value > CEILING) - int(value < GROUND)
                y += 3 * off  # the middle of the long side of a hollow triangle, which points off the scale
                drawn = lab.page.locator(PICTURE).evaluate(
                    """(canvas, [x, y]) => {
                        const unit = canvas.width / 912;
                        return Array.from(canvas.getContext("2d").getImageData(unit * x, unit * y, 1, 1).data);
                    }""",
                    [x, y],
                )
                wanted = [int(ON_WHITE[i][place : place + 2], 16) for place in (1, 3, 5)]
                assert np.abs(np.array(drawn[:3]) - wanted).max() < 40, (chart, block, drawn)


def test_a_change_from_code_is_drawn(show):
    lab = show(SignalLab(more=True))
    said = reacts(lab, lambda: lab.set(held=[12, "pre", True, 1.0], norm="inside", depth=6, block=5))
    assert said == signal_lab_state(SignalSetting(6, "inside"), 5, SignalSetting(12)).words
    assert lab.page.get_by_label("Blocks", exact=True).input_value() == "6"


def test_no_key_is_lost_and_keys_stay_inside(show):
    lab = show(SignalLab(more=True))
    lab.page.locator(PICTURE).focus()
    said_since = record_words(lab)
    for key in [*["ArrowRight"] * 8, *["ArrowLeft"] * 5, "ArrowUp", *"rnh", *"nnnn"]:
        lab.page.keyboard.press(key)
    said = said_since()
    blocks = [int(re.search(r"Block (\d+)", text).group(1)) for text in said]
    assert blocks == [*range(2, 10), *range(8, 3, -1), *[4] * 8]
    last = SignalSetting(12, "post", False, 2.0)
    assert said[-1] == signal_lab_state(last, 4, last).words
