"""The training timeline in a browser: sliding through training by key and by mouse, and what it shows then."""

import copy

import numpy as np
import pytest
import torch
from drawn import apart, drawn, seen, tops
from explorers import PICTURE, check_named_and_readable, pixels, press, reacts, record_letters, record_words, words

from vit_tutorial import ModelCard, ViT, ViTConfig, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import TrainingTimeline, training_timeline_state
from vit_tutorial.explore.still import diverging, viridis
from vit_tutorial.explore.words import decimals, percent

ATTENTION = "canvas[aria-label^='Attention. ']"
ALIKE = "canvas[aria-label^='Similarity. ']"
MAPS = [PICTURE, ATTENTION, ALIKE]


def moments(start, end, shares):
    """Models on the way from one to another, by epochs."""
    found = {}
    for epoch, share in shares.items():
        found[epoch] = copy.deepcopy(end)
        with torch.no_grad():
            for parameter, before in zip(found[epoch].parameters(), start.parameters(), strict=True):
                parameter.lerp_(before, 1 - share)
    return found


def random_model(config, seed):
    torch.manual_seed(seed)
    model = ViT(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2 * seed)
    return model


def grey_timeline():
    trained = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    shares = {0: 0.0, 1: 0.5, 2: 0.6, 5: 0.8, 12: 0.9, 24: 1.0}
    models = moments(random_model(trained.config, 0), trained, shares)
    accuracy = [round(0.9 - 0.5 / (epoch + 1), 4) for epoch in range(1, 25)]
    return TrainingTimeline(
        models, load("fashion_mnist").test_images[:3], ("boot", "pullover", "trouser"), accuracy, more=True
    )


def colour_timeline():
    config = ViTConfig(image_size=(8, 12), patch_size=2, num_classes=12, dim=16, depth=3, num_heads=2, pool="mean")
    trained = random_model(config, 2)
    trained.card = ModelCard(tuple(f"thing {i}" for i in range(12)), (0.5,) * 3, (0.3,) * 3)
    models = moments(random_model(config, 0), trained, {0: 0.0, 3: 0.4, 10: 1.0})
    return TrainingTimeline(
        models, torch.randint(256, (2, 3, 8, 12), dtype=torch.uint8), ("noise", "more noise"), more=True
    )


def bars(lab):
    """Name, percentage and width of each bar."""
    lines = lab.page.locator(".vit-answers tr").evaluate_all(
        "all => all.map(line => [line.querySelector('th span').textContent, line.cells[2].textContent,"
        " parseFloat(line.querySelector('.vit-bar').style.width)])"
    )
    return [tuple(line) for line in lines]


def middle(lab, canvas, row, column, grid):
    """Where on the page the middle of a patch lies."""
    box = lab.page.locator(canvas).bounding_box()
    return box["x"] + (column + 0.5) * box["width"] / grid[1], box["y"] + (row + 0.5) * box["height"] / grid[0]


def dot(lab, epoch, last=24):
    """Where on the page an epoch stands on the axis of the curve."""
    box = lab.page.locator(PICTURE).bounding_box()
    scale = box["width"] / 912
    return box["x"] + scale * (46 + epoch / last * 850), box["y"] + box["height"] / 2


