"""The weights in data/ are what their records say."""

import json
import subprocess

import pytest

from vit_tutorial import ViTConfig, count_parameters, load_model
from vit_tutorial.datasets import DATA_FOLDER, DataError, load
from vit_tutorial.training import evaluate

WEIGHTS = sorted(DATA_FOLDER.glob("*.safetensors"))


@pytest.fixture(params=WEIGHTS, ids=lambda path: path.stem)
def shipped(request):
    model = load_model(request.param)
    return request.param, model, record_of(model)


def record_of(model):
    return json.loads((DATA_FOLDER / "results" / model.card.record).read_text(encoding="utf-8"))


def test_something_is_shipped():
    assert "vit_fashion_mnist.safetensors" in [path.name for path in WEIGHTS]


def test_weights_are_small_and_of_the_recorded_model(shipped):
    path, model, record = shipped
    assert path.stat().st_size < 1e6
    recorded = dict(record["model"])
    assert recorded.pop("parameters") == count_parameters(model)
    assert ViTConfig(**recorded) == model.config
    assert list(model.card.class_names) == record["class_names"]


def test_the_record_is_whole(shipped):
    _, _, record = shipped
    assert {"command", "config", "environment", "total_seconds", "images_per_second", "mfu"} <= record.keys()
    epochs = record["config"]["epochs"]
    for curve in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert len(record[curve]) == epochs
    confusion = record["test"]["confusion"]
    right = sum(confusion[i][i] for i in range(len(confusion)))
    assert sum(map(sum, confusion)) == record["test"]["images"] == 10_000
    assert right / 10_000 == record["test"]["accuracy"]


def test_make_results_makes_them_again(shipped):
    _, _, record = shipped
    root = DATA_FOLDER.parent
    commands = subprocess.run(["make", "-n", "results"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert record["command"].removeprefix("python ") in " ".join(commands.replace("\\\n", " ").split())


def test_weights_classify_the_embedded_pictures_as_well_as_recorded():
    model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    data, recorded = load("fashion_mnist"), record_of(model)["embedded_test"]
    assert len(data.test_labels) == recorded["images"]
    accuracy = evaluate(model, data.test_images, data.test_labels).accuracy
    assert accuracy == pytest.approx(recorded["accuracy"], abs=0.001)


def test_weights_classify_the_whole_test_set_as_well_as_recorded(shipped):
    _, model, record = shipped
    data = on_disk(record["data"]["name"])
    accuracy = evaluate(model, data.test_images, data.test_labels).accuracy
    assert accuracy == pytest.approx(record["test"]["accuracy"], abs=0.001)


def on_disk(name):
    try:
        return load(name, download=False)
    except DataError:
        pytest.skip(f"{name} is not on this machine")
