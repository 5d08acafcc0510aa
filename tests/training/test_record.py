"""What stays of a training: the record, and weights along the way."""

import copy
from dataclasses import replace

import pytest
import torch

from training.examples import ALL_AT_ONCE, CONFIG, make_model, same, weights
from vit_tutorial import load_model
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.training import evaluate, fit, record
from vit_tutorial.training.record import keep_weights, make_record, measure_utilisation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(data):
    """A model that learned from mirror images, its history, and a data set whose test images it can get wrong."""
    model = make_model()
    history = fit(model, data, CONFIG)
    return model, history, replace(data, test_images=data.train_images, test_labels=data.train_labels)


@pytest.fixture
def rate(monkeypatch):
    monkeypatch.setattr(record, "matrix_rate", lambda device, precision: 2e9)


def test_the_utilisation_is_three_ways_forward_over_the_rate_of_the_device(trained, rate):
    model, history, _ = trained
    flops = flops_per_image(model.config)
    found = measure_utilisation(history, model.config, CPU)
    assert (found["flops_per_image"], found["matrix_rate"]) == (flops, 2e9)
    assert found["mfu"] == pytest.approx(3 * flops * history.images_per_second / 2e9, abs=0.001)
    two = replace(history, environment=history.environment | {"processes": 2})
    assert measure_utilisation(two, model.config, CPU)["mfu"] == pytest.approx(found["mfu"] / 2, abs=0.001)


def test_what_a_step_with_frozen_parts_takes_is_not_guessed(trained, rate):
    model, history, _ = trained
    probe = replace(history, config=history.config | {"freeze": ["blocks"]})
    assert measure_utilisation(probe, model.config, CPU).keys() == {"flops_per_image", "matrix_rate"}


def test_what_was_trained_elsewhere_does_not_count_for_the_utilisation(trained):
    model, history, _ = trained
    history = replace(history, training_seconds=[1.0, 1.5, 4.0])
    moved = replace(history, environment=history.environment | {"before": {"images": 48 + 16, "seconds": 1.5}})
    whole, since = (measure_utilisation(one, model.config, CPU, rate=1e6)["mfu"] for one in (history, moved))
    flops = 3 * flops_per_image(model.config)
    assert whole == pytest.approx(flops * 3 * 48 / 6.5 / 1e6, abs=0.001)
    assert since == pytest.approx(flops * (48 + 32) / 5 / 1e6, abs=0.001)


def test_the_speed_of_another_device_says_nothing_of_a_training_that_ended_elsewhere(trained, rate):
    model, history, data = trained
    assert make_record(model, data, history, CPU, name=None, command="")["mfu"] > 0
    for place in ({"device": "cuda"}, {"hardware": "another"}, {"threads": 1000}):
        elsewhere = replace(history, environment=history.environment | place)
        found = make_record(model, data, elsewhere, CPU, name=None, command="")
        assert not found.keys() & {"mfu", "matrix_rate", "flops_per_image"}


def test_a_rate_that_is_known_is_not_measured_again(trained, monkeypatch):
    model, history, data = trained
    monkeypatch.setattr(record, "matrix_rate", lambda *_: pytest.fail("it was measured"))
    known = measure_utilisation(history, model.config, CPU, rate=1e9)
    assert known["mfu"] == pytest.approx(3 * known["flops_per_image"] * history.images_per_second / 1e9, abs=0.001)
    assert make_record(model, data, history, CPU, name=None, command="", rate=1e9)["matrix_rate"] == 1e9


def test_a_model_that_learned_from_mirror_images_is_also_asked_about_them(trained, rate):
    model, history, data = trained
    plain, both = (evaluate(model, data.test_images, data.test_labels, mirrored=m).accuracy for m in (False, True))
    assert plain != both
    found = make_record(model, data, history, CPU, name="tiny", command="")
    assert found["test"]["accuracy"] == round(plain, 5)
    assert found["mirrored_test"] == {"images": 64, "accuracy": round(both, 5)}
    never = replace(history, config=history.config | {"flip": False})
    assert "mirrored_test" not in make_record(model, data, never, CPU, name="tiny", command="")


def test_the_record_also_scores_the_part_that_comes_with_the_course(trained, rate, monkeypatch):
    model, history, data = trained
    part = replace(data, test_images=data.train_images[20:30], test_labels=data.train_labels[20:30])
    assert "embedded_test" not in make_record(model, data, history, CPU, name="tiny", command="")
    monkeypatch.setattr(record, "EMBEDDED", {data.name: "part"})
    monkeypatch.setattr(record, "load", {"part": part}.get)
    test = evaluate(model, part.test_images, part.test_labels)
    found = make_record(model, data, history, CPU, name="tiny", command="")
    assert found["embedded_test"] == {"images": 10, "accuracy": round(test.accuracy, 5)}
    assert "embedded_test" not in make_record(model, data, history, CPU, name=None, command="")


def test_the_weights_of_an_epoch_are_the_average_in_half_the_bytes(data, tmp_path):
    model, kept = make_model(), tmp_path / "kept"
    fit(model, data, ALL_AT_ONCE, checkpoint=tmp_path)
    keep_weights(copy.deepcopy(model), tmp_path, (1, 2), kept)
    assert not kept.exists()  # the checkpoint is that of epoch 3
    keep_weights(make_model(seed=9), tmp_path, (3,), kept)
    (file,) = kept.iterdir()
    assert file.name == "epoch_003.safetensors"
    assert same(weights(load_model(file)), {name: value.half().float() for name, value in weights(model).items()})
    keep_weights(model, tmp_path, (3,), kept)
    before = file.read_bytes()
    keep_weights(model, tmp_path, (3,), kept)
    assert file.read_bytes() == before


def test_the_weights_of_another_run_do_not_stay_beside_a_new_one(data, tmp_path):
    kept = tmp_path / "kept"
    for seed in (0, 1):
        model = make_model()
        fit(model, data, replace(CONFIG, seed=seed), checkpoint=tmp_path / f"seed {seed}")
        keep_weights(model, tmp_path / f"seed {seed}", (3,), kept)
        found = weights(load_model(kept / "epoch_003.safetensors"))
        assert same(found, {name: value.half().float() for name, value in weights(model).items()})
