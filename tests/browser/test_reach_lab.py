"""The reach lab in a browser: it says what Python says, and reacts to mouse and keyboard."""

import pytest
import torch
from explorers import PICTURE, check_named_and_readable, press, reacts, words

from vit_tutorial.datasets import load
from vit_tutorial.explore import ReachLab
from vit_tutorial.studies import versus

DATA = load("fashion_mnist")
PICTURES = dict(zip(("boot", "pullover"), DATA.test_images[:2], strict=True))
OPEN = {"picture": "boot", "weights": "one", "stage": 0, "place": 24}


@pytest.fixture(scope="module")
def models():
    settings = versus.contests("fashion_mnist", (1,), (500,))
    return {
        words: tuple(
            versus.make_contestant(settings[versus.name_of(name, 500, 1)], DATA, seed) for name in ("CNN", "ViT")
        )
        for seed, words in enumerate(("one", "other"))
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_reach_lab_reacts_to_mouse_and_keys(show, models, theme):
    reach = ReachLab(models, PICTURES, more=True)
    lab = show(reach, theme)
    page = lab.page

    def said(**changes):
        with torch.no_grad():
            return reach._state(**(OPEN | changes)).words

    page.locator(PICTURE).focus()
    assert words(lab) == said()
    for key, place in {"ArrowRight": 25, "ArrowDown": 32, "Home": 0, "End": 48}.items():
        assert press(lab, key) == said(place=place)
    for key, stage in {"PageUp": 1, "3": 3, "6": 6, "PageDown": 5}.items():
        assert press(lab, key) == said(place=48, stage=stage)
    assert press(lab, "n") == said(place=48, stage=5, picture="pullover")
    assert press(lab, "t") == said(place=48, stage=5, picture="pullover", weights="other")
    box = page.locator(PICTURE).bounding_box()
    spot = (box["x"] + box["width"] * 2.5 / 7, box["y"] + box["height"] * 1.5 / 7)
    assert reacts(lab, lambda: page.mouse.click(*spot)) == said(place=9, stage=5, picture="pullover", weights="other")
    small = page.locator("canvas[role=img]").nth(2)
    assert reacts(lab, small.click) == said(place=9, stage=2, picture="pullover", weights="other")
    check_named_and_readable(lab, theme)
