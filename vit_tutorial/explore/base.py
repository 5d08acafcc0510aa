"""What an explorer is: choices, one function from them to a state, a still picture of the state, and a view."""

from __future__ import annotations

import base64
import contextlib
import html
import inspect
import sys
import warnings
import weakref
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from vit_tutorial.explore.bundle import bundle
from vit_tutorial.explore.limits import Limit, settle
from vit_tutorial.explore.still import more_letters, png
from vit_tutorial.support.usual import usual_torch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_made: dict[str, tuple[str, list[weakref.ref[Explorer]]]] = {}  # by cell: its last run, and the explorers that run made


def _running_cell() -> tuple[str, str] | None:
    """The cell that runs now and the name of this run, if the front end tells."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell, run = request.get("metadata", {}).get("cellId"), request.get("header", {}).get("msg_id")
    return (cell, run) if cell and run else None


class Explorer(anywidget.AnyWidget):
    """A widget that the browser draws; where none runs, its still picture with alt text stands in its place.

    A subclass declares its choices as public traits tagged `sync=True`, and defines `_limits`, `_state`, `_figure` and
    `_brief`; its view is the file `view.js` beside it. Setting a choice to something impossible raises a ValueError
    (which is a TraitError too) and leaves the explorer as it was. A choice that another one has made impossible goes to
    its nearest possible value. Choices that are set inside `with explorer.hold_trait_notifications():`, or by one
    message of the browser, are checked together.

    An explorer opens on the one thing that its lesson is about; the choice `more`, False at the start, says whether the
    rest is shown too. It is no part of the state, whose words a screen reader has either way; `_figure` may ask for it.

    When a cell is run again, the explorers of its last run are closed: their views are gone, and IPython would hold on
    to them for ever. One that is closed has freed its model and its pictures, and cannot be asked any more.

    What a learner has set PyTorch to (a default device, a default type, autocast) changes nothing in an explorer.
    """

    _css = (Path(__file__).parent / "explore.css").read_text(encoding="utf-8")  # a path would keep every widget alive
    _closed = False
    _ipython_display_ = None  # that of ipywidgets 7 would show the widget without the still picture
    _sent = traitlets.Dict().tag(sync=True)  # what the view needs and no choice changes
    more = traitlets.Bool(False).tag(sync=True)
    choice_names: tuple[str, ...] = ("more",)  # then those of the subclass, in the order of their declaration

    def __init_subclass__(cls, **kwargs: Any):
        if "_esm" not in vars(cls):
            cls._esm = bundle(Path(inspect.getfile(cls)).with_name("view.js"))
        traits = (name for name, value in vars(cls).items() if isinstance(value, traitlets.TraitType))
        cls.choice_names += tuple(name for name in traits if not name.startswith("_"))
        if "__init__" in vars(cls):
            cls.__init__ = usual_torch()(cls.__init__)
        super().__init_subclass__(**kwargs)

    def __new__(cls, *args: Any, **kwargs: Any):
        self = super().__new__(cls, *args, **kwargs)
        vars(self)["_of_every_widget"] = {*vars(self), "_of_every_widget"}  # all other attributes are freed at the end
        return self

    def __init__(self, choices: Mapping[str, Any], **sent: Any):
        """Check the choices that are given, let the others follow, and keep `sent` for the view."""
        if unknown := sorted(choices.keys() - set(self.choice_names)):
            name, known = type(self).__name__, ", ".join(self.choice_names)
            raise TypeError(f"{name} has no choice {unknown[0]!r}; it has {known}")
        settled, own = self._settled(self.choices() | dict(choices), choices), set(vars(self))
        super().__init__(_sent=sent, **settled)
        self._of_every_widget |= vars(self).keys() - own
        self._follow_the_last_run()

    def _follow_the_last_run(self) -> None:
        """Close what the last run of this cell has made."""
        if (running := _running_cell()) is None:
            return
        cell, run = running
        last, explorers = _made.get(cell, (run, []))
        if last != run:
            for earlier in filter(None, (reference() for reference in explorers)):
                earlier.close()
            explorers = []
        _made[cell] = run, [*explorers, weakref.ref(self)]

    def close(self) -> None:
        """Take the view away, and free what the explorer holds."""
        super().close()
        self._trait_values["_sent"] = {}
        for name in vars(self).keys() - self._of_every_widget:
            del vars(self)[name]
        self._closed = True

    def _limits(self, choices: dict[str, Any]) -> Iterator[tuple[str, Limit]]:
        """The name and the limit of each choice; a limit may depend on the choices before it (see limits.py)."""
        raise NotImplementedError

    def _state(self, **choices: Any) -> Any:
        """From the choices, save `more`, to a frozen dataclass: the numbers that are shown, and `words`."""
        raise NotImplementedError

    def _figure(self, state: Any) -> Figure:
        """The still picture of a state."""
        raise NotImplementedError

    def _brief(self) -> str:
        """What stands between the brackets of the repr."""
        raise NotImplementedError

    def choices(self) -> dict[str, Any]:
        """All choices as they are now."""
        return {name: getattr(self, name) for name in self.choice_names}

    def state(self) -> Any:
        """The numbers that the explorer shows now. Raises RuntimeError if it is closed."""
        self._refuse_if_closed()
        choices = self.choices()
        del choices["more"]
        with usual_torch():
            return self._state(**choices)

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        state = self.state()
        with usual_torch(), more_letters():
            return self._figure(state)

    def _settled(self, choices: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
        self._refuse_if_closed()
        with usual_torch():
            return settle(self._limits(choices), choices, given)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError(f"this {type(self).__name__} is closed, as when its cell is run again; make a new one")

    def __setattr__(self, name: str, value: Any) -> None:
        holding = self.hold_trait_notifications() if name in self.choice_names else contextlib.nullcontext()
        with holding:
            super().__setattr__(name, value)

    @contextlib.contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Inside this context choices may change one by one; at its end they are checked, and told, together."""
        if self._cross_validation_lock:  # the context around this one checks
            yield
            return
        before = self.choices()
        with self.hold_sync(), super().hold_trait_notifications():
            try:
                yield
            finally:
                now = self.choices()
                changed = [name for name, value in now.items() if value != before[name]]
                for name, value in self._settled(now, changed).items():
                    self.set_trait(name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'closed' if self._closed else self._brief()})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        if self._closed:
            return {"text/plain": repr(self)}, {}
        bundled = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundled if isinstance(bundled, tuple) else (bundled, {})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the words beside the picture have them
            source = base64.b64encode(png(self.figure())).decode("ascii")
        data["text/html"] = (
            f'<figure style="margin:0"><img alt="{html.escape(self.words())}" src="data:image/png;base64,{source}">'
            "<figcaption>A still picture: run the cell to explore it.</figcaption></figure>"
        )
        return data, metadata
