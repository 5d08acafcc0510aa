"""What stands in an answer: is it still the stub that the lesson gave, with three dots in it; and is there a ^?"""

import ast
import difflib
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


def misspelled_init(answer: type) -> str | None:
    """Return the name of the method that is likely meant to be __init__, of a class that has none of its own."""
    names = [name for name, value in vars(answer).items() if inspect.isfunction(value)]
    likely = difflib.get_close_matches("__init__", names, n=1, cutoff=0.8)
    return likely[0] if likely and "__init__" not in names else None


def has_dots(answer: Callable) -> bool:
    """Say whether the three dots still stand in the text of a function or a class's forward; without a text, yes."""
    answer = _called(answer)
    tree = _tree_of(answer)
    if tree is None:
        return True
    return _is_empty(answer) or not isinstance(tree.body[0], ast.FunctionDef) or any(map(_is_dots, ast.walk(tree)))


def dots_stand_in(answer: Callable) -> bool:
    """Say whether three dots stand in the text where a statement or a value should: not those of x[..., 0]."""
    tree = _tree_of(_called(answer))
    nodes = [] if tree is None else list(ast.walk(tree))
    indices = {id(x) for node in nodes if isinstance(node, ast.Subscript) for x in ast.walk(node.slice)}
    return any(_is_dots(node) and id(node) not in indices for node in nodes)


def has_caret(answer: Callable) -> bool:
    """Say whether a function computes something with ^, where a beginner means a power."""
    function = _called(answer)
    return hasattr(function, "__code__") and any(step.argrepr in ("^", "^=") for step in dis.get_instructions(function))


def names_forward(answer: Callable) -> bool:
    """Say whether a function or a class names a layer's forward: of such a call PyTorch tells nobody who listens."""
    functions = vars(answer).values() if isinstance(answer, type) else [answer]
    return any("forward" in function.__code__.co_names for function in functions if hasattr(function, "__code__"))


def _called(answer: Callable) -> Callable:
    """Return the function that is called with the inputs."""
    if isinstance(answer, type):
        return answer.forward if issubclass(answer, nn.Module) else answer.__call__
    return answer


def _tree_of(function: Callable) -> ast.Module | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None


def _is_dots(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _is_empty(function: Any) -> bool:
    """Say whether a function does nothing: three dots, `pass` or a docstring."""
    if not hasattr(function, "__code__"):
        return False
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "COPY_FREE_VARS"}
    steps = list(dis.get_instructions(function.__code__))
    return all(step.opname in idle and ("CONST" not in step.opname or step.argval in (None, ...)) for step in steps)
