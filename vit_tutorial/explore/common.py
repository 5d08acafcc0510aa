"""The explorers that are not yet a folder of their own stand on this bridge; it goes with the last of them."""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
from jaxtyping import UInt8

from vit_tutorial.explore import base, pictures
from vit_tutorial.explore.bundle import bundle
from vit_tutorial.explore.pictures import as_array, as_picture, class_names_of, model_input  # noqa: F401
from vit_tutorial.explore.still import ACCENT, FAINT, INK, as_rgb, diverging, png, still, viridis  # noqa: F401
from vit_tutorial.explore.words import decimals, fine_percent, percent  # noqa: F401


def named_pictures(images, choices: dict[str, Any]) -> dict[str, UInt8[np.ndarray, "C H W"]]:
    """Pictures by name; if no `picture` is among the choices, the first one's name goes there."""
    checked = pictures.named_pictures(images)
    choices.setdefault("picture", next(iter(checked)))
    if choices["picture"] not in checked:
        raise ValueError(f"picture {choices['picture']!r} is not among {', '.join(map(repr, checked))}")
    return checked


def browser_code(name: str) -> str:
    """The JavaScript module of one explorer with the shared pieces in front of it."""
    return bundle(base.Path(__file__).with_name(name))


class Explorer(base.Explorer):
    """An explorer that checks its choices by itself."""

    _esm = ""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.choice_names = ()

    def __init__(self, **traits: Any):
        anywidget.AnyWidget.__init__(self, **traits)

    def _limits(self, choices):
        return iter(())
