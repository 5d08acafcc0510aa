"""The lens lab in a browser: it reads and exchanges tokens as torch does, and reacts to mouse and keyboard."""

import numpy as np
import pytest
import torch
from drawn import apart, drawn, pressed, seen, tops
from explorers import GREY_NOISE, PICTURE, check_named_and_readable, press, reacts, record_letters, record_words, words

from vit_tutorial import ViT, ViTConfig, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import LensLab, lens_lab_state
from vit_tutorial.explore.words import percent

DATA = load("fashion_mnist")
PICTURES = dict(zip(("boot", "pullover", "trouser"), DATA.test_images[:3], strict=True))
STRIP = "canvas[role=img]"
OPEN = {"picture": "boot", "other": "pullover", "block": 3, "token": 0, "exchange": "nothing"}


def trained():
    return load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")


def lab_of(**choices):
    return LensLab(trained(), PICTURES, more=True, **choices)


@pytest.fixture(scope="module")
def state_of():
    """`state_of(block=2)`: what Python says of these choices; the others are those at the beginning."""
    vit = trained().double()

    def state(**changes):
        chosen = OPEN | changes
        picture, other = chosen.pop("picture"), chosen.pop("other")
        return lens_lab_state(vit, PICTURES[picture], PICTURES[other], **chosen, name=picture, other_name=other)

    return state


def middle_of(lab, token):
    """Where on the page the middle of a token lies: the class token's box, 38 high, or a patch, 60 wide and high."""
    box = lab.page.locator(PICTURE).bounding_box()
    if token == 0:
        return box["x"] + 210, box["y"] + 19
    row, column = divmod(token - 1, 7)
    return box["x"] + 60 * column + 30, box["y"] + 46 + 60 * row + 30


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lens_lab_reacts_to_mouse_and_keys(show, state_of, theme):
    lab = show(lab_of(), theme)
    page = lab.page
    both = [PICTURE, STRIP]
    page.locator(PICTURE).focus()
    assert words(lab) == state_of().words
    for key, block in {"PageUp": 4, "PageDown": 3, "0": 0, "6": 6, "2": 2}.items():
        assert press(lab, key, both) == state_of(block=block).words
    assert reacts(lab, lambda: page.mouse.click(*middle_of(lab, 19)), both) == state_of(block=2, token=19).words
    for key, token in {"ArrowRight": 20, "ArrowDown": 27, "ArrowLeft": 26, "End": 49, "Home": 0}.items():
        assert press(lab, key, both) == state_of(block=2, token=token).words
    assert press(lab, "c", both) == state_of(block=2, token=49).words
    assert reacts(lab, lambda: page.mouse.click(*middle_of(lab, 3)), both) == state_of(block=2, token=3).words
    assert press(lab, "ArrowUp", both) == state_of(block=2).words
    now = {"block": 2, "exchange": "this token"}
    assert press(lab, "x", both) == state_of(**now).words
    assert press(lab, "o", both) == state_of(**now, other="trouser").words
    assert press(lab, "p", both) == state_of(block=2, exchange="all patches", other="trouser").words
    assert press(lab, "n", both) == state_of(block=2, exchange="all patches", other="trouser", picture="pullover").words
    assert press(lab, "p", both) == state_of(block=2, other="trouser", picture="pullover").words
    lab.follow()
    check_named_and_readable(lab, theme)


