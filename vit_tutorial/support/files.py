"""Files that are whole: whatever happens while one is written, its path holds the old content or the new."""

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path

from vit_tutorial.support.paths import given_folder


def write_file(path: str | os.PathLike, content: bytes) -> None:
    """Write a file all or nothing: whatever happens, and whenever, the path holds the old content or the new."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        if error.strerror:  # it names no file if the disk is full, and else the unfinished one
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # it was never made, or has become the file
            unfinished.unlink()


def sweep(path: str | os.PathLike) -> None:
    """Delete what killed writes of this file have left beside it; call it where nobody else is writing the file."""
    path = Path(path)
    for left in path.parent.glob(".*.tmp"):
        if re.fullmatch(rf"\.{re.escape(path.name)}\.\d+\.tmp", left.name):
            left.unlink(missing_ok=True)


def make_writable(folder: str | os.PathLike) -> None:
    """Make a folder if there is none, and try that a file can be made in it; nothing stays of the trial.

    Raises OSError if either is impossible.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def closed(folder: str | os.PathLike, error: OSError) -> str:
    """Say of a folder that it cannot be made, or written to where it is there, and why."""
    return f"{os.fspath(folder)} cannot be {'written to' if os.path.isdir(folder) else 'made'} ({error.strerror})"


def writable_or_temporary(folder: str | os.PathLike) -> Path:
    """Give the folder, made if there was none; where it cannot be written, say so and give a temporary one.

    With the environment variable VIT_TUTORIAL_WORK, a folder that is not given in full is one of that folder.
    """
    folder = (given_folder() or Path()) / folder
    try:
        make_writable(folder)
    except OSError as error:
        other = Path(tempfile.mkdtemp(prefix="vit_tutorial_"))
        print(f"{folder} cannot be written ({error.strerror}), so what is made here goes to {other}")
        return other
    return folder


def in_one_order(content: bytes) -> bytes:
    """Put the words of a .safetensors in the order of their names, so that the same content is the same bytes.

    The library writes them in an order that is drawn anew in each process. The tensors stay where they are.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write a dictionary as JSON, all or nothing, with each list of plain values on one line."""
    text = re.sub(r"\[\n[^\[\]{}]*\]", _on_one_line, json.dumps(content, indent=1))
    write_file(path, (text + "\n").encode())


def _on_one_line(found: re.Match) -> str:
    """Take the line breaks out of a list; none is inside of a text, where JSON writes a backslash and an n."""
    return re.sub(r"\n *", "", found[0].replace(",\n", ", \n"))
