"""What a step has found so far, on disk after every entry, and how long it may still take."""

import contextlib
import json
import os
import time
import traceback
from importlib import import_module
from pathlib import Path


class OutOfTime(BaseException):
    """The time is up: no `except Exception` on the way may stop this one."""


class Journal:
    """A dictionary that is written, all or nothing, whenever something is added; `until` is when to be done."""

    def __init__(self, path: Path, until: float, found: dict | None = None):
        self.path, self.until, self.found = path, until, found or {}

    @property
    def left(self) -> float:
        """Seconds until the step must be done."""
        return self.until - time.time()

    def check_time(self, needed: float = 0.0) -> None:
        """Raise OutOfTime if fewer than `needed` seconds are left."""
        if self.left < needed:
            raise OutOfTime

    def write(self, **entries) -> None:
        """Add entries, or replace them."""
        self.found |= entries
        self.save()

    def add(self, key: str, entry: dict) -> None:
        """Add an entry to a list."""
        self.found.setdefault(key, []).append(entry)
        self.save()

    def save(self) -> None:
        """Write the file, all or nothing."""
        unfinished = self.path.with_name(f".{self.path.name}.tmp")
        unfinished.write_text(json.dumps(self.found, indent=1), encoding="utf-8")
        os.replace(unfinished, self.path)


def read(path: Path) -> dict:
    """Read what a journal wrote; nothing if there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads(path.read_text(encoding="utf-8"))
    return {}


def run_and_write_down(step: str, settings: dict, journal: Journal) -> int:
    """Run a step and write down how it ended; the module `gpu.STEP` has the function `run`."""
    started = time.perf_counter()
    try:
        import_module(f"gpu.{step}").run(settings, journal)
        ended = {"ended": "done"}
    except OutOfTime:
        ended = {"ended": "out of time"}
    except Exception as error:
        ended = {"ended": "failed", "error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    journal.write(**ended, seconds=round(time.perf_counter() - started, 1))
    return int(ended["ended"] == "failed")
