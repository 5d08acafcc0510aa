"""The position lab in a browser: it reacts to mouse and keyboard, and says what Python says."""

import re

import numpy as np
import pytest
from drawn import apart, drawn, seen, tops
from explorers import (
    PICTURE,
    check_named_and_readable,
    pixels,
    reacts,
    record_letters,
    record_words,
    wait_for_words,
    words,
)

from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import PositionLab, position_lab_state
from vit_tutorial.explore.position_lab.numbers import COLOURS, SHOWS
from vit_tutorial.explore.still import viridis
from vit_tutorial.explore.words import decimals

LYING = "canvas[aria-label^='Attention {}, as the patches lie']"
HOME = "canvas[aria-label^='Attention {}, patches taken home']"
GIVEN = "canvas[aria-label^='The picture']"


@pytest.fixture(scope="module")
def position_lab():
    """Make a new lab; what the model made of the pictures is computed once."""
    model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    pictures = dict(zip(("boot", "pullover"), load("fashion_mnist").test_images[:2], strict=True))
    return lambda: PositionLab(model, pictures, more=True)


@pytest.fixture(scope="module")
def data(position_lab):
    return position_lab()._data


def place_of(lab, kind, row, column, grid):
    """Where on the page the middle of a position of the map number `kind` lies."""
    box = lab.page.locator(PICTURE).bounding_box()
    scale = box["width"] / 912
    return (
        box["x"] + scale * (232.6 * kind + 214 * (column + 0.5) / grid),
        box["y"] + scale * (22 + 214 * (row + 0.5) / grid),
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_position_lab_reacts_to_mouse_and_keys(show, position_lab, data, theme):
    lab = show(position_lab(), theme)
    assert words(lab) == position_lab_state(data, 7, 24).words
    for kind, (row, column) in enumerate([(1, 5), (6, 0), (0, 2), (4, 4)]):
        at = place_of(lab, kind, row, column, 7)
        said = reacts(lab, lambda at=at: lab.page.mouse.move(*at))
        assert said == position_lab_state(data, 7, 7 * row + column).words
    lab.page.mouse.click(*place_of(lab, 0, 3, 3, 7))
    for key, position in {"ArrowDown": 31, "ArrowRight": 32, "ArrowUp": 25, "ArrowLeft": 24, "End": 48}.items():
        assert reacts(lab, lambda key=key: lab.page.keyboard.press(key)) == position_lab_state(data, 7, position).words
    lab.page.keyboard.press("ArrowDown")
    assert words(lab) == position_lab_state(data, 7, 48).words
    assert reacts(lab, lambda: lab.page.keyboard.press("Home")) == position_lab_state(data, 7, 0).words
    check_named_and_readable(lab, theme)


def test_a_larger_picture_stretches_all_tables(show, position_lab, data):
    lab = show(position_lab())
    lab.page.locator(PICTURE).focus()
    for grid, position in ((8, 36), (9, 40), (10, 55)):
        said = reacts(lab, lambda: lab.page.keyboard.press("PageUp"))
        assert said == position_lab_state(data, grid, position).words
    assert reacts(lab, lambda: lab.page.keyboard.press("PageDown")) == position_lab_state(data, 9, 40).words
    lab.page.get_by_role("slider", name="Image size").focus()
    said = reacts(lab, lambda: lab.page.keyboard.press("End"))
    position = int(re.search(r"Similarity of position (\d+)", said).group(1))
    assert said == position_lab_state(data, 14, position).words
    assert lab.page.get_by_text("56 pixels: 14 × 14", exact=True).locator("visible=true").count() == 1
    near = position_lab_state(data, 14, position).near
    shown = [line.split("\t")[1:] for line in lab.page.locator(".vit-near tbody tr").all_inner_texts()]
    assert shown == [[decimals(kind[line]) for kind in near] for line in range(3)]
    lab.follow()
    assert (lab.lab.grid, lab.lab.position) == (14, position)


def test_the_maps_have_the_colours_of_their_numbers(show, position_lab, data):
    lab = show(position_lab())
    lab.page.locator(PICTURE).focus()
    for _ in range(4):
        reacts(lab, lambda: lab.page.keyboard.press("PageUp"))  # 11 x 11: no numbers written into the map
    position = int(re.search(r"position (\d+)", words(lab)).group(1))
    for choices in ({}, {"colours": COLOURS[1]}, {"colours": COLOURS[1], "show": SHOWS[1]}):
        if "colours" in choices:
            lab.page.get_by_label("Range of colours").select_option(choices["colours"])
        if "show" in choices:
            reacts(lab, lambda: lab.page.get_by_label("Show", exact=True).select_option(SHOWS[1]))
        drawn = lab.page.locator(PICTURE).evaluate(
            """canvas => Array.from({ length: 4 * 121 }, (_, i) => {
                const unit = canvas.width / 912;
                const [kind, place] = [Math.floor(i / 121), i % 121];
                const x = unit * (232.6 * kind + 214 * ((place % 11) + 0.5) / 11);
                const y = unit * (22 + 214 * (Math.floor(place / 11) + 0.5) / 11);
                return Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data).slice(0, 3);
            })"""
        )
        state = position_lab_state(data, 11, position, **choices)
        for kind, (low, high) in enumerate(state.ends):
            levels = np.clip(np.floor((state.maps[kind].reshape(-1) - low) / (high - low) * 255 + 0.5), 0, 255)
            expected = viridis()[levels.astype(int)].astype(int)
            off = np.abs(np.array(drawn[121 * kind : 121 * (kind + 1)]) - expected).max(axis=1)
            assert (off <= 4).all(), (kind, choices)


def test_a_map_says_what_it_holds_and_what_its_colours_stand_for(show, position_lab, data):
    lab = show(position_lab())
    lab.page.evaluate(
        """() => {
            window.vitWritten = [];
            const write = CanvasRenderingContext2D.prototype.fillText;
            CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
                window.vitWritten.push(text);
                write.call(this, text, ...rest);
            };
        }"""
    )
    for colours in (COLOURS[1], COLOURS[0]):
        lab.page.evaluate("() => window.vitWritten.splice(0)")
        lab.page.get_by_label("Range of colours").select_option(colours)
        written = lab.page.evaluate("() => window.vitWritten")
        state = position_lab_state(data, 7, 24, colours=colours)
        for values, (low, high) in zip(state.maps, state.ends, strict=True):
            says_more = f"lowest {decimals(values.min())}, highest {decimals(values.max())}" in written
            assert says_more == (colours == COLOURS[1]), "only where the colours reach further than the map"
            assert f"dark {decimals(low)}, yellow {decimals(high)}" in written


def test_one_number_of_the_table(show, position_lab, data):
    lab = show(position_lab())
    said = reacts(lab, lambda: lab.page.get_by_label("Show", exact=True).select_option(SHOWS[1]))
    assert said == position_lab_state(data, 7, 24, show=SHOWS[1]).words
    lab.page.get_by_role("slider", name="Which number").focus()
    for number in (1, 2):
        said = reacts(lab, lambda: lab.page.keyboard.press("ArrowRight"))
        assert said == position_lab_state(data, 7, 24, show=SHOWS[1], number=number).words
    lab.follow()
    assert lab.lab.words() == said


def test_shuffled_patches_change_what_only_the_model_with_positions_sees(show, position_lab, data):
    lab = show(position_lab())
    chosen = lab.page.get_by_label("Order of the patches")
    blind, seeing = "without positions", "with positions"
    fixed = HOME.format(blind)
    before = pixels(lab, fixed)
    for order in (1, 6, 3):
        moving = [LYING.format(blind), LYING.format(seeing), HOME.format(seeing), GIVEN]
        old = [pixels(lab, canvas) for canvas in moving]
        chosen.select_option(str(order))
        wait_for_words(lab, position_lab_state(data, 7, 24, order=order).words)
        assert all(pixels(lab, canvas) != one for canvas, one in zip(moving, old, strict=True))
        assert pixels(lab, fixed) == before, "without positions, each patch keeps its weight"
        state = position_lab_state(data, 7, 24, order=order)
        for before_and_after in state.says:
            told = f"In order the model says {before_and_after[0]}; as given, {before_and_after[1]}."
            assert lab.page.get_by_text(told).is_visible()
        assert lab.page.get_by_text("this model cannot tell").locator("visible=true").count() == 1
        assert lab.page.get_by_text("this model notices").locator("visible=true").count() == 1
    said = reacts(lab, lab.page.get_by_role("button", name="Shuffle (s)").click, [GIVEN])
    assert said == position_lab_state(data, 7, 24, order=4).words
    said = reacts(lab, lambda: lab.page.locator(PICTURE).press("s"), [GIVEN])
    assert said == position_lab_state(data, 7, 24, order=5).words
    lab.page.get_by_label("Picture", exact=True).select_option("pullover")
    wait_for_words(lab, position_lab_state(data, 7, 24, order=5, picture="pullover").words)
    lab.follow()
    assert (lab.lab.picture, lab.lab.order) == ("pullover", 5)


def test_a_change_from_code_is_drawn(show, position_lab, data):
    lab = show(position_lab())
    reacts(lab, lambda: lab.set(grid=9, position=80, order=2))
    wait_for_words(lab, position_lab_state(data, 9, 80, order=2).words)
    assert lab.page.get_by_label("Order of the patches").input_value() == "2"


def test_no_key_is_lost(show, position_lab):
    lab = show(position_lab())
    lab.page.locator(PICTURE).focus()
    lab.page.keyboard.press("Home")
    said_since = record_words(lab)
    for key in ["ArrowRight"] * 6 + ["ArrowDown"] * 6 + ["ArrowLeft"] * 6:
        lab.page.keyboard.press(key)
    said = [int(re.search(r"position (\d+)", text).group(1)) for text in said_since()]
    assert said == [*range(1, 7), *range(13, 49, 7), *range(47, 41, -1)]


@pytest.mark.parametrize("letters", [16, 24])
def test_maps_that_are_compared_have_one_size_and_one_height(show, position_lab, letters):
    lab = show(position_lab())
    lab.set_letters(letters)
    for width in (390, 340):
        lab.resize(width, 844)
        for name in ("without positions", "with positions"):
            one, other = (lab.page.locator(map_.format(name)).bounding_box() for map_ in (LYING, HOME))
            assert [one["width"], one["height"], one["y"]] == [other["width"], other["height"], other["y"]]
            assert one["width"] > 110
        assert lab.page.locator(GIVEN).bounding_box()["width"] > 110


@pytest.mark.parametrize(("width", "letters"), [(1200, 16), (1200, 24), (360, 16), (360, 24)])
def test_nothing_jumps_and_no_text_runs_into_another(show, position_lab, width, letters):
    lab = show(position_lab())
    lab.set_letters(letters)
    lab.resize(width, 844)
    before = tops(lab)
    assert lab.page.locator(".vit-near th").first.evaluate("one => one.clientWidth") > 8 * letters * 13 / 16
    written = record_letters(lab)
    for choices in (
        {"colours": COLOURS[1], "position": 48},
        {"show": SHOWS[1], "number": 63},
        {"grid": 14, "position": 195, "show": SHOWS[0]},
        {"order": 3, "grid": 7, "position": 0},
        {"order": 0},
    ):
        written()
        lab.set(**choices)
        assert tops(lab) == before, choices
        said = written()
        assert {"learned", "sin-cos 2-D"} <= {one["text"] for one in said}
        assert min(one["size"] for one in said) >= 9
        for i, one in enumerate(said):
            for other in said[i + 1 :]:
                (left, top, right, bottom), box = one["box"], other["box"]
                assert right <= box[0] or box[2] <= left or bottom <= box[1] or box[3] <= top, (one, other)


def test_the_mark_stays_inside_and_numbers_are_read_on_every_colour(show, position_lab):
    lab = show(position_lab())
    # a browser that keeps its user from being known says nothing true about what is drawn
    lab.page.evaluate("() => { CanvasRenderingContext2D.prototype.getImageData = (x, y, w, h) => new ImageData(w, h) }")
    texts, _ = drawn(lab, PICTURE, lambda: lab.set(position=48))
    shown = seen(lab, PICTURE)
    right, above = 912 - 1, round(22 + 214.5 * 6.5 / 7)
    assert [shown[above, right - i].tolist() for i in (0, 2)] == [[0, 0, 0], [255, 255, 255]]
    numbers = [one for one in texts if re.fullmatch(r"-?\d\.\d\d", one["text"])]
    assert len(numbers) == 4 * 49
    for one in numbers:
        ink = [int(one["ink"][j : j + 2], 16) for j in (1, 3, 5)]
        ground = shown[round(one["y"]) - 9, round(one["x"])]
        if (one["x"], one["y"]) != (numbers[-1]["x"], numbers[-1]["y"]):
            assert apart(ink, ground) >= 4.5, one
