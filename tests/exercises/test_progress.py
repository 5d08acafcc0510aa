"""Progress is kept in one small file, from two notebooks at once too, and a bad file never stops a lesson."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vit_tutorial.exercises import check, progress
from vit_tutorial.exercises.progress import FORMAT, Progress, Row, keep, my_progress, passed_so_far
from vit_tutorial.support.files import write_json

NAMES = list(check.__all__)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


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
    assert os.listdir(path.parent) == ["progress.json"]


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
    monkeypatch.setattr(progress, "FILE", tmp_path / "progress.json")
    assert check.count_tokens(right_count).passed
    assert passed_so_far() == (set(), "")
    assert list(tmp_path.iterdir()) == []


def test_without_the_variable_it_lies_in_the_project_and_git_ignores_it(tmp_path, monkeypatch):
    monkeypatch.delenv("VIT_TUTORIAL_PROGRESS")
    root = Path(__file__).parents[2]
    assert root / "progress.json" == progress.FILE
    ignored = (root / ".gitignore").read_text().splitlines()
    assert "/progress.json*" in ignored
    monkeypatch.setattr(progress, "FILE", tmp_path / "progress.json")
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
    assert os.listdir(path.parent) == ["progress.json"]
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


def test_a_disk_that_is_full(path, monkeypatch):
    keep("patchify")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vit_tutorial.support.files.os.replace", fail)
    verdict = check.count_tokens(right_count)
    assert verdict.passed
    assert "cannot be written, No space left on device" in str(verdict)
    assert kept(path) == ["patchify"]
    assert os.listdir(path.parent) == ["progress.json"]


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

    monkeypatch.setattr(progress, "write_json", slow_write)
    names = [f"exercise {number}" for number in range(16)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(keep, names)) == [""] * len(names)
    assert sorted(kept(path)) == sorted(names)
    assert os.listdir(path.parent) == ["progress.json"]


def test_a_lock_that_was_left_behind_holds_nobody_up(path):
    lock = path.with_name("progress.json.lock")
    lock.touch()
    assert keep("patchify") == ""
    assert kept(path) == ["patchify"]
    assert not lock.exists()


# ---------------------------------------------------------------------------------------------------------- the table


def test_the_table_counts_what_is_done_and_what_is_left(path):
    everything = my_progress()
    assert everything.total == Row("all lessons", len(NAMES), 0, sum(getattr(check, name).minutes for name in NAMES))
    keep("count_tokens")
    first = my_progress().rows[0]
    assert first == Row("00_start_here", 1, 1, 0)
    assert my_progress().total.minutes_left == everything.total.minutes_left - check.count_tokens.minutes
    for name in NAMES:
        keep(name)
    assert my_progress().total == Row("all lessons", len(NAMES), len(NAMES), 0)


def test_every_lesson_with_exercises_has_a_row_and_a_notebook(path):
    lessons = [row.lesson for row in my_progress().rows]
    assert lessons == sorted({getattr(check, name).lesson for name in NAMES})
    for lesson in lessons:
        assert (Path(__file__).parents[2] / "notebooks" / f"{lesson}.ipynb").exists()


TABLE = Progress([Row("00_start_here", 1, 1, 0), Row("01_patches", 12, 3, 75)], "(Something is wrong.)")


def test_the_table_prints_itself_in_columns():
    assert repr(TABLE) == (
        "lesson         exercises done  minutes left\n"
        "00_start_here       1 of 1                0\n"
        "01_patches          3 of 12              75\n"
        "all lessons         4 of 13              75\n"
        "(Something is wrong.)"
    )


def test_the_table_in_html_links_to_the_lessons_and_says_the_same():
    shown = TABLE._repr_html_()
    assert '<a href="01_patches.ipynb">01_patches</a>' in shown
    assert "1 of 1 ✓" in shown
    assert "3 of 12</td>" in shown
    assert "<b>all lessons</b>" in shown
    assert "(Something is wrong.)" in shown
    assert shown.count("<tr>") == shown.count("</tr>") == 4
