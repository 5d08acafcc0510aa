"""Modules without numbers have the names, shapes and types of those with numbers, and draw none."""

import pytest
import torch

from vit_tutorial import ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.support.meta import shapes_only

MODELS = {
    "ViT": lambda: ViT(ViTConfig(12, 4, 1, 3, 8, 2, 2)),
    "sines": lambda: ViT(ViTConfig(12, 4, 1, 3, 8, 2, 2, position="sincos")),
    "CNN": lambda: CNN(CNNConfig(12, 1, 3, layers=(1,), width=2, stem="3x3")),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_without_numbers_has_the_shapes_of_one_with_numbers(name):
    wanted, before = MODELS[name]().state_dict(), torch.get_rng_state()
    with shapes_only():
        state = MODELS[name]().state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(0).device.type == "cpu"
    assert {key: (value.shape, value.dtype) for key, value in state.items()} == {
        key: (value.shape, value.dtype) for key, value in wanted.items()
    }
    assert {value.device.type for value in state.values()} == {"meta"}


def test_whatever_is_drawn_stays_what_it_is():
    with shapes_only():
        table = torch.empty(2, 3)
        assert torch.nn.init.normal_(table, std=0.02) is table.normal_() is table
        assert torch.nn.init.kaiming_normal_(tensor=table) is table
