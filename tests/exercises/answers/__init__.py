"""Answers to the exercises as learners write them, right and wrong: one file per lesson file, tried by test_answers.py.

Each file holds `ANSWERS = {"name of the exercise": Answers(right=[...], wrong=[...])}`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """How one exercise is answered: functions, or classes if the exercise takes a class."""

    right: Sequence[Callable]  # written in another way than the solution; at least one
    wrong: Sequence[tuple[Callable, str]]  # with the beginning of the sentence that must come; every sentence once
    unknown: Sequence[Callable] = ()  # wrong in a way that no sentence fits


def gather() -> list[tuple[str, dict[str, Answers]]]:
    """Return the table of each file in this folder, with the file's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [(name, importlib.import_module(f"{__name__}.{name}").ANSWERS) for name in names]
