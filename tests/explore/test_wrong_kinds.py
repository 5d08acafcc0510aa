"""Inputs of another kind than an explorer takes: a sentence names each, and says what to give."""

import re

import numpy as np
import pytest
from torch import nn
from traitlets import TraitError

from explore.examples import model, picture, pictures, random_maps
from vit_tutorial import ViT
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.explore import (
    AttentionLab,
    AttentionPlane,
    HeadsGallery,
    LensLab,
    PatchLab,
    PositionLab,
    ProbeLab,
    ReachLab,
    SignalLab,
    SketchLab,
    TokenTable,
    TrainingTimeline,
)


def probe(**changes):
    features = {"raw": np.random.default_rng(0).normal(size=(12, 6))}
    given = {"features": features, "pictures": np.stack([picture()] * 12), "labels": np.arange(12) % 2, "labelled": 6}
    return ProbeLab(**(given | {"class_names": ["a", "b"]} | changes))


def pair_for(vit):
    return CNN(CNNConfig((12, 12), 1, 3, block="basic", layers=(1,), width=4, stem="3x3")).eval(), vit


NUMBERS = "; give numbers, as an array, a tensor or a list"
OF_A_MODEL = {
    "token table": lambda one: TokenTable(one, pictures()),
    "position lab": lambda one: PositionLab(one, pictures()),
    "heads gallery": lambda one: HeadsGallery(one, pictures()),
    "lens lab": lambda one: LensLab(one, pictures()),
    "sketch lab": lambda one: SketchLab(one, pictures()),
    "timeline": lambda one: TrainingTimeline({0: one, 1: one}, np.stack([picture(12, 12, 1)]), ["one"]),
    "reach lab": lambda one: ReachLab((pair_for(None)[0], one), pictures()),
}


