"""Annotations that are true: with VIT_TUTORIAL_CHECK_SHAPES in the environment, every call is compared with its own.

jaxtyping's import hook wraps each function of the parts named here, and beartype looks at what goes in and comes out.
"""

import contextlib
import os
from pathlib import Path

import jaxtyping
import pytest
from beartype import BeartypeConf, beartype

CHECKING = "VIT_TUTORIAL_CHECK_SHAPES" in os.environ
PARTS = (
    *("patches", "tokens", "positions", "attention", "encoder", "hybrid", "vit", "cnn"),
    *("weights", "introspection", "inductive_bias", "datasets", "training"),
)

# A whole number is a float to every type checker of Python.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))

# For tests of something else than the functions themselves: what PyTorch compiles, input that the annotations do not
# allow and the code takes all the same, the line that a warning names, processes of their own.
not_while_checking = pytest.mark.skipif(CHECKING, reason="not about annotations")


def install() -> None:
    """Wrap the parts when they are imported, for the rest of this process."""
    jaxtyping.install_import_hook([f"vit_tutorial.{part}" for part in PARTS], "shapes.check")
    pytest.raises = _raises(pytest.raises)


def other_files(folder: Path) -> list[str]:
    """The test files of the folder that are not run while checking: they ask about other things, or start processes."""
    own = own_files(folder)
    return [str(path) for path in folder.rglob("test_*.py") if path not in own]


def own_files(folder: Path) -> set[Path]:
    """The test files of the folder that are run while checking."""
    own = {folder / f"test_{part}.py" for part in PARTS} - {folder / "test_datasets.py"}
    own |= {folder / f"test_{name}.py" for name in ("public_weights", "shapes", "looking_inside", "receptive_field")}
    own |= {folder / "training" / f"test_{part}.py" for part in ("augmentation", "optimizers", "loop")}
    return own


def mark(items: list[pytest.Item], folder: Path) -> None:
    """Mark the tests that are run while checking: that run asserts all that they say, and the annotations too."""
    own = own_files(folder)
    for item in items:
        if item.path in own and not_while_checking.mark not in item.iter_markers("skipif"):
            item.add_marker("checked")


def _raises(raises):
    """Bad input is to meet the course's own sentence: within pytest.raises nothing is checked."""

    @contextlib.contextmanager
    def unchecked(*args, **options):
        with raises(*args, **options) as caught:
            jaxtyping.config.update("jaxtyping_disable", True)
            try:
                yield caught
            finally:
                jaxtyping.config.update("jaxtyping_disable", False)

    return unchecked
