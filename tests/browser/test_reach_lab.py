"""The reach lab in a browser: it says what Python says, and reacts to mouse and keyboard."""

import pytest
import torch
from drawn import tops
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


def test_the_key_names_both_frames_and_has_the_colours_as_they_lie_on_grey(show, models):
    page = show(ReachLab(models, PICTURES)).page
    for frame in ("Dashed frame: what the place can see", "Solid frame: the patch"):
        assert page.get_by_text(frame).is_visible()
    ends = page.locator(".vit-scale canvas").evaluate(
        """canvas => [1, canvas.width - 2].map((x) =>
            Array.from(canvas.getContext("2d").getImageData(x, 5, 1, 1).data).slice(0, 3))"""
    )
    assert max(ends[0]) - min(ends[0]) <= 2, "where there is nothing, the picture stays grey"
    assert ends[1][0] > 240
    assert ends[1][2] < 60, "yellow"


def test_nothing_moves_from_stage_to_stage(show, models):
    lab = show(ReachLab(models, PICTURES, more=True))
    lab.set_letters(24)
    lab.resize(360, 844)
    lab.page.locator(PICTURE).focus()
    places = {tuple(tops(lab))}
    for key in ("1", "2", "3", "4", "5", "6", "Home", "n", "t"):
        press(lab, key, [])
        places.add(tuple(tops(lab)))
    assert len(places) == 1
