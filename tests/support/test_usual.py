"""Inside `usual_torch` all is as in a fresh Python, and outside as the learner has set it."""

import pytest
import torch
from learners import SETTINGS

from vit_tutorial import ViT, ViTConfig, load_model, save_model
from vit_tutorial.support.usual import usual_torch


@pytest.mark.parametrize("setting", SETTINGS)
def test_inside_all_is_usual_and_outside_as_it_was(setting):
    def found():
        casts, infers = torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled()
        return torch.empty(0).device, torch.get_default_dtype(), torch.is_grad_enabled(), casts, infers

    with SETTINGS[setting]():
        before = found()
        with usual_torch():
            assert found() == (torch.device("cpu"), torch.float32, True, False, False)
            assert torch.zeros(1).device.type == "cpu"
        assert found() == before
        with pytest.raises(ZeroDivisionError), usual_torch():
            raise ZeroDivisionError
        assert found() == before
    assert found() == (torch.device("cpu"), torch.float32, True, False, False)


def test_a_default_device_that_was_set_and_taken_back_hinders_nothing(monkeypatch, tmp_path):
    """PyTorch 2.9 no longer names a default device after torch.set_default_device(None)."""

    def fails():
        raise AttributeError("'NoneType' object has no attribute 'device'")

    monkeypatch.setattr(torch, "get_default_device", fails)
    with usual_torch():
        assert torch.zeros(1).device.type == "cpu"
    model = ViT(ViTConfig(8, 4, 1, 2, dim=8, depth=1, num_heads=1, position="sincos"))
    found = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert torch.equal(found.position.pos_embed, model.position.pos_embed)
