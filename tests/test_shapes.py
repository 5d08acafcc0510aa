"""The check of annotations: it sees a wrong shape, takes a right one, and looks at every part that it names."""

import importlib
from pathlib import Path

import jaxtyping
import pytest
import shapes
import torch
from jaxtyping import Float, jaxtyped
from torch import Tensor

from vit_tutorial import MultiHeadAttention, patchify

MAKEFILE = Path(__file__).parents[1] / "Makefile"


@jaxtyped(typechecker=shapes.check)
def turned(x: Float[Tensor, "B N"], scale: float = 1.0) -> Float[Tensor, "B N"]:
    return scale * x.T


def test_a_wrong_annotation_is_seen():
    turned(torch.ones(3, 3))
    turned(torch.ones(3, 3), scale=2)  # a whole number is a float too
    with pytest.raises(jaxtyping.TypeCheckError):
        _checked(turned, torch.ones(2, 3))


def test_within_pytest_raises_the_sentence_is_the_courses_own():
    with pytest.raises(ValueError, match="images must have rank 4"):
        patchify(torch.zeros(3, 4, 4), 4)


@pytest.mark.skipif(not shapes.CHECKING, reason="nothing is checked")
@pytest.mark.parametrize("part", shapes.PARTS)
def test_every_part_is_checked(part):
    module = importlib.import_module(f"vit_tutorial.{part}")
    functions = [value for value in vars(module).values() if _is_of(value, module)]
    methods = [method for thing in functions if isinstance(thing, type) for method in vars(thing).values()]
    wrapped = [thing for thing in functions + methods if hasattr(thing, "__wrapped__")]
    assert wrapped


def _is_of(value, module):
    """Say whether it was written in a module, or, if that is a folder, in one of its modules."""
    return f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")


@pytest.mark.skipif(not shapes.CHECKING, reason="nothing is checked")
def test_make_test_leaves_no_test_out_of_both_runs(request):
    runs = ('$(PYTEST) -m "not checked" --ignore=tests/browser', "VIT_TUTORIAL_CHECK_SHAPES=1 $(PYTEST)")
    assert "\n\t".join(("test-groups: lint", *runs, "")) in MAKEFILE.read_text()
    for item in request.session.items:
        skipped = "not about annotations" in [mark.kwargs.get("reason") for mark in item.iter_markers("skipif")]
        assert (item.get_closest_marker("checked") is None) is skipped


@pytest.mark.skipif(not shapes.CHECKING, reason="nothing is checked")
def test_a_wrong_input_is_seen():
    with pytest.raises(jaxtyping.TypeCheckError):
        _checked(MultiHeadAttention(8, 2), torch.zeros(2, 8))


def _checked(function, *args):
    """Call with the check on, also within pytest.raises, where it is off while checking."""
    off = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", False)
    try:
        return function(*args)
    finally:
        jaxtyping.config.update("jaxtyping_disable", off)
