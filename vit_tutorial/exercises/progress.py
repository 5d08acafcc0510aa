"""What a learner has passed so far, kept in one small file of the project's folder: progress.json.

The environment variable VIT_TUTORIAL_PROGRESS names another file; empty, it says that nothing is kept. Whatever the
file is like, a lesson goes on: the most that a learner sees of it is one sentence.
"""

import contextlib
import html
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vit_tutorial.support.files import write_json

FORMAT = "vit_tutorial progress 1"
VARIABLE = "VIT_TUTORIAL_PROGRESS"
FILE = Path(__file__).resolve().parents[2] / "progress.json"
LONGEST_WAIT = 1.0  # seconds for another notebook that writes at the same time


def keep(name: str) -> str:
    """Keep that this exercise was passed; return a sentence if that did not work, else nothing."""
    path = _path()
    if path is None:
        return ""
    try:
        with _alone(path):
            passed, trouble = _read(path)
            if passed is not None and name not in passed:
                passed[name] = datetime.now(UTC).isoformat(timespec="seconds")
                write_json(path, {"format": FORMAT, "passed": passed})
            return trouble
    except OSError as error:
        return f"(Your progress is not kept: {path} cannot be written, {error.strerror or error}.)"


def passed_so_far() -> tuple[set[str], str]:
    """Return the names of the exercises passed, and a sentence if the file tells none because something is wrong."""
    path = _path()
    if path is None:
        return set(), ""
    try:
        passed, trouble = _read(path)
    except OSError as error:
        return set(), f"(Your progress is not known: {path} cannot be read, {error.strerror or error}.)"
    return set(passed or ()), trouble


def my_progress() -> "Progress":
    """Return how far one has come: a table of the lessons, with the exercises done and the minutes left."""
    from vit_tutorial.exercises import check

    passed, trouble = passed_so_far()
    rows: dict[str, Row] = {}
    for exercise in (getattr(check, name) for name in check.__all__):
        row = rows.setdefault(exercise.lesson, Row(exercise.lesson))
        row.exercises += 1
        row.done += exercise.name in passed
        row.minutes_left += 0 if exercise.name in passed else exercise.minutes
    return Progress([rows[lesson] for lesson in sorted(rows)], trouble)


@dataclass
class Row:
    """A lesson, its number of exercises, how many of them are done, and the minutes that the others need."""

    lesson: str
    exercises: int = 0
    done: int = 0
    minutes_left: int = 0


@dataclass(frozen=True, repr=False)
class Progress:
    """A row for each lesson that has exercises. It prints itself."""

    rows: list[Row]
    trouble: str = ""

    @property
    def total(self) -> Row:
        """The sum of all lessons."""
        return Row(
            "all lessons",
            sum(row.exercises for row in self.rows),
            sum(row.done for row in self.rows),
            sum(row.minutes_left for row in self.rows),
        )

    def __repr__(self) -> str:
        rows = [*self.rows, self.total]
        width = max(len(row.lesson) for row in rows)
        lines = [f"{row.lesson:<{width}}  {row.done:>6} of {row.exercises:<4}  {row.minutes_left:>12}" for row in rows]
        head = f"{'lesson':<{width}}  exercises done  minutes left"
        return "\n".join([head, *lines, *([self.trouble] if self.trouble else [])])

    def _repr_html_(self) -> str:
        cells = "".join(f'<th style="text-align: left">{head}</th>' for head in ("lesson", "", "done", "minutes left"))
        lines = [f"<tr>{cells}</tr>"]
        for row in [*self.rows, self.total]:
            name = html.escape(row.lesson)
            name = f"<b>{name}</b>" if row.lesson == self.total.lesson else f'<a href="{name}.ipynb">{name}</a>'
            bar = f'<progress value="{row.done}" max="{row.exercises}" aria-label="{row.lesson}"></progress>'
            sign = " ✓" if row.done == row.exercises else ""
            cells = (name, bar, f"{row.done} of {row.exercises}{sign}", str(row.minutes_left))
            lines.append("<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells) + "</tr>")
        trouble = f"<div>{html.escape(self.trouble)}</div>" if self.trouble else ""
        return f"<table>{''.join(lines)}</table>{trouble}"


def _path() -> Path | None:
    given = os.environ.get(VARIABLE)
    return FILE if given is None else Path(given) if given else None


def _read(path: Path) -> tuple[dict[str, str] | None, str]:
    """Return when each exercise was first passed, and a sentence; None for a file that is not ours to overwrite."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, ""
    except ValueError:
        aside = path.with_name(f"{path.name}.broken")
        os.replace(path, aside)
        return {}, f"({path.name} could not be read and lies in {aside.name} now; your progress starts afresh.)"
    passed = content.get("passed") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(passed, dict):
        return None, f"(Your progress is not kept: {path} holds something else; move it away.)"
    return passed, ""


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two notebooks add to the progress one after the other; an old one is not waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    until = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            if time.monotonic() > until:
                break
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
