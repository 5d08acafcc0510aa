"""Is an answer still the stub that the lesson gave? Three dots in a function, or in the forward of a class."""

import ast
import dis
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from torch import nn


def is_stub_class(answer: type) -> bool:
    """Say whether a class has no forward yet (a class that is no nn.Module: no __call__), or an empty one."""
    forward = answer.forward if issubclass(answer, nn.Module) else vars(answer).get("__call__")
    return forward in (None, nn.Module.forward) or _is_empty(forward)


def other_methods(answer: type) -> list[str]:
    """Return the methods that a class without a forward has in its place: one may be a forward that is misspelled."""
    if issubclass(answer, nn.Module) and answer.forward is not nn.Module.forward:
        return []
    return [name for name, value in vars(answer).items() if inspect.isfunction(value) and not name.startswith("_")]


def has_dots(answer: Callable) -> bool:
    """Say whether the three dots still stand in the text of a function or a class's forward; without a text, yes."""
    if isinstance(answer, type):
        answer = answer.forward if issubclass(answer, nn.Module) else answer.__call__
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return True
    dots = (isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(tree))
    return _is_empty(answer) or not isinstance(tree.body[0], ast.FunctionDef) or any(dots)


def _is_empty(function: Any) -> bool:
    """Say whether a function does nothing: three dots, `pass` or a docstring."""
    if not hasattr(function, "__code__"):
        return False
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "COPY_FREE_VARS"}
    steps = list(dis.get_instructions(function.__code__))
    return all(step.opname in idle and ("CONST" not in step.opname or step.argval in (None, ...)) for step in steps)
