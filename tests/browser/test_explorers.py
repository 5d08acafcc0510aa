"""The explorers in a real JupyterLab: they appear, they react to mouse and keyboard, and they say what Python says."""

import hashlib
import re
import time

import nbformat
import numpy as np
import pytest

from vit_tutorial.explore import attention_lab_state, patch_lab_state
from vit_tutorial.explore.patch_lab import ORDERS, REASSEMBLIES

PICTURES = """
import numpy as np
random = np.random.default_rng(0)
picture = random.integers(0, 256, (3, 32, 32), dtype=np.uint8)
small = random.integers(0, 256, (28, 28), dtype=np.uint8)
"""
MAPS = """
def maps(layers, heads, tokens):
    weights = np.exp(2 * np.random.default_rng(1).normal(size=(layers, heads, tokens, tokens)))
    return weights / weights.sum(-1, keepdims=True)
"""
CELLS = {
    "patch": [
        "from vit_tutorial.explore import PatchLab",
        PICTURES,
        "lab = PatchLab({'one': picture, 'two': small}, 8)",
    ],
    "attention": [
        "from vit_tutorial.explore import AttentionLab",
        PICTURES,
        MAPS,
        "lab = AttentionLab(small, maps(3, 4, 50), 7, class_names=['shirt', 'shoe'], prediction=[0.25, 0.75])",
    ],
}
PICTURE, HEAT, STRIP = "canvas[role=application]", "canvas[aria-label^='Map of']", "canvas[aria-label^='The sequence']"


def values(cells):
    """What the cells define, so that the test computes with the same pictures and maps."""
    names = {}
    exec("\n".join(cells[:-1]), names)
    return names


@pytest.fixture
def explorer(open_notebook, servers):
    """`explorer("patch", theme)` shows one explorer and checks, at the end, that nothing went wrong."""
    opened = []

    def show(kind, theme="light"):
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        notebook.cells = [nbformat.v4.new_code_cell("\n".join(CELLS[kind])), nbformat.v4.new_code_cell("lab")]
        nbformat.write(notebook, servers(theme).root / f"{kind}.ipynb")
        lab = open_notebook(f"{kind}.ipynb", theme)
        lab.run_all(120)
        lab.page.locator(PICTURE).wait_for(state="visible", timeout=20_000)
        lab.page.locator(PICTURE).scroll_into_view_if_needed()
        opened.append(lab)
        return lab

    yield show
    for lab in opened:
        assert lab.errors() == []
        assert lab.broken_widgets() == []
        assert lab.console_errors == []
        assert lab.foreign_requests == []


def words(lab):
    return lab.page.locator(PICTURE).get_attribute("aria-label")


def pixels(lab, canvas=PICTURE):
    return hashlib.sha256(lab.page.locator(canvas).evaluate("canvas => canvas.toDataURL()").encode()).hexdigest()


def reacts(lab, action, canvases=(PICTURE,)):
    """Do something, and return the new words after checking that words and pictures have changed."""
    before = words(lab), [pixels(lab, canvas) for canvas in canvases]
    action()
    lab.page.wait_for_function(
        "([canvas, before]) => document.querySelector(canvas).getAttribute('aria-label') !== before",
        arg=[PICTURE, before[0]],
        timeout=5000,
    )
    for canvas, old in zip(canvases, before[1], strict=True):
        assert pixels(lab, canvas) != old, canvas
    return words(lab)


def kernel_says(lab, expression):
    """The text that the kernel prints for an expression, asked through a new cell."""
    lab.page.evaluate(
        """async (code) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({ code, silent: false });
            window.vitAnswer = "";
            future.onIOPub = (message) => {
                if (message.header.msg_type === "stream") window.vitAnswer += message.content.text;
            };
            await future.done;
        }""",
        f"print({expression}, end='')",
    )
    return lab.page.evaluate("() => window.vitAnswer")


