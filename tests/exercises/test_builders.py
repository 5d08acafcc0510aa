"""What the lessons' checks build: numbers that tell mix-ups apart, and modules that hold known ones."""

import pytest
import torch
from torch import nn

from vit_tutorial.exercises.builders import fill, fitted, held_by, number_of_patches, numbered, scattered, uneven


def test_numbers_in_reading_order():
    assert numbered(2, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert numbered(2).dtype == torch.float32


def test_scattered_numbers_tell_axes_apart():
    x = scattered(3, 3, 3)
    assert x.dtype == torch.float64
    assert x.abs().max() <= 11
    assert torch.equal(x, x.round())
    assert torch.equal(x, 5 * uneven(3, 3, 3))
    orders = [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    assert not any(torch.equal(x, x.permute(order)) for order in orders)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((2, 2), [[0, 1], [2, 3]]), ((1, 2), [[0, 1]]), ((3, 1), [[0], [2], [7]]), ((2, 3), [[0, 1, 7], [2, 3, 7]])],
)
def test_values_are_cut_and_padded(shape, wanted):
    assert fitted(numbered(2, 2), torch.Size(shape), padding=7.0).tolist() == wanted


def test_patches_are_counted():
    assert number_of_patches(224, 16) == 196


class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.learned = nn.Parameter(torch.zeros(1))
        self.register_buffer("saved", torch.ones(2))
        self.forgotten = torch.full((3,), 2.0)


def test_all_tensors_of_a_module_are_found():
    assert [len(tensor) for tensor in held_by(Keeps())] == [1, 2, 3]


def test_known_numbers_depend_on_name_and_shape_alone():
    one, other = nn.LayerNorm(500), nn.LayerNorm(500)
    torch.manual_seed(1)
    fill([("norm.weight", one.weight), ("norm.bias", one.bias)], spread=0.3)
    torch.manual_seed(2)
    fill([("norm.bias", other.bias), ("norm.weight", other.weight)], spread=0.3)
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)
    assert one.weight.mean().item() == pytest.approx(1, abs=0.05)
    assert one.bias.mean().item() == pytest.approx(0, abs=0.05)
    assert one.bias.std().item() == pytest.approx(0.3, abs=0.05)
    assert one.weight.requires_grad
    fill([("other.bias", other.bias)], spread=0.3)
    assert not torch.equal(one.bias, other.bias)
