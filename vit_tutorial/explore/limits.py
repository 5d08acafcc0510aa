"""How far a choice reaches: what is refused, and where a choice goes that another one has made impossible.

The limits of an explorer are a generator of pairs (name of a choice, its limit). A limit may depend on the choices that
come before it, which are possible by then:

    def limits(picture_sizes, choices):
        yield "picture", OneOf(picture_sizes)
        yield "patch_size", OneOf(patch_sizes(*picture_sizes[choices["picture"]]))
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from traitlets import TraitError


class ChoiceError(TraitError, ValueError):
    """A choice that is not possible; the sentence names it and what is."""


class Limit(Protocol):
    """What a choice may be."""

    def check(self, name: str, value: Any) -> Any:
        """The value as it is kept. Raises ChoiceError if it is not possible."""

    def nearest(self, value: Any) -> Any:
        """The possible value that comes nearest to one that is not."""


@dataclass(frozen=True)
class OneOf:
    """One of some values, numbers in rising order; `note` ends the sentence that refuses another one."""

    allowed: Collection
    note: str = ""

    def check(self, name: str, value: Any) -> Any:
        """Give the value back; raise ChoiceError, with all that are allowed, if it is not among them."""
        if not _holds(lambda: value in self.allowed):
            known = ", ".join(map(repr, self.allowed))
            raise ChoiceError(f"{name} {value!r} is not among {known}{self.note}")
        return value

    def nearest(self, value: Any) -> Any:
        """Of numbers the largest that is not larger; otherwise the first."""
        smaller = [one for one in self.allowed if not isinstance(one, str) and one <= value]
        return smaller[-1] if smaller else next(iter(self.allowed))


@dataclass(frozen=True)
class Between:
    """A number from `least` to `most`, both included; None too if `none` is set."""

    least: float
    most: float
    note: str = ""
    none: bool = False

    def check(self, name: str, value: Any) -> Any:
        """Give the value back; raise ChoiceError, with both ends, if it does not lie between them."""
        if value is None and self.none:
            return value
        if not _holds(lambda: self.least <= value <= self.most):
            raise ChoiceError(
                f"{name} {_plain(value)} is not among {_plain(self.least)} to {_plain(self.most)}{self.note}"
            )
        return value

    def nearest(self, value: Any) -> Any:
        """Give the end that the number lies beyond, or the number itself."""
        return min(max(value, self.least), self.most)


@dataclass(frozen=True)
class Accepted:
    """Whatever `accept` returns without a ValueError; where another choice made it impossible, `start`."""

    accept: Callable[[Any], Any]
    start: Any

    def check(self, name: str, value: Any) -> Any:
        """Give what `accept` makes of the value; raise ChoiceError, with its sentence, where it raises ValueError."""
        try:
            return self.accept(value)
        except ValueError as error:
            raise ChoiceError(str(error)) from None

    def nearest(self, value: Any) -> Any:
        """Give `start`, whatever the value."""
        return self.start


def settle(
    limits: Iterator[tuple[str, Limit]], choices: dict[str, Any], given: Collection[str] | None = None
) -> dict[str, Any]:
    """Check the `given` choices (all of them if None), and let the others go to their nearest possible value.

    `choices` is changed in place and returned, so that `limits`, made from it, see what has been settled before.
    Raises ChoiceError, a ValueError and a TraitError, if a given choice is not possible.
    """
    for name, limit in limits:
        try:
            choices[name] = limit.check(name, choices[name])
        except ChoiceError:
            if given is None or name in given:
                raise
            choices[name] = limit.nearest(choices[name])
    return choices


def _holds(test: Callable[[], Any]) -> bool:
    """Whether it is so; it is not where it cannot be said, as of a text, an array or a list."""
    try:
        return bool(test())
    except (TypeError, ValueError, RuntimeError):
        return False


def _plain(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else repr(number)
