"""Whose answer is it? The course's own solution is no progress, neither in its cell nor where it is checked again."""

import contextlib
import sys
import weakref
from typing import Any

_solutions: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # an answer need not have a hash


def is_own(answer: Any) -> bool:
    """Say whether an answer is the learner's own: that very object was never checked in the cell of a solution."""
    if _in_solution_cell():
        with contextlib.suppress(TypeError):  # of what cannot be referred to weakly
            _solutions[id(answer)] = answer
        return False
    return _solutions.get(id(answer)) is not answer


def _in_solution_cell() -> bool:
    """Say whether the solution's own cell is running: JupyterLab sends a cell's tags along with its code."""
    try:
        return "solution" in sys.modules["IPython"].get_ipython().get_parent()["metadata"]["tags"]
    except (KeyError, AttributeError, TypeError):
        return False
