"""How far a learner has come: `my_progress()` is a table of the lessons, with what is done and what is left."""

import html
from dataclasses import dataclass

from vit_tutorial.exercises import check
from vit_tutorial.exercises.store import passed_so_far


def my_progress() -> "ProgressTable":
    """Return how far one has come: a table of the lessons, with the exercises done and the minutes left."""
    passed, trouble = passed_so_far()
    rows: dict[str, Row] = {}
    for exercise in (getattr(check, name) for name in check.__all__):
        row = rows.setdefault(exercise.lesson, Row(exercise.lesson))
        row.exercises += 1
        row.done += exercise.name in passed
        row.minutes_left += 0 if exercise.name in passed else exercise.minutes
    return ProgressTable([rows[lesson] for lesson in sorted(rows)], trouble)


@dataclass
class Row:
    """A lesson, its number of exercises, how many of them are done, and the minutes that the others need."""

    lesson: str
    exercises: int = 0
    done: int = 0
    minutes_left: int = 0


@dataclass(frozen=True, repr=False)
class ProgressTable:
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
