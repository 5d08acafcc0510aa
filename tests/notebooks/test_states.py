"""What explorers need without a kernel is saved while a lesson is executed, and is that of the notebook beside it."""

import json
import lzma
from pathlib import Path

import nbformat
import pytest

from vit_tutorial.support import files

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
STATES = NOTEBOOKS / "states"

EXPLORERS = """
# %%
import numpy as np
from ipywidgets import HBox, jslink

from vit_tutorial.explore import PatchLab, SignalLab

SignalLab(depth=6)

# %%
labs = [PatchLab(np.full((3, 32, 32), value, np.uint8), patch_size=8) for value in (0, 0)]
jslink((labs[0], "patch_size"), (labs[1], "patch_size"))
HBox(labs)

# %%
print("no explorer")
"""


@pytest.fixture(scope="session")
def states(build):
    return build.states


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    """A folder with a notebook that shows an explorer, and a box of two that are linked."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "source").mkdir()
    (folder / "source" / "00_lesson.py").write_text(f"# %% [markdown]\n# # A lesson\n{EXPLORERS}")
    assert build.main([], folder) == 0
    return folder


@pytest.mark.slow
def test_a_build_saves_the_explorers_that_a_lesson_shows(build, states, built):
    assert build.main(["--check"], built) == 0
    one, box = states.read(built / "states" / "00_lesson.json").values()
    assert (one["name"], box["name"]) == ("signal_lab", "patch_lab")
    (signal,), (left, right) = one["explorers"], box["explorers"]
    assert signal["class"] == "vit_tutorial.explore.signal_lab.widget.SignalLab"
    assert signal["state"]["depth"] == 6
    assert not [name for name in signal["state"] if states.NOT_STATE.fullmatch(name)]
    assert one["links"] == []
    assert box["links"] == [[0, "patch_size", 1, "patch_size"]]

    arrays = list((built / "states" / "arrays").iterdir())
    assert left["state"] == right["state"]
    assert {path.stem for path in arrays} == set(states.arrays_of([one, box]))
    pixels = left["state"]["_sent"]["pixels"]["array"]
    assert states.array(built / "states", pixels) == bytes(3 * 32 * 32)


@pytest.mark.slow
def test_the_same_states_are_the_same_bytes(states, built, tmp_path):
    kept = states.Saved()
    kept.cells = {"1": {"name": "a", "explorers": [kept.bytes(bytes(5000)), kept.bytes(b"few")]}}
    for folder in (tmp_path / "one", tmp_path / "two"):
        states.write(folder, "00_lesson", kept)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in ("one", "two"))
    assert one == two
    assert len(one) == 2
    assert kept.cells["1"]["explorers"][1] == {"base64": "ZmV3"}


def test_arrays_that_nothing_names_any_more_go(states, tmp_path):
    for lesson, content in (("00_a", bytes(5000)), ("01_b", bytes(6000)), ("00_a", bytes(7000))):
        saved = states.Saved()
        saved.cells = {"1": {"explorers": [saved.bytes(content), saved.bytes(bytes(6000))]}}
        states.write(tmp_path, lesson, saved)
    sizes = {len(lzma.decompress(path.read_bytes())) for path in (tmp_path / "arrays").iterdir()}
    assert sizes == {6000, 7000}
    for lesson in ("00_a", "01_b"):
        states.write(tmp_path, lesson, states.Saved())
    assert [path.name for path in tmp_path.rglob("*")] == ["arrays"]


def test_an_interrupted_write_leaves_no_half_array_and_the_earlier_states(states, tmp_path, monkeypatch):
    earlier, later = states.Saved(), states.Saved()
    earlier.cells = {"1": {"explorers": [earlier.bytes(bytes(5000))]}}
    later.cells = {"1": {"explorers": [later.bytes(bytes(6000))]}}
    states.write(tmp_path, "00_a", earlier)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="the disk is full"):
        states.write(tmp_path, "00_a", later)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.slow
def test_check_sees_a_state_of_another_execution_and_one_that_is_missing(build, built, capfd):
    path = built / "states" / "00_lesson.json"
    before = path.read_text()
    cells = json.loads(before)
    first = next(iter(cells))
    path.write_text(json.dumps(cells | {first: cells[first] | {"picture": "another"}}))
    assert build.main(["--check"], built) == 1
    assert "the state of the explorer signal_lab belongs to another execution" in capfd.readouterr().err
    path.write_text(json.dumps({name: kept for name, kept in cells.items() if name != first}))
    assert build.main(["--check"], built) == 1
    assert f"the explorer of the cell {first} has no saved state" in capfd.readouterr().err
    path.write_text(before)
    assert build.main(["--check"], built) == 0


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_the_states_of_a_lesson_are_those_of_its_notebook(states, lesson):
    notebook = nbformat.read(lesson, as_version=4)
    assert states.complaints(notebook, states.read(STATES / f"{lesson.stem}.json")) == []


def test_every_array_is_there_and_named_by_its_content(states):
    named = {digest for lesson in STATES.glob("*.json") for digest in states.arrays_of(states.read(lesson))}
    assert named == {path.stem for path in (STATES / "arrays").iterdir()}
    for digest in named:
        saved = states.Saved()
        assert saved.bytes(states.array(STATES, digest)) == {"array": digest}
    assert {lesson.stem for lesson in STATES.glob("*.json")} <= {lesson.stem for lesson in LESSONS}


def test_an_array_that_is_not_there_is_named(states, tmp_path):
    with pytest.raises(
        ValueError, match=r"needs the array abc, which is not there; take .*abc\.xz from the repository"
    ):
        states.array(tmp_path, "abc")


def test_the_states_are_small_enough_for_a_clone():
    assert sum(path.stat().st_size for path in STATES.rglob("*.*")) < 6_000_000
