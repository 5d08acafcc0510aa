"""Devices: which one is chosen, in which number format it computes, and how its speed is measured."""

import itertools

import pytest
import torch

from vit_tutorial.training import devices
from vit_tutorial.training.devices import (
    autocast,
    can_compile,
    choose_device,
    describe_environment,
    matrix_rate,
    number_format,
)

CPU = torch.device("cpu")


def test_devices_are_cpu_or_cuda_unless_mps_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    assert choose_device("mps").type == "mps"
    with pytest.raises(ValueError, match="device is 'cuda', but PyTorch finds none"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    with autocast(torch.device("cpu"), "auto"):
        assert not torch.is_autocast_enabled("cpu")


def test_each_process_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match=r"process 2 of this machine finds 2 GPUs; .* torchrun --nproc-per-node 2"):
        choose_device("cuda")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("has_bfloat16", "automatic"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_computes_in_16_bits_by_itself_and_in_bfloat16_if_it_has_that(monkeypatch, has_bfloat16, automatic):
    """A T4 has tensor cores for float16 alone; PyTorch would emulate bfloat16 there, slowly."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16 or including_emulation
    )
    assert number_format(torch.device("cuda"), "auto") is automatic
    for device in (CPU, torch.device("mps")):
        assert number_format(device, "auto") is torch.float32
    for name in ("float32", "bfloat16", "float16"):
        for device in (CPU, torch.device("cuda")):
            assert number_format(device, name) is getattr(torch, name)


def test_a_course_that_is_not_installed_has_no_version(monkeypatch):
    def nothing(name):
        raise devices.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(devices.metadata, "version", nothing)
    assert describe_environment(CPU)["vit_tutorial"] is None


def test_a_course_without_a_clone_of_its_own_does_not_tell_the_revision_of_one_around_it(monkeypatch):
    monkeypatch.setattr(devices, "COURSE", devices.COURSE / "tests")
    assert describe_environment(CPU)["git_revision"] is None


def test_the_rate_is_operations_over_time(monkeypatch):
    products = []
    multiply = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: products.append(a.shape) or multiply(a, b))
    ticks = itertools.count()
    monkeypatch.setattr(devices.time, "perf_counter", lambda: float(next(ticks)))  # each measurement takes 1 s
    rate = matrix_rate(CPU, repeats=2)
    assert set(products) == {(1024, 1024)}
    assert rate == len(products) / 3 * 2 * 1024**3  # the first of the three rounds is not counted


def test_the_rate_is_plausible():
    assert 1e8 < matrix_rate(CPU, repeats=1) < 1e14


def test_the_environment_is_plain_text_and_numbers():
    found = describe_environment(CPU)
    assert found["torch"] == torch.__version__
    assert {type(value) for value in found.values()} <= {str, int, type(None)}


def test_it_compiles_on_a_gpu_that_is_young_enough_and_has_triton_and_a_compiler(monkeypatch):
    there = {"triton": object(), "capability": (7, 0), "compiler": "gcc"}
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: there["triton"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: there["capability"])
    monkeypatch.setattr(devices.shutil, "which", lambda name: name if name and name == there["compiler"] else None)
    gpu = torch.device("cuda")
    assert can_compile(gpu)
    assert not can_compile(CPU)
    for missing in ({"triton": None}, {"capability": (6, 1)}, {"compiler": None}):
        before = dict(there)
        there.update(missing)
        assert not can_compile(gpu), missing
        there.update(before)
    monkeypatch.setenv("CC", "/opt/my-cc")
    there["compiler"] = "/opt/my-cc"
    assert can_compile(gpu)


def test_a_device_that_is_not_known_gets_a_sentence():
    with pytest.raises(ValueError, match="device is 'gpu'; it must be one of 'auto', 'cpu', 'cuda', 'mps'"):
        choose_device("gpu")
