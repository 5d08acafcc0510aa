"""The weights in data/ are what their records say."""

import dataclasses
import json
import subprocess

import pytest

from vit_tutorial import ViTConfig, count_parameters, load_model
from vit_tutorial.datasets import DATA_FOLDER, DataError, load
from vit_tutorial.recipes import RECORDED
from vit_tutorial.support.paths import COURSE
from vit_tutorial.training import evaluate, split_validation

pytestmark = pytest.mark.slow

WEIGHTS = sorted(DATA_FOLDER.glob("*.safetensors"))
LARGEST = {"vit_fashion_mnist": 1e6, "vit_cifar10": 12e6, "vit_clothes_six": 0.5e6}  # bytes of each file
RECORDS = sorted((DATA_FOLDER / "results").glob("vit_*.json"))  # also of trainings whose weights are not shipped
KEPT = {int(path.stem[-3:]): path for path in sorted((DATA_FOLDER / "vit_cifar10_epochs").iterdir())}  # by epoch


@pytest.fixture(params=WEIGHTS, ids=lambda path: path.stem)
def shipped(request):
    model = load_model(request.param)
    return request.param, model, record_of(model)


def record_of(model):
    return json.loads((DATA_FOLDER / "results" / model.card.record).read_text(encoding="utf-8"))


def test_what_is_shipped():
    assert {path.stem for path in WEIGHTS} == set(LARGEST)


def test_weights_are_small_and_of_the_recorded_model(shipped):
    path, model, record = shipped
    assert path.stat().st_size < LARGEST[path.stem]
    recorded = dict(record["model"])
    assert recorded.pop("parameters") == count_parameters(model)
    assert ViTConfig(**recorded) == model.config
    assert list(model.card.class_names) == record["class_names"]


@pytest.mark.parametrize("path", [*WEIGHTS, *KEPT.values()], ids=lambda path: path.stem)
def test_a_damaged_bit_of_what_is_shipped_would_be_seen(path, tmp_path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    (tmp_path / path.name).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: numbers or metadata are not those that save_model wrote"):
        load_model(tmp_path / path.name)


@pytest.fixture(params=RECORDS, ids=lambda path: path.stem)
def record(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_the_record_is_whole(record):
    assert {"command", "config", "environment", "total_seconds", "images_per_second", "mfu"} <= record.keys()
    epochs = record["config"]["epochs"]
    for curve in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert len(record[curve]) == epochs
    confusion = record["test"]["confusion"]
    right = sum(confusion[i][i] for i in range(len(confusion)))
    images = 1_200 if record["name"] == "vit_clothes_six" else 10_000
    assert sum(map(sum, confusion)) == record["test"]["images"] == images
    assert record["test"]["accuracy"] == pytest.approx(right / images, abs=1e-5)


def test_make_results_makes_them_again(record):
    commands = subprocess.run(["make", "-n", "results"], cwd=COURSE, capture_output=True, text=True, check=True).stdout
    assert "vit_tutorial.recipes --recorded" in commands
    assert "vit_tutorial.train --recipe $recipe" in commands
    assert record["name"] in RECORDED or record["environment"]["device"] == "cuda"


def test_weights_classify_the_embedded_pictures_as_well_as_recorded():
    model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    data, recorded = load("fashion_mnist"), record_of(model)["embedded_test"]
    assert len(data.test_labels) == recorded["images"]
    accuracy = evaluate(model, data.test_images, data.test_labels).accuracy
    assert accuracy == pytest.approx(recorded["accuracy"], abs=0.001)


def test_weights_classify_the_whole_test_set_as_well_as_recorded(shipped):
    path, model, record = shipped
    recipe = RECORDED[path.stem]
    data = on_disk(recipe.data)
    data = data.of_classes(recipe.classes) if recipe.classes else data
    for name in {"test", "mirrored_test"} & record.keys():
        mirrored = name == "mirrored_test"
        accuracy = evaluate(model, data.test_images, data.test_labels, mirrored=mirrored).accuracy
        assert accuracy == pytest.approx(record[name]["accuracy"], abs=0.001)


def test_the_kept_epochs_are_small_and_moments_of_one_training():
    last = load_model(DATA_FOLDER / "vit_cifar10.safetensors")
    record = record_of(last)
    assert list(KEPT) == [1, 2, 5, 12]
    assert record["config"]["epochs"] > 12
    assert sum(path.stat().st_size for path in KEPT.values()) < 8e6
    for model in map(load_model, KEPT.values()):
        assert model.config == last.config
        assert dataclasses.replace(model.card, record=last.card.record) == last.card


def test_the_kept_epochs_are_as_good_as_recorded():
    last = load_model(DATA_FOLDER / "vit_cifar10.safetensors")
    record, data = record_of(last), on_disk("cifar10")
    _, validation = split_validation(
        data.train_labels, record["config"]["validation_fraction"], record["config"]["seed"]
    )
    images, labels = data.train_images[validation], data.train_labels[validation]
    moments = {epoch: load_model(path) for epoch, path in KEPT.items()} | {record["config"]["epochs"]: last}
    for epoch, model in moments.items():
        accuracy = evaluate(model, images, labels).accuracy
        assert accuracy == pytest.approx(record["validation_accuracy"][epoch - 1], abs=0.001)


def on_disk(name):
    try:
        return load(name, download=False)
    except DataError:
        pytest.skip(f"{name} is not on this machine")