def assert_kernel_says(lab, expression, expected):
    """The kernel hears of a change a moment after the page shows it, so it is asked until it has."""
    ends = time.monotonic() + 20
    while (said := kernel_says(lab, expression)) != expected and time.monotonic() < ends:
        lab.page.wait_for_timeout(100)
    assert said == expected


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_patch_lab_reacts_to_mouse_and_keys(explorer, theme):
    lab = explorer("patch", theme)
    image = values(CELLS["patch"])["picture"]
    assert words(lab) == patch_lab_state(image, 8).words
    box = lab.page.locator(PICTURE).bounding_box()
    middle = (box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
    said = reacts(lab, lambda: lab.page.mouse.move(*middle), [PICTURE, STRIP])
    assert said == patch_lab_state(image, 8, token=6).words
    lab.page.mouse.click(*middle)
    assert reacts(lab, lambda: lab.page.keyboard.press("ArrowDown")) == patch_lab_state(image, 8, token=10).words
    assert reacts(lab, lambda: lab.page.keyboard.press("ArrowLeft")) == patch_lab_state(image, 8, token=9).words
    assert reacts(lab, lambda: lab.page.keyboard.press("End")) == patch_lab_state(image, 8, token=15).words
    said = words(lab)
    lab.page.keyboard.press("ArrowRight")
    assert words(lab) == said
    check_named_and_readable(lab, theme)


def test_patch_lab_says_what_python_says_for_every_choice(explorer):
    lab = explorer("patch")
    page, image = lab.page, values(CELLS["patch"])["picture"]
    page.get_by_label("Patch size P").select_option("4")
    page.locator(PICTURE).focus()
    page.keyboard.press("Home")
    for order in ORDERS:
        page.get_by_label("Order of the sequence").select_option(order)
        for seed in (0, 1, 77) if order == "shuffled" else (0,):
            if order == "shuffled":
                page.get_by_label("Seed of the shuffle").fill(str(seed))
            for reassembly in REASSEMBLIES:
                page.get_by_label("Put the patches back").select_option(reassembly)
                token = int(re.search(r"Token (\d+) is", words(lab)).group(1))
                state = patch_lab_state(image, 4, order, seed, token, reassembly)
                assert (state.row, state.column) == (0, 0), "a new order stays on the same patch"
                assert words(lab) == state.words
                shown = page.locator(".vit-numbers dd").all_inner_texts()
                numbers = (state.num_tokens, state.numbers_per_token, state.attention_pairs)
                assert shown == ["8 × 8", *(f"{number:,}" for number in numbers), str(state.difference)]
    assert_kernel_says(lab, "lab.words()", words(lab))
    assert_kernel_says(lab, "lab.order, lab.seed, lab.reassembly", "shuffled 77 row by row")


def test_patch_lab_shows_the_reassembled_pixels(explorer):
    lab = explorer("patch")
    lab.page.get_by_label("Order of the sequence").select_option("shuffled")
    lab.page.get_by_label("Put the patches back").select_option("row by row")
    expected = patch_lab_state(values(CELLS["patch"])["picture"], 8, "shuffled", reassembly="row by row").reassembled
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


def test_patch_lab_takes_another_picture_and_a_code_change(explorer):
    lab = explorer("patch")
    small = values(CELLS["patch"])["small"]
    said = reacts(lab, lambda: lab.page.get_by_label("Picture", exact=True).select_option("two"), [PICTURE, STRIP])
    assert said == patch_lab_state(small, 7).words
    said = reacts(lab, lambda: kernel_says(lab, "[setattr(lab, 'patch_size', 14), setattr(lab, 'token', 3)]"))
    lab.page.wait_for_function(
        "([canvas, text]) => document.querySelector(canvas).getAttribute('aria-label') === text",
        arg=[PICTURE, patch_lab_state(small, 14, token=3).words],
        timeout=5000,
    )
    assert lab.page.get_by_label("Patch size P").input_value() == "14"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_attention_lab_reacts_to_mouse_and_keys(explorer, theme):
    lab = explorer("attention", theme)
    page = lab.page
    maps = values(CELLS["attention"])["maps"](3, 4, 50).astype(np.float16)

    def python_says(layer, head, query):
        return attention_lab_state(maps, 7, layer, head, query).words

    assert words(lab) == python_says(2, -1, 0)
    assert page.get_by_text("The model says: shoe 75.0%, shirt 25.0%").is_visible()
    box = page.locator(PICTURE).bounding_box()
    cell = box["width"] / 7
    at = (box["x"] + 3.5 * cell, box["y"] + 1.5 * cell)
    assert reacts(lab, lambda: page.mouse.click(*at), [PICTURE, HEAT]) == python_says(2, -1, 11)
    for key, query in {"ArrowDown": 18, "ArrowRight": 19, "ArrowUp": 12, "ArrowLeft": 11, "Home": 1, "End": 49}.items():
        assert reacts(lab, lambda key=key: page.keyboard.press(key), [PICTURE, HEAT]) == python_says(2, -1, query)
    assert reacts(lab, lambda: page.keyboard.press("c")) == python_says(2, -1, 0)
    assert page.get_by_role("button", name="Class token looks").get_attribute("aria-pressed") == "true"
    assert reacts(lab, lambda: page.keyboard.press("c")) == python_says(2, -1, 49)
    assert reacts(lab, lambda: page.keyboard.press("PageUp"), [HEAT]) == python_says(1, -1, 49)
    page.get_by_role("slider", name="Head", exact=True).focus()
    assert reacts(lab, lambda: page.keyboard.press("ArrowRight"), [HEAT]) == python_says(1, 0, 49)
    page.get_by_role("slider", name="Layer", exact=True).focus()
    assert reacts(lab, lambda: page.keyboard.press("ArrowLeft"), [HEAT]) == python_says(0, 0, 49)
    clicked = page.get_by_role("button", name="Class token looks").click
    assert reacts(lab, clicked, [HEAT]) == python_says(0, 0, 0)
    top = [line.split("\t")[:2] for line in page.locator(".vit-top tr").all_inner_texts()]
    state = attention_lab_state(maps, 7, 0, 0, 0)
    assert [int(re.search(r"patch (\d+)", name).group(1)) for name, _ in top] == [patch for patch, _ in state.top]
    assert_kernel_says(lab, "lab.words()", words(lab))
    check_named_and_readable(lab, theme)


def test_attention_lab_shows_the_weights_as_colours(explorer):
    lab = explorer("attention")
    maps = values(CELLS["attention"])["maps"](3, 4, 50).astype(np.float16)
    lab.page.get_by_role("slider", name="Head", exact=True).focus()
    reacts(lab, lambda: lab.page.keyboard.press("ArrowRight"), [HEAT])
    drawn = lab.page.locator(HEAT).evaluate(
        """canvas => Array.from({ length: 49 }, (_, i) => {
            const step = canvas.width / 7;
            const [x, y] = [((i % 7) + 0.5) * step, (Math.floor(i / 7) + 0.5) * step];
            return Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data);
        })"""
    )
    weights = attention_lab_state(maps, 7, 2, 0, 0).weights.reshape(-1)
    brightness = np.array(drawn)[:, :3] @ [0.3, 0.59, 0.11]
    order = np.argsort(weights)
    assert (np.diff(brightness[order]) >= -1.5).all(), "viridis grows brighter with the weight"
    assert np.array(drawn)[order[-1]].tolist() == [253, 231, 37, 255]
    lab.page.locator(PICTURE).focus()
    reacts(lab, lambda: lab.page.keyboard.press("Home"), [PICTURE, HEAT])
    for canvas in (PICTURE, HEAT):
        corner = "canvas => Array.from(canvas.getContext('2d').getImageData(1, 1, 1, 1).data)"
        assert lab.page.locator(canvas).evaluate(corner) == [255, 255, 255, 255], "patch 0 is framed in white"


def test_no_key_is_lost_and_none_reaches_jupyterlab(explorer):
    lab = explorer("attention")
    page = lab.page
    page.locator(PICTURE).focus()
    page.keyboard.press("Home")
    page.evaluate(
        """canvas => {
            window.vitSaid = [];
            const element = document.querySelector(canvas);
            new MutationObserver(() => window.vitSaid.push(element.getAttribute("aria-label")))
                .observe(element, { attributes: true, attributeFilter: ["aria-label"] });
        }""",
        PICTURE,
    )
    cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length")
    for key in ["ArrowRight"] * 6 + ["ArrowDown"] * 6 + ["ArrowLeft"] * 6:
        page.keyboard.press(key)
    page.keyboard.type("abxdm")
    said = page.evaluate("() => window.vitSaid")
    path = [*range(1, 7), *range(13, 49, 7), *range(47, 41, -1)]
    assert [int(re.search(r": patch (\d+)", text).group(1)) for text in said] == path
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length") == cells
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"


def check_named_and_readable(lab, theme):
    """Every control has a name, and the text stands out from an opaque ground of the theme."""
    unnamed = lab.page.locator(".vit-lab").evaluate(
        """root => Array.from(root.querySelectorAll("input, select, button, canvas")).filter(control =>
            !(control.labels?.length || control.textContent.trim() || control.getAttribute("aria-label")
              || control.getAttribute("aria-hidden"))).map(control => control.outerHTML)"""
    )
    assert unnamed == []
    text, paper = lab.page.locator(".vit-lab").evaluate(
        "root => [getComputedStyle(root).color, getComputedStyle(root).backgroundColor]"
    )
    assert contrast(text, paper) > 7
    assert (luminance(paper) < 0.2) == (theme == "dark")


def luminance(colour):
    """Relative luminance of `rgb(...)` after WCAG 2, 0 to 1; the colour must be opaque."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)]
    assert len(numbers) == 3 or numbers[3] >= 0.85, f"{colour} lets the page shine through"
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(numbers[:3]) / 255]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, other):
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_stored_output_is_a_picture_with_alt_text(explorer, open_notebook, servers):
    lab = explorer("patch")
    output = next(output for output in lab.outputs() if "text/html" in output.get("data", {}))
    output.pop("cell")
    output["data"].pop("application/vnd.jupyter.widget-view+json")
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell("lab", outputs=[nbformat.from_dict(output)], execution_count=1)]
    nbformat.write(notebook, servers("light").root / "stored.ipynb")
    stored = open_notebook("stored.ipynb")
    image = stored.page.locator(".jp-OutputArea-output img")
    image.wait_for(state="visible", timeout=10_000)
    assert image.evaluate("image => image.naturalWidth") > 900
    assert image.get_attribute("alt").startswith("Patch size 8: 4 rows and 4 columns give 16 tokens")
