"""The table of progress counts what is done and what is left, lesson by lesson."""

from pathlib import Path

from vit_tutorial.exercises import check
from vit_tutorial.exercises.progress import ProgressTable, Row, my_progress
from vit_tutorial.exercises.store import keep

NAMES = list(check.__all__)


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


TABLE = ProgressTable([Row("00_start_here", 1, 1, 0), Row("01_patches", 12, 3, 75)], "(Something is wrong.)")


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
