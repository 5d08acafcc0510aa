"""What comes with the course is found, cloned or installed; what a learner makes stays out of an installed copy."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from vit_tutorial.support import paths


@pytest.fixture
def places_of(tmp_path, monkeypatch):
    """Return a function that gives the module as it is when it lies in this folder and Python starts in another."""
    monkeypatch.chdir(tmp_path)

    def read(folder):
        file = folder / "vit_tutorial" / "support" / "paths.py"
        file.parent.mkdir(parents=True)
        shutil.copy(paths.__file__, file)
        spec = importlib.util.spec_from_file_location("places", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return read


def test_a_clone_keeps_all_in_its_folder(places_of, tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "setup_env.py").touch()
    places = places_of(clone)
    assert (clone / "data", clone / "data") == (places.DATA_FOLDER, places.NEW_DATA)
    assert (clone / "data" / "results", clone / "runs") == (places.RESULTS, places.RUNS)
    assert places.work_folder() == clone


def test_an_installed_copy_carries_its_data_and_what_is_made_stays_out_of_it(places_of, tmp_path):
    packages = tmp_path / "packages"
    (packages / "data").mkdir(parents=True)  # of another package
    places = places_of(packages)
    assert packages / "vit_tutorial" / "data" == places.DATA_FOLDER
    assert (tmp_path / "runs", tmp_path / "data") == (places.RUNS, places.NEW_DATA)
    assert places.work_folder() == tmp_path


@pytest.mark.parametrize("files", [[], ["setup_env.py"]], ids=["installed", "clone"])
def test_one_variable_puts_what_is_made_elsewhere(places_of, tmp_path, monkeypatch, files):
    drive, course = tmp_path / "drive", tmp_path / "course"
    monkeypatch.setenv("VIT_TUTORIAL_WORK", str(drive))
    course.mkdir()
    for name in files:
        (course / name).touch()
    places = places_of(course)
    assert (places.RUNS, places.work_folder()) == (drive / "runs", drive)
    assert places.DATA_FOLDER.is_relative_to(course)


def test_the_variable_may_begin_with_home(monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_WORK", "~/drive")
    assert paths.work_folder() == Path.home() / "drive"


def test_a_home_that_is_not_known_is_named(monkeypatch):
    monkeypatch.setenv("HOME", "home")
    monkeypatch.setenv("USERPROFILE", "home")
    assert paths.at_home("~/runs") == Path("home", "runs")
    with pytest.raises(ValueError, match=r"^~nobody\.here/runs begins with ~nobody\.here, a home folder that is not"):
        paths.at_home(Path("~nobody.here", "runs"))
