"""The sketch lab in a browser: one draws with mouse, finger and keys, and the browser runs the model as torch does."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import tops
from explorers import PICTURE, assert_kernel_says, check_named_and_readable, pixels, press, reacts, record_words, words
from lab import write_notebook

from vit_tutorial import ViT, ViTConfig, attention_maps, explore, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import SketchLab
from vit_tutorial.explore.bundle import bundle
from vit_tutorial.explore.heads_gallery.numbers import heads_off
from vit_tutorial.explore.pictures import model_input
from vit_tutorial.explore.sketch_lab import drawing_of
from vit_tutorial.explore.vit import packed_vit

DATA = load("fashion_mnist")
PICTURES = {"boot": DATA.test_images[0], "trousers": DATA.test_images[2]}
BAG = [(4, 11), (24, 11), (25, 23), (3, 23), (4, 11)]
TROUSERS = [(8, 3), (20, 3), (22, 25), (16, 25), (14, 9), (12, 25), (6, 25), (8, 3)]
CUT = "canvas[aria-label^='The picture in 7 rows']"
MAP = "canvas[aria-label^='Head 2, ']"
MIDDLE = 14 * 28 + 14


def trained():
    return load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")


def sketch(**choices):
    return SketchLab(trained(), PICTURES, learned_from=DATA.train_images, **choices)


def image(lab):
    """The pixels [28, 28] that are on the canvas, after the twin has heard of them and found the same words."""
    lab.follow()
    return lab.lab.state().image[0]


def place(lab, x, y):
    """Where on the page a place on the canvas lies, in pixels of the drawing."""
    box = lab.page.locator(PICTURE).bounding_box()
    return box["x"] + x * box["width"] / 28, box["y"] + y * box["height"] / 28


def draw(lab, points):
    """Draw through these places with the mouse, and wait until the last one is on the canvas."""
    mouse = lab.page.mouse
    mouse.move(*place(lab, *points[0]))
    mouse.down()
    for point in points[1:]:
        mouse.move(*place(lab, *point), steps=4)
    mouse.up()


def says(lab):
    """The best answer, as it stands in large letters."""
    return lab.page.locator(".vit-answer").first.evaluate("element => element.firstChild.textContent")


def click(lab, name, canvases=(PICTURE,)):
    return reacts(lab, lab.page.get_by_role("button", name=name, exact=True).click, canvases)


# Drawing


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_mouse_draws_and_the_model_answers(show, theme):
    lab = show(sketch(), theme)
    assert words(lab).startswith("An empty canvas. The model says Sandal 79")
    reacts(lab, lambda: draw(lab, TROUSERS))
    assert says(lab) != "Trouser", "an outline of trousers is not trousers to this model"
    assert "This is an outline: 64.0% of what lies between its edges is lit" in words(lab)
    assert "It is 24 pixels long and 0.0 off the centre" in words(lab)
    outline = image(lab)
    assert outline[3, 14] == 255
    assert outline[14, 10] == 0
    click(lab, "Fill (f)")
    solid = image(lab)
    assert solid[14, 10] == 255
    assert (solid >= outline).all()
    click(lab, "Centre and scale (c)")
    assert says(lab) == "Trouser"
    large = image(lab)
    assert large[0].any()
    assert large[-1].any()
    assert words(lab).startswith("A drawing. The model says Trouser 8")
    assert "training pictures" not in words(lab)
    check_named_and_readable(lab, theme)


def test_a_bag_is_drawn_and_taken_back_step_by_step(show):
    lab = show(sketch())
    reacts(lab, lambda: draw(lab, BAG))
    once = image(lab)
    reacts(lab, lambda: draw(lab, [(9, 11), (11, 6), (17, 6), (19, 11)]))
    click(lab, "Fill (f)")
    click(lab, "Centre and scale (c)")
    assert says(lab) == "Bag"
    for _ in range(2):
        click(lab, "Undo (z)")
    assert not np.array_equal(image(lab), once)
    click(lab, "Undo (z)")
    assert np.array_equal(image(lab), once), "one stroke is one step"
    click(lab, "Clear (x)")
    assert not image(lab).any()
    reacts(lab, lambda: lab.page.keyboard.press("Control+z"))
    assert np.array_equal(image(lab), once)
    click(lab, "Undo (z)")
    assert not image(lab).any()
    undo = lab.page.get_by_role("button", name="Undo (z)", exact=True)
    assert undo.get_attribute("aria-disabled") == "true"
    undo.click(force=True)
    assert lab.sent() == [], "nothing is left to take back"


def test_a_stroke_has_the_brush_that_is_chosen(show):
    lab = show(sketch(drawing="boot"))
    page, boot = lab.page, PICTURES["boot"][0].numpy()
    page.get_by_role("slider", name="Grey").focus()
    page.keyboard.press("Home")
    assert page.get_by_role("button", name="Eraser (e)").get_attribute("aria-pressed") == "true"
    page.get_by_role("slider", name="Brush").focus()
    page.keyboard.press("End")
    reacts(lab, lambda: draw(lab, [(23, 6), (23, 20)]))
    assert words(lab).startswith("A drawing.")
    rubbed = image(lab)
    assert (lab.lab.brush, lab.lab.grey) == (8, 0)
    assert not rubbed[8:18, 20:26].any()
    assert np.array_equal(rubbed[:, :18], boot[:, :18])
    page.get_by_role("button", name="Eraser (e)").click()
    lab.follow()
    assert lab.lab.grey == 255, "the grey before the eraser"
    lab.set(brush=1, grey=90)
    reacts(lab, lambda: draw(lab, [(22.5, 10.5), (24.5, 10.5)]))
    assert image(lab)[10, 21:26].tolist() == [0, 90, 90, 90, 0]


def test_drawing_begins_on_any_picture(show):
    lab = show(sketch())
    for name in ("trousers", "boot"):
        thumb = lab.page.get_by_role("button", name=name, exact=True)
        assert reacts(lab, thumb.click).startswith(f"{name}, a test picture. The model says ")
        assert thumb.get_attribute("aria-pressed") == "true"
        assert np.array_equal(image(lab), PICTURES[name][0])
    reacts(lab, lambda: draw(lab, [(2, 2), (3, 3)]))
    assert thumb.get_attribute("aria-pressed") == "false"
    changed = image(lab) != PICTURES["boot"][0].numpy()
    assert changed[:6, :6].sum() == changed.sum() > 4


def test_keys_alone_do_all_of_it(show):
    lab = show(sketch())
    page = lab.page
    page.locator(PICTURE).focus()
    for key, moved in {"ArrowRight": 1, "ArrowDown": 28, "ArrowLeft": -1, "ArrowUp": -28}.items():
        before = lab.page.evaluate("() => vitModel.get('cursor')")
        press(lab, key)
        press(lab, f"Shift+{key}")
        assert lab.page.evaluate("() => vitModel.get('cursor')") == before + 5 * moved
    press(lab, "Home")
    page.keyboard.press("ArrowUp")  # the edge
    assert words(lab).endswith("The brush is at row 0, column 0.")
    press(lab, "End")
    assert words(lab).endswith("The brush is at row 27, column 27.")
    lab.follow()
    lab.set(cursor=MIDDLE, brush=1)
    press(lab, " ")
    assert np.argwhere(image(lab)).tolist() == [[14, 14]]
    press(lab, "ArrowRight")
    assert np.argwhere(image(lab)).tolist() == [[14, 14]], "the brush is up again"
    page.keyboard.down(" ")
    for key in ("ArrowRight", "ArrowDown"):
        press(lab, key)
    page.keyboard.up(" ")
    press(lab, "ArrowDown")
    hook = [[14, 14], [14, 15], [14, 16], [15, 16]]
    assert np.argwhere(image(lab)).tolist() == hook
    press(lab, "z")
    assert np.argwhere(image(lab)).tolist() == hook[:1], "what is painted without lifting is one step"
    press(lab, "p")
    assert page.get_by_role("button", name="Brush down (p)").get_attribute("aria-pressed") == "true"
    for key in ("ArrowDown", "Shift+ArrowLeft", "ArrowUp"):
        press(lab, key)
    page.keyboard.press("p")
    press(lab, "ArrowUp")
    assert image(lab)[17, 12:17].all()
    assert not image(lab)[15, 12:16].any()
    page.keyboard.press("e")
    page.keyboard.press("+")
    page.keyboard.press("=")
    lab.follow()
    assert (lab.lab.grey, lab.lab.brush) == (0, 3)
    press(lab, "x")
    page.keyboard.press("e")
    page.keyboard.press("-")
    page.keyboard.press(",")
    lab.follow()
    assert (lab.lab.grey, lab.lab.brush) == (223, 2)
    page.keyboard.press(".")
    lab.follow()
    assert lab.lab.grey == 255
    lab.set(cursor=5 * 28 + 5, brush=1)
    press(lab, "p")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft", "Shift+ArrowUp"):
        press(lab, key)
    press(lab, "f")
    square = np.zeros((28, 28))
    square[5:10, 5:10] = 255
    assert np.array_equal(image(lab), square)
    press(lab, "c")
    assert (image(lab) == 255).all()
    press(lab, "n")
    assert words(lab).startswith("boot, a test picture.")
    press(lab, "n")
    press(lab, "n")
    assert words(lab).startswith("An empty canvas.")
    for key in ("m", "PageUp", "q", "2", "t", "a", "PageDown", "m"):
        press(lab, key, [])
    lab.follow()
    assert lab.lab.choices() == {
        **{"drawing": "nothing", "cursor": 5 * 28 + 5, "brush": 1, "grey": 255, "more": False},
        **{"layer": 0, "query": 0, "off": []},
    }


def test_a_finger_draws_and_does_not_scroll(show):
    lab = show(sketch())
    lab.page.evaluate("() => { document.body.style.height = '9000px' }")
    touch = lab.page.context.new_cdp_session(lab.page)

    def send(kind, *points):
        at = [dict(zip("xy", place(lab, *point), strict=True)) for point in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    def swipe():
        send("touchStart", (10, 22))
        for y in range(21, 4, -1):
            send("touchMove", (10, y))
        send("touchEnd")

    reacts(lab, swipe)
    lab.page.wait_for_function("() => vitModel.get('cursor') === 5 * 28 + 10")
    assert image(lab)[6:22, 9:11].all()
    assert lab.page.evaluate("() => scrollY") == 0
    assert lab.page.locator(PICTURE).evaluate("element => getComputedStyle(element).touchAction") == "none"


def count_passes(lab):
    """From now on count exponentials, of which each way through the model takes as many; the function tells them."""
    lab.page.evaluate(
        """() => {
            const exp = Math.exp;
            window.vitExps = 0;
            Math.exp = (x) => { window.vitExps += 1; return exp(x); };
        }"""
    )
    return lambda: lab.page.evaluate("() => { const count = window.vitExps; window.vitExps = 0; return count; }")


def test_a_stroke_is_one_way_through_the_model_for_each_frame(show):
    lab = show(sketch())
    page = lab.page
    page.locator(PICTURE).focus()
    passes = count_passes(lab)
    press(lab, " ")
    one = passes()
    assert one > 50_000
    press(lab, "ArrowRight")
    press(lab, "m")
    assert passes() < one / 10, "neither the brush's way nor what is shown runs the model again"
    press(lab, "m")
    press(lab, "2", [])
    assert passes() <= one * 1.01
    page.keyboard.press("a")
    page.keyboard.press("m")
    page.evaluate("() => { window.vitFrames = []; window.requestAnimationFrame = (draw) => vitFrames.push(draw) }")
    page.mouse.move(*place(lab, 4, 4))
    page.mouse.down()
    lab.sent(), passes()
    for x in range(5, 24):
        page.mouse.move(*place(lab, x, 4))
    assert (passes(), lab.sent(), page.evaluate("() => vitFrames.length")) == (0, [], 1)
    page.evaluate("() => vitFrames.shift()()")
    assert passes() == pytest.approx(one, rel=0.01)
    assert len(lab.sent()) == 1
    page.mouse.move(*place(lab, 23, 8))
    assert (passes(), page.evaluate("() => vitFrames.length")) == (0, 1), "the next frame is asked for"
    page.mouse.up()
    assert passes() == pytest.approx(one, rel=0.01)
    lab.lab.set_state(lab.chosen())  # the twin has not heard what this test has read
    drawn = image(lab)
    assert drawn[4, 5:23].all()
    assert drawn[4:8, 23].all()


# What is said and shown


def test_a_screen_reader_hears_the_answer_once_the_drawing_rests(show_alone):
    lab = show_alone(sketch())
    page = lab.page
    page.locator(PICTURE).focus()
    # What was drawn as the page opened still rests on the page's own clock: let it come to its end there.
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 600))))"
    )
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.evaluate(
        """() => {
            window.vitHeard = [];
            const note = (changes) => vitHeard.push(...changes.map(({ target }) => target.textContent));
            for (const live of document.querySelectorAll("[aria-live=polite], [role=status]")) {
                new MutationObserver(note).observe(live, { childList: true, subtree: true });
            }
        }"""
    )
    heard = lambda: page.evaluate("() => vitHeard.splice(0)")  # noqa: E731
    for _ in range(3):
        page.keyboard.down(" ")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.up(" ")
        page.clock.run_for(300)
    assert heard() == []
    page.clock.run_for(600)
    text = words(lab)[: words(lab).index(" The brush is at")]
    assert "".join(page.locator("[aria-live=polite] span").all_text_contents()) == text
    said = heard()
    assert len(said) == len(set(said)) > 1
    assert set(said) <= {*page.locator("[aria-live=polite] span").all_text_contents(), text}
    assert "This is an outline" not in text
    assert page.locator(".vit-drawn").first.inner_text() in text
    assert page.get_by_text("A confident answer is not a right one").is_visible()
    page.keyboard.press("ArrowDown")
    page.clock.run_for(5000)
    assert heard() == [], "where the brush goes is not said"
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert heard() == ["Brush down.", "Brush up."]
    page.clock.run_for(5000)
    assert 1 <= len(heard()) <= 2, "of the words, what a dot more has changed"
    for key, told in (("e", "2 pixels, black"), ("-", "1 pixel, black"), ("e", "1 pixel, white")):
        page.keyboard.press(key)
        page.clock.run_for(5000)
        assert heard() == [f"Brush: {told}."]


def test_the_bars_and_the_large_answer_are_the_probabilities_of_torch(show):
    lab = show(sketch())
    for choices in ({"drawing": "boot"}, {"off": [(0, 1), (3, 2)]}, {"drawing": "trousers"}, {"off": []}):
        lab.set(**choices)
        state = lab.lab.state()
        rows = lab.page.locator(".vit-sketch .vit-answers tbody tr")
        widths = rows.evaluate_all("all => all.map(row => parseFloat(row.querySelector('.vit-bar').style.width))")
        np.testing.assert_allclose(np.array(widths) / 100, state.probabilities, atol=1e-5)
        assert [row.split()[0] for row in rows.all_inner_texts()] == [name.split()[0] for name in DATA.class_names]
        assert says(lab) == DATA.class_names[state.probabilities.argmax()]
        assert words(lab) == state.words
    assert rows.first.locator("td").first.bounding_box()["width"] > 250, "most of the room is for the bars"


def test_more_shows_the_inside_and_is_closed_at_first(show):
    lab = show(sketch(drawing="boot"))
    page = lab.page
    assert not page.locator(CUT).is_visible()
    click(lab, "More: where it looks, block by block (m)")
    assert page.locator(CUT).is_visible()
    assert "Layer 0: the class token looks most at: head 0 patch " in words(lab)
    box = page.locator(CUT).bounding_box()
    at = box["x"] + 4.5 * box["width"] / 7, box["y"] + 2.5 * box["height"] / 7
    reacts(lab, lambda: page.mouse.click(*at), [PICTURE, CUT, MAP])
    assert "Layer 0: patch 18 (row 2, column 4) looks most at" in words(lab)
    lab.follow()
    page.get_by_role("slider", name="Layer").focus()
    press(lab, "ArrowRight", [MAP])
    click(lab, "Head 2: on", [MAP])
    assert "Switched off: layer 1 head 2." in words(lab)
    lab.follow()
    assert (lab.lab.layer, lab.lab.query, lab.lab.off) == (1, 19, [[1, 2]])
    reacts(lab, lambda: page.locator(MAP).click(position={"x": 3, "y": 3}), [PICTURE, CUT, MAP])
    assert "Layer 1: patch 0 (row 0, column 0)" in words(lab)
    click(lab, "All heads on (a)", [MAP])
    click(lab, "Class token (t)")
    lab.follow()
    assert (lab.lab.query, lab.lab.off) == (0, [])
    steps = page.locator(".vit-more .vit-answers tr").all_inner_texts()
    state = lab.lab.state()
    for text, shown in zip(steps, state.lens, strict=True):
        assert f"{DATA.class_names[shown.argmax()]} {100 * shown.max():.0f}".rsplit(" ", 1)[0] in text
    before = pixels(lab, MAP)
    reacts(lab, lambda: draw(lab, [(4, 4), (24, 4)]))
    lab.follow()
    assert pixels(lab, MAP) != before, "the inside follows the drawing"
    click(lab, "More: where it looks, block by block (m)")
    assert not page.locator(CUT).is_visible()


def test_a_phone_does_not_scroll_sideways(show):
    lab = show(sketch(more=True))
    lab.resize(375, 800)
    assert lab.page.evaluate("() => document.documentElement.scrollWidth") == 375
    inside = lab.page.locator(".vit-lab").evaluate("root => [root.scrollWidth, root.clientWidth]")
    assert inside[0] == inside[1]
    box = lab.page.locator(PICTURE).bounding_box()
    assert lab.page.locator(".vit-answer").first.bounding_box()["y"] < box["y"], (
        "the answer stands above the drawing hand"
    )
    assert box["width"] == pytest.approx(box["height"], abs=1)
    reacts(lab, lambda: draw(lab, [(5.5, 5.5), (20.5, 5.5)]))
    assert image(lab)[5, 6:20].all(), "a place on a small canvas is the same pixel"


def test_nothing_moves_whatever_is_drawn(show):
    lab = show(sketch(more=True))
    lab.set_letters(24)
    lab.resize(700, 844)
    lab.page.evaluate("() => { window.setTimeout = (rest) => rest() }")  # advice comes at once
    outline = np.zeros((28, 28), dtype=np.uint8)
    outline[[3, 12], 3:12] = outline[3:12, [3, 12]] = 255
    places, advice = set(), set()
    for drawing in ("nothing", *PICTURES, drawing_of(outline)):
        lab.set(drawing=drawing)
        places.add(tuple(tops(lab)))
        advice.add(lab.page.locator(".vit-drawn").first.inner_text())
    assert len(places) == 1
    assert len(advice) == 3


def test_names_of_classes_may_be_long(show):
    names = ["West Highland white terrier of a good family", "Donaudampfschifffahrtsgesellschaft", "x"]
    pictures = dict(zip(("a boot", "d" * 80), PICTURES.values(), strict=True))
    lab = show(SketchLab(trained(), pictures, class_names=names + list("abcdefg"), more=True))
    for width in (1200, 360):
        lab.resize(width, 844)
        inside = lab.page.locator(".vit-lab").bounding_box()
        thumb = lab.page.locator(".vit-thumb").last.bounding_box()
        assert thumb["x"] + thumb["width"] <= inside["x"] + inside["width"] - 16
        assert lab.page.evaluate("() => document.documentElement.scrollWidth") == width
    for letters in (16, 32):
        lab.set_letters(letters)
        lab.resize(360, 844)
        rooms = lab.page.locator(".vit-rated td.vit-bars").evaluate_all("all => all.map((one) => one.clientWidth)")
        assert len(rooms) == 17
        assert min(rooms[:10]) > 60, "of the classes"
        assert min(rooms[10:]) > 20 * letters / 16, "of the blocks"


def test_a_page_begins_with_the_saved_state(show):
    lab = show(sketch())
    reacts(lab, lambda: draw(lab, BAG))
    lab.follow()
    said, drawn = words(lab), pixels(lab)
    again = show(lab.lab)
    assert words(again) == said
    lab.page.mouse.move(0, 0)
    lab.page.locator(PICTURE).blur()
    assert pixels(again) == pixels(lab) != drawn, "but for the brush"
    reacts(again, lambda: draw(again, [(9, 11), (11, 6), (17, 6), (19, 11)]))


def test_no_key_is_lost_and_none_leaves_the_explorer(show):
    lab = show(sketch())
    page = lab.page
    page.locator(PICTURE).focus()
    said_since = record_words(lab)
    page.evaluate("() => { document.onkeydown = (event) => document.body.append(event.key) }")
    keys = (["Shift+ArrowRight"] + [" ", "ArrowDown"] * 3 + ["Shift+ArrowUp"]) * 3
    for key in keys:
        page.keyboard.press(key)
    assert len(said_since()) == len(keys)
    page.keyboard.type("bdhj")
    assert len(said_since()) == len(keys)
    assert page.evaluate("() => Array.from(document.body.childNodes, (node) => node.nodeType)").count(3) == 0
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"


def test_what_changes_nothing_is_not_sent(show):
    lab = show(sketch())
    lab.page.locator(PICTURE).focus()
    for key in ("x", "z", "f", "c", "."):
        lab.page.keyboard.press(key)
    assert lab.sent() == []


# The model


RUN = """([code, sent, pixels, off]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { vitOf, embed, passOf, forward, answerOf } = new Function(
        code + "return { vitOf, embed, passOf, forward, answerOf };")();
    const vit = vitOf({ ...sent, numbers: new DataView(bytes(sent.numbers).buffer) });
    const pass = forward(vit, passOf(vit), embed(vit, bytes(pixels)), off);
    const plain = (arrays) => arrays.map((array) => Array.from(array));
    return { maps: plain(pass.maps), logits: Array.from(pass.logits),
             answers: plain(pass.tokens.map((tokens) => answerOf(vit, tokens))) };
}"""


def test_logits_attention_and_answers_by_blocks_are_torchs_to_1e5(show):
    lab = show(sketch())
    draw(lab, TROUSERS)
    drawings = [image(lab), np.zeros((28, 28), np.uint8), *(one[0].numpy() for one in PICTURES.values())]
    vit = trained()
    sent = packed_vit(vit)
    sent["numbers"] = base64.b64encode(sent["numbers"]).decode()
    code = bundle(Path(explore.__file__).with_name("vit.js"))
    vit = vit.double().eval()
    for drawing in drawings:
        for off in ([], [(0, 1)], [(2, 0), (2, 1), (2, 2), (2, 3), (5, 3)]):
            found = lab.page.evaluate(RUN, [code, sent, drawing_of(drawing), off])
            inputs = model_input(vit, drawing[None])
            with heads_off(vit, off), torch.no_grad():
                maps, logits = attention_maps(vit, inputs), vit(inputs)[0]
                stages = vit.forward_intermediates(inputs)
                ends = [stages["position"], *(stages[f"blocks.{i}"] for i in range(6))]
                answers = torch.cat([vit.classify(vit.norm(tokens)) for tokens in ends]).softmax(-1)
            np.testing.assert_allclose(found["logits"], logits, atol=1e-5)
            np.testing.assert_allclose(found["answers"], answers, atol=1e-5)
            for layer in range(6):
                np.testing.assert_allclose(found["maps"][layer], maps[layer].flatten(), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"pool": "mean"}, {"image_size": (8, 20), "patch_size": 4, "num_heads": 8}], ids=["mean", "oblong"]
)
def test_models_of_other_shapes_are_drawn_for_too(show, options):
    torch.manual_seed(0)
    size = {"image_size": 12, "patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 8, "depth": 2, "num_heads": 2}
    lab = show(SketchLab(ViT(ViTConfig(**(size | options))).eval(), more=True))
    lab.page.locator(PICTURE).focus()
    for key in ("ArrowLeft", "ArrowUp", " ", "Shift+ArrowRight", "q", "1", "End", " ", "PageUp"):
        press(lab, key, [])
        lab.follow()


# JupyterLab

NOTEBOOK = """from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.explore import SketchLab
lab = SketchLab(load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"))
lab"""


def test_the_canvas_goes_on_without_a_kernel_and_after_a_restart(open_notebook, server):
    write_notebook(server.root / "sketch.ipynb", NOTEBOOK)
    lab = open_notebook("sketch.ipynb")
    lab.run_all(120)
    page = lab.page
    page.locator(PICTURE).wait_for(state="visible")
    page.locator(PICTURE).scroll_into_view_if_needed()
    reacts(lab, lambda: draw(lab, BAG))
    assert_kernel_says(lab, "lab.words()", words(lab))
    reacts(lab, lambda: page.keyboard.press("f"))
    assert_kernel_says(lab, "lab.words()", words(lab))
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    reacts(lab, lambda: page.keyboard.press("c"))
    assert says(lab) == "Bag", "no kernel is asked"
    lab.run_all(120)
    page.wait_for_function(
        "picture => document.querySelector(picture)?.getAttribute('aria-label').startsWith('An empty')", arg=PICTURE
    )
    reacts(lab, lambda: draw(lab, BAG))
    assert_kernel_says(lab, "lab.words()", words(lab))
    assert lab.errors() == []
    assert lab.broken_widgets() == []
    assert lab.console_errors == []
    assert lab.foreign_requests == []
