"""What a learner has set PyTorch to changes nothing in an explorer: it is made and drawn as in a fresh Python."""

import contextlib
from functools import partial

import numpy as np
import pytest
import torch
from learners import SETTINGS

from explore.examples import picture
from vit_tutorial import ModelCard, ViT, ViTConfig, explore
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.explore.base import Explorer

# For each still picture, which takes long to draw, several settings at once: each is in one of these.
TOGETHER = [("device", "float16", "autocast", "inference"), ("float64", "no_grad"), ("bfloat16",)]


def explorers(wrapped=lambda model: model):
    """Give what makes each explorer, by name; models and pictures are there already."""
    torch.manual_seed(0)
    model = ViT(ViTConfig(12, 4, 1, 3, 8, 2, 2))
    model.card = ModelCard(("cat", "dog", "owl"), (0.3,), (0.4,))
    image, maps = picture(12, 12, 1), np.full((2, 3, 10, 10), 0.1)
    pair = wrapped(CNN(CNNConfig(12, 1, 3, layers=(1,), width=2, stem="3x3"))), wrapped(model)
    model = wrapped(model)
    pictures = torch.from_numpy(np.stack([image] * 3))
    return {
        "PatchLab": lambda: explore.PatchLab({"one": image}, 4),
        "TokenTable": lambda: explore.TokenTable(model, image),
        "PositionLab": lambda: explore.PositionLab(model, {"noise": image}),
        "AttentionLab": lambda: explore.AttentionLab(image, maps, 3),
        "AttentionPlane": lambda: explore.AttentionPlane(),
        "HeadsGallery": lambda: explore.HeadsGallery(model, image),
        "LensLab": lambda: explore.LensLab(model, image),
        "ProbeLab": lambda: explore.ProbeLab({"a": np.eye(3)}, pictures, [0, 1, 1], 2, "ab"),
        "ReachLab": lambda: explore.ReachLab(pair, image),
        "SignalLab": lambda: explore.SignalLab(depth=6),
        "SketchLab": lambda: explore.SketchLab(model, {"noise": image}, learned_from=pictures, more=True),
        "ModelMap": lambda: explore.ModelMap(model, image),
        "TrainingTimeline": lambda: explore.TrainingTimeline({0: model, 1: model}, pictures, "abc", [0.5]),
    }


def test_no_explorer_is_forgotten():
    classes = [value for value in vars(explore).values() if isinstance(value, type) and issubclass(value, Explorer)]
    assert sorted(explorers()) == sorted(each.__name__ for each in classes)


def said(lab):
    return lab._sent, repr(lab), lab.words()


def drawn(lab):
    return lab._repr_mimebundle_()[0]["text/html"]  # with the still picture


@pytest.mark.parametrize("name", explorers())
def test_an_explorer_shows_the_same_whatever_was_set(name):
    make = explorers()[name]
    words, page = said(make()), drawn(make())
    for setting in SETTINGS.values():
        with setting():
            assert said(make()) == words
    for settings in TOGETHER:
        with contextlib.ExitStack() as set_now:
            for setting in settings:
                set_now.enter_context(SETTINGS[setting]())
            assert drawn(make()) == page


def test_a_model_that_is_compiled_or_made_in_inference_mode_is_shown_as_any_other():
    plain, compiled = explorers(), explorers(partial(torch.compile, backend="eager"))
    with torch.inference_mode():
        made_so = explorers()
    for name in ("TokenTable", "HeadsGallery", "LensLab", "ReachLab", "SketchLab", "ModelMap"):
        assert said(compiled[name]()) == said(made_so[name]()) == said(plain[name]())


def test_each_setting_is_there_for_a_picture():
    assert sorted(setting for settings in TOGETHER for setting in settings) == sorted(SETTINGS)
