"""History: what a run wrote down describes it, and survives a file."""

import json
from dataclasses import asdict, replace

import pytest
from torch import nn

from training.examples import CONFIG, make_model
from vit_tutorial.training import History, fit


def test_history_survives_json(data, tmp_path):
    history = fit(make_model(), data, CONFIG)
    path = history.to_json(tmp_path / "deep" / "history.json")
    assert History.from_json(path) == history
    assert json.loads(path.read_text())["images_per_second"] > 0


def test_what_was_trained_elsewhere_does_not_count_for_the_speed():
    here = History(training_seconds=[1.0, 1.5, 4.0], data={"training": 48})
    assert here.images_per_second == pytest.approx(3 * 48 / 6.5)
    moved = replace(here, environment={"before": {"images": 48 + 16, "seconds": 1.5}})
    assert moved.images_per_second == pytest.approx((48 + 32) / 5)
    assert replace(here, environment={"before": {"images": 3 * 48, "seconds": 6.5}}).images_per_second == 0


def test_a_history_begins_with_what_decides_the_run(data):
    history = History.begin(make_model(), data, CONFIG, training=48, validation=16)
    assert (history.epochs, history.images_per_second) == (0, 0.0)
    assert history.config == asdict(CONFIG) | {"freeze": []}  # as JSON gives it back
    assert history.model["stem_layers"] == [3, 4, 9]
    assert (history.data["training"], history.data["validation"]) == (48, 16)
    assert History.begin(make_model(), data, CONFIG, 48, 16) == history
    other_labels = replace(data, train_labels=data.train_labels.flip(0))
    assert History.begin(make_model(), other_labels, CONFIG, 48, 16).data["crc32"] != history.data["crc32"]
    assert History.begin(nn.Linear(3, 2), data, CONFIG, 48, 16).model["class"] == "Linear"
    assert history.model["parts"] == {}
    model = make_model()
    model.head.requires_grad_(False)
    model.blocks[1].mlp = nn.Identity()
    model.blocks[0].attn.qkv = nn.Sequential(model.blocks[0].attn.qkv)
    described = History.begin(model, data, CONFIG, 48, 16).model
    assert described["frozen"] == ["head.weight", "head.bias"]
    inside = "(0): Linear(in_features=16, out_features=48, bias=True)"
    assert described["parts"] == {"blocks.0.attn.qkv": f"Sequential( {inside} )", "blocks.1.mlp": "Identity()"}
