"""The patch lab in a browser: it reacts to mouse and keyboard, and says what Python says."""

import re

import numpy as np
import pytest
from drawn import apart, seen, tops
from explorers import GREY_NOISE, NOISE, PICTURE, check_named_and_readable, pixels, reacts, record_letters, words

from vit_tutorial.explore import PatchLab, patch_lab_state
from vit_tutorial.explore.patch_lab.numbers import ORDERS, REASSEMBLIES, with_prefix

STRIP = "canvas[aria-label^='The sequence']"
MATRIX, ROW = "canvas[aria-label^='The matrix']", "canvas[aria-label^='The numbers of row']"


def patch_lab():
    return PatchLab({"one": NOISE, "two": GREY_NOISE}, 8, more=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_patch_lab_reacts_to_mouse_and_keys(show, theme):
    lab = show(patch_lab(), theme)
    image = NOISE
    assert words(lab) == patch_lab_state(image, 8).words
    box = lab.page.locator(PICTURE).bounding_box()
    middle = (box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
    said = reacts(lab, lambda: lab.page.mouse.move(*middle), [PICTURE, STRIP, MATRIX, ROW])
    assert said == patch_lab_state(image, 8, token=6).words
    lab.page.mouse.click(*middle)
    assert reacts(lab, lambda: lab.page.keyboard.press("ArrowDown")) == patch_lab_state(image, 8, token=10).words
    assert reacts(lab, lambda: lab.page.keyboard.press("ArrowLeft")) == patch_lab_state(image, 8, token=9).words
    assert reacts(lab, lambda: lab.page.keyboard.press("End")) == patch_lab_state(image, 8, token=15).words
    said = words(lab)
    lab.page.keyboard.press("ArrowRight")
    assert words(lab) == said
    check_named_and_readable(lab, theme)
    numbers = pixels(lab)
    lab.set_letters(24)
    lab.resize(1200, 1400)
    assert pixels(lab) != numbers, "those in the patches are larger"
    thumb = {"x": 912 / 13 * 6.5, "y": 60}
    said = reacts(lab, lambda: lab.page.locator(STRIP).click(position=thumb))
    assert said == patch_lab_state(image, 8, token=9).words, "13 tokens are in sight, from the fourth on"
    button = seen(lab, ".vit-opener").astype(int)
    ground = [33, 33, 33] if theme == "dark" else [255, 255, 255]
    assert apart(button[len(button) // 2, 0], ground) >= 3, "the edge of a control"


def test_patch_lab_says_what_python_says_for_every_choice(show):
    lab = show(patch_lab())
    page, image = lab.page, NOISE
    page.get_by_label("Patch size P").select_option("4")
    page.locator(PICTURE).focus()
    page.keyboard.press("Home")
    for order in ORDERS:
        page.get_by_label("Order of the sequence").select_option(order)
        for seed in (0, 1, 77) if order == "shuffled" else (0,):
            if order == "shuffled":
                page.get_by_label("Seed").fill(str(seed))
            for reassembly in REASSEMBLIES:
                page.get_by_label("Put the patches back").select_option(reassembly)
                token = int(re.search(r"Token (\d+) is", words(lab)).group(1))
                state = patch_lab_state(image, 4, order, seed, token, reassembly)
                assert (state.row, state.column) == (0, 0), "a new order stays on the same patch"
                assert words(lab) == state.words
                shown = page.locator(".vit-numbers dd").all_inner_texts()
                numbers = (state.num_tokens, state.numbers_per_token, state.attention_pairs)
                costs = (f"{with_prefix(state.attention_flops)}FLOP", f"{with_prefix(state.attention_bytes)}B")
                assert shown == ["8 × 8", *(f"{number:,}" for number in numbers), *costs, str(state.difference)]
    lab.follow()
    assert (lab.lab.order, lab.lab.seed, lab.lab.reassembly) == ("shuffled", 77, "row by row")


def test_patch_lab_shows_the_reassembled_pixels(show):
    lab = show(patch_lab())
    lab.page.get_by_label("Order of the sequence").select_option("shuffled")
    lab.page.get_by_label("Put the patches back").select_option("row by row")
    expected = patch_lab_state(NOISE, 8, "shuffled", reassembly="row by row").reassembled
    back = lab.page.locator("canvas[aria-label^='The picture put back']")
    drawn = back.evaluate(
        """canvas => Array.from({ length: 32 * 32 }, (_, i) => {
            const step = canvas.width / 32;
            const [x, y] = [((i % 32) + 0.5) * step, (Math.floor(i / 32) + 0.5) * step];
            return Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data).slice(0, 3);
        })"""
    )
    same = (np.array(drawn).reshape(32, 32, 3).transpose(2, 0, 1) == expected).all(0)
    assert same.mean() > 0.9, "all but the pixels under the frame of the chosen patch"


def test_nothing_moves_whatever_is_chosen(show):
    lab = show(PatchLab({"square": NOISE, "wide": NOISE[:1, :16]}, 8, more=True))
    lab.set_letters(24)
    lab.resize(360, 844)
    before = tops(lab)
    for patch_size in (1, 2, 32):
        lab.set(patch_size=patch_size)
        assert tops(lab) == before
    lab.set(patch_size=8, order="shuffled", reassembly="row by row")
    assert lab.page.get_by_text("Not the picture").first.is_visible()
    assert tops(lab) == before
    lab.set(picture="wide")
    assert tops(lab) == before


def test_patch_lab_takes_another_picture_and_a_code_change(show):
    lab = show(patch_lab())
    said = reacts(lab, lambda: lab.page.get_by_label("Picture", exact=True).select_option("two"), [PICTURE, STRIP])
    assert said == patch_lab_state(GREY_NOISE, 7).words
    lab.follow()
    said = reacts(lab, lambda: lab.set(patch_size=14, token=3))
    assert said == patch_lab_state(GREY_NOISE, 14, token=3).words
    assert lab.page.get_by_label("Patch size P").input_value() == "14"
    gap = lab.page.get_by_label("Gap").locator("+ output")
    assert gap.inner_text() == "2 pixels"
    lab.set(gap=1)
    assert gap.inner_text() == "1 pixel"
    said = reacts(lab, lambda: lab.set(picture="one"))
    assert said == patch_lab_state(NOISE, 8, token=3).words, "8 is the largest size up to 14 that divides 32"


def test_patch_lab_shows_the_matrix_of_patches(show):
    lab = show(patch_lab())
    image = NOISE
    sequence = patch_lab_state(image, 8).sequence
    drawn = lab.page.locator(MATRIX).evaluate(
        """canvas => Array.from({ length: 16 * 192 }, (_, i) => {
            const x = (12 + (i % 192 + 0.5) * 336 / 192) * canvas.width / 360;
            const y = (Math.floor(i / 192) + 0.5) * canvas.height / 16;
            return canvas.getContext("2d").getImageData(x, y, 1, 1).data[0];
        })"""
    )
    assert np.abs(np.array(drawn).reshape(16, 192)[1:] - sequence[1:]).max() <= 1, "row 0 is under the frame"
    lab.page.locator(MATRIX).scroll_into_view_if_needed()
    box = lab.page.locator(MATRIX).bounding_box()
    at = (box["x"] + 50, box["y"] + box["height"] * 11.5 / 16)
    assert (
        reacts(lab, lambda: lab.page.mouse.click(*at), [PICTURE, MATRIX, ROW])
        == patch_lab_state(image, 8, token=11).words
    )
    row = lab.page.locator(ROW).evaluate(
        """canvas => Array.from({ length: 192 }, (_, i) =>
            canvas.getContext("2d").getImageData((i + 0.5) * canvas.width / 192, 5, 1, 1).data[0])"""
    )
    assert np.abs(np.array(row) - sequence[11]).max() <= 1
    assert lab.page.get_by_text("Row 11 of the matrix: all its 192 numbers").first.is_visible()
    pixels = lab.page.locator(".vit-pixels").first.locator(".vit-pixel span:last-child").all_inner_texts()
    assert " ".join(pixels) == " ".join(map(str, sequence[11][:24]))


def test_shuffle_button_and_key_leave_no_error(show):
    lab = show(patch_lab())
    image = NOISE
    button = lab.page.get_by_role("button", name="Shuffle")
    ways = [button.click, lambda: button.press("Enter"), lambda: lab.page.locator(PICTURE).press("s")]
    for seed, shuffle in enumerate(ways):
        said = reacts(lab, shuffle, [PICTURE, STRIP, MATRIX])
        token = int(re.search(r"Token (\d+) is", said).group(1))
        state = patch_lab_state(image, 8, "shuffled", seed, token)
        assert said == state.words
        assert (state.row, state.column, state.difference) == (0, 0, 0)
    assert lab.page.get_by_text("Not one pixel has changed.").first.is_visible()
    lab.page.get_by_label("Put the patches back").select_option("row by row")
    assert lab.page.get_by_text("Not the picture").first.is_visible()
    lab.follow()
    assert (lab.lab.order, lab.lab.seed, lab.lab.reassembly) == ("shuffled", 2, "row by row")


def test_a_large_number_has_a_comma_wherever_it_is_written(show):
    picture = np.random.default_rng(2).integers(0, 256, (80, 80), dtype=np.uint8)
    lab = show(PatchLab(picture, 1, token=5678, more=True))
    assert words(lab) == patch_lab_state(picture[None], 1, token=5678).words
    assert "Token 5,678 is" in words(lab)
    written = record_letters(lab)
    lab.page.locator(PICTURE).press("PageUp")
    assert "5,679" in [one["text"] for one in written()], "in the sequence"
    assert lab.page.get_by_text("Row 5,679 of the matrix").is_visible()
    said = lab.page.locator(".vit-lab").inner_text().split("\n")
    labels = lab.page.locator("[aria-label]").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    assert not [text for text in said + labels if re.search(r"\d{4}", text)]
