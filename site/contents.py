"""What the pages say of the lessons, taken from the notebooks: which there are, their minutes, and what builds on what.

In a page, `{{lessons}}` becomes the table of all lessons, and `{{map}}` the map of the course: `fill(text, notebooks)`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode

LESSONS = "[0-9][0-9]_*.ipynb"
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TITLE = re.compile(r"^# (\d+) · ([^:\n]+): (.+)$", re.MULTILINE)
TIME = re.compile(r"\*\*Time\*\*: (\d+) minutes")
EXERCISE = re.compile(r"^Difficulty \d of 5, about (\d+) minutes?\.", re.MULTILINE)
NEEDED = re.compile(r"\*\*You need\*\*:\s([^.]+)")
NUMBERS = re.compile(r"\blessons?\s(\d+)(?:\s(to|and)\s(\d+))?")
CODE = re.compile(r"code\s+of\s+this\s+lesson:\s+`(vit_tutorial/[\w/.]+)`")
NOT_IN_ANCHORS = re.compile(r"[^\w\u4e00-\u9fff\- ]")


@dataclass(frozen=True)
class Lesson:
    """One lesson, as its notebook describes itself."""

    file: str  # "01_patches.ipynb"
    number: int
    title: str  # "Patches"
    about: str  # "an image becomes a sequence"
    minutes: int
    exercises: int  # minutes
    needs: tuple[int, ...]  # numbers of lessons
    code: str  # "vit_tutorial/patches.py", or nothing


# --- From the notebooks ----------------------------------------------------------------------------------------------


def lessons(notebooks: Path) -> list[Lesson]:
    """Read all lessons of a folder. Raises ValueError, with its name, if one does not say what it should."""
    return [lesson_of(path) for path in sorted(notebooks.glob(LESSONS))]


def lesson_of(path: Path) -> Lesson:
    """Read one lesson."""
    text = words_of(nbformat.read(path, as_version=4))
    found = {"its title": TITLE.search(text), "its time": TIME.search(text), "what it needs": NEEDED.search(text)}
    if missing := [what for what, match in found.items() if match is None]:
        raise ValueError(f"{path.stem} does not say {missing[0]}: see the first cell of another lesson")
    heading, time, needs = found.values()
    code = CODE.search(text)
    return Lesson(
        file=path.name,
        number=int(heading[1]),
        title=heading[2],
        about=heading[3].strip(),
        minutes=int(time[1]),
        exercises=sum(map(int, EXERCISE.findall(text))),
        needs=tuple(numbers_in(needs[1])),
        code=code[1] if code else "",
    )


def words_of(notebook: NotebookNode) -> str:
    """Join the Markdown of a notebook."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown") + "\n\n"


def numbers_in(text: str) -> Iterator[int]:
    """Yield the numbers of "lessons 1 to 3", of "lessons 4 and 5", or of "lesson 4"."""
    for first, word, last in NUMBERS.findall(text):
        yield from range(int(first), int(last) + 1) if word == "to" else [int(one) for one in (first, last) if one]


def heading_anchor(heading: str, taken: Container[str] = ()) -> str:
    """Return the anchor of a heading in Markdown as MyST and GitHub make it, with a number behind it if it is taken."""
    words = re.sub(r"[*`]|\$[^$]*\$", "", heading.strip())
    anchor = NOT_IN_ANCHORS.sub("", words.lower().replace(" ", "-"))
    numbered = (f"{anchor}-{i}" for i in range(1, 1000))
    return anchor if anchor not in taken else next(one for one in numbered if one not in taken)


# --- Into the pages --------------------------------------------------------------------------------------------------


def fill(text: str, notebooks: Path) -> str:
    """Put what the notebooks say in place of `{{lessons}}` and `{{map}}`."""
    makers = {"{{lessons}}": lessons_table, "{{map}}": course_map}
    for mark, make in makers.items():
        if mark in text:
            text = text.replace(mark, make(lessons(notebooks)))
    return text


def lessons_table(found: list[Lesson]) -> str:
    """Return a table in Markdown: title with link, what it is about, and minutes for the text and for the exercises."""
    rows = ["| | lesson | | minutes to read | minutes of exercises |", "|---|---|---|---|---|"]
    for one in found:
        link = f"[{one.title}]({one.file})"
        rows.append(f"| {one.number} | {link} | {one.about} | {one.minutes} | {one.exercises or '–'} |")
    reading, doing = (sum(getattr(one, what) for one in found) / 60 for what in ("minutes", "exercises"))
    return "\n".join([*rows, "", f"Together {reading:.0f} hours to read, and {doing:.0f} for the exercises."])


