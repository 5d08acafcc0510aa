"""What all unit tests share: the same random numbers each time, and one thread for each of several workers."""

import os

import pytest
import torch
from hypothesis import settings

# The first call of a function can take long on a busy machine: no test is about the time that one example takes.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
