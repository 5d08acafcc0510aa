"""What cannot be learned or judged meets a sentence before anything is changed."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from references import exactly

from training.examples import CLASSES, make_model
from vit_tutorial.training import TrainingConfig, evaluate, fit, predict_seconds
from vit_tutorial.weights import ModelCard

LABELS = {
    "too large": (
        lambda labels: labels + 1,
        ValueError,
        "labels go from 1 to 4, and a model of 4 classes takes 0 to 3",
    ),
    "negative": (
        lambda labels: labels - 1,
        ValueError,
        "labels go from -1 to 2, and a model of 4 classes takes 0 to 3",
    ),
    "int32": (lambda labels: labels.int(), TypeError, "labels are torch.int32; pass torch.int64, labels.long()"),
    "real": (lambda labels: labels.float(), TypeError, "labels are torch.float32; pass torch.int64"),
    "one-hot": (lambda labels: torch.eye(4).long()[labels], ValueError, "pass one number for each image"),
    "NumPy's": (
        lambda labels: labels.numpy(),
        TypeError,
        "labels are a numpy.ndarray; pass a tensor, such as torch.as",
    ),
    "too few": (lambda labels: labels[:-1], ValueError, "pass one number for each image"),
}


@pytest.mark.parametrize(("change", "error", "message"), LABELS.values(), ids=LABELS)
def test_labels_are_whole_numbers_of_the_models_classes(data, change, error, message):
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(error, match=exactly(message)):
        fit(model, replace(data, train_labels=change(data.train_labels)), TrainingConfig(epochs=1))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.card = ModelCard(CLASSES, data.mean, data.std)
    with pytest.raises(error, match=exactly(message)):
        evaluate(model, data.train_images, change(data.train_labels))


def test_a_model_that_is_frozen_is_refused_and_one_that_is_free_in_part_learns(data):
    model = make_model().requires_grad_(False)
    count = sum(parameter.numel() for parameter in model.parameters())
    for train in (fit, predict_seconds):
        with pytest.raises(ValueError, match=exactly(f"all {count} parameters of the model are frozen, so it cannot")):
            train(model, data, TrainingConfig(epochs=1))
    model.head.requires_grad_()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, data, TrainingConfig(epochs=1))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_what_is_no_model_and_no_number_of_steps_is_refused(data):
    for train in (fit, predict_seconds):
        with pytest.raises(TypeError, match=exactly("model must be a Module; got Dataset")):
            train(data, make_model(), TrainingConfig(epochs=1))
    with pytest.raises(ValueError, match=exactly("steps is 2.5; it must be one whole number")):
        predict_seconds(make_model(), data, TrainingConfig(epochs=1), steps=2.5)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            partial(torch.device, "meta"),
            "the model is on the device meta, where it has shapes and no numbers; build it",
        ),
        (torch.inference_mode, "the model was made inside of torch.inference_mode, so it cannot learn; train a copy"),
    ],
)
def test_a_model_that_can_only_compute_or_not_even_that_is_refused(data, made, message):
    with made():
        model = make_model()
    config = TrainingConfig(epochs=1, freeze=("patch_embed",))
    for train in (fit, predict_seconds):
        with pytest.raises(ValueError, match=exactly(message)):
            train(model, data, config)
    if made is torch.inference_mode:
        assert fit(copy.deepcopy(model), data, config).epochs == 1
