"""The training timeline without a browser: its numbers, its words, and what it refuses."""

import copy

import numpy as np
import pytest
import torch
from references import exactly, randomize
from torch.nn import functional as F

from explore.examples import check_still_picture, picture
from vit_tutorial import ModelCard, ViT, ViTConfig, attention_maps
from vit_tutorial.explore import TrainingTimeline, training_timeline_state
from vit_tutorial.explore.training_timeline.data import near_and_far, training_timeline_data
from vit_tutorial.explore.training_timeline.figure import training_timeline_figure
from vit_tutorial.explore.words import decimals, percent

SIZE = {"image_size": 12, "patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 16, "depth": 2, "num_heads": 2}
CLASSES = ("cat", "dog", "owl")
NAMES = ("one", "two")
ACCURACY = (0.25, 0.5, 0.625, 0.75, 0.8)
VARIANTS = [
    {},
    {"pool": "mean"},
    {"position": "sincos"},
    {"pool": "mean", "in_channels": 3, "image_size": (8, 12), "position": "sincos"},
    {"in_channels": 3, "image_size": (12, 8)},
]


def moments(epochs=(0, 2, 5), **options):
    found = {}
    for epoch in epochs:
        found[epoch] = randomize(ViT(ViTConfig(**(SIZE | options))), seed=epoch + 1)
        channels = found[epoch].config.in_channels
        found[epoch].card = ModelCard(CLASSES, (0.3,) * channels, (0.4,) * channels)
    return found


def pictures(height=12, width=12, channels=1):
    return torch.stack([torch.from_numpy(picture(height, width, channels, seed)) for seed in (0, 1)])


def fitting(options):
    """Pictures that a model with these options takes."""
    height, width = np.broadcast_to(options.get("image_size", 12), 2)
    return pictures(height, width, options.get("in_channels", 1))


def timeline(models=None, images=None, names=NAMES, accuracy=ACCURACY, **choices):
    images = pictures() if images is None else images
    return TrainingTimeline(moments() if models is None else models, images, names, accuracy, **choices)


@pytest.fixture(scope="module")
def data():
    return training_timeline_data(moments(), pictures(), NAMES, ACCURACY)


# What is computed


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_numbers_are_those_of_the_models(options):
    models, images = moments(**options), fitting(options)
    found = training_timeline_data(models, images, NAMES)
    prefix, (rows, columns) = models[0].num_prefix_tokens, models[0].grid_size
    assert (found.tokens, found.layers) == (prefix + rows * columns, 2)
    largest_attention, largest_likeness = [], 0
    for epoch, model in models.items():
        pixels = (images[1:].float() / 255 - 0.3) / 0.4
        with torch.no_grad():
            expected = model.eval()(pixels)[0].softmax(-1)
        weights = attention_maps(model, pixels)[1][0].mean(0)  # layer 1, mean of the heads
        patch = rows * columns - 2
        whole = weights[0] if prefix else weights.mean(0)
        largest_attention.append(whole[prefix:].max().item())
        state = training_timeline_state(found, epoch, "two", 1)
        np.testing.assert_allclose(state.probabilities, expected, atol=1e-6)
        np.testing.assert_allclose(state.attention.ravel(), whole[prefix:], atol=1e-3)
        state = training_timeline_state(found, epoch, "two", 1, patch + prefix)
        np.testing.assert_allclose(state.attention.ravel(), weights[patch + prefix, prefix:], atol=1e-3)
        table = model.position.pos_embed[0, prefix:].detach()
        likeness = F.cosine_similarity(table[:, None], table[None], dim=-1)
        largest_likeness = max(largest_likeness, likeness.fill_diagonal_(0).abs().max().item())
        np.testing.assert_allclose(np.delete(state.alike, patch), np.delete(likeness[patch].numpy(), patch), atol=1e-6)
        assert state.patch == patch
        assert state.alike.ravel()[patch] == pytest.approx(1)
        near, far = [], []
        for other in range(rows * columns):
            steps = abs(other // columns - patch // columns) + abs(other % columns - patch % columns)
            (near if steps == 1 else far if steps > 1 else []).append(likeness[patch, other].item())
        assert state.near == pytest.approx((np.mean(near), np.mean(far)), abs=1e-6)
    for epoch in models:  # one scale for all moments
        state = training_timeline_state(found, epoch, "two", 1)
        assert state.attention_top == pytest.approx(max(largest_attention), abs=1e-3)
        assert state.alike_top == pytest.approx(largest_likeness, abs=1e-6)


def test_neighbours_are_one_step_away():
    alike = np.arange(36.0).reshape(6, 6)  # a grid of 2 rows and 3 columns
    near = near_and_far(alike, (2, 3))
    assert near[0].tolist() == [(1 + 3) / 2, (2 + 4 + 5) / 3]
    assert near[4].tolist() == [(25 + 27 + 29) / 3, (24 + 26) / 2]


def test_fixed_positions_are_the_same_at_every_moment():
    found = training_timeline_data(moments(position="sincos"), pictures(), NAMES)
    assert (found.alike == found.alike[0]).all()
    learned = training_timeline_data(moments(), pictures(), NAMES)
    assert (learned.alike[1] != learned.alike[0]).any()


def test_the_models_are_left_as_they_were():
    models = moments(dropout=0.5)
    models[2].train()
    before = {epoch: copy.deepcopy(model.state_dict()) for epoch, model in models.items()}
    first = training_timeline_data(models, pictures(), NAMES)
    assert (first.probabilities == training_timeline_data(models, pictures(), NAMES).probabilities).all()  # no dropout
    assert models[2].training
    for epoch, model in models.items():
        assert all(torch.equal(before[epoch][key], value) for key, value in model.state_dict().items())
        assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_the_order_of_the_models_does_not_matter(data):
    models = moments()
    turned = training_timeline_data(dict(reversed(models.items())), pictures(), NAMES, ACCURACY)
    assert turned.epochs == data.epochs == (0, 2, 5)
    assert (turned.probabilities == data.probabilities).all()
    doubles = {epoch: model.double() for epoch, model in models.items()}
    np.testing.assert_allclose(
        training_timeline_data(doubles, pictures(), NAMES).probabilities, data.probabilities, atol=1e-6
    )


# What is shown


def says(probabilities):
    return f"{CLASSES[probabilities.argmax()]} with {percent(float(probabilities.max()))}"


def test_the_timeline_in_words(data):
    names = {0: "before training", 2: "after 2 epochs", 5: "after 5 epochs"}
    for which, name in enumerate(NAMES):
        surest = int(data.probabilities[:, which].max(axis=1).argmax())
        for moment, epoch in enumerate(data.epochs):
            state = training_timeline_state(data, epoch, name, 1, 6)
            most = f"it is most sure {names[data.epochs[surest]]}: {says(data.probabilities[surest, which])}"
            if moment == surest:
                most = "at no other moment is it more sure"
            measured = f" Its validation accuracy is {percent(ACCURACY[epoch - 1])}." if epoch else ""
            best = int(state.attention.argmax())
            looked_at = f"patch {best} (row {best // 3}, column {best % 3}), with {percent(state.attention.max())}"
            assert state.words == (
                f"{name}: {names[epoch]} the model says {says(data.probabilities[moment, which])}; {most}.{measured} "
                f"In layer 1 patch 5 (row 1, column 2) looks most at {looked_at}. "
                f"The position of patch 5 (row 1, column 2): mean cosine similarity {decimals(state.near[0])} to its "
                f"neighbours, {decimals(state.near[1])} to the others."
            )
            assert state.accuracy == (ACCURACY[epoch - 1] if epoch else None)


def test_who_looks_if_no_patch_is_chosen(data):
    state = training_timeline_state(data, 2)
    assert "In layer 1 the class token looks most at patch" in state.words
    assert state.words == training_timeline_state(data, 2, "one", 1, 0).words
    assert "The position of patch 4 (row 1, column 1):" in state.words  # the one in the middle
    mean = training_timeline_data(moments(pool="mean"), pictures(), NAMES)
    assert "In layer 1 all patches together look most at patch" in training_timeline_state(mean, 2).words
    assert "In layer 0 patch 0 (row 0, column 0) looks most" in training_timeline_state(mean, 2, None, 0, 0).words
    assert "accuracy" not in training_timeline_state(mean, 2).words
    one = training_timeline_data(moments((0, 1)), pictures(), NAMES)
    assert "one: after 1 epoch the model says" in training_timeline_state(one, 1).words


def test_the_widget_says_what_its_state_says(data):
    lab = timeline()
    assert repr(lab) == "TrainingTimeline(epochs=[0, 2, 5], epoch=0, picture='one')"
    assert (lab.layer, lab.token) == (1, None)
    assert lab.words() == training_timeline_state(data, 0).words
    lab.epoch, lab.picture, lab.layer, lab.token = 5, "two", 0, 3
    assert lab.words() == training_timeline_state(data, 5, "two", 0, 3).words
    lab.token = None
    np.testing.assert_array_equal(lab.state().probabilities, training_timeline_state(data, 5, "two").probabilities)
    assert timeline(epoch=2, picture="two", layer=0, token=9).words() == (
        training_timeline_state(data, 2, "two", 0, 9).words
    )


def test_of_many_classes_the_most_probable_ones_at_any_moment_are_shown():
    models = moments(num_classes=14)
    for model in models.values():
        model.card = ModelCard(tuple(f"class {i}" for i in range(14)), (0.3,), (0.4,))
    lab = timeline(models)
    for which, shown in enumerate(lab._sent["bars"]):
        probabilities = lab._data.probabilities[:, which]
        assert len(shown) == 10
        assert shown == sorted(shown)
        assert set(probabilities.argmax(axis=1).tolist()) <= set(shown)
        assert min(probabilities.max(axis=0)[shown]) >= max(np.delete(probabilities.max(axis=0), shown))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize(("accuracy", "token"), [(ACCURACY, None), ((), 3)])
def test_a_still_picture_with_alt_text_stands_behind_the_widget(options, accuracy, token):
    lab = timeline(moments(**options), fitting(options), accuracy=accuracy, token=token)
    check_still_picture(lab)


def test_the_still_picture_shows_the_numbers_of_its_moment(data):
    def texts(*choices):
        figure = training_timeline_figure(training_timeline_state(data, *choices), data, more=True)
        return [text.get_text() for text in figure.texts]

    for epoch, when in ((0, "Before training"), (5, "After 5 epochs")):
        state = training_timeline_state(data, epoch, "two", 0, 1)
        shown = texts(epoch, "two", 0, 1)
        assert when in shown
        assert "Layer 0: where patch 0 looks" in shown
        assert "Positions like that of patch 0" in shown
        assert {percent(probability) for probability in state.probabilities} <= set(shown)
        assert f"dark 0%, yellow {percent(state.attention_top)}" in shown
        assert f"mean: neighbours {decimals(state.near[0])}, others {decimals(state.near[1])}" in shown
    assert "Layer 1: where the class token looks" in texts(2)


# What is refused


def changed(epoch=2, **options):
    """Three moments, one of which is of another config."""
    return moments() | {epoch: moments((epoch,), **options)[epoch]}


def with_card(card):
    models = moments()
    models[2].card = card
    return models


def broken():
    models = moments()
    with torch.no_grad():
        models[5].head.bias[0] = float("nan")
    return models


def without_direction():
    models = moments()
    with torch.no_grad():
        models[2].position.pos_embed[0, 3] = 0
    return models


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: timeline(moments((0,))),
            "a timeline needs two or more moments of a training, and models holds 1; add ",
        ),
        (lambda: timeline(moments((0, -1))), "models has the key -1; its keys count finished epochs"),
        (
            lambda: timeline({"first" if epoch else 0: model for epoch, model in moments((0, 1)).items()}),
            "models has the key 'first'; its keys count finished epochs: 0, 1, 2, ...",
        ),
        (lambda: timeline(changed(depth=3)), "the models after epoch 0 and 2 have different configs"),
        (
            lambda: timeline(with_card(None)),
            "the model after epoch 2 has no card with the mean of its input; set model.card = ModelCard(",
        ),
        (lambda: timeline(with_card(ModelCard(CLASSES))), "the model after epoch 2 has no card with the mean"),
        (
            lambda: timeline(with_card(ModelCard(CLASSES, (0.31,), (0.4,)))),
            "the cards of the models after epoch 0 and 2 differ in class names, mean or std",
        ),
        (lambda: timeline(moments(position="none")), "the models have position='none', so there are no positions"),
        (
            lambda: timeline(moments(image_size=(4, 12)), pictures(4, 12)),
            "the models cut pictures into 1 x 3 patches; give models with 2 x 2 or more",
        ),
        (lambda: timeline(broken()), "the model after epoch 5 gives numbers that are not finite; leave it out"),
        (lambda: timeline(without_direction()), "the model after epoch 2 gives numbers that are not finite"),
        (lambda: timeline(names=("one",)), "there are 2 pictures and 1 different names; give one name for each"),
        (lambda: timeline(names=("one", "one")), "there are 2 pictures and 1 different names"),
        (lambda: timeline(images=pictures()[:0], names=()), "there are 0 pictures and 0 different names"),
        (lambda: timeline(images=pictures().float()), "picture 'one' holds float32, not uint8"),
        (
            lambda: timeline(images=pictures(16, 16)),
            "picture 'one': the picture is [1, 16, 16], and the model takes [1, 12, 12]",
        ),
        (lambda: timeline(accuracy=ACCURACY[:4]), "accuracy has 4 values, and a model was kept after epoch 5; give"),
        (lambda: timeline(accuracy=(0.1, 20.0, 0.3, 0.4, 0.5)), "the accuracy after epoch 2 is 20.0; give shares"),
        (lambda: timeline(epoch=3), "epoch 3 is not among 0, 2, 5, the epochs after which a model was kept"),
        (lambda: timeline(picture="three"), "picture 'three' is not among 'one', 'two'"),
        (lambda: timeline(layer=2), "layer 2 is not among 0 to 1"),
        (lambda: timeline(token=10), "token 10 is not among 0 to 9"),
        (lambda: setattr(timeline(), "epoch", 1), "epoch 1 is not among 0, 2, 5"),
        (lambda: setattr(timeline(), "picture", "three"), "picture 'three' is not among 'one', 'two'"),
        (lambda: setattr(timeline(), "layer", -1), "layer -1 is not among 0 to 1"),
        (lambda: setattr(timeline(moments(pool="mean")), "token", 9), "token 9 is not among 0 to 8"),
    ],
)
def test_the_timeline_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=exactly(sentence)):
        call()


def test_more_than_a_browser_takes_is_refused(monkeypatch):
    monkeypatch.setattr("vit_tutorial.explore.training_timeline.data.LARGEST", 1000)
    sentence = "3 models, 2 pictures, 2 layers and 9 patches make 1,080 attention weights, and a browser takes 1,000"
    with pytest.raises(ValueError, match=exactly(sentence)):
        timeline()
