"""Files that are whole: whatever happens while one is written, its path holds the old content or the new."""

import json
import os
import re
from pathlib import Path


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
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write a dictionary as JSON, all or nothing, with each list of plain values on one line."""
    text = re.sub(
        r"\[\n[^\[\]{}]*\]", lambda found: f"[{' '.join(found[0][1:-1].split())}]", json.dumps(content, indent=1)
    )
    write_file(path, (text + "\n").encode())
