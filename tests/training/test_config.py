"""Settings: what makes no sense is refused in a sentence."""

import inspect
import json
import math
import re
import sys
import types
from dataclasses import asdict

import numpy as np
import pytest
import tyro

from vit_tutorial.training import TrainingConfig, config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", -1),
        ("learning_rate", math.nan),
        ("warmup_epochs", 1000),
        ("label_smoothing", 1),
        ("max_shift", -1),
        ("validation_fraction", 1),
        ("seed", -1),
        ("distort", 1.5),
        ("erase", -0.1),
        ("cutmix", 2),
        ("plain_epochs", -1),
        ("average", 1),
        ("optimizer", "sgd"),
        ("clip_norm", 0),
        ("precision", "float8"),
        ("device", "gpu"),
        ("epochs", 2.5),
        ("batch_size", 16.0),
        ("seed", "3"),
        ("learning_rate", "0.1"),
        ("weight_decay", None),
        ("clip_norm", math.inf),
        ("flip", "no"),
        ("compile", 1),
    ],
)
def test_a_setting_that_makes_no_sense_gets_a_sentence(field, value):
    with pytest.raises(ValueError, match=rf"^{field} is .*{value}.*; it must be"):
        TrainingConfig(**{field: value})


def test_the_sentence_names_the_words_that_are_known():
    with pytest.raises(ValueError, match=r"^optimizer is 'sgd'; it must be one of 'adamw', 'muon'$"):
        TrainingConfig(optimizer="sgd")


@pytest.mark.parametrize("freeze", [3, (3,)])
def test_what_is_frozen_has_names(freeze):
    with pytest.raises(ValueError, match=re.escape(f"freeze is {freeze!r}; it must be names of parts, such as (")):
        TrainingConfig(freeze=freeze)


@pytest.mark.parametrize(("options", "allowed"), [({"epochs": 0}, "1 or more"), ({"distort": 1.5}, "from 0 to 1")])
def test_the_sentence_names_the_range(options, allowed):
    with pytest.raises(ValueError, match=f"; it must be {allowed}$"):
        TrainingConfig(**options)


def test_numbers_of_numpy_become_those_of_python_and_whole_ones_stay_whole():
    config = TrainingConfig(
        seed=np.int64(3), learning_rate=np.float32(0.5), weight_decay=np.int64(0), warmup_epochs=2, flip=np.True_
    )
    assert config == TrainingConfig(seed=3, learning_rate=0.5, weight_decay=0, warmup_epochs=2, flip=True)
    said = json.loads(json.dumps(asdict(config)))
    assert [repr(said[name]) for name in ("seed", "weight_decay", "warmup_epochs", "flip")] == ["3", "0", "2", "True"]


def test_the_shares_of_cutmix_and_mixup_may_fill_the_images_and_no_more():
    for hundredths in range(101):
        cutmix, mixup = hundredths / 100, (100 - hundredths) / 100
        assert TrainingConfig(cutmix=cutmix, mixup=mixup).mixup == mixup
    sentence = r"^cutmix is 0\.9 and mixup 0\.2, which are shares of the same images; they must be 1 or less together$"
    with pytest.raises(ValueError, match=sentence):
        TrainingConfig(cutmix=0.9, mixup=0.2)


def test_words_are_checked_where_annotations_are_text_too(monkeypatch):
    """As `from __future__ import annotations` makes them."""
    module = types.ModuleType("settings_with_text_as_annotations")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("from __future__ import annotations\n" + inspect.getsource(config), vars(module))
    assert module.TrainingConfig.__annotations__["epochs"] == "int"
    with pytest.raises(ValueError, match="optimizer is 'sgd'; it must be one of 'adamw', 'muon'"):
        module.TrainingConfig(optimizer="sgd")
    options = tyro.cli(module.TrainingConfig, args=["--optimizer", "muon", "--clip-norm", "None"])
    assert (options.optimizer, options.clip_norm) == ("muon", None)
