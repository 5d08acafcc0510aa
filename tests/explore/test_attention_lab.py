"""The attention lab without a browser: its numbers, its words, and what it refuses."""

import io
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from explore.examples import picture, random_maps
from vit_tutorial import ViT, ViTConfig, attention_maps, attention_scores
from vit_tutorial.explore import AttentionLab, attention_lab_state
from vit_tutorial.explore.attention_lab.numbers import prediction_words, softmax
from vit_tutorial.explore.still import png


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


@pytest.mark.parametrize(("prefix", "on_class"), [(0, None), (1, 0.1), (3, 0.1)])
def test_prefix_tokens_are_not_patches(prefix, on_class):
    tokens = 4 + prefix
    maps = np.full((1, 1, tokens, tokens), 0.1)
    state = attention_lab_state(maps, (2, 2), 0, 0, prefix, num_prefix_tokens=prefix)
    assert state.weights.shape == (2, 2)
    assert state.class_weight == on_class
    assert ("class token" in state.words) == (prefix > 0)


def test_attention_lab_in_words():
    maps = np.full((1, 2, 5, 5), 0.125)
    maps[..., 3] = 0.5
    assert attention_lab_state(maps, 2, 0, 1, 2).words == (
        "Layer 0, head 1: patch 1 (row 0, column 1) looks, of the patches, most at patch 2 (row 1, column 0), "
        "with 50.0%; 12.5% goes to the class token. Entropy 1.39 nats, as if spread evenly over 4.0 of 5 tokens."
    )
    assert attention_lab_state(maps, 2, 0, -1, 0).words.startswith("Layer 0, mean of all heads: the class token looks")
    patches_only = attention_lab_state(np.full((1, 1, 4, 4), 0.25), 2, 0, 0, 3, num_prefix_tokens=0)
    assert (
        "patch 3 (row 1, column 1) looks most at patch 0 (row 0, column 0), with 25.0%. Entropy" in patches_only.words
    )


def test_equal_weights_are_listed_from_the_first_patch():
    maps = np.full((1, 1, 65, 65), 0.01)
    maps[..., 1:20:2] = 0.03
    assert [patch for patch, _ in attention_lab_state(maps, 8, 0, 0, 0).top] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("weight", "said"),
    [(0.004, "0.4%"), (0.0005, "0.1%"), (0.00037, "0.037%"), (0.000012, "0.0012%"), (9e-6, "<0.001%"), (0, "<0.001%")],
)
def test_a_small_weight_is_not_written_as_nothing(weight, said):
    maps = np.full((1, 1, 5, 5), (1 - weight) / 4)
    maps[..., 4] = weight
    state = attention_lab_state(maps, 2, 0, 0, 0, key=4)
    assert state.key == 4
    assert state.reading == f"patch 3 (row 1, column 1): weight {said}"
    assert state.words.endswith(f" tokens. Marked key, patch 3 (row 1, column 1): weight {said}.")
    unmarked = attention_lab_state(maps, 2, 0, 0, 0)
    assert (unmarked.key, unmarked.reading) == (None, "")
    assert "Marked" not in unmarked.words


# With scores


def random_scores(seed=0):
    """Scores [2, 3, 10, 10] of both signs whose softmax is `random_maps(seed=seed)`."""
    return (np.log(random_maps(seed=seed)) + np.linspace(-1, 4, 10)[:, None]).astype(np.float32)


@pytest.mark.parametrize("head", [-1, 0, 2])
def test_scores_are_the_row_of_the_query(head):
    scores = random_scores()
    state = attention_lab_state(random_maps(), 3, 1, head, 4, scores=scores)
    wanted = scores[1].astype(np.float64)
    row = wanted.mean(0)[4] if head < 0 else wanted[head, 4]
    np.testing.assert_allclose(state.scores.ravel(), row[1:], atol=1e-12)
    assert state.class_score == pytest.approx(row[0])
    assert state.score_range == pytest.approx((row.max(), row.min(), row.mean()))
    plain = attention_lab_state(random_maps(), 3, 1, head, 4)
    assert (plain.scores, plain.class_score, plain.score_range) == (None, None, None)
    assert np.array_equal(state.weights, plain.weights)
    assert state.words == f"{plain.words} Scores from {row.min():.2f} to {row.max():.2f}, mean {row.mean():.2f}; " + (
        f"{row[0]:.2f} for the class token."
    )


