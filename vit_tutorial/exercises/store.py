"""What a learner has passed so far, kept in one small file, progress.json, where `support/paths.py` says.

The environment variable VIT_TUTORIAL_PROGRESS names another file; empty, it says that nothing is kept. Whatever the
file is like, a lesson goes on: the most that a learner sees of it is one sentence.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from vit_tutorial.support.files import write_json
from vit_tutorial.support.paths import work_folder

FORMAT = "vit_tutorial progress 1"
VARIABLE = "VIT_TUTORIAL_PROGRESS"
NAME = "progress.json"
LONGEST_WAIT = 2.0  # seconds for another notebook that writes at the same time


def keep(name: str) -> str:
    """Keep that this exercise was passed; return a sentence if that did not work, else nothing."""
    path = _path()
    if path is None:
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The lock's file stays: whoever deletes it may take it away from another notebook that has just locked it.
        with FileLock(f"{path}.lock", timeout=LONGEST_WAIT, poll_interval=0.01):
            passed, trouble = _read(path)
            if passed is not None and name not in passed:
                passed[name] = datetime.now(UTC).isoformat(timespec="seconds")
                write_json(path, {"format": FORMAT, "passed": passed})
            return trouble
    except Timeout:
        trouble = f"(Your progress is not kept: another notebook is writing to {path}; run the check again.)"
    except (OSError, NotImplementedError) as error:  # the latter of an older filelock, where no file can be locked
        reason = getattr(error, "strerror", None) or error
        trouble = f"(Your progress is not kept: {path} cannot be written, {reason}.)"
    return "" if name in passed_so_far()[0] else trouble  # it may have been kept before


def passed_so_far() -> tuple[set[str], str]:
    """Return the names of the exercises passed, and a sentence if the file tells none because something is wrong."""
    path = _path()
    if path is None:
        return set(), ""
    try:
        passed, trouble = _read(path)
    except OSError as error:
        return set(), f"(Your progress is not known: {path} cannot be read, {error.strerror or error}.)"
    return set(passed or ()), trouble


def _path() -> Path | None:
    given = os.environ.get(VARIABLE)
    return work_folder() / NAME if given is None else Path(given) if given else None


def _read(path: Path) -> tuple[dict[str, str] | None, str]:
    """Return when each exercise was first passed, and a sentence; None for a file that is not ours to overwrite."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, ""
    except (ValueError, RecursionError):
        aside = path.with_name(f"{path.name}.broken")
        os.replace(path, aside)
        return {}, f"({path.name} could not be read and lies in {aside.name} now; your progress starts afresh.)"
    passed = content.get("passed") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(passed, dict):
        return None, f"(Your progress is not kept: {path} holds something else; move it away.)"
    return passed, ""
