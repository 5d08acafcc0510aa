"""What the study of clothes measures: who sees what, who is judged by what, and with which model each job begins."""

from dataclasses import replace

import pytest
import torch

from vit_tutorial.datasets import channel_statistics, load
from vit_tutorial.evidence import FEWEST_RATES
from vit_tutorial.studies import clothes, transfer
from vit_tutorial.training import TrainingConfig
from vit_tutorial.weights import load_model

KEYS = {0: "test_accuracy", 100: "validation_accuracy"}  # by seed


@pytest.fixture
def caches():
    """The pictures of a job, asked for anew in each test; some tests put a function of theirs in that place."""
    original = clothes.other_four
    yield
    original.cache_clear()


def settings_of(name, **changes):
    return clothes.variants()[name] | {"learning_rate": 0.003} | changes


def test_the_other_four_are_those_that_were_not_learned_first(caches):
    four = clothes.other_four("first six")
    six = load_model(clothes.first_training("first six")).card
    assert set(four.class_names) | set(six.class_names) == set(load("fashion_mnist").class_names)
    assert len(four.class_names) == 4
    assert (four.mean, four.std) == (six.mean, six.std)
    own = channel_statistics(load("fashion_mnist").of_classes(clothes.RECIPE.classes).train_images)
    assert (four.mean, four.std) == own


@pytest.mark.parametrize("method", clothes.METHODS)
def test_a_seed_of_the_search_sees_no_test_picture_and_another_seed_no_held_out_one(method, monkeypatch, caches):
    settings = settings_of(
        f"{method}, 5 a kind", **({} if clothes.METHODS[method][1] == "one layer" else {"epochs": 2})
    )
    monkeypatch.setattr(transfer, "HELD_OUT", 8)
    whole = clothes.other_four("first six")
    rows = torch.cat([(whole.train_labels == label).nonzero()[:30, 0] for label in range(4)])
    asked = torch.cat([(whole.test_labels == label).nonzero()[:10, 0] for label in range(4)])
    train = {"train_images": whole.train_images[rows], "train_labels": whole.train_labels[rows]}
    four = replace(whole, **train, test_images=whole.test_images[asked], test_labels=whole.test_labels[asked])
    monkeypatch.setattr(clothes, "other_four", lambda learned_first: four)
    results = {seed: clothes.transfer_clothes(settings, seed) for seed in KEYS}
    held_out = torch.cat([(four.train_labels == label).nonzero()[-8:, 0] for label in range(4)])
    ruined = four.train_images.clone()
    ruined[held_out] = 0
    hidden = {
        0: replace(four, train_images=ruined),
        100: replace(four, test_images=torch.zeros_like(four.test_images)),
    }
    for seed, key in KEYS.items():
        assert results[seed].keys() & set(KEYS.values()) == {key}
        monkeypatch.setattr(clothes, "other_four", lambda learned_first, seed=seed: hidden[seed])
        assert clothes.transfer_clothes(settings, seed)[key] == results[seed][key]
    monkeypatch.setattr(clothes, "other_four", lambda learned_first: hidden[100])
    assert clothes.transfer_clothes(settings, 0)["test_accuracy"] == 0.25  # all pictures are alike


def test_each_job_trains_as_long_as_its_settings_say(monkeypatch, caches):
    seen = []
    monkeypatch.setattr(clothes, "fit", lambda model, data, config, **_: seen.append((model, data, config)))
    once, twice = settings_of("all weights, 100 a kind"), settings_of("all weights, 100 a kind, twice as long")
    for settings in (once, twice, settings_of("from scratch, 100 a kind")):
        clothes.transfer_clothes(settings, 0)
    (tuned, data, config), (_, _, longer), (scratch, _, same) = seen
    assert longer.epochs == 2 * config.epochs == 2 * same.epochs
    assert len(data.train_labels) == 400
    kept = load_model(clothes.first_training("first six"))
    assert torch.equal(tuned.blocks[0].mlp.fc1.weight, kept.blocks[0].mlp.fc1.weight)
    assert not torch.equal(scratch.blocks[0].mlp.fc1.weight, kept.blocks[0].mlp.fc1.weight)
    assert tuned.head.out_features == scratch.head.out_features == 4


def test_other_kinds_are_learned_first_once_and_as_the_first_six_were(monkeypatch, tmp_path, caches):
    trained = []
    monkeypatch.setattr(clothes, "RUNS", tmp_path)
    monkeypatch.setattr(clothes, "fit", lambda model, data, config, **_: trained.append((data, config)))
    settings = settings_of("trained features, 20 a kind, other kinds")
    for seed in (0, 1):
        result = clothes.transfer_clothes(settings, seed)
        clothes.other_four.cache_clear()
    ((data, config),) = trained
    assert data.class_names == load("fashion_mnist").class_names[4:]
    assert config == clothes.RECIPE.training
    assert result["data"]["class_names"] == load("fashion_mnist").class_names[:4]
    monkeypatch.setattr(clothes, "RECIPE", replace(clothes.RECIPE, training=TrainingConfig(epochs=3, device="cpu")))
    clothes.first_training("last six")
    assert len(trained) == 2, "another recipe is another first training"


def test_every_variant_searches_among_the_rates_of_its_method():
    rates = clothes.rates()
    assert rates.keys() == clothes.variants().keys()
    assert all(len(tried) >= FEWEST_RATES for tried in rates.values())
