"""Tensors on their way to a device."""

import pytest
import torch

from vit_tutorial.support.sending import send


@pytest.mark.parametrize(("device", "later"), [("cpu", False), ("mps", False), ("cuda:1", True)])
def test_a_cuda_gpu_alone_may_read_a_tensor_later(monkeypatch, device, later):
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device, non_blocking: (str(device), non_blocking))
    assert send(torch.ones(2), torch.device(device)) == (device, later)
