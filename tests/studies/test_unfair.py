"""The trainings of the bug clinic: what each changes, that each epoch is tested, and what the record says."""

from dataclasses import replace

import pytest
import torch
from training.examples import make_data

from vit_tutorial.evidence import TRUE, compare
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.studies import load_study, unfair, versus
from vit_tutorial.studies.leads import curves_of

pytestmark = pytest.mark.slow
OWN = {"ViT": 0.01, "CNN": 0.1}


def test_each_training_is_one_change_of_the_fair_one():
    rows = unfair.trainings()
    for model in ("ViT", "CNN"):
        fair = rows[model]["training"]
        changed = {
            name.split(", ")[1]: {key for key in row["training"] if row["training"][key] != fair[key]}
            for name, row in rows.items()
            if name.startswith(f"{model},")
        }
        assert changed == {
            "the other's rate": {"learning_rate"},
            "nothing augmented": {"max_shift"},
            "a quarter of the budget": {"epochs", "warmup_epochs"},
        }
    assert unfair.BUDGET * versus.UNIT["fashion_mnist"] == unfair.EPOCHS * unfair.EPOCH


def test_a_training_is_tested_after_every_epoch(monkeypatch):
    data = replace(make_data(per_class=20, size=8), name="small")
    monkeypatch.setattr(unfair, "load", lambda name: data)
    monkeypatch.setattr(unfair, "EPOCH", 32)
    settings = unfair.trainings()["CNN, the other's rate"] | {"images": 16}
    threads = torch.get_num_threads()
    result = unfair.follow(settings, seed=0)
    torch.set_num_threads(threads)
    assert len(result["test_curve"]) == len(result["validation_curve"]) == 12
    assert result["images_seen"] == 12 * 32
    assert len(set(result["test_curve"])) > 1
    assert result["data"] == {"name": "small", "validation": 8, "test": 8}
    assert result["flops"] == flops_per_image(versus.make_config(settings, data))


def test_the_rates_are_those_that_the_search_of_versus_found_where_the_record_has_it():
    record = load_study("versus")
    for model, rate in unfair.RATES.items():
        name = versus.name_of(model, unfair.IMAGES, unfair.BUDGET)
        if name in record.variants:
            assert record.scores(name).rate.value == rate


def test_the_curves_are_found_by_their_settings():
    study = load_study("unfair")
    curves = study.values("test_curve")
    for model, rate in OWN.items():
        other = OWN["CNN" if model == "ViT" else "ViT"]
        for settings, name in (
            ({"rate": rate}, model),
            ({"rate": other}, f"{model}, the other's rate"),
            ({"rate": rate, "max_shift": 0}, f"{model}, nothing augmented"),
            ({"rate": rate, "epochs": 3}, f"{model}, a quarter of the budget"),
        ):
            assert torch.equal(curves_of(study, model, **settings), torch.tensor(curves[name]))
    with pytest.raises(ValueError, match="no ViT was trained with"):
        curves_of(study, "ViT", 0.5)


def test_the_cheats_of_the_clinic_change_what_is_reported():
    study = load_study("unfair")
    vit, cnn = (curves_of(study, model, rate) for model, rate in OWN.items())
    fair = (cnn - vit)[:, -1].mean()
    assert compare(cnn[:, -1].tolist(), vit[:, -1].tolist()).verdict == TRUE
    one_rate = (cnn - curves_of(study, "ViT", 0.1))[:, -1].mean()
    augmented = (cnn - curves_of(study, "ViT", 0.01, max_shift=0))[:, -1].mean()
    budget = (curves_of(study, "CNN", 0.1, epochs=3)[:, -1] - vit[:, -1]).mean()
    chosen = (cnn[:, :8].amax(dim=1) - vit[:, :8].amax(dim=1)).mean()
    assert one_rate > fair + 0.1
    assert augmented > fair + 0.03
    assert budget < 0 < fair  # who is ahead has changed
    assert chosen > (cnn - vit)[:, 7].mean() + 0.03
    assert cnn[1, -1] - vit[0, -1] > fair + 0.015