def course_map(found: list[Lesson]) -> str:
    """Return what builds on what, as a drawing in SVG, and the same in words as a table."""
    return "\n".join([drawing(found), "", map_table(found)])


def nearest_needs(found: list[Lesson]) -> dict[int, tuple[int, ...]]:
    """Return of each lesson the needed ones that no other needed one builds on already."""
    needs = {one.number: set(one.needs) for one in found}
    behind = {number: reached(number, needs) for number in needs}
    return {
        number: tuple(sorted(need for need in own if not any(need in behind.get(other, ()) for other in own)))
        for number, own in needs.items()
    }


def reached(number: int, needs: Mapping[int, set[int]]) -> set[int]:
    """Return all lessons on the way back from this one."""
    own = needs.get(number, set())
    return own.union(*(reached(one, needs) for one in own))


BOX, GAP = (300, 46), 34  # width and height of a box, and the height between two rows


def drawing(found: list[Lesson]) -> str:
    """Draw a row for each distance from the start, and an arrow from each lesson to those that build on it.

    A lesson that builds on none, and none on it, is left out.
    """
    needs = nearest_needs(found)
    used = {need for own in needs.values() for need in own}
    found = [one for one in found if needs[one.number] or one.number in used]
    row: dict[int, int] = {}
    for one in found:
        row[one.number] = 1 + max((row[need] for need in needs[one.number] if need in row), default=-1)
    rows = [[one for one in found if row[one.number] == level] for level in range(max(row.values()) + 1)]
    width = max(map(len, rows)) * (BOX[0] + GAP) - GAP + 4
    height = len(rows) * (BOX[1] + GAP) - GAP + 4
    place = {}
    for level, members in enumerate(rows):
        left = (width - len(members) * (BOX[0] + GAP) + GAP) / 2
        for i, one in enumerate(members):
            place[one.number] = (left + i * (BOX[0] + GAP), 2 + level * (BOX[1] + GAP))
    words = "; ".join(f"{one.title} builds on {listed(needs[one.number])}" for one in found if needs[one.number])
    parts = [
        '<div style="margin-bottom:2rem">',
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="map-title map-words" font-size="16" '
        f'style="max-width:{width:.0f}px;width:100%;height:auto" fill="none" stroke="currentColor">',
        '<title id="map-title">What builds on what</title>',
        f'<desc id="map-words">Numbers are lessons. {escape(words)}.</desc>',
        '<defs><marker id="map-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="currentColor" stroke="none"/></marker></defs>',
    ]
    for one in found:
        for need in (need for need in needs[one.number] if need in place):
            (x1, y1), (x2, y2) = place[need], place[one.number]
            start, end = (x1 + BOX[0] / 2, y1 + BOX[1]), (x2 + BOX[0] / 2, y2)
            line = f'x1="{start[0]:.0f}" y1="{start[1]:.0f}" x2="{end[0]:.0f}" y2="{end[1]:.0f}"'
            parts.append(f'<line {line} marker-end="url(#map-tip)"/>')
    for one in found:
        x, y = place[one.number]
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="8"/>')
        parts.append(
            f'<text x="{x + BOX[0] / 2:.0f}" y="{y + BOX[1] / 2 + 6:.0f}" text-anchor="middle" fill="currentColor" '
            f'stroke="none">{one.number} · {escape(one.title)}</text>'
        )
    return "\n".join([*parts, "</svg>", "</div>"])


def map_table(found: list[Lesson]) -> str:
    """Return the map in words: each lesson, the code that it builds, and the lessons that it needs at once."""
    needs = nearest_needs(found)
    rows = ["| lesson | what it builds | builds on |", "|---|---|---|"]
    for one in found:
        code = f"`{one.code}`" if one.code else "–"
        rows.append(f"| [{one.number} · {one.title}]({one.file}) | {code} | {listed(needs[one.number]) or '–'} |")
    return "\n".join(rows)


def listed(numbers: tuple[int, ...]) -> str:
    """Return "4", "4 and 5", or "1, 4 and 5"."""
    words = list(map(str, numbers))
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
