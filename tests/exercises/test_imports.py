"""Imports run one way: each file of the folder imports earlier ones alone, and no lesson imports another lesson."""

import ast
from pathlib import Path

from vit_tutorial import exercises

FOLDER = Path(exercises.__file__).parent
LESSONS = sorted(path.stem for path in FOLDER.glob("lesson_*.py"))
ORDER = [
    *("__init__", "compare", "difference", "describe", "limit"),
    *("solved", "store", "stub", "surroundings", "verdict"),
    *("attempt", "engine"),
    *("builders", "clinic", "counting", "properties"),
    *LESSONS,
    *("check", "progress"),
]


def imported_by(path):
    """Return the names of the course's modules that a file imports, `exercises.engine` for example."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from vit_tutorial.exercises import check` imports a module, `from ….check import patchify` a name of it
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.removeprefix("vit_tutorial.") for name in names if name.startswith("vit_tutorial.")}


def test_every_file_has_its_place_in_the_order():
    rooms = [path.parent.name for path in FOLDER.glob("*/__init__.py")]
    assert sorted(ORDER) == sorted([*rooms, *(path.stem for path in FOLDER.glob("*.py"))])


def test_each_file_imports_earlier_ones_alone_and_no_lesson_another():
    for place, stem in enumerate(ORDER):
        paths = [FOLDER / f"{stem}.py"] if (FOLDER / f"{stem}.py").exists() else (FOLDER / stem).glob("*.py")
        names = {name for path in paths for name in imported_by(path) if name.startswith("exercises.")}
        own = {name.split(".")[1] for name in names} - {stem}
        earlier = set(ORDER[:place]) - (set(LESSONS) if stem in LESSONS else set())
        assert own <= earlier, f"{stem} imports {own - earlier}"


def test_no_file_takes_private_names_of_another():
    for path in FOLDER.rglob("*.py"):
        private = [name for name in imported_by(path) if name.rpartition(".")[2].startswith("_")]
        assert private == [], path.name


def test_nobody_imports_the_exercises():
    others = [path for path in FOLDER.parent.rglob("*.py") if FOLDER not in path.parents]
    assert len(others) > 20
    users = [path.name for path in others if any(name.split(".")[0] == "exercises" for name in imported_by(path))]
    assert users == []