def test_every_control_works_by_mouse(show, state_of):
    lab = show(lab_of())
    page = lab.page

    def click(name, which=0):
        button = page.get_by_role("button", name=name, exact=True).nth(which)
        assert button.get_attribute("aria-pressed") == "false"
        return reacts(lab, button.click)

    height = page.get_by_role("button", name="nothing").bounding_box()["y"]
    assert click("trouser", 1) == state_of(other="trouser", exchange="this token").words  # to borrow is to exchange
    assert page.get_by_role("button", name="nothing").bounding_box()["y"] == height  # nothing jumps
    assert click("all patches (p)") == state_of(other="trouser", exchange="all patches").words
    assert click("pullover", 1) == state_of(exchange="all patches").words
    assert click("nothing") == state_of().words
    page.get_by_role("button", name="all patches (p)").focus()
    assert press(lab, "Space") == state_of(exchange="all patches").words
    assert press(lab, "p") == state_of().words  # the keys work wherever the focus is
    assert click("class token (x)") == state_of(exchange="this token").words
    assert click("trouser") == state_of(exchange="this token", picture="trouser").words
    page.mouse.click(*middle_of(lab, 9))
    assert click("Class token (c)") == state_of(exchange="this token", picture="trouser").words
    box = page.locator(STRIP).bounding_box()
    at = (box["x"] + 4.5 * box["width"] / 7, box["y"] + 40)
    now = {"exchange": "this token", "picture": "trouser"}
    assert reacts(lab, lambda: page.mouse.click(*at)) == state_of(**now, block=4).words
    page.mouse.down()
    page.mouse.move(at[0] + 2 * box["width"] / 7, at[1])
    page.mouse.up()
    assert words(lab) == state_of(**now, block=6).words
    assert press(lab, "2") == state_of(**now, block=2).words
    assert press(lab, "6") == state_of(**now, block=6).words
    page.get_by_role("slider", name="Blocks done").focus()
    assert press(lab, "ArrowLeft") == state_of(**now, block=5).words
    lab.follow()
    lab.set(**OPEN)
    assert words(lab) == state_of().words


@pytest.mark.parametrize("exchange", ["nothing", "this token", "all patches"])
def test_the_bars_are_the_probabilities_of_torch(show, state_of, exchange):
    lab = show(lab_of(exchange=exchange))
    for block in range(7):
        for token in (0, 25):
            state = state_of(exchange=exchange, block=block, token=token)
            lab.set(block=block, token=token)
            assert words(lab) == state.words
            drawn = lab.page.locator(".vit-lens .vit-bar").evaluate_all(
                "all => all.map(bar => parseFloat(bar.style.width) / 100)"
            )
            lens, _, answer, before = np.array(drawn).reshape(10, 4).T
            np.testing.assert_allclose(lens, state.lens[block, token], atol=1e-5)
            np.testing.assert_allclose(answer, state.answer, atol=1e-5)
            np.testing.assert_allclose(before, state.answer_untouched if state.exchanged else np.zeros(10), atol=1e-5)


def test_no_key_is_lost_and_none_leaves_the_explorer(show, state_of):
    lab = show(lab_of())
    page = lab.page
    page.locator(PICTURE).focus()
    said_since = record_words(lab)
    page.evaluate("() => { document.onkeydown = (event) => document.body.append(event.key) }")
    keys = ["ArrowDown"] * 3 + ["ArrowRight"] * 4 + ["x", "p", "0", "1", "2", "3"] * 3 + ["7", "PageUp", "o"]
    for key in keys:
        page.keyboard.press(key)
    # from the class token to patch 24 in the middle, two rows down, three columns to the edge; no block 7
    assert len(said_since()) == len(keys) - 2
    page.keyboard.type("bdm")
    assert words(lab) == state_of(block=4, token=42, exchange="all patches", other="trouser").words
    assert page.evaluate("() => Array.from(document.body.childNodes, (node) => node.nodeType)").count(3) == 0
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"


def test_what_changes_nothing_is_not_sent_and_other_keys_are_the_browsers(show):
    lab = show(lab_of(block=6))
    lab.page.locator(PICTURE).focus()
    for key in ("PageUp", "6", "9", "Home", "Control+o", "Alt+x", "Meta+p"):
        lab.page.keyboard.press(key)
    assert lab.sent() == []


def test_it_fits_on_a_phone(show):
    lab = show(lab_of(exchange="this token"))
    lab.resize(380, 800)
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 380
    written = record_letters(lab)
    for letters in (16, 24):
        lab.set_letters(letters)
        lab.resize(360, 800)
        lab.resize(380, 800)
        for canvas in (STRIP, PICTURE):
            assert lab.page.locator(canvas).bounding_box()["width"] < 340
            assert lab.page.locator(canvas).evaluate("one => one.vitWidth") < 340  # drawn anew, not made smaller
        said = written()
        assert min(one["size"] for one in said) >= 8.999
        assert any(one["text"].startswith("Trous") for one in said)
    box = lab.page.locator(PICTURE).bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] - box["width"] / 2}
    lab.page.locator(PICTURE).click(position=middle)
    assert words(lab).startswith("boot, after 3 blocks: patch 24 ")


