"""The attention lab without a browser: its numbers, its words, and what it refuses."""

import math
import re

import numpy as np
import pytest
import torch

from explore.examples import picture, random_maps
from vit_tutorial import ViT, ViTConfig, attention_maps
from vit_tutorial.explore import AttentionLab, attention_lab_state
from vit_tutorial.explore.attention_lab import prediction_words


def test_weights_are_the_row_of_the_query():
    maps = random_maps()
    state = attention_lab_state(maps, 3, layer=1, head=2, query=4)
    assert np.allclose(state.weights, maps[1, 2, 4, 1:].reshape(3, 3), atol=0)
    assert state.class_weight == pytest.approx(float(maps[1, 2, 4, 0]))
    row = torch.tensor(maps[1, 2, 4], dtype=torch.float64)
    assert state.entropy == pytest.approx(float(-(row * row.log()).sum()), rel=1e-12)
    best = torch.tensor(maps[1, 2, 4, 1:]).topk(5)
    assert [patch for patch, _ in state.top] == best.indices.tolist()
    assert [weight for _, weight in state.top] == pytest.approx(best.values.tolist())


def test_head_minus_one_is_the_mean_of_all_heads():
    maps = random_maps()
    state = attention_lab_state(maps, 3, 0, -1, 0)
    assert np.allclose(state.weights.reshape(-1), maps[0, :, 0, 1:].astype(np.float64).mean(0), atol=1e-12)


def test_uniform_and_certain_attention():
    uniform = np.full((1, 1, 10, 10), 0.1)
    assert attention_lab_state(uniform, 3, 0, 0, 1).spread == pytest.approx(10)
    certain = np.eye(10)[None, None]
    state = attention_lab_state(certain, 3, 0, 0, 4)
    assert (state.entropy, state.top[0], state.class_weight) == (0, (3, 1.0), 0.0)


@pytest.mark.parametrize(("prefix", "on_class", "other"), [(0, None, 0.0), (1, 0.1, 0.0), (3, 0.1, 0.2)])
def test_prefix_tokens_are_not_patches(prefix, on_class, other):
    tokens = 4 + prefix
    maps = np.full((1, 1, tokens, tokens), 0.1)
    state = attention_lab_state(maps, (2, 2), 0, 0, prefix, num_prefix_tokens=prefix)
    assert state.weights.shape == (2, 2)
    assert state.class_weight == on_class
    assert state.other_weight == pytest.approx(other)
    assert ("class token" in state.words) == (prefix > 0)


def test_attention_lab_in_words():
    maps = np.full((1, 2, 5, 5), 0.125)
    maps[..., 3] = 0.5
    assert attention_lab_state(maps, 2, 0, 1, 2).words == (
        "Layer 0, head 1: patch 1 (row 0, column 1) looks most at patch 2 (row 1, column 0), with 50.0%; "
        "12.5% goes to the class token. Entropy 1.39 nats, as if spread evenly over 4.0 of 5 tokens."
    )
    assert attention_lab_state(maps, 2, 0, -1, 0).words.startswith("Layer 0, mean of all heads: the class token looks")


def test_equal_weights_are_listed_from_the_first_patch():
    maps = np.full((1, 1, 65, 65), 0.01)
    maps[..., 1:20:2] = 0.03
    assert [patch for patch, _ in attention_lab_state(maps, 8, 0, 0, 0).top] == [0, 2, 4, 6, 8]


def test_prediction_in_words():
    assert prediction_words(None, None) == ""
    assert prediction_words(1, ["cat", "dog"]) == "The model says: dog"
    probabilities = torch.tensor([0.1, 0.6, 0.05, 0.25])
    assert prediction_words(probabilities, list("abcd")) == "The model says: b 60.0%, d 25.0%, a 10.0%"
    assert prediction_words(probabilities[None], None).startswith("The model says: class 1 60.0%")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: attention_lab_state(random_maps(), 3, 2, 0, 0), "layer 2 is not among 0 to 1"),
        (lambda: attention_lab_state(random_maps(), 3, 0, 3, 0), "head 3 is not among 0 to 2"),
        (lambda: attention_lab_state(random_maps(), 3, 0, 0, 10), "query 10 is not among the tokens 0 to 9"),
        (lambda: AttentionLab(picture(), random_maps(), 4), "a 4 x 4 grid with 1 prefix tokens has 17"),
        (lambda: AttentionLab(picture(), random_maps(), 3, 0), "a 3 x 3 grid with 0 prefix tokens has 9"),
        (lambda: AttentionLab(picture(), random_maps() * 2, 3), "rows of a map must sum to 1, one is off by 1"),
        (lambda: AttentionLab(picture(), random_maps() * np.nan, 3), "rows of a map must sum to 1, one is off by nan"),
        (lambda: AttentionLab(picture(), [], 3), "got none"),
        (lambda: AttentionLab(picture(), random_maps()[None].repeat(2, 0), 3), "got [2, 3, 10, 10]"),
        (lambda: AttentionLab(picture(14, 14), random_maps(), 3), "a 3 x 3 grid does not fit a picture of 14 x 14"),
        (lambda: AttentionLab(picture(), random_maps(), 3, layer=7), "layer 7 is not among 0 to 1"),
        (lambda: AttentionLab(picture(), random_maps(), 3, prediction=[1.0, 2.0]), "prediction sums to 3, not 1"),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, class_names=["a"], prediction=[0.5, 0.5]),
            "1 class names do not fit 2 probabilities",
        ),
    ],
)
def test_attention_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


def test_attention_lab_takes_what_attention_maps_gives():
    model = ViT(ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=3, dim=16, depth=2, num_heads=4))
    image = torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8)
    maps = attention_maps(model, image[None] / 255)
    lab = AttentionLab(image, maps, 4, prediction=model(image[None] / 255).softmax(-1))
    assert np.abs(lab.state().weights.reshape(-1) - maps[1][0].mean(0)[0, 1:].numpy()).max() < 1e-3
    assert repr(lab) == "AttentionLab(layers=2, heads=4, grid=4x4)"


def test_half_precision_tensors_are_read():
    maps = [torch.full((2, 5, 5), 0.2, dtype=torch.bfloat16)]
    lab = AttentionLab(torch.zeros(4, 4, dtype=torch.uint8), maps, 2, prediction=torch.tensor([1.0]).bfloat16())
    assert lab.state().spread == pytest.approx(5, rel=1e-2)


def test_maps_travel_as_half_precision_bytes():
    maps = random_maps()
    lab = AttentionLab(picture(), maps, 3)
    assert np.array_equal(np.frombuffer(lab._maps, np.float16), maps.astype(np.float16).reshape(-1))
    assert math.prod(lab._maps_shape) * 2 == len(lab._maps)
