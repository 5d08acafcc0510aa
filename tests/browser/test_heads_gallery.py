"""The heads gallery in a real JupyterLab: it runs the model as torch does, and reacts to mouse and keyboard."""

import base64

import numpy as np
import pytest
import torch
from explorers import (
    PICTURE,
    assert_kernel_says,
    check_named_and_readable,
    kernel_says,
    reacts,
    values,
    wait_for_words,
    words,
)

from vit_tutorial import ViT, ViTConfig
from vit_tutorial.explore import HeadsGallery, heads_gallery_state
from vit_tutorial.explore.common import browser_code

MODEL = """from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER, load
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
pictures = dict(zip(("boot", "pullover"), data.test_images[:2]))
labels = data.test_labels[:2].tolist()"""
LAB = f"""from vit_tutorial.explore import HeadsGallery
{MODEL}
lab = HeadsGallery(model, pictures, labels=labels)"""
MAP = "canvas[aria-label^='Head 2, ']"
ALL = "canvas[aria-label^='The maps of all']"


@pytest.fixture(scope="module")
def says():
    """`says(layer, query, off, "boot")`: what Python says the gallery shows."""
    known = values(MODEL)
    vit, names = known["model"].double(), list(known["pictures"])

    def state(layer=0, query=0, off=(), name="boot"):
        label = known["labels"][names.index(name)]
        return heads_gallery_state(vit, known["pictures"][name], layer, query, off, label=label, name=name)

    return lambda *choices: state(*choices).words


def corner(lab, canvas, row, column):
    """Where on the page the middle of a patch lies."""
    box = lab.page.locator(canvas).bounding_box()
    return box["x"] + (column + 0.5) * box["width"] / 7, box["y"] + (row + 0.5) * box["height"] / 7


