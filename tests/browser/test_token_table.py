"""The token table in a browser: it reacts to mouse and keyboard, and says what Python says."""

import numpy as np
import pytest
import torch
from drawn import drawn, tops
from explorers import PICTURE, check_named_and_readable, reacts, words

from vit_tutorial import ViT, ViTConfig, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import TokenTable, token_table_state
from vit_tutorial.explore.token_table.numbers import READS, SWITCHES
from vit_tutorial.explore.words import percent

SIZE = {"image_size": 28, "patch_size": 4, "in_channels": 1, "num_classes": 10, "dim": 24, "depth": 2, "num_heads": 2}
SHOWN = "canvas[aria-label^='The picture']"
ALIKE = "canvas[aria-label^='Similarity']"
STRIPS = "canvas[aria-label*='numbers of row']"


def token_table():
    torch.manual_seed(0)
    model = ViT(ViTConfig(**SIZE))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    random = np.random.default_rng(0)
    return TokenTable(
        model, {name: random.integers(0, 256, (28, 28), dtype=np.uint8) for name in ("one", "two")}, more=True
    )


@pytest.fixture(scope="module")
def python_state():
    """`python_state(stage=1, ...)`: what the table must show of picture "one", with the same model."""
    stages = token_table()._stages
    return lambda picture=0, **choices: token_table_state(stages, picture, name=("one", "two")[picture], **choices)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_token_table_reacts_to_mouse_and_keys(show, python_state, theme):
    def python_says(picture=0, **choices):
        return python_state(picture, **choices).words

    lab = show(token_table(), theme)
    page = lab.page
    assert words(lab) == python_says()
    box = page.locator(PICTURE).bounding_box()
    at = (box["x"] + 84 + 5.5 * 480 / 24, box["y"] + 16 + 20.5 * 8)
    said = reacts(lab, lambda: page.mouse.click(*at), [PICTURE, SHOWN, ALIKE, STRIPS])
    assert said == python_says(token=20, number=5)
    for key, (token, number) in {"ArrowDown": (21, 5), "ArrowRight": (21, 6), "ArrowUp": (20, 6)}.items():
        press = lambda key=key: page.keyboard.press(key)  # noqa: E731
        assert reacts(lab, press) == python_says(token=token, number=number)
    assert reacts(lab, lambda: page.keyboard.press("ArrowLeft"), [PICTURE, STRIPS]) == python_says(token=20, number=5)
    said = reacts(lab, lambda: page.keyboard.press("End"), [PICTURE, SHOWN, ALIKE])
    assert said == python_says(token=49, number=5)
    assert reacts(lab, lambda: page.keyboard.press("PageUp")) == python_says(token=49, number=5, stage=1)
    box = page.locator(SHOWN).bounding_box()
    at = (box["x"] + 2.5 * box["width"] / 7, box["y"] + 1.5 * box["height"] / 7)
    said = reacts(lab, lambda: page.mouse.click(*at), [PICTURE, SHOWN, ALIKE, STRIPS])
    assert said == python_says(token=10, number=5, stage=1)
    page.get_by_role("checkbox", name="Positions").focus()
    said = reacts(lab, lambda: page.keyboard.press("Space"), [PICTURE, ALIKE, STRIPS])
    assert said == python_says(token=10, number=5, stage=1, positions=False)
    page.get_by_role("slider", name="Look").focus()
    said = reacts(lab, lambda: page.keyboard.press("ArrowRight"), [PICTURE, STRIPS])
    assert said == python_says(token=10, number=5, stage=2, positions=False)
    choose = page.get_by_label("Picture", exact=True).select_option
    said = reacts(lab, lambda: choose("two"), [PICTURE, SHOWN, ALIKE, STRIPS])
    assert said == python_says(1, token=10, number=5, stage=2, positions=False)
    lab.set_letters(24)
    lab.resize(1200, 1400)
    margin, top = 84 * 1.5, 16 * 1.5
    places = [
        (PICTURE, (margin + 7.5 * (564 - margin) / 24, top + 30.5 * 8), {"token": 30, "number": 7}),
        (ALIKE, (90, 30), {"token": 0, "number": 7}),
        (ALIKE, (90, 36), {"token": 4, "number": 7}),
        (STRIPS, (176 * 1.5 + 2.5 * (912 - 176 * 1.5) / 24, 40), {"token": 4, "number": 2}),
    ]
    for canvas, (x, y), chosen in places:
        click = lambda canvas=canvas, x=x, y=y: page.locator(canvas).click(position={"x": x, "y": y})  # noqa: E731
        assert reacts(lab, click) == python_says(1, **chosen, stage=2, positions=False)
    lab.follow()
    check_named_and_readable(lab, theme)


