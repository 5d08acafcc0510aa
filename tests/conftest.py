"""What all tests share: the same random numbers, a stop button, and one thread for each of several workers."""

import gc
import os
import signal
from pathlib import Path

import pytest
import shapes
import torch
from hypothesis import settings

if shapes.CHECKING:
    shapes.install()
    collect_ignore = shapes.other_files(Path(__file__).parent)

pytest.register_assert_rewrite("references", "solutions", "explorers")  # so that their asserts show the values

# The first call of a function can take long on a busy machine: no test is about the time that one example takes.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
    # Thousands of tests are collected, and none is garbage: to look for garbage takes a quarter of that time.
    gc.disable()

# A shell starts its background jobs deaf to the stop button, and whatever they start; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest looks at -m
def pytest_collection_modifyitems(items):
    shapes.mark(items, Path(__file__).parent)


def pytest_collection_finish():
    gc.freeze()  # what is there now stays: it is not looked at again
    gc.enable()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
