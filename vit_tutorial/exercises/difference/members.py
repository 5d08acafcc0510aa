"""Lists of which the order does not count: what is there too much, and what is missing?"""

from collections.abc import Iterator

from vit_tutorial.exercises.difference.case import Candidate, Case


def is_list_of_tuples(value: object) -> bool:
    """Say whether a value is a list that may hold nothing but tuples, such as pairs of numbers."""
    return isinstance(value, list) and all(isinstance(each, tuple) for each in value)


def members() -> Iterator[Candidate]:
    """Yield sentences on lists that hold other members than those expected."""
    yield (
        "yours are all right, and some are missing.",
        lambda case: bool(case.got) and set(case.got) < set(case.expected),
    )
    yield "your list is empty, and something is expected.", lambda case: not case.got and bool(case.expected)
    yield "some are missing, and none is too many.", lambda case: set(case.got) < set(case.expected)
    yield (
        "all that are expected are there, and others besides.",
        lambda case: set(case.got) > set(case.expected) if case.expected else None,
    )
    yield "none is expected, and your list holds some.", lambda case: bool(case.got) and not case.expected
    yield (
        "none of yours is among those expected.",
        lambda case: not set(case.got) & set(case.expected) if case.got and case.expected else None,
    )
    yield "some are missing, and others are too many.", _both


def _both(case: Case) -> bool:
    got, expected = set(case.got), set(case.expected)
    return bool(got - expected) and bool(expected - got)
