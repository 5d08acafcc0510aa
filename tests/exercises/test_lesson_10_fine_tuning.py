"""The checks of lesson 10 ask for what the course itself does, and each patient of the clinic is ill in one way."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from exercises.answers.lesson_10_fine_tuning import ANSWERS, Layer
from vit_tutorial.datasets import Dataset
from vit_tutorial.exercises import check
from vit_tutorial.exercises.builders import small_vit
from vit_tutorial.exercises.lesson_10_fine_tuning import FAULTS, knn, layer_rates, lora, merged_qkv, patient
from vit_tutorial.training import TrainingConfig, add_lora, fit, merge_lora
from vit_tutorial.training.fine_tuning import learning_rate_scales
from vit_tutorial.weights import ModelCard

PIXELS = {"mean": (0.3,), "std": (0.2,)}


def trained_model():
    model, _ = small_vit(3, in_channels=1, num_classes=6)
    model.card = ModelCard(tuple("abcdef"), **PIXELS)
    return model.float()


def pictures(count=24):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 4
    return Dataset("few", images, labels, images, labels, tuple("ghij"), **PIXELS)


def numbers_in(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# ------------------------------------------------------------------------------------------ solutions and the course


@pytest.mark.parametrize(("depth", "decay"), [(2, 0.7), (3, 0.9)])
def test_the_rates_are_those_of_fit(depth, decay):
    model, _ = small_vit(0, depth=depth)
    scales = learning_rate_scales(model, decay)
    names = ["patch_embed.proj.weight", *(f"blocks.{i}.attn.qkv.weight" for i in range(depth)), "head.weight"]
    assert layer_rates.solution(depth, decay).tolist() == pytest.approx([scales[name] for name in names])
    assert scales["cls_token"] == scales["pos_embed"] == scales[names[0]]
    assert scales["norm.weight"] == scales[names[-2]]


def test_the_neighbours_are_those_of_a_loop():
    for features, labels, queries, k, num_classes in knn.inputs:
        shares = knn.solution(features, labels, queries, k, num_classes)
        assert shares.sum(1).tolist() == pytest.approx([1] * len(queries))
        for query, row in zip(queries, shares, strict=True):
            near = F.cosine_similarity(query, features).tolist()
            chosen = sorted(range(len(near)), key=near.__getitem__)[-k:]
            wanted = [sum(int(labels[place]) == label for place in chosen) / k for label in range(num_classes)]
            assert row.tolist() == pytest.approx(wanted)


def test_neighbours_never_turn_on_a_rounding_error_and_a_class_without_pictures_is_asked_for():
    gaps, unseen = [], 0
    for features, labels, queries, k, num_classes in knn.inputs:
        near = F.cosine_similarity(queries[:, None], features[None], dim=-1).sort(dim=1, descending=True).values
        gaps.append((near[:, k - 1] - near[:, k]).min().item())
        unseen += labels.max() < num_classes - 1
    assert min(gaps) > 1e-3
    assert unseen


@pytest.mark.parametrize("make", [lora.solution, *ANSWERS["lora"].right])
def test_a_lora_in_the_real_model_changes_nothing_at_first_then_learns_and_can_be_merged(make):
    torch.manual_seed(0)
    model, data = trained_model(), pictures()
    images = model.card.normalize(data.test_images)
    before = model(images).detach()
    model.requires_grad_(False)
    for block in model.blocks:
        block.mlp.fc1, block.mlp.fc2 = make(block.mlp.fc1, 2, 4), make(block.mlp.fc2, 2, 4)
    torch.testing.assert_close(model(images), before)
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert learned == 2 * 2 * 2 * (8 + 32)  # two blocks of two layers, rank 2
    settings = TrainingConfig(epochs=2, batch_size=8, learning_rate=0.1, validation_fraction=0, device="cpu")
    fit(model, data, settings, progress=False)
    assert (model(images) - before).abs().max() > 0.01


@pytest.mark.parametrize("merge", [merged_qkv.solution, *ANSWERS["merged_qkv"].right])
def test_the_merged_model_says_what_the_course_and_the_lora_say(merge):
    model = add_lora(trained_model(), rank=2, alpha=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".B_" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1))
    plain, images = trained_model(), torch.rand(3, 1, 8, 8)
    for mine, block in zip(plain.blocks, model.blocks, strict=True):
        parts = block.attn.qkv.parametrizations.weight
        small = (x.detach() for x in (parts.original, parts[0].A_q, parts[0].B_q, parts[0].A_v, parts[0].B_v))
        mine.attn.qkv.weight.data = torch.as_tensor(merge(*small, 3), dtype=torch.float32)
    torch.testing.assert_close(plain(images), model(images))
    merge_lora(model)
    torch.testing.assert_close(plain.state_dict(), model.state_dict())


# ------------------------------------------------------------------------------------------ what a LoRA is told


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotFrozen", "the old layer is not frozen"),
        ("BiasNotFrozen", "the bias of the old layer is not frozen."),
        ("AllFrozen", "`self.A` is frozen."),
        ("BothRandom", "at first BA is not zero"),
        ("BothZero", "A and B are both zero."),
        ("PlainTensors", "`self.A` is a tensor that no optimizer ever sees."),
        ("OtherNames", "your layer has no tensor `self.A` and `self.B`"),
        ("RowsFirst", "your A is [D, r] and your B is [r, M]"),
        ("ChangedPlaces", "`self.A` and `self.B` have changed places"),
        ("SquareB", "`self.B` has shape [3, 3], and [M, r] is [3, 1] here."),
        ("BiasedA", "`self.A` is a linear layer with a bias."),
        ("OneMoreMatrix", "besides A and B there is more to learn: C, bias, gain."),
        ("NewLayer", "the old layer's weight is not in your layer"),
        ("OnesInA", "the rows of A are all alike, and stay so: r has no effect. Give A random numbers."),
        ("OneNumberInA", "the rows of A are all alike"),
        ("OneNumberInB", "the columns of B are all alike"),
    ],
)
def test_a_lora_that_is_made_wrongly_is_told_how(name, said):
    made = next(answer for answer in ANSWERS["lora"].unknown if answer.__name__ == name)
    assert check.lora(made).diagnosis.startswith(said)


def test_a_lora_may_hold_dropout_that_is_at_rest():
    class Dropping(Layer):
        def forward(self, x):
            return super().forward(F.dropout(x, 0.5, self.training))

    assert check.lora(Dropping).passed


# ------------------------------------------------------------------------------------------ the clinic


@pytest.fixture(scope="module")
def start():
    return trained_model()


@pytest.mark.parametrize("letter", FAULTS)
def test_each_patient_is_ill_in_one_way_and_the_trained_model_stays_as_it_was(letter, start):
    before = copy.deepcopy(start)
    model, data, config = patient(letter, start, pictures())
    assert torch.equal(numbers_in(start), numbers_in(before))
    assert start.card == before.card
    found = {
        "statistics": (model.card.mean, model.card.std) != (start.card.mean, start.card.std),
        "head": len(model.head.weight) != 4,
        "weights": not torch.equal(model.blocks[0].attn.qkv.weight, start.blocks[0].attn.qkv.weight),
        "frozen": bool(config.freeze),
        "rate": config.learning_rate > 0.01 and config.warmup_epochs == 0,
    }
    assert [fault for fault, there in found.items() if there] == [FAULTS[letter]] * (FAULTS[letter] != "well")
    assert (data.mean, data.std) == (model.card.mean, model.card.std)  # so that fit has nothing to warn of


@pytest.mark.parametrize("letter", FAULTS)
def test_each_patient_can_be_trained_without_a_word(letter, start, recwarn):
    model, data, config = patient(letter, start, pictures())
    blocks = copy.deepcopy(model.blocks.state_dict())
    fit(model, data, replace(config, epochs=3), progress=False)
    moved = any(not torch.equal(old, model.blocks.state_dict()[name]) for name, old in blocks.items())
    assert moved == (FAULTS[letter] != "frozen")
    assert not recwarn.list


def test_another_letter_is_refused(start):
    with pytest.raises(KeyError):
        patient("G", start, pictures())
