"""What all command lines of the course have in common."""

import io
import os
import sys
from collections.abc import Iterable


def print_all_names() -> None:
    """Let stdout and stderr write a character that their encoding does not have as \\xe9 or the like.

    A name in another script is no reason to end a training.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def in_words(error: Exception) -> str:
    """Say what an error says; of a file or folder that the system refuses, which it is and the way out."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return (
            f"{os.fsdecode(error.filename)} cannot be read or written ({error.strerror}); name another place, or allow "
            "it there"
        )
    return str(error)


def refuse_repeated(arguments: list[str], several: Iterable[str]) -> None:
    """End the program with exit status 2 if an option that takes several values occurs twice.

    Parsers keep the values of the last one, and say nothing of the others. Of an option with one value that is what
    people expect who add one to a command that they have.
    """
    given = [argument.partition("=")[0].replace("_", "-") for argument in arguments]
    for name in (f"--{name.replace('_', '-')}" for name in several):
        if (count := given.count(name)) > 1:
            print(
                f"error: {name} is given {count} times, and the last alone would count; give it once, with all values "
                f"one after the other: {name} A B",
                file=sys.stderr,
            )
            sys.exit(2)
