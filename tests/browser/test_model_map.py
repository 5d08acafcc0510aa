"""The model map in a browser: it reacts to mouse and keyboard, and says what Python says."""

import numpy as np
import pytest
import torch
from drawn import tops
from explorers import (
    PICTURE,
    check_named_and_readable,
    pixels,
    press,
    reacts,
    record_letters,
    record_words,
    wait_for_words,
    words,
)

from vit_tutorial import ViT, ViTConfig
from vit_tutorial.explore import ModelMap, model_map_state
from vit_tutorial.explore.model_map.geometry import HIGH, WIDE, layout

SHOWN = "canvas[role=img]"
GREY = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
BOXES = []


def model():
    torch.manual_seed(0)
    return ViT(ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=10, dim=32, depth=3, num_heads=2))


def model_map(**choices):
    return ModelMap(model(), GREY, more=True, **choices)


def said(box="image", block=1):
    """What the map says of a box: computed once, with the same model and picture as the page."""
    if not BOXES:
        BOXES.extend(model_map()._boxes)
    return model_map_state(BOXES, box, block)


def place_of(lab, key):
    """The middle of a box on the page."""
    places, _ = layout([box.key for box in said().walk])
    x, y, wide, high = places[key]
    box = lab.page.locator(PICTURE).bounding_box()
    return box["x"] + box["width"] / WIDE * (x + wide / 2), box["y"] + box["height"] / HIGH * (y + high / 2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_model_map_reacts_to_mouse_and_keys(show, theme):
    lab = show(model_map(), theme)
    assert words(lab) == said().words
    for key in ("attn", "softmax", "patches", "residual2", "block"):
        shown = pixels(lab, SHOWN)
        assert reacts(lab, lambda key=key: lab.page.mouse.click(*place_of(lab, key))) == said(key).words
        assert pixels(lab, SHOWN) != shown or key == "block"
    assert press(lab, "ArrowRight") == said("norm1").words
    assert press(lab, "ArrowLeft") == said("block").words
    assert press(lab, "ArrowDown") == said("block", 2).words
    assert press(lab, "End") == said("softmax", 2).words
    lab.page.keyboard.press("ArrowRight")
    assert press(lab, "ArrowUp") == said("softmax", 1).words
    assert press(lab, "Home") == said("image").words
    lab.set_letters(24)
    lab.resize(1200, 1400)
    for key in ("patch_embed", "norm1", "block"):
        assert reacts(lab, lambda key=key: lab.page.mouse.click(*place_of(lab, key))) == said(key).words
    lab.follow()
    check_named_and_readable(lab, theme)


def test_the_whole_way_is_walked_with_one_key(show):
    lab = show(model_map())
    lab.page.locator(PICTURE).focus()
    for box in said().walk[1:]:
        assert press(lab, "ArrowRight") == said(box.key).words
        numbers = dict(
            zip(
                lab.page.locator(".vit-numbers dt").all_inner_texts(),
                lab.page.locator(".vit-numbers dd").all_inner_texts(),
                strict=True,
            )
        )
        assert (numbers["in"], numbers["out"]) == (box.input_shape, box.output_shape)
        assert numbers["parameters"] == f"{box.parameters:,}"
        assert lab.page.locator(".vit-code").text_content() == box.code
    assert box.key == "softmax"


def test_the_slider_opens_a_block(show):
    lab = show(model_map(box="mlp"))
    for block in (3, 2):
        fill = lab.page.get_by_label("Open block").fill
        assert (
            reacts(lab, lambda block=block, fill=fill: fill(str(block)), (PICTURE, SHOWN)) == said("mlp", block).words
        )
    lab.follow()
    assert repr(lab.lab) == "ModelMap(box='mlp', block=2)"


def test_the_colours_are_the_numbers(show):
    lab = show(model_map(box="norm"))
    box = said("norm").box
    largest = np.unravel_index(np.argmax(box.picture), box.picture.shape)
    least = np.unravel_index(np.argmin(box.picture), box.picture.shape)
    rows, columns = box.picture.shape
    for (row, column), strong, weak in ((largest, 0, 2), (least, 2, 0)):
        drawn = lab.page.locator(SHOWN).evaluate(
            """(canvas, [x, y]) => Array.from(
                canvas.getContext("2d").getImageData(canvas.width * x, canvas.height * y, 1, 1).data)""",
            [(26 + (column + 0.5) / columns * 404) / 430, (row + 0.5) / rows],  # "cls" stands in the first 26 pixels
        )
        assert drawn[strong] > drawn[weak] + 60, (row, column, drawn)


def test_the_sentence_for_screen_readers_takes_no_room_and_its_numbers_are_seen_elsewhere(show):
    lab = show(model_map(box="softmax"))
    sentence = lab.page.locator(".vit-heard")
    assert sentence.text_content() == said("softmax").words
    assert sentence.bounding_box()["height"] <= 1
    assert lab.page.get_by_text(said("softmax").box.says, exact=True).is_visible()


def test_the_explorer_keeps_its_height_from_block_to_block(show):
    larger = model()
    with torch.no_grad():
        larger.blocks[2].mlp.fc2.weight.mul_(100)  # its caption has more digits
    lab = show(ModelMap(larger, GREY, box="residual2", more=True))
    caption = lab.page.locator(".vit-panels .vit-note").first
    lab.page.locator(PICTURE).focus()
    heights, lengths = [], []
    for block in (1, 2, 3):
        if block > 1:
            press(lab, "ArrowDown")
        heights.append(lab.page.locator(".vit-lab").bounding_box()["height"])
        lengths.append(len(caption.inner_text()))
        assert caption.bounding_box()["width"] <= lab.page.locator(SHOWN).bounding_box()["width"]
    assert heights == heights[:1] * 3
    assert lengths[2] > lengths[0]


@pytest.mark.parametrize(("width", "letters"), [(1280, 16), (850, 16), (390, 16), (390, 24)])
def test_nothing_moves_from_box_to_box(show, width, letters):
    lab = show(model_map())
    lab.set_letters(letters)
    lab.resize(width, 844)
    places = set()
    for box in said().walk:
        lab.set(box=box.key)
        assert lab.page.get_by_text(box.does, exact=True).first.is_visible()
        places.add((*tops(lab), lab.page.locator(".vit-lab").bounding_box()["height"]))
    assert len(places) == 1


def test_the_shape_of_a_large_picture_is_whole_too(show):
    large = ViT(ViTConfig(image_size=224, patch_size=56, dim=16, depth=1, num_heads=2))
    lab = show(ModelMap(large, np.zeros((3, 224, 224), dtype=np.uint8)))
    written = record_letters(lab)
    lab.set(box="patches")
    boxes = {one["text"]: one["box"] for one in written()}
    assert boxes["[1, 3, 224, 224]"][0] >= 0
    assert boxes["[1, 1000]"][2] <= WIDE


def test_what_keeps_room_for_the_texts_of_many_blocks_holds_each_text_once(show):
    deep = ViT(ViTConfig(image_size=28, patch_size=7, in_channels=1, dim=16, depth=12, num_heads=2))
    rooms = show(ModelMap(deep, GREY)).page.locator(".vit-room")
    kept = rooms.evaluate_all("all => all.map((room) => [...room.children].slice(1).map((one) => one.textContent))")
    assert len(kept) == 4
    assert all(len(texts) == len(set(texts)) <= 12 for texts in kept)


def test_the_key_that_closes_more_leaves_the_keys_in_the_explorer(show):
    lab = show(model_map())
    lab.page.locator(".vit-code").focus()
    lab.page.keyboard.press("m")
    assert lab.page.locator(".vit-opener").evaluate("opener => opener === document.activeElement")
    before = words(lab)
    lab.page.keyboard.press("ArrowRight")
    assert words(lab) != before


def test_a_change_from_code_is_drawn(show):
    lab = show(model_map())
    reacts(lab, lambda: lab.set(box="attn", block=3))
    wait_for_words(lab, said("attn", 3).words)
    assert lab.page.get_by_label("Open block").input_value() == "3"


def test_no_key_is_lost_and_keys_stay_inside(show):
    lab = show(model_map())
    lab.page.locator(PICTURE).focus()
    said_since = record_words(lab)
    way = [box.key for box in said().walk]
    for key in [*["ArrowRight"] * 8, *["ArrowLeft"] * 3, "ArrowDown", "ArrowDown", "ArrowDown"]:
        lab.page.keyboard.press(key)
    expected = [said(key).words for key in [*way[1:9], *way[7:4:-1]]]
    assert said_since() == [*expected, said(way[5], 2).words, said(way[5], 3).words]
