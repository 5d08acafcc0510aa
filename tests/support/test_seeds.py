"""Random numbers from a seed, and whose they are not."""

import contextlib

import pytest
import torch

from vit_tutorial.support.seeds import seed_one, seeded


def test_on_the_cpu_the_numbers_are_those_of_torch():
    torch.manual_seed(7)
    expected = torch.rand(5)
    seed_one(7, torch.device("cpu"))
    assert torch.equal(torch.rand(5), expected)


@pytest.mark.parametrize("name", ["cuda:1", "mps"])
def test_one_device_gets_the_seed(monkeypatch, name):
    found, current = [], []

    @contextlib.contextmanager
    def chosen(device):
        current.append(str(device))
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", chosen)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: found.append((current[-1], seed)))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: found.append(("mps", seed)))
    seed_one(7, torch.device(name))
    assert found == [(name, 7)]


@pytest.mark.parametrize("wrong", [-1, 2**63, 2**64])
def test_a_seed_that_does_not_fit_gets_a_sentence(wrong):
    with pytest.raises(ValueError, match=f"seed is {wrong}; it must be from 0 to 9223372036854775807"), seeded(wrong):
        pass