@pytest.mark.parametrize("head", [-1, 1])
def test_one_key_is_read_out(head):
    scores = random_scores()
    state = attention_lab_state(random_maps(), 3, 0, head, 4, scores=scores, temperature=2.0, key=6)
    wanted = torch.from_numpy(scores[0, :, 4]).double()
    weight = (wanted / 2).softmax(-1)[:, 6]
    score, weight = (numbers.mean() if head < 0 else numbers[head] for numbers in (wanted[:, 6], weight))
    said = f"score {score:.2f}, weight {weight:.1%}"
    assert state.words.endswith(f" Marked key, patch 5 (row 1, column 2): {said}.")
    of_class = attention_lab_state(random_maps(), 3, 0, head, 4, scores=scores, key=0)
    said = f"score {of_class.class_score:.2f}, weight {of_class.class_weight:.1%}"
    assert of_class.reading == f"the class token: {said}"


@pytest.mark.parametrize(("grid", "middle"), [((2, 3), 4), ((3, 2), 3), ((3, 3), 4)])
def test_without_a_class_token_the_patch_in_the_middle_looks_at_the_start(grid, middle):
    tokens = grid[0] * grid[1]
    assert AttentionLab(picture(), random_maps(tokens=tokens), grid, num_prefix_tokens=0).query == middle
    assert AttentionLab(picture(), random_maps(tokens=tokens + 1), grid).query == 0


def test_the_marked_key_is_a_trait_and_in_the_still_picture():
    lab = AttentionLab(picture(channels=1), random_maps(), 3, scores=random_scores(), query=0)
    assert lab.key is None
    unmarked = png(lab.figure())
    lab.key = 6
    assert lab.state().reading.endswith(f", weight {lab.state().weights.ravel()[5]:.1%}")
    assert png(lab.figure()) != unmarked
    for wrong in (10, -1):
        with pytest.raises(ValueError, match=f"key {wrong} is not among 0 to 9; None marks no key"):
            lab.key = wrong
    assert lab.key == 6
    lab.key = None
    assert png(lab.figure()) == unmarked


@pytest.mark.parametrize(("on_class", "numbers"), [(3, (3, 0, 0.6)), (-2, (0, -2, -0.4))])
def test_the_class_token_counts_among_the_scores(on_class, numbers):
    scores = np.zeros((1, 1, 5, 5))
    scores[..., 0] = on_class
    state = attention_lab_state(softmax(scores), 2, 0, 0, 1, scores=scores)
    assert state.score_range == pytest.approx(numbers)
    assert state.class_score == on_class


@pytest.mark.parametrize("temperature", [0.1, 0.25, 5.0])
@pytest.mark.parametrize("head", [-1, 1])
def test_a_temperature_divides_the_scores(head, temperature):
    scores = random_scores()
    state = attention_lab_state(random_maps(), 3, 0, head, 2, scores=scores, temperature=temperature)
    weights = (torch.from_numpy(scores[0, :, 2]).double() / temperature).softmax(-1)
    row = weights.mean(0) if head < 0 else weights[head]
    np.testing.assert_allclose(state.weights.ravel(), row[1:].numpy(), atol=1e-12)
    assert state.entropy == pytest.approx(float(-(row * row.log()).sum()), rel=1e-9)
    assert f", temperature {temperature}: patch 1" in state.words


def test_the_lab_takes_what_attention_scores_gives():
    model = ViT(ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=3, dim=16, depth=2, num_heads=4))
    images = torch.rand(1, 1, 28, 28)
    maps, scores = attention_maps(model, images), attention_scores(model, images)
    for given in (scores, [layer[0] for layer in scores], [layer.half() for layer in scores]):
        lab = AttentionLab((images[0] * 255).byte(), maps, 4, scores=given, query=3)
        assert (lab.head, lab.temperature) == (0, 1)
        np.testing.assert_allclose(lab.state().scores.ravel(), scores[1][0, 0, 3, 1:].numpy(), rtol=2e-3)
    lab.temperature = 2
    weights = (scores[1][0, 0, 3].double() / 2).softmax(-1)
    np.testing.assert_allclose(lab.state().weights.ravel(), weights[1:].numpy(), atol=1e-3)
    assert np.array_equal(np.frombuffer(lab._sent["scores"], np.float32).reshape(lab._scores.shape), lab._scores)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"head": -1, "query": 0}])