@pytest.mark.parametrize("width", [1200, 390])
def test_a_number_stands_above_its_own_bar_also_beside_a_higher_one_without_the_exchange(show, state_of, width):
    lab = show(lab_of(other="trouser"))
    lab.resize(width, 900)
    now = {"block": 3, "token": 25, "exchange": "this token", "other": "trouser"}
    texts, _ = drawn(lab, STRIP, lambda: lab.set(**now))
    state = state_of(**now)
    step = lab.page.locator(STRIP).evaluate("canvas => canvas.vitWidth") / 7
    shares = state.lens[:, 25].max(-1)
    without = state.untouched[:, 25].max(-1)
    assert (without[3:] > shares[3:] + 0.02).any()
    for block, share in enumerate(shares):
        number = next(one for one in texts if block * step < one["x"] < (block + 1) * step and "%" in one["text"])
        assert number["text"] == percent(share)
        assert number["y"] + 9 == pytest.approx(106 - 82 * share, abs=0.1)
        if block >= 3:
            assert number["x"] - number["width"] / 2 > (block + 0.19) * step, "it does not reach the bar beside it"
        assert number["x"] + number["width"] / 2 < (block + 1) * step


def test_what_hollow_bars_are_is_said_while_there_are_any(show):
    lab = show(lab_of())
    told = lab.page.get_by_text("Hollow bars: without the exchange.")
    for exchange in ("nothing", "this token", "all patches", "nothing"):
        lab.set(exchange=exchange)
        assert told.is_visible() == (exchange != "nothing")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_of_what_was_said_without_the_exchange_stand_out(show, theme):
    lab = show(lab_of(other="trouser", exchange="this token", block=3), theme)
    for token in (0, 10, 25):
        lab.set(token=token)
        line = seen(lab, STRIP)[104]
        step = len(line) / 7
        for block in range(3, 7):
            column = line[round(block * step) + 2 : round((block + 0.31) * step)]
            away = [apart(colour, column[0]) for colour in column]
            assert max(away) >= 3
    height = "bar => [bar.getBoundingClientRect().height, getComputedStyle(bar).opacity]"
    thin = lab.page.locator(".vit-lens td:last-child .vit-bar:last-child").first
    assert thin.evaluate(height) == [3, "1"]


def test_with_large_letters_on_a_phone_the_bars_of_all_classes_keep_a_length(show):
    lab = show(lab_of(exchange="this token"))
    lab.set_letters(24)
    lab.resize(390, 844)
    rooms = lab.page.locator(".vit-lens td > div").evaluate_all("all => all.map(one => one.clientWidth)")
    assert len(rooms) == 20
    assert min(rooms) >= 50
    lab.resize(1280, 900)
    assert lab.page.locator(".vit-lens td > div").first.evaluate("one => one.clientWidth") >= 100


@pytest.mark.parametrize("width", [1200, 390])
def test_no_name_is_pressed_together(show, width):
    lab = show(lab_of(other="trouser", token=25))
    lab.resize(width, 900)
    names = set()
    for exchange in ("this token", "all patches"):
        texts, _ = drawn(lab, f"{STRIP}, {PICTURE}", lambda exchange=exchange: lab.set(exchange=exchange))
        assert max(map(pressed, texts)) <= 1.05
        names |= {one["text"] for one in texts}
    assert {"Ankle", "boot", "T-shirt/", "top"} <= names


@pytest.mark.parametrize("other", ["trouser", "ankle boot"])
def test_whose_token_a_patch_has_is_written_inside_its_frame(show, other):
    pictures = {"bag": DATA.test_images[18], "ankle boot": PICTURES["boot"], "trouser": PICTURES["trouser"]}
    lab = show(LensLab(trained(), pictures, picture="bag", other=other, token=25))
    texts, _ = drawn(lab, PICTURE, lambda: lab.set(exchange="this token"))
    mine = [one for one in texts if 180 < one["x"] < 240 and 226 < one["y"] < 286]  # row 3, column 3
    assert " ".join(one["text"] for one in mine).startswith(f"of {other} ")
    for one in mine:
        assert one["width"] <= 60 - 6
        assert 226 + 4 + 5 <= one["y"] <= 286 - 4 - 5


