"""The machine report: it says what is there, and what to do about what is not."""

import shutil
import sys
from collections import namedtuple
from importlib import metadata

import torch

from vit_tutorial import datasets, machine


def finding(name):
    return next(f for f in machine.check_machine() if f.name == name)


def test_a_good_machine_is_ready():
    report = machine.check_machine()
    assert report.ready
    assert [f.name for f in report] == ["Python", "PyTorch", "processor", "GPU", "widgets", "data", "disk"]
    assert repr(report).endswith("Everything is there.")
    assert torch.__version__ in repr(report)


def test_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert not finding("Python").fine
    assert "install 3.11 or newer" in finding("Python").words
    assert "Lines with a !" in repr(machine.check_machine())


def test_gpu_named_and_driver_too_old(monkeypatch):
    card = namedtuple("Card", "name total_memory")("Test Card", 24e9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", [card].__getitem__)
    assert finding("GPU").words.startswith("Test Card, 24 GB")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(shutil, "which", lambda name: "nvidia-smi")
    assert not finding("GPU").fine
    assert "update it" in finding("GPU").words


def test_no_gpu_is_fine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert finding("GPU") == machine.Advice("GPU", True, "none, and none is needed: every lesson runs on the CPU")


def test_a_pytorch_built_for_the_cpu_beside_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert not finding("GPU").fine
    assert "built for the CPU; README.md, 'Another PyTorch'" in finding("GPU").words


def test_missing_widgets_are_named(monkeypatch):
    version = metadata.version

    def without_anywidget(name):
        if name == "anywidget":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_anywidget)
    assert not finding("widgets").fine
    assert finding("widgets").words.startswith("anywidget missing; run `make setup`")


def test_an_ipykernel_that_leaves_figures_blank_is_named_with_the_way_out(monkeypatch):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "7.1.0" if name == "ipykernel" else version(name))
    assert not finding("widgets").fine
    assert finding("widgets").words.startswith("ipykernel 7.1.0 may leave figures blank; run `python -m pip install")


def test_damaged_data_is_reported_in_its_own_words(monkeypatch):
    def fail(name):
        raise datasets.DataError("data/fashion_mnist.npz is damaged; restore it")

    monkeypatch.setattr(datasets, "load", fail)
    assert finding("data").words == "data/fashion_mnist.npz is damaged; restore it"
    assert not machine.check_machine().ready


def test_full_disk(monkeypatch):
    usage = namedtuple("Usage", "free")(2e8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "0.2 GB free; make room" in finding("disk").words


def test_the_disk_is_that_of_the_folder_that_lesson_11_saves_in(tmp_path, monkeypatch):
    usage, asked = namedtuple("Usage", "free")(5e9), []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or usage)
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "drive" / "not" / "yet", "beside", tmp_path, ""):
        monkeypatch.setenv("VIT_TUTORIAL_WORK", str(folder))
        assert finding("disk").fine
    assert asked == [tmp_path] * 4
    (tmp_path / "drive").mkdir()
    monkeypatch.setenv("VIT_TUTORIAL_WORK", "drive/vit_tutorial")
    assert finding("disk").fine
    assert asked[-1] == tmp_path / "drive"