def test_the_still_picture_shows_scores_too(options):
    grey, maps = picture(channels=1), random_maps()
    plain = AttentionLab(grey, maps, 3, layer=1, head=0, query=5)
    lab = AttentionLab(grey, maps, 3, **({"layer": 1, "query": 5} | options), scores=random_scores())
    ends = np.array([[103, 0, 31], [5, 48, 97]])  # the deepest red and the deepest blue
    deepest = []
    for one in (plain, lab):
        one.more = True
        image = np.asarray(Image.open(io.BytesIO(png(one.figure()))).convert("RGB")).astype(int)
        deepest.append(int((np.abs(image[:, :, None] - ends).max(-1).min(-1) < 12).sum()))
    assert deepest[0] < 20 < 2000 < deepest[1], "the patch with the largest score has the deepest colour"


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
        (lambda: attention_lab_state(random_maps(), 3, 0, 3, 0), "head 3 is not among -1 to 2"),
        (lambda: attention_lab_state(random_maps(), 3, 0, 0, 10), "query 10 is not among 0 to 9"),
        (lambda: attention_lab_state(random_maps(), 3, 0, 0, 0, key=10), "key 10 is not among 0 to 9"),
        (lambda: setattr(AttentionLab(picture(), random_maps(), 3), "key", 10), "key 10 is not among 0 to 9"),
        (lambda: AttentionLab(picture(), random_maps(), 4), "a 4 x 4 grid with 1 prefix tokens has 17"),
        (lambda: AttentionLab(picture(), random_maps(), 3, 0), "a 3 x 3 grid with 0 prefix tokens has 9"),
        (lambda: AttentionLab(picture(), random_maps() * 2, 3), "rows of a map must sum to 1, one is off by 1"),
        (lambda: AttentionLab(picture(), random_maps() * np.nan, 3), "rows of a map must sum to 1, one is off by nan"),
        (lambda: AttentionLab(picture(), [], 3), "got none"),
        (lambda: AttentionLab(picture(), random_maps()[None].repeat(2, 0), 3), "got [2, 3, 10, 10]"),
        (lambda: AttentionLab(picture(14, 14), random_maps(), 3), "a 3 x 3 grid does not fit a picture of 14 x 14"),
        (lambda: AttentionLab(picture(), random_maps(), 3, layer=7), "layer 7 is not among 0 to 1"),
        (lambda: setattr(AttentionLab(picture(), random_maps(), 3), "layer", 2), "layer 2 is not among 0 to 1"),
        (
            lambda: setattr(AttentionLab(picture(), random_maps(), 3), "overlay", 101),
            "overlay 101 is not among 0 to 100",
        ),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, scores=random_scores(1)),
            "softmax of the scores is off the maps by up to 0.",
        ),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, scores=random_scores() * 4),
            "give the scores after the scaling and before the softmax, of the same picture: attention_scores(model, im",
        ),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, scores=random_scores() * np.nan),
            "softmax of the scores is off the maps by up to nan",
        ),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, scores=random_scores()[:1]),
            "scores are [1, 3, 10, 10], the maps [2, 3, 10, 10]; give both of the same picture",
        ),
        (lambda: AttentionLab(picture(), random_maps(), 3, scores=[]), "scores must be one [h, N, N] a layer"),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, temperature=2.0),
            "a temperature divides the scores; give scores=attention_scores(model, images) too",
        ),
        (
            lambda: setattr(AttentionLab(picture(), random_maps(), 3), "temperature", 2.0),
            "a temperature divides the scores",
        ),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, scores=random_scores(), temperature=6),
            "temperature 6 is not among 0.1 to 5",
        ),
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
    assert np.array_equal(np.frombuffer(lab._sent["maps"], np.float16), maps.astype(np.float16).reshape(-1))
    assert math.prod(maps.shape) * 2 == len(lab._sent["maps"])