def test_token_table_says_what_python_says_however_it_is_switched(show, python_state):
    lab = show(token_table())
    page = lab.page
    names = {"patches": "Patch embeddings", "class_token": "Class token", "positions": "Positions"}
    for switches in SWITCHES:
        on = dict(zip(names, switches, strict=True))
        for part, text in names.items():
            page.get_by_role("checkbox", name=text).set_checked(on[part])
        for reads in READS:
            page.get_by_label("The head reads").select_option(reads)
            for stage in (0, 2):
                page.get_by_role("slider", name="Look").fill(str(stage))
                state = python_state(**on, reads=reads, stage=stage)
                assert words(lab) == state.words
                told = [
                    f"{name} {percent(probability)}"
                    for name, probability in (state.here, state.at_the_end, state.all_on)
                ]
                assert page.locator(".vit-answer:visible, .vit-numbers dd").all_inner_texts() == told
        shapes = [tuple(line.split("\n")) for line in page.locator(".vit-chain li").all_inner_texts()]
        assert shapes == list(state.shapes)
    lab.follow()
    said = reacts(lab, lambda: lab.set(class_token=True, token=0, stage=1))
    assert said == python_state(patches=False, positions=False, reads=READS[-1], stage=1).words


def test_token_table_shows_the_numbers_as_colours(show, python_state):
    lab = show(token_table())
    page = lab.page
    colours_match(page, python_state())
    page.get_by_role("checkbox", name="Class token").uncheck()
    page.get_by_role("slider", name="Look").fill("1")
    colours_match(page, python_state(class_token=False, stage=1))
    page.get_by_role("checkbox", name="Positions").uncheck()
    page.get_by_label("Picture", exact=True).select_option("two")
    colours_match(page, python_state(1, class_token=False, positions=False, stage=1))


def colours_match(page, state):
    """Red is positive and blue negative in each cell of the table, away from the frames of row 0 and number 0."""
    rows, dim = state.table.shape
    drawn = page.locator(PICTURE).evaluate(
        """(canvas, [rows, dim]) => Array.from({ length: rows * dim }, (_, i) => {
            const sharp = canvas.width / parseFloat(canvas.style.width);
            const [x, y] = [84 + ((i % dim) + 0.5) * 480 / dim, 16 + (Math.floor(i / dim) + 0.5) * 8];
            return Array.from(canvas.getContext("2d").getImageData(x * sharp, y * sharp, 1, 1).data).slice(0, 3);
        })""",
        [rows, dim],
    )
    colours = np.array(drawn, dtype=int).reshape(rows, dim, 3)[2:, 1:]
    warm, numbers = colours[..., 0] - colours[..., 2], state.table[2:, 1:]
    clear = np.abs(numbers) > 0.1 * np.abs(numbers).max()
    assert (np.sign(warm[clear]) == np.sign(numbers[clear])).mean() > 0.99


def test_no_key_is_lost_and_others_do_nothing(show):
    lab = show(token_table())
    page = lab.page
    page.locator(PICTURE).focus()
    for key in ["ArrowDown"] * 12 + ["ArrowRight"] * 9 + ["ArrowUp"] * 5:
        page.keyboard.press(key)
    page.keyboard.type("abxdm")
    assert "Row 7 is patch 6" in words(lab)
    assert "Its number 9:" in words(lab)
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"


@pytest.mark.parametrize(("width", "letters"), [(850, 16), (360, 16), (360, 24)])
def test_nothing_moves_whatever_is_chosen(show, width, letters):
    model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    pictures = dict(zip("abcdef", load("fashion_mnist").test_images[:6], strict=True))
    lab = show(TokenTable(model, pictures, token=23, more=True))
    lab.set_letters(letters)
    lab.resize(width, 844)
    answers, places = set(), set()
    for picture in pictures:
        lab.page.get_by_label("Picture", exact=True).select_option(picture)
        for stage in (0, 1, 6):
            lab.page.get_by_role("slider", name="Look").fill(str(stage))
            answers.add(lab.page.locator(".vit-answer:visible").inner_text())
            places.add(tuple(tops(lab)))
    for choices in ({"class_token": False}, {"positions": False}, {"reads": READS[1]}, {"stage": 0}):
        lab.set(**choices)
        places.add(tuple(tops(lab)))
    assert {len(answer.split(" ")[0]) for answer in answers} > {3}, "short and long ones"
    assert len(places) == 1


def test_one_patch_leaves_room_for_the_similarity_of_the_class_token(show):
    model = ViT(ViTConfig(**(SIZE | {"patch_size": 28})))
    lab = show(TokenTable(model, np.zeros((28, 28), dtype=np.uint8), more=True))
    texts, _ = drawn(lab, ALIKE, lambda: lab.set(token=1))
    assert texts[0]["text"].startswith("class token: ")
    assert texts[0]["x"] + texts[0]["width"] <= lab.page.locator(ALIKE).evaluate("canvas => canvas.vitWidth")
