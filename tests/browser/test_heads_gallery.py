"""The heads gallery in a browser: it runs the model as torch does, and reacts to mouse and keyboard."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import tops
from explorers import PICTURE, check_named_and_readable, press, reacts, record_words, words

from vit_tutorial import ViT, ViTConfig, explore, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import HeadsGallery, heads_gallery_state
from vit_tutorial.explore.bundle import bundle
from vit_tutorial.explore.heads_gallery.numbers import heads_off
from vit_tutorial.explore.pictures import model_input
from vit_tutorial.explore.vit import packed_vit

DATA = load("fashion_mnist")
PICTURES = dict(zip(("boot", "pullover"), DATA.test_images[:2], strict=True))
LABELS = DATA.test_labels[:2].tolist()
MAP = "canvas[aria-label^='Head 2, ']"
ALL = "canvas[aria-label^='The maps of all']"


def trained():
    return load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")


def gallery():
    return HeadsGallery(trained(), PICTURES, labels=LABELS, more=True)


@pytest.fixture(scope="module")
def says():
    """`says(layer, query, off, "boot")`: what Python says the gallery shows."""
    vit, labels = trained().double(), dict(zip(PICTURES, LABELS, strict=True))

    def state(layer=0, query=0, off=(), name="boot"):
        return heads_gallery_state(vit, PICTURES[name], layer, query, off, label=labels[name], name=name)

    return lambda *choices: state(*choices).words


def corner(lab, canvas, row, column):
    """Where on the page the middle of a patch lies."""
    box = lab.page.locator(canvas).bounding_box()
    return box["x"] + (column + 0.5) * box["width"] / 7, box["y"] + (row + 0.5) * box["height"] / 7


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_heads_gallery_reacts_to_mouse_and_keys(show, says, theme):
    lab = show(gallery(), theme)
    page = lab.page
    assert words(lab) == says()
    assert reacts(lab, lambda: page.mouse.click(*corner(lab, PICTURE, 2, 4)), [PICTURE, MAP, ALL]) == says(0, 19)
    for key, query in {"ArrowRight": 20, "ArrowDown": 27, "ArrowLeft": 26, "ArrowUp": 19, "End": 49}.items():
        assert press(lab, key, [PICTURE, MAP, ALL]) == says(0, query)
    page.keyboard.press("ArrowRight")
    assert press(lab, "Home") == says(0, 1)
    assert press(lab, "PageUp", [MAP, ALL]) == says(1, 1)
    assert press(lab, "2", [MAP, ALL]) == says(1, 1, [(1, 2)])
    assert press(lab, "Shift+Digit2", [MAP, ALL]) == says(1, 1, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "PageDown", [MAP, ALL]) == says(0, 1, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "l", [MAP, ALL]) == says(0, 1, [(0, head) for head in range(4)] + [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "l", [MAP, ALL]) == says(0, 1, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "c", [PICTURE, MAP, ALL]) == says(0, 0, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "a", [ALL]) == says()
    assert press(lab, "ArrowLeft", [PICTURE, MAP, ALL]) == says(0, 1)
    lab.follow()
    check_named_and_readable(lab, theme)


def test_every_switch_works_by_mouse(show, says):
    lab = show(gallery())
    page = lab.page

    def click(name):
        return reacts(lab, page.get_by_role("button", name=name, exact=True).click, [ALL])

    assert click("Head 1: on") == says(0, 0, [(0, 1)])
    box = page.locator(ALL).bounding_box()
    line = (box["height"] - 20) / 6
    at = (box["x"] + 60, box["y"] + 20 + 3.4 * line)
    assert reacts(lab, lambda: page.mouse.click(*at), [ALL, MAP]) == says(3, 0, [(0, 1)])
    assert click("Only head 2 of this layer") == says(3, 0, [(0, 1), (3, 0), (3, 1), (3, 3)])
    assert click("Head 0: off") == says(3, 0, [(0, 1), (3, 1), (3, 3)])
    assert click("Layer off (l)") == says(3, 0, [(0, 1), *((3, head) for head in range(4))])
    layer = page.get_by_role("button", name="Layer off (l)", exact=True)
    assert layer.get_attribute("aria-pressed") == "true", "the name stays, and says with this that the layer is off"
    assert click("Layer off (l)") == says(3, 0, [(0, 1)])
    assert layer.get_attribute("aria-pressed") == "false"
    lab.follow()
    assert lab.lab.off == [[0, 1]]
    at = corner(lab, MAP, 5, 1)
    assert reacts(lab, lambda: page.mouse.click(*at), [PICTURE, MAP]) == says(3, 37, [(0, 1)])
    choose = page.get_by_label("Picture", exact=True).select_option
    assert reacts(lab, lambda: choose("pullover"), [PICTURE, MAP, ALL]) == says(3, 37, [(0, 1)], "pullover")
    page.get_by_role("slider", name="Layer").focus()
    assert press(lab, "ArrowRight", [MAP, ALL]) == says(4, 37, [(0, 1)], "pullover")
    assert click("All heads on (a)") == says(4, 37, [], "pullover")
    assert reacts(lab, page.get_by_role("button", name="Class token (c)").click) == says(4, 0, [], "pullover")
    lab.follow()
    lab.set(off=[(5, 3), (2, 0)], query=9, layer=2)
    assert words(lab) == says(2, 9, [(2, 0), (5, 3)], "pullover")


def test_a_head_that_is_on_is_told_apart_where_a_system_has_its_own_few_colours(show):
    lab = show(HeadsGallery(trained(), PICTURES, off=[(0, 1)]))
    lab.page.emulate_media(forced_colors="active")
    grounds = [
        lab.page.get_by_role("button", name=name).evaluate("one => getComputedStyle(one).backgroundColor")
        for name in ("Head 0: on", "Head 1: off", "Head 2: on")
    ]
    lab.page.emulate_media(forced_colors="none")
    assert grounds[0] == grounds[2] != grounds[1]


def test_the_bars_have_a_heading_and_stay_inside_also_with_large_letters_on_a_phone(show):
    lab = show(gallery())
    assert lab.page.get_by_role("columnheader", name="thick: now, thin: all on").is_visible()
    measure = """() => {
        const inside = document.querySelector(".vit-lab").getBoundingClientRect();
        const bars = [...document.querySelectorAll(".vit-top .vit-bar")].map((bar) => bar.getBoundingClientRect());
        return [inside.right, Math.max(...bars.map(({ right }) => right)), Math.max(...bars.map(({ width }) => width))];
    }"""
    *_, longest = lab.page.evaluate(measure)
    assert 110 < longest <= 130
    for letters, least in ((24, 120), (32, 80)):
        lab.set_letters(letters)
        lab.resize(360, 844)
        edge, farthest, longest = lab.page.evaluate(measure)
        assert farthest <= edge - 16
        assert longest > least


def test_the_bars_are_the_probabilities_of_torch(show):
    lab, vit = show(gallery()), trained().double()
    for off in ([], [(0, 0), (0, 2)], [(layer, 1) for layer in range(6)]):
        state = heads_gallery_state(vit, PICTURES["boot"], off=off, label=LABELS[0], name="boot")
        lab.set(off=off)
        assert words(lab) == state.words
        widths = lab.page.locator(".vit-top .vit-bar").evaluate_all(
            "all => all.map(bar => parseFloat(bar.style.width))"
        )
        drawn = np.array(widths).reshape(10, 2) / 100
        np.testing.assert_allclose(drawn[:, 0], state.probabilities, atol=1e-4)
        np.testing.assert_allclose(drawn[:, 1], state.all_on, atol=1e-4)


RUN = """([code, sent, pixels, off]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { vitOf, embed, passOf, forward, probabilitiesOf } = new Function(
        code + "return { vitOf, embed, passOf, forward, probabilitiesOf };")();
    const vit = vitOf({ ...sent, numbers: new DataView(bytes(sent.numbers).buffer) });
    const pass = forward(vit, passOf(vit), embed(vit, bytes(pixels)), off);
    const plain = (arrays) => arrays.map((array) => Array.from(array));
    const [probabilities] = plain([probabilitiesOf(pass.logits)]);
    return { maps: plain(pass.maps), tokens: plain(pass.tokens), probabilities };
}"""


def random_model(**options):
    """A small model of random numbers, none of them 0 or 1."""
    torch.manual_seed(0)
    size = {
        "image_size": 28,
        "patch_size": 7,
        "in_channels": 1,
        "num_classes": 6,
        "dim": 24,
        "depth": 2,
        "num_heads": 3,
    }
    vit = ViT(ViTConfig(**(size | options)))
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return vit


@pytest.mark.parametrize(
    "options",
    [None, {}, {"pool": "mean"}, {"gelu": "tanh", "position": "none"}, {"qkv_bias": False, "position": "sincos"}],
    ids=["the shipped model", "cls", "mean", "tanh", "no bias"],
)
def test_the_browsers_model_is_torchs(show, options):
    vit = trained() if options is None else random_model(**options)
    picture = PICTURES["pullover"]
    page = show(gallery()).page
    sent = packed_vit(vit)
    sent["numbers"] = base64.b64encode(sent["numbers"]).decode()
    code = bundle(Path(explore.__file__).with_name("vit.js"))
    heads, depth = vit.config.num_heads, vit.config.depth
    pixels = base64.b64encode(picture.numpy().tobytes()).decode()
    vit = vit.double().eval()
    for off in ([], [(0, 1)], [(depth - 1, head) for head in range(heads)], [(i, i % heads) for i in range(depth)]):
        found = page.evaluate(RUN, [code, sent, pixels, off])
        with heads_off(vit, off), torch.no_grad():
            stages = vit.forward_intermediates(model_input(vit, picture.numpy()))
        for layer, maps in enumerate(found["maps"]):
            state = heads_gallery_state(vit, picture, layer, off=off)
            np.testing.assert_allclose(np.array(maps).reshape(state.maps.shape), state.maps, atol=1e-5)
            after = stages[f"blocks.{layer}"][0].flatten()
            np.testing.assert_allclose(found["tokens"][layer + 1], after, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(found["tokens"][0], stages["position"][0].flatten(), atol=1e-5)
        np.testing.assert_allclose(found["probabilities"], state.probabilities, atol=1e-5)


def test_no_key_is_lost_and_none_leaves_the_explorer(show, says):
    lab = show(gallery())
    page = lab.page
    page.locator(PICTURE).focus()
    said_since = record_words(lab)
    page.evaluate("() => { document.onkeydown = (event) => document.body.append(event.key) }")
    keys = ["ArrowDown"] * 5 + ["ArrowRight"] * 3 + ["0", "1", "0", "3"] * 4 + ["PageUp", "7", "2"]
    for key in keys:
        page.keyboard.press(key)
    assert len(said_since()) == len(keys) - 2  # the edge of the picture, and no head 7
    page.keyboard.type("bxdm")
    assert words(lab) == says(1, 49, [(1, 2)])  # the first arrow leaves the class token for the middle patch
    assert page.evaluate("() => Array.from(document.body.childNodes, (node) => node.nodeType)").count(3) == 0
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"


def test_what_changes_nothing_is_not_sent(show):
    lab = show(gallery())
    lab.page.locator(PICTURE).focus()
    for key in ("a", "PageDown", "9"):
        lab.page.keyboard.press(key)
    assert lab.sent() == []


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_moves_whatever_is_chosen(show, width):
    lab = show(gallery())
    lab.set_letters(24)
    lab.resize(width, 844)
    layer = [(0, head) for head in range(4)]
    choices = [{"query": 1}, {"query": 49}, {"off": layer}, {"off": layer[:1]}, {"off": []}, {"picture": "pullover"}]
    places, heights = {tuple(tops(lab))}, []
    for changes in choices:
        lab.set(**changes)
        places.add(tuple(tops(lab)))
        heights.append(lab.page.locator(".vit-lab").bounding_box()["height"])
    assert len(places) == 1
    lab.page.locator(ALL).click(position={"x": 60, "y": 30 + 2 * 46 + 38})
    assert lab.chosen()["layer"] == 2, "below numbers that are larger"
    lab.set(layer=0)
    assert heights == sorted(heights), "the words below keep the room that they have taken"
    lab.set_letters(16)
    lab.resize(width, 844)
    lab.set(query=0)
    assert lab.page.locator(".vit-lab").bounding_box()["height"] < heights[0]