def test_names_on_lit_patches_are_read(show):
    white = np.full((1, 28, 28), 255, dtype=np.uint8)
    lab = show(LensLab(trained(), {"white": white, "boot": PICTURES["boot"]}))
    state = lab.lab.state()
    best = state.lens[3, 1:].argmax(-1)
    neither = np.flatnonzero(best != state.answer.argmax())
    assert len(neither)
    shown = seen(lab, PICTURE)
    for patch in neither:
        row, column = divmod(patch, 7)
        cell = shown[46 + 60 * row + 2 : 46 + 60 * row + 58, 60 * column + 2 : 60 * column + 58]
        letters = cell[20:36].reshape(-1, 3)
        brightest = letters[letters.sum(-1).argmax()]
        assert apart(brightest, np.median(cell[:6].reshape(-1, 3), axis=0)) >= 4.5


@pytest.mark.parametrize(("width", "letters"), [(1280, 16), (390, 16), (1280, 24), (390, 24)])
def test_nothing_jumps(show, width, letters):
    lab = show(lab_of(other="trouser"))
    lab.set_letters(letters)
    lab.resize(width, 844)
    before = [line.rsplit(" ", 1)[1] for line in tops(lab)]
    assert before
    for exchange in ("this token", "all patches", "nothing"):
        for block in (0, 1, 6):
            for token in (0, 49):
                lab.set(exchange=exchange, block=block, token=token)
                now = tops(lab)
                assert [line.rsplit(" ", 1)[1] for line in now] == before, (exchange, block, token, now)


def test_a_model_without_a_class_token_and_of_many_classes(show):
    torch.manual_seed(0)
    size = {"image_size": 28, "patch_size": 7, "in_channels": 1, "dim": 16, "depth": 2, "num_heads": 2}
    lab = show(LensLab(ViT(ViTConfig(**size, num_classes=12, pool="mean")), {"a": GREY_NOISE, "b": GREY_NOISE.T}))
    lab.page.locator(PICTURE).focus()
    assert lab.page.get_by_role("button", name="Class token (c)").count() == 0
    names = lab.page.locator(".vit-lens tbody th").all_text_contents()
    assert len(names) == 10
    press(lab, "ArrowUp")
    press(lab, "x")
    lab.page.keyboard.press("c")
    lab.follow()


def test_what_keeps_room_is_neither_heard_nor_named_twice(show):
    page = show(lab_of()).page
    seen = "all => all.map((one) => one.checkVisibility({ visibilityProperty: true }))"
    assert set(page.locator(".vit-room > * + *").evaluate_all(seen)) == {False}
    ids = page.locator("[id]").evaluate_all("all => all.map(({ id }) => id)")
    assert len(ids) == len(set(ids))


def test_with_one_picture_no_exchange_is_offered(show):
    lab = show(LensLab(trained(), {"boot": PICTURES["boot"]}, more=True, block=3))
    lab.page.locator(PICTURE).focus()
    for key in "xpon":
        lab.page.keyboard.press(key)
    assert lab.sent() == []
    assert "xchange" not in lab.page.locator(".vit-lab").inner_text()
    assert lab.page.get_by_role("button", name="boot").count() == 1
    assert press(lab, "PageUp", [PICTURE, STRIP]).startswith("boot, after 4 blocks")


def test_many_blocks_and_long_names_find_room_on_a_phone(show):
    torch.manual_seed(0)
    size = {"image_size": 28, "patch_size": 7, "in_channels": 1, "dim": 8, "depth": 12, "num_heads": 2}
    names = [f"a name of very many words, number {i}" for i in range(3)]
    vit = ViT(ViTConfig(**size, num_classes=3))
    lab = show(LensLab(vit, {"a": GREY_NOISE, "b": GREY_NOISE.T}, names, block=0, token=6, more=True))
    lab.resize(360, 844)
    written = record_letters(lab)
    lab.set(block=12, exchange="this token")
    said = written()
    assert {"start", "12", "very…"} <= {one["text"] for one in said}
    assert min(one["size"] for one in said) >= 8.999
    for i, one in enumerate(said):
        for other in said[i + 1 :]:
            if one["canvas"] == other["canvas"]:
                (left, top, right, bottom), box = one["box"], other["box"]
                apart = min(right, box[2]) - max(left, box[0]), min(bottom, box[3]) - max(top, box[1])
                assert min(apart) <= 1, (one, other)
    box = lab.page.locator(".vit-sideways").filter(has=lab.page.locator(STRIP)).first
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 360
    for width in (360, 280):
        lab.resize(width, 844)
        beyond = box.evaluate("one => one.scrollWidth - one.scrollLeft - one.clientWidth")
        assert beyond < 40, "the last block is in sight"
