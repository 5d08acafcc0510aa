"""Inside `usual_torch` all is as in a fresh Python, and outside as the learner has set it."""

import pytest
import torch
from learners import SETTINGS

from vit_tutorial.support.usual import usual_torch


@pytest.mark.parametrize("setting", SETTINGS)
def test_inside_all_is_usual_and_outside_as_it_was(setting):
    def found():
        casts, infers = torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled()
        return torch.get_default_device(), torch.get_default_dtype(), torch.is_grad_enabled(), casts, infers

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