def colour_at(lab, canvas, row, column, grid):
    """The colour that is drawn a little off the upper left corner of a patch."""
    return lab.page.locator(canvas).evaluate(
        """(canvas, [x, y]) => Array.from(canvas.getContext("2d").getImageData(
            Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data).slice(0, 3)""",
        [(column + 0.15) / grid[1], (row + 0.15) / grid[0]],
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sliding_through_training_by_keys(show, theme):
    lab = show(grey_timeline(), theme)

    def expected(*choices):
        return training_timeline_state(lab.lab._data, *choices).words

    assert words(lab) == expected(0)
    lab.page.locator(PICTURE).focus()
    for epoch in (1, 2, 5, 12, 24):
        assert press(lab, "ArrowRight", MAPS) == expected(epoch)
    lab.page.keyboard.press("ArrowRight")
    assert press(lab, "ArrowLeft", MAPS) == expected(12)
    assert press(lab, "Home", MAPS) == expected(0)
    assert press(lab, "End", MAPS) == expected(24)
    lab.page.keyboard.press("ArrowUp")
    assert press(lab, "ArrowDown", [ATTENTION]) == expected(24, "pullover")
    assert press(lab, "ArrowDown", [ATTENTION]) == expected(24, "trouser")
    lab.page.keyboard.press("ArrowDown")
    assert press(lab, "ArrowUp", [ATTENTION]) == expected(24, "pullover")
    assert press(lab, "PageDown", [ATTENTION]) == expected(24, "pullover", 4)
    assert press(lab, "Shift+ArrowRight", [ATTENTION]) == expected(24, "pullover", 4, 25)  # the patch in the middle
    for key, patch in {"Right": 25, "Down": 32, "Left": 31, "Up": 24}.items():
        assert press(lab, f"Shift+Arrow{key}", [ATTENTION, ALIKE]) == expected(24, "pullover", 4, patch + 1)
    assert press(lab, "PageUp", [ATTENTION]) == expected(24, "pullover", 5, 25)
    assert press(lab, "c", [ATTENTION]) == expected(24, "pullover", 5)
    lab.follow()
    assert lab.lab.choices() == {"more": True, "epoch": 24, "picture": "pullover", "layer": 5, "token": None}
    assert press(lab, "c", [ATTENTION]) == expected(24, "pullover", 5, 25)
    check_named_and_readable(lab, theme)


def test_every_part_works_by_mouse(show):
    lab = show(grey_timeline())
    page = lab.page

    def expected(*choices):
        return training_timeline_state(lab.lab._data, *choices).words

    assert reacts(lab, lambda: page.mouse.click(*dot(lab, 5)), MAPS) == expected(5)
    page.mouse.move(*dot(lab, 5))
    page.mouse.down()
    assert reacts(lab, lambda: page.mouse.move(*dot(lab, 17)), MAPS) == expected(12)  # the nearest that was kept
    page.mouse.up()
    assert reacts(lab, page.get_by_role("button", name="pullover").click, [ATTENTION]) == expected(12, "pullover")
    assert page.get_by_role("button", name="pullover").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("button", name="boot").get_attribute("aria-pressed") == "false"

    hover, click = page.mouse.move, page.mouse.click
    at = middle(lab, ATTENTION, 1, 5, (7, 7))
    assert reacts(lab, lambda: hover(*at), [ATTENTION, ALIKE]) == expected(12, "pullover", 5, 13)
    assert lab.chosen()["token"] is None, "a look in passing"
    assert reacts(lab, lambda: hover(*dot(lab, 12)), [ATTENTION, ALIKE]) == expected(12, "pullover")
    at = middle(lab, ALIKE, 6, 0, (7, 7))
    page.evaluate("() => document.activeElement.blur()")
    assert reacts(lab, lambda: click(*at), [ATTENTION, ALIKE]) == expected(12, "pullover", 5, 43)
    assert lab.chosen()["token"] == 43
    hover(*dot(lab, 12))
    assert words(lab) == expected(12, "pullover", 5, 43)
    assert press(lab, "ArrowLeft", MAPS) == expected(5, "pullover", 5, 43)  # the keys work after a click on a patch

    page.get_by_role("slider", name="Moment of the training").focus()
    assert press(lab, "ArrowLeft", MAPS) == expected(2, "pullover", 5, 43)
    assert page.get_by_role("slider", name="Moment of the training").get_attribute("aria-valuetext") == "after 2 epochs"
    page.get_by_role("slider", name="Layer").focus()
    assert press(lab, "Home", [ATTENTION]) == expected(2, "pullover", 0, 43)
    button = page.get_by_role("button", name="The class token (c)")
    assert reacts(lab, button.click, [ATTENTION, ALIKE]) == expected(2, "pullover", 0)
    assert button.get_attribute("aria-pressed") == "true"
    lab.follow()
    lab.set(epoch=24, picture="boot", layer=3, token=7)
    assert words(lab) == expected(24, "boot", 3, 7)


def test_the_bars_and_maps_are_those_of_the_models(show):
    lab = show(grey_timeline())
    lab.page.locator(PICTURE).focus()
    lab.page.keyboard.press("ArrowDown")
    lab.page.keyboard.press("Shift+ArrowDown")
    data = lab.lab._data
    model = data.pictures[1].astype(float).mean(axis=0)
    for epoch in data.epochs:
        state = training_timeline_state(lab.lab._data, epoch, "pullover", None, 25)
        assert words(lab) == state.words
        names, shown, widths = zip(*bars(lab), strict=True)
        assert names == data.class_names
        assert shown == tuple(percent(probability) for probability in state.probabilities)
        np.testing.assert_allclose(np.array(widths) / 100, state.probabilities, atol=1e-4)
        best = lab.page.locator(".vit-answers .vit-best th .vit-room > :first-child").all_inner_texts()
        assert best == [data.class_names[state.probabilities.argmax()]]
        notes = lab.page.locator(".vit-panel .vit-note:visible").all_inner_texts()
        assert f"{percent(state.attention.max())}. Spread evenly, each would get 2.0%." in notes[0]
        assert f"Mean: neighbours {decimals(state.near[0])}, all others {decimals(state.near[1])}." in notes[1]
        for row, column in [(0, 0), (2, 3), (3, 4), (6, 6)]:
            level = round(127.5 * (state.alike[row, column] / state.alike_top + 1))
            seen = colour_at(lab, ALIKE, row, column, (7, 7))
            np.testing.assert_allclose(seen, diverging()[np.clip(level, 0, 255)], atol=3)
            level = round(255 * state.attention[row, column] / state.attention_top)
            place = (4 * row, 4 * column)  # a pixel of the patch; the drawing is 10 times as large
            over = 0.7 * viridis()[level].astype(float) + 0.3 * model[place]
            np.testing.assert_allclose(colour_at(lab, ATTENTION, row, column, (7, 7)), over, atol=4)
        if epoch < 24:
            lab.page.keyboard.press("ArrowRight")


def test_colours_no_class_token_and_no_accuracy(show):
    lab = show(colour_timeline())

    def expected(*choices):
        return training_timeline_state(lab.lab._data, *choices).words

    assert words(lab) == expected(0)
    assert reacts(lab, lambda: lab.page.mouse.click(*dot(lab, 3, 10)), MAPS) == expected(3)
    assert lab.page.get_by_text("The moments at which the model was kept").is_visible()
    at = middle(lab, ATTENTION, 3, 5, (4, 6))
    assert reacts(lab, lambda: lab.page.mouse.click(*at), [ATTENTION, ALIKE]) == expected(3, "noise", 2, 23)
    assert press(lab, "ArrowDown", [ATTENTION]) == expected(3, "more noise", 2, 23)
    assert press(lab, "ArrowRight", MAPS) == expected(10, "more noise", 2, 23)
    shown = bars(lab)
    assert len(shown) == 10  # of 12
    probabilities = training_timeline_state(lab.lab._data, 10, "more noise").probabilities
    assert all(text == percent(probabilities[int(name.split()[1])]) for name, text, _ in shown)
    assert press(lab, "c", [ATTENTION]) == expected(10, "more noise")
    assert "all patches together look most at" in words(lab)


def test_no_key_is_lost_and_none_leaves_the_explorer(show):
    lab = show(grey_timeline())
    page = lab.page
    page.locator(PICTURE).focus()
    before, said_since = pixels(lab), record_words(lab)
    page.evaluate("() => { document.onkeydown = (event) => document.body.append(event.key) }")
    keys = ["ArrowRight"] * 5 + ["ArrowLeft"] * 2 + ["ArrowDown"] * 2 + ["ArrowUp"] + ["PageDown"] * 3
    for key in keys:
        page.keyboard.press(key)
    assert len(said_since()) == len(keys)
    page.keyboard.type("bxdm")
    assert words(lab) == training_timeline_state(lab.lab._data, 5, "pullover", 2).words
    assert pixels(lab) != before
    assert page.evaluate("() => Array.from(document.body.childNodes, (node) => node.nodeType)").count(3) == 0
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"
    lab.follow()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("() => window.vitSent") == [{"epoch": 0}], "what changes nothing is not sent"


def test_numbers_of_like_positions_are_read_on_every_colour(show):
    lab = show(grey_timeline())
    lab.set(epoch=24, token=1)
    state = lab.lab.state()
    texts, _ = drawn(lab, ALIKE, lambda: lab.set(token=25))
    assert len(texts) == 49
    for i, one in enumerate(texts):
        ink = [int(one["ink"][j : j + 2], 16) for j in (1, 3, 5)]
        assert apart(ink, colour_at(lab, ALIKE, *divmod(i, 7), (7, 7))) >= 4.5
    assert np.abs(state.alike / state.alike_top).max() > 0.9


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_bars_of_all_classes_stand_out(show, theme):
    lab = show(grey_timeline(), theme)
    for line in range(10):
        bar = f".vit-answers tr:nth-child({line + 1}) .vit-bars"
        if bars(lab)[line][2] >= 4:
            cell = seen(lab, bar)
            assert apart(cell[len(cell) // 2 - 1, 2], cell[len(cell) // 2 - 1, -2]) >= 3
    assert sum(width >= 4 for _, _, width in bars(lab)) > 1
    lab.set_letters(32)
    lab.resize(360, 844)
    room = lab.page.locator(".vit-answers .vit-bars").first.bounding_box()
    assert room["width"] > 100
    assert room["x"] + room["width"] <= 360 - 16


@pytest.mark.parametrize(("width", "letters"), [(1280, 16), (390, 16), (390, 24)])
def test_nothing_jumps_when_the_moment_changes(show, width, letters):
    lab = show(grey_timeline())
    lab.set_letters(letters)
    lab.resize(width, 844)
    before = tops(lab)
    assert before
    for epoch in (1, 2, 24):
        for token in (None, 49):
            lab.set(epoch=epoch, token=token)
            assert tops(lab) == before


@pytest.mark.parametrize("make", [grey_timeline, colour_timeline])
def test_on_a_phone_every_moment_has_its_place_and_is_picked_there(show, make):
    lab = show(make())
    lab.resize(390, 844)
    epochs = lab.lab._data.epochs
    _, circles = drawn(lab, PICTURE, lambda: lab.set(epoch=epochs[-1]))
    places = sorted({(circle["x"], circle["y"]) for circle in circles})
    assert len(places) == len(epochs)
    assert min(np.diff([x for x, _ in places])) >= 22
    box = lab.page.locator(PICTURE).bounding_box()
    for epoch, (x, y) in zip(epochs, places, strict=True):
        lab.page.mouse.click(box["x"] + x + 8, box["y"] + y)  # a little beside
        assert lab.chosen()["epoch"] == epoch
    for epoch in epochs[-2::-1]:
        lab.page.keyboard.press("ArrowLeft")
        assert lab.chosen()["epoch"] == epoch


def test_a_dot_has_a_rim_of_the_colour_of_the_paper(show):
    lab = show(colour_timeline())  # its dots lie on a line
    _, circles = drawn(lab, PICTURE, lambda: lab.set(epoch=10))
    x, y = next((one["x"], one["y"]) for one in circles if 100 < one["x"] < 800)
    shown = seen(lab, PICTURE)
    assert shown[round(y), round(x) - 7].tolist() == [255, 255, 255]
    assert shown[round(y), round(x) - 12].tolist() != [255, 255, 255]


def test_what_is_written_at_the_edges_of_the_curve_stays_inside(show):
    config = ViTConfig(image_size=8, patch_size=4, in_channels=1, num_classes=1, dim=8, depth=1, num_heads=2)
    model = random_model(config, 1)
    model.card = ModelCard(("thing",), (0.5,), (0.3,))
    noise = torch.randint(256, (1, 1, 8, 8), dtype=torch.uint8)
    lab = show(TrainingTimeline({0: model, 1000: model}, noise, ("noise",), [1.0] * 1000))
    lab.set_letters(24)
    lab.resize(360, 844)
    written = record_letters(lab)
    lab.set(epoch=1000)
    said = written()
    assert {"1000", "guessing: 100.0%"} <= {one["text"] for one in said}
    for one in said:
        assert one["box"][0] >= 0
        assert one["box"][1] >= -2
        assert one["box"][2] <= one["canvas"]["width"]
