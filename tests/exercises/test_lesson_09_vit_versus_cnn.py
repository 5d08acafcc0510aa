"""What the checks of lesson 9 ask for is what the course itself does."""

import pytest
import torch
from torch import nn

from vit_tutorial.evidence import best_rate
from vit_tutorial.exercises.builders import small_vit
from vit_tutorial.exercises.lesson_09_vit_versus_cnn import agreement, fair_leads, make_runs, moved_rows, seen_pixels
from vit_tutorial.inductive_bias import permute_patches, permute_positions, shift_test
from vit_tutorial.weights import ModelCard


@pytest.mark.parametrize("layers", [layers for (layers,) in seen_pixels.inputs])
def test_what_can_be_seen_is_where_the_gradient_is_not_zero(layers):
    network = nn.Sequential(*(nn.Conv1d(1, 1, kernel, stride) for kernel, stride in layers)).double()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    row = torch.zeros(1, 1, 200, dtype=torch.float64, requires_grad=True)
    seen = [torch.autograd.grad(network(row)[0, 0, place], row)[0][0, 0].nonzero()[:, 0] for place in (1, 2)]
    width, step = seen_pixels.solution(layers)
    assert (len(seen[0]), seen[1][0] - seen[0][0]) == (width, step)


def test_moved_rows_are_those_of_permute_positions_and_answer_as_scrambled_pictures_do():
    model, images = small_vit(3)
    order = torch.tensor([2, 0, 3, 1])
    scrambled = model(permute_patches(images, order, 4))
    rows = moved_rows.solution(model.position.pos_embed.data, order)
    torch.testing.assert_close(rows, permute_positions(model, order).position.pos_embed.data)
    model.position.pos_embed.data = rows
    torch.testing.assert_close(model(images), scrambled)


def test_agreement_is_that_of_the_shift_test():
    model, _ = small_vit(1, in_channels=1, num_classes=5)
    model.card = ModelCard(("class",) * 5, mean=(0.5,), std=(0.1,))
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = shift_test(model.float(), images, torch.zeros(20, dtype=torch.int64), (1, 2, 3), border="circular")
    for row in rows:
        mine = agreement.solution(model, model.card.normalize(images), row.pixels)
        assert mine.item() == pytest.approx(row.agreement)
    assert len({row.agreement for row in rows}) > 1


def test_a_fair_lead_takes_the_rates_that_best_rate_takes():
    (runs,) = make_runs(5, (0.001, 0.01, 0.1), judging=3, searching=2)
    tests = {}
    for model in ("CNN", "ViT"):
        mine = [run for run in runs if run["model"] == model]
        validation = {
            rate: [run["validation"] for run in mine if run["rate"] == rate and run["seed"] >= 100]
            for rate in (0.001, 0.01, 0.1)
        }
        rate = best_rate(validation).value
        tests[model] = {run["seed"]: run["test"] for run in mine if run["rate"] == rate}
    expected = [tests["CNN"][seed] - tests["ViT"][seed] for seed in range(3)]
    assert fair_leads.solution(runs) == pytest.approx(expected)


def test_the_smallest_runs_are_shown_whole():
    message = fair_leads(lambda runs: [0.5]).message
    (rows,) = fair_leads.inputs[0]
    for model, rate, seed, validation, test in rows:
        assert f"('{model}'; {rate:g}; {seed}; {validation:g}; {test:g})" in message
    assert "…" not in message
