"""What was passed is kept in one small file, from two notebooks at once too, and a bad file stops no lesson."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from vit_tutorial.exercises import check, store
from vit_tutorial.exercises.progress import my_progress
from vit_tutorial.exercises.store import FORMAT, keep, passed_so_far
from vit_tutorial.support.files import write_json

NAMES = list(check.__all__)
KEPT = {"progress.json", "progress.json.lock"}


def right_count(image_size, patch_size):
    return (image_size // patch_size) ** 2


def kept(path):
    return list(json.loads(path.read_text())["passed"])


def test_passing_is_kept_with_its_time(path):
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    assert "\n" not in str(verdict)
    content = json.loads(path.read_text())
    assert content["format"] == FORMAT
    assert list(content["passed"]) == ["count_tokens"]
    assert content["passed"]["count_tokens"].endswith("+00:00")
    assert passed_so_far() == ({"count_tokens"}, "")
    assert set(os.listdir(path.parent)) == KEPT


def test_failing_is_not_kept_and_takes_nothing_away(path):
    check.count_tokens(lambda image_size, patch_size: 1)
    assert not path.exists()
    keep("count_tokens")
    path.write_text(path.read_text().replace("+00:00", "+01:00"))  # not the time of now
    before = path.read_bytes()
    check.count_tokens(lambda image_size, patch_size: 1)
    check.count_tokens(right_count)
    assert path.read_bytes() == before


def test_each_exercise_adds_to_the_others(path):
    for name in NAMES[:3]:
        assert keep(name) == ""
    assert kept(path) == NAMES[:3]


def test_a_folder_that_is_not_there_yet_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path / "a" / "b.json"))
    assert keep("patchify") == ""
    assert kept(tmp_path / "a" / "b.json") == ["patchify"]


def test_an_empty_variable_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", "")
    monkeypatch.setenv("VIT_TUTORIAL_WORK", str(tmp_path))
    assert check.count_tokens(right_count).passed
    assert passed_so_far() == (set(), "")
    assert list(tmp_path.iterdir()) == []


def test_without_the_variable_it_lies_in_the_project_and_git_ignores_it(tmp_path, monkeypatch):
    monkeypatch.delenv("VIT_TUTORIAL_PROGRESS")
    root = Path(__file__).parents[2]
    assert store._path() == root / "progress.json"
    ignored = (root / ".gitignore").read_text().splitlines()
    assert "/progress.json*" in ignored
    monkeypatch.setenv("VIT_TUTORIAL_WORK", str(tmp_path))
    assert check.count_tokens(right_count).passed
    assert kept(tmp_path / "progress.json") == ["count_tokens"]


# ------------------------------------------------------------------------------------------------------------ bad files


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"format": "vit_tutorial progress 1", "pas'])
def test_a_broken_file_is_set_aside_in_one_sentence(path, content):
    path.write_bytes(content)
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    told = str(verdict).split("\n")[1:]
    assert told == [
        "(progress.json could not be read and lies in progress.json.broken now; your progress starts afresh.)"
    ]
    assert path.with_name("progress.json.broken").read_bytes() == content
    assert kept(path) == ["count_tokens"]
    assert "\n" not in str(check.count_tokens(right_count))


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        "null",
        '{"a": 1}',
        '{"format": "vit_tutorial progress 2", "passed": {}}',
        f'{{"format": "{FORMAT}", "passed": 3}}',
    ],
)
def test_a_file_of_somebody_else_is_left_alone(path, content):
    path.write_text(content)
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    assert str(verdict).split("\n")[1:] == [f"(Your progress is not kept: {path} holds something else; move it away.)"]
    assert path.read_text() == content
    assert set(os.listdir(path.parent)) == KEPT
    assert "0 of 1" in repr(my_progress())
    assert f"{path} holds something else" in repr(my_progress())


def test_a_folder_in_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path))
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    assert str(verdict).count("\n") == 1
    assert f"(Your progress is not kept: {tmp_path}" in str(verdict)
    assert "(Your progress is not known:" in repr(my_progress())


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path / "file" / "progress.json"))
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    assert str(verdict).count("\n") == 1
    assert "cannot be written" in str(verdict)
    assert my_progress().total.done == 0


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), NotImplementedError("FileSystem does not support flock")]
)
def test_what_is_kept_already_is_not_said_to_be_lost(path, monkeypatch, error):
    keep("patchify")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(store, "FileLock", fail)
    assert keep("patchify") == ""
    assert keep("unpatchify") == f"(Your progress is not kept: {path} cannot be written, {error.args[-1]}.)"


def test_a_disk_that_is_full(path, monkeypatch):
    keep("patchify")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vit_tutorial.support.files.os.replace", fail)
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    assert "cannot be written, No space left on device" in str(verdict)
    assert kept(path) == ["patchify"]
    assert set(os.listdir(path.parent)) == KEPT


def test_names_that_are_unknown_now_stay_in_the_file_and_out_of_the_table(path):
    path.write_text(json.dumps({"format": FORMAT, "passed": {"an_older_exercise": "2026-01-01"}}))
    assert keep("patchify") == ""
    assert kept(path) == ["an_older_exercise", "patchify"]
    assert my_progress().total.done == 1


# ------------------------------------------------------------------------------------------- several notebooks at once


def test_two_that_write_at_once_lose_nothing(path, monkeypatch):
    def slow_write(*args):
        time.sleep(0.02)
        write_json(*args)

    monkeypatch.setattr(store, "write_json", slow_write)
    names = [f"exercise {number}" for number in range(16)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(keep, names)) == [""] * len(names)
    assert sorted(kept(path)) == sorted(names)
    assert set(os.listdir(path.parent)) == KEPT


def test_a_lock_that_was_left_behind_holds_nobody_up(path):
    path.with_name("progress.json.lock").touch()
    start = time.monotonic()
    assert keep("patchify") == ""
    assert time.monotonic() - start < store.LONGEST_WAIT
    assert kept(path) == ["patchify"]


def test_a_lock_that_another_holds_for_long_stays_the_others(path, monkeypatch):
    monkeypatch.setattr(store, "LONGEST_WAIT", 0.1)
    with FileLock(path.with_name("progress.json.lock")):
        for _ in range(2):
            verdict = check.count_tokens(right_count)
            assert verdict.passed
            assert verdict.note == (
                f"(Your progress is not kept: another notebook is writing to {path}; run the check again.)"
            )
        assert not path.exists()
    assert keep("count_tokens") == ""
    assert kept(path) == ["count_tokens"]
