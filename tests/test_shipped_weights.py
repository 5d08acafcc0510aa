"""The weights in data/ are what their records say."""

import json

import pytest

from vit_tutorial import ViTConfig, count_parameters, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.training import evaluate

WEIGHTS = sorted(DATA_FOLDER.glob("*.safetensors"))


@pytest.fixture(params=WEIGHTS, ids=lambda path: path.stem)
def shipped(request):
    model = load_model(request.param)
    return request.param, model, json.loads((DATA_FOLDER / "results" / model.card.record).read_text())


def test_something_is_shipped():
    assert "vit_fashion_mnist.safetensors" in [path.name for path in WEIGHTS]


def test_weights_are_small_and_of_the_recorded_model(shipped):
    path, model, record = shipped
    assert path.stat().st_size < 1e6
    recorded = dict(record["model"])
    assert recorded.pop("parameters") == count_parameters(model)
    assert ViTConfig(**recorded) == model.config
    assert list(model.card.class_names) == record["class_names"]


def test_weights_classify_as_well_as_recorded(shipped):
    """The record's accuracy is that on all 10,000 test images; the embedded 2,000 are a fifth of them."""
    _, model, record = shipped
    data = load("fashion_mnist")
    accuracy = evaluate(model, data.test_images, data.test_labels).accuracy
    spread = (record["test"]["accuracy"] * (1 - record["test"]["accuracy"]) / len(data.test_labels)) ** 0.5
    assert abs(accuracy - record["test"]["accuracy"]) < 3 * spread
    confusion = record["test"]["confusion"]
    right = sum(confusion[i][i] for i in range(len(confusion)))
    assert round(right / sum(map(sum, confusion)), 4) == round(record["test"]["accuracy"], 4)
