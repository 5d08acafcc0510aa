"""The checks of lesson 11 ask for what the course itself does, and each patient of the clinic is ill in one way."""

import pytest
import torch
from torch import nn

from vit_tutorial.datasets import Dataset
from vit_tutorial.exercises.lesson_11_train_on_a_gpu import (
    FAULTS,
    TrainingPatient,
    cutmix_share,
    learning_rate,
    moving_average,
)
from vit_tutorial.training import TrainingConfig, learning_rate_at
from vit_tutorial.training.optimizers import MovingAverage

# ------------------------------------------------------------------------------------------ solutions and the course


@pytest.mark.parametrize("warmup_epochs", [0, 1, 2.5])
def test_the_rates_are_those_of_fit(warmup_epochs):
    config = TrainingConfig(epochs=4, learning_rate=0.02, warmup_epochs=warmup_epochs)
    mine = [learning_rate.solution(step, 4 * 10, round(10 * warmup_epochs), 0.02) for step in range(40)]
    assert mine == pytest.approx([learning_rate_at(step, 10, config) for step in range(40)])


def test_the_average_is_that_of_the_course():
    model = nn.Linear(3, 2)
    average, kept = MovingAverage(model, decay=0.3), model.weight.detach().clone()
    for step in range(8):  # the decay is smaller in the first four
        nn.init.normal_(model.weight, generator=torch.Generator().manual_seed(step))
        average.update(model)
        kept = moving_average.solution(kept, model.weight.detach(), 0.3, step)
        torch.testing.assert_close(average.model.weight.detach(), kept)


def test_the_share_is_that_of_the_pixels_that_stay():
    for box, (height, width) in cutmix_share.inputs:
        top, left, bottom, right = (max(place, 0) for place in box)
        stays = torch.ones(height, width)
        stays[top:bottom, left:right] = 0
        assert cutmix_share.solution(box, (height, width)) == pytest.approx(stays.mean().item())


@pytest.mark.parametrize(("side", "name"), [(0, "height"), (1, "width")])
def test_a_share_that_is_too_large_by_a_side_of_the_image_is_told_of_it(side, name):
    said = cutmix_share(lambda box, size: cutmix_share.solution(box, size) * size[side]).diagnosis
    assert said.endswith(f"it is too large by the factor {name}.")


# ------------------------------------------------------------------------------------------ the clinic


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (200, 1, 14, 14), dtype=torch.uint8, generator=generator)
    return Dataset(
        "noise", images, torch.arange(200) % 4, images[:8], torch.arange(8) % 4, tuple("abcd"), (0.5,), (0.3,)
    )


@pytest.mark.parametrize("letter", FAULTS)
def test_each_patient_is_ill_in_one_way(letter, pictures):
    patient = TrainingPatient(letter, pictures, count=120)
    assert (len(patient.validation), len(patient.training)) == (12, 120 if FAULTS[letter] == "leak" else 108)
    assert patient.steps == 3

    gradients = []
    for _ in range(2):
        torch.manual_seed(0)  # the same dropout
        patient.forward_backward(patient.training[:50])
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in patient.model.parameters()]))
    before = [parameter.detach().clone() for parameter in patient.model.parameters()]
    patient.step(0.001)
    stay = [torch.equal(old, new) for old, new in zip(before, patient.model.parameters(), strict=True)]
    (loss, accuracy), (again, _) = patient.validate(), patient.validate()
    found = {
        "schedule": len({patient.rate(step) for step in range(patient.steps)}) < patient.steps,
        "zero_grad": not torch.allclose(gradients[0], gradients[1]),
        "frozen": any(stay),
        "eval": loss != again,
        "leak": bool({*patient.training.tolist()} & {*patient.validation.tolist()}),
    }
    assert [fault for fault, there in found.items() if there] == [FAULTS[letter]] * (FAULTS[letter] != "well")
    assert not all(stay)
    assert 0 <= accuracy <= 1 < loss < 3  # of four classes, by a model that knows nothing


def test_a_well_patient_has_the_rates_of_its_config_and_the_others_the_same_model(pictures):
    well = next(letter for letter, fault in FAULTS.items() if fault == "well")
    patient = TrainingPatient(well, pictures, count=120)
    assert [patient.rate(step) for step in range(9)] == [learning_rate_at(step, 3, patient.config) for step in range(9)]
    patient.step(0.5)
    assert {group["lr"] for group in patient.optimizer.param_groups} == {0.5}
    weights = patient.model.state_dict()
    for letter in FAULTS:
        torch.testing.assert_close(TrainingPatient(letter, pictures, count=120).model.state_dict(), weights)


@pytest.mark.parametrize("letter", FAULTS)
def test_each_patient_learns_and_says_how_well_after_each_epoch(letter, pictures):
    torch.manual_seed(0)
    patient = TrainingPatient(letter, pictures, count=120)
    before = {name: value.clone() for name, value in patient.model.blocks.state_dict().items()}
    seen = []
    patient.forward_backward = lambda rows, learn=patient.forward_backward: seen.append(rows) or learn(rows)
    accuracies = patient.run()
    assert len(accuracies) == patient.config.epochs == 3
    assert torch.cat(seen).sort().values.tolist() == sorted(3 * patient.training.tolist())  # each once an epoch
    assert [len(rows) for rows in seen[:2]] == [50, 50]
    assert not torch.equal(seen[0], seen[3])  # in another order
    assert any(not torch.equal(before[name], value) for name, value in patient.model.blocks.state_dict().items())
    assert patient.optimizer.param_groups[0]["lr"] == patient.rate(8)


@pytest.mark.parametrize("letter", FAULTS)
def test_each_patient_learns_with_dropout_whatever_mode_its_model_was_left_in(letter, pictures):
    patient = TrainingPatient(letter, pictures, count=120)
    patient.model.eval()
    first, second = (patient.forward_backward(patient.training[:50]) for _ in range(2))
    assert first != second


def test_the_patient_whose_dropout_goes_on_is_judged_by_its_answers_all_the_same(pictures):
    restless = next(letter for letter, fault in FAULTS.items() if fault == "eval")
    patient = TrainingPatient(restless, pictures, count=200)
    torch.manual_seed(0)
    loss, accuracy = patient.validate()
    torch.manual_seed(0)
    images, labels = patient.images[patient.validation], patient.labels[patient.validation]
    logits = patient.model(patient.model.card.normalize(images))
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item())
    assert accuracy == pytest.approx((logits.argmax(dim=1) == labels).double().mean().item())
    assert 0 < accuracy < 1


def test_another_letter_is_refused(pictures):
    with pytest.raises(KeyError):
        TrainingPatient("G", pictures)