def press(lab, key, canvases=(PICTURE,)):
    return reacts(lab, lambda: lab.page.keyboard.press(key), canvases)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_heads_gallery_reacts_to_mouse_and_keys(explorer, says, theme):
    lab = explorer(LAB, theme)
    page = lab.page
    assert words(lab) == says()
    assert reacts(lab, lambda: page.mouse.click(*corner(lab, PICTURE, 2, 4)), [PICTURE, MAP, ALL]) == says(0, 19)
    for key, query in {"ArrowRight": 20, "ArrowDown": 27, "ArrowLeft": 26, "ArrowUp": 19, "End": 49}.items():
        assert press(lab, key, [PICTURE, MAP, ALL]) == says(0, query)
    page.keyboard.press("ArrowRight")
    assert press(lab, "Home") == says(0, 1)
    assert press(lab, "PageDown", [MAP, ALL]) == says(1, 1)
    assert press(lab, "2", [MAP, ALL]) == says(1, 1, [(1, 2)])
    assert press(lab, "Shift+Digit2", [MAP, ALL]) == says(1, 1, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "PageUp", [MAP, ALL]) == says(0, 1, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "l", [MAP, ALL]) == says(0, 1, [(0, head) for head in range(4)] + [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "l", [MAP, ALL]) == says(0, 1, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "c", [PICTURE, MAP, ALL]) == says(0, 0, [(1, 0), (1, 1), (1, 3)])
    assert press(lab, "a", [ALL]) == says()
    assert press(lab, "ArrowLeft", [PICTURE, MAP, ALL]) == says(0, 1)
    assert_kernel_says(lab, "lab.words()", words(lab))
    check_named_and_readable(lab, theme)


def test_every_switch_works_by_mouse(explorer, says):
    lab = explorer(LAB)
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
    assert click("Layer on (l)") == says(3, 0, [(0, 1)])
    assert_kernel_says(lab, "lab.off", "[[0, 1]]")
    at = corner(lab, MAP, 5, 1)
    assert reacts(lab, lambda: page.mouse.click(*at), [PICTURE, MAP]) == says(3, 37, [(0, 1)])
    choose = page.get_by_label("Picture", exact=True).select_option
    assert reacts(lab, lambda: choose("pullover"), [PICTURE, MAP, ALL]) == says(3, 37, [(0, 1)], "pullover")
    page.get_by_role("slider", name="Layer").focus()
    assert press(lab, "ArrowRight", [MAP, ALL]) == says(4, 37, [(0, 1)], "pullover")
    assert click("All heads on (a)") == says(4, 37, [], "pullover")
    assert reacts(lab, page.get_by_role("button", name="Class token (c)").click) == says(4, 0, [], "pullover")
    kernel_says(lab, "[setattr(lab, 'off', [(5, 3), (2, 0)]), setattr(lab, 'query', 9), setattr(lab, 'layer', 2)]")
    wait_for_words(lab, says(2, 9, [(2, 0), (5, 3)], "pullover"))


def test_the_bars_are_the_probabilities_of_torch(explorer):
    lab = explorer(LAB)
    known = values(MODEL)
    for off in ([], [(0, 0), (0, 2)], [(layer, 1) for layer in range(6)]):
        state = heads_gallery_state(known["model"].double(), known["pictures"]["boot"], off=off)
        kernel_says(lab, f"setattr(lab, 'off', {off})")
        lab.page.wait_for_function(
            "([canvas, text]) => document.querySelector(canvas).getAttribute('aria-label').includes(text)",
            arg=[PICTURE, f"Switched off: {'layer 0 head' if off else 'nothing'}"],
        )
        if off:
            wait_for_words(lab, state.words.replace("The picture", "boot") + " The label is Ankle boot.")
        widths = lab.page.locator(".vit-top .vit-bar").evaluate_all(
            "all => all.map(bar => parseFloat(bar.style.width))"
        )
        drawn = np.array(widths).reshape(10, 2) / 130
        np.testing.assert_allclose(drawn[:, 0], state.probabilities, atol=1e-4)
        np.testing.assert_allclose(drawn[:, 1], state.all_on, atol=1e-4)


RUN = """([code, sizes, classes, tokens, weights, start, off]) => {
    const numbers = (text) => new Float32Array(Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)).buffer);
    const blocksOf = new Function(code.split("export default")[0] + "return blocksOf")();
    const blocks = blocksOf(numbers(weights), sizes, classes, tokens);
    let x = numbers(start);
    const maps = [];
    for (let layer = 0; layer < sizes.layers; layer++) {
        const done = blocks.run(layer, x, new Set(off.filter(([where]) => where === layer).map(([, head]) => head)));
        x = done.out;
        maps.push(Array.from(done.maps));
    }
    return { maps, chances: Array.from(blocks.classify(x)) };
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
def test_the_browsers_model_is_torchs(explorer, options):
    known = values(MODEL)
    vit = known["model"] if options is None else random_model(**options)
    picture = known["pictures"]["pullover"]
    page = explorer(LAB).page
    gallery = HeadsGallery(vit, picture)
    heads, depth = vit.config.num_heads, vit.config.depth
    for off in ([], [(0, 1)], [(depth - 1, head) for head in range(heads)], [(i, i % heads) for i in range(depth)]):
        sent = [base64.b64encode(data).decode() for data in (gallery._weights, gallery._tokens)]
        tokens = vit.grid_size[0] * vit.grid_size[1] + vit.num_prefix_tokens
        arguments = [gallery._sizes, vit.config.num_classes, tokens, *sent, off]
        found = page.evaluate(RUN, [browser_code("heads_gallery.js"), *arguments])
        for layer, maps in enumerate(found["maps"]):
            state = heads_gallery_state(vit.double(), picture, layer, off=off)
            np.testing.assert_allclose(np.array(maps).reshape(state.maps.shape), state.maps, atol=1e-4)
        np.testing.assert_allclose(found["chances"], state.probabilities, atol=1e-4)


def test_no_key_is_lost_and_none_reaches_jupyterlab(explorer, says):
    lab = explorer(LAB)
    page = lab.page
    page.locator(PICTURE).focus()
    cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length")
    for key in ["ArrowDown"] * 5 + ["ArrowRight"] * 3 + ["0", "1", "0", "3"] * 4 + ["PageDown", "7", "2"]:
        page.keyboard.press(key)
    page.keyboard.type("bxdm")
    assert words(lab) == says(1, 49, [(1, 2)])  # the first arrow leaves the class token for the middle patch
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length") == cells
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"