@pytest.mark.parametrize("make", OF_A_MODEL.values(), ids=OF_A_MODEL)
def test_what_is_no_vit_is_refused_by_its_name(make):
    for given, name in (("vit.safetensors", "a str"), (nn.Linear(2, 2), "a Linear"), (ViT, "the class ViT")):
        with pytest.raises(TypeError, match=f"^an explorer of a ViT got {name}; give a model"):
            make(given)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: AttentionPlane(q="abc"), "q is 'abc'; give [3, 2]: 3 vectors of 2 numbers"),
        (lambda: AttentionPlane(k=[[1, 2], [1]]), "k is [[1, 2], [1]]; give [3, 2]"),
        (lambda: setattr(AttentionPlane(), "v", [[None, 1]]), f"v is [[None, 1]]{NUMBERS}"),
        (lambda: AttentionPlane(temperature=[1, 2]), "temperature [1, 2] is not among 0.1 to 5"),
        (lambda: AttentionPlane(preset=["by hand"]), "preset ['by hand'] is not among 'by hand'"),
        (lambda: PatchLab("boot.png"), f"picture 'picture' is 'boot.png'{NUMBERS}"),
        (lambda: PatchLab([[0, 1], [2]]), "picture 'picture' holds parts of several shapes: [[0, 1], [2]]; give them"),
        (lambda: PatchLab({1: picture()}), "a picture is called 1; its name must be a text, such as '1'"),
        (lambda: PatchLab(picture(), np.array([4, 8])), "patch_size array([4, 8]) is not among 1, 2, 3"),
        (lambda: PositionLab(model(), "boot.png"), f"picture 'picture' is 'boot.png'{NUMBERS}"),
        (lambda: SketchLab(model(), np.zeros((2, 2))), "picture 'picture' holds float64, not uint8"),
        (lambda: SketchLab(model(), drawing=[]), "drawing [] is not among 'nothing'"),
        (lambda: AttentionLab(picture(), None, 3), "maps is None; give one [h, N, N] a layer"),
        (lambda: AttentionLab(picture(), random_maps(), "abc"), "grid_size 'abc' is no grid of patches: a side of"),
        (
            lambda: AttentionLab(picture(), random_maps(), 0),
            "grid_size 0 is no grid of patches: a side of the size is 0",
        ),
        (lambda: AttentionLab(picture(), random_maps(), 3, "1"), "num_prefix_tokens is '1'; it must be one whole"),
        (lambda: AttentionLab(picture(), random_maps(), 3, prediction=0.5), "prediction is 0.5; it must be one whole"),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, class_names="ab", prediction=2),
            "prediction 2 is not among the 2 classes",
        ),
        (lambda: HeadsGallery(model(), pictures(), class_names=3), "class_names is 3; give a list with one name"),
        (lambda: HeadsGallery(model(), pictures(), labels=[0.5, 1]), "a label is 0.5; it must be one whole number"),
        (lambda: HeadsGallery(model(), pictures(), labels="ab"), f"labels is 'ab'{NUMBERS}"),
        (lambda: HeadsGallery(model(), pictures(), off=[1]), "off is [1]; give pairs of a layer and a head"),
        (lambda: ReachLab(model(), pictures()), "the models 'as they are' are a ViT; give a pair (cnn, vit)"),
        (lambda: probe(features=[1]), "features has no stage"),
        (lambda: probe(features={"raw": "abc"}), f"stage 'raw' is 'abc'{NUMBERS}"),
        (lambda: probe(pictures=3), "pictures have shape []; give [n, C, H, W]"),
        (lambda: probe(pictures=[picture(8), picture(12)]), "pictures holds parts of several shapes: "),
        (lambda: probe(labels=3), "there are 12 pictures, and labels of shape []"),
        (lambda: probe(labels=np.zeros((12, 1), int)), "there are 12 pictures, and labels of shape [12, 1]"),
        (lambda: probe(labels=np.arange(12) / 2), "labels are float64; give whole numbers, the classes"),
        (lambda: probe(labelled="six"), "labelled is 'six'; it must be one whole number"),
        (lambda: SignalLab(seed="a"), "seed is 'a'; it must be one whole number"),
        (lambda: SignalLab(held=3), "held is 3; give depth, norm, residual and scale"),
        (lambda: TrainingTimeline(model(), [], []), "models is a ViT; give a dict from the number of finished epochs"),
        (
            lambda: TrainingTimeline({0: model(), 1: model()}, [picture(12, 12, 1)], ["a"], None),
            f"accuracy is None{NUMBERS}",
        ),
        (
            lambda: TrainingTimeline({0: model(), 1: model()}, [picture(12, 12, 1)], ["a"], [[0.5, 0.6], [0.7, 0.8]]),
            "accuracy has shape [2, 2]; give one value for each epoch",
        ),
        (lambda: TrainingTimeline({0: model(), 1: model()}, 3, ["a"]), "pictures have shape []; give [P, C, H, W]"),
        (lambda: SketchLab(model(), drawing=np.zeros((12, 12))), "is not among 'nothing'"),
    ],
)
def test_an_input_of_another_kind_is_refused_by_its_name(make, sentence):
    with pytest.raises((ValueError, TraitError), match=re.escape(sentence)):
        make()


def test_what_a_learner_may_leave_out_or_give_as_an_array_is_taken():
    assert HeadsGallery(model(), pictures(), labels=[None, 1])._sent["labels"] == [None, 1]
    names = ["a", "b", "c"]
    assert HeadsGallery(model(), pictures(), class_names=np.array(names))._sent["classes"] == names
    assert AttentionLab(picture(), random_maps(), np.array([3, 3])).state().grid == (3, 3)
    for nothing in (None, {}, [], ()):
        assert SketchLab(model(), nothing)._sent["names"] == []


def test_a_model_without_numbers_is_refused():
    with pytest.raises(ValueError, match="of the model is on the device meta, where no numbers are"):
        TokenTable(model().to("meta"), pictures())


def test_two_models_in_the_wrong_order_are_refused_by_their_names():
    with pytest.raises(TypeError, match="an explorer of a CNN got a ViT"):
        ReachLab(pair_for(model())[::-1], pictures())
