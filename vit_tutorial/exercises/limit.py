"""A time limit for code that somebody else wrote: it runs in a thread of its own, which is stopped when it is late.

A thread works in Jupyter and in scripts, on every operating system, and leaves the signal handlers alone. What it
cannot stop is one call that never comes back and holds Python's own lock, such as `sum(range(10**12))`. Code that
catches every exception around a call that waits, again and again, is left behind, and goes on unseen.
"""

import contextvars
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

LOOK_AFTER = 0.05  # seconds between two looks, so that Ctrl+C is heard on Windows too
PATIENCE = 0.2  # seconds that a stopped thread gets to end


class OutOfTime(Exception):
    """The call did not come back in time; `frame` is where it was."""

    def __init__(self, seconds: float, frame: FrameType | None):
        super().__init__(f"not finished after {seconds:g} s")
        self.frame = frame


class _Stop(SystemExit):
    """What a late thread meets: no `except Exception` catches it, and a thread that ends by it says nothing."""


def call_within(seconds: float, function: Callable, *args) -> tuple[Any, BaseException | None]:
    """Return (function(*args), None), or (None, what it raised); raise OutOfTime if it is not back after `seconds`.

    KeyboardInterrupt, the learner's stop button, reaches the caller at once and stops the call too.
    """
    outcome: dict[str, Any] = {}
    running = threading.Lock()
    running.acquire()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome["value"] = context.run(function, *args)
        except BaseException as error:
            outcome["error"] = error
        finally:
            running.release()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        finished = _wait(running, seconds)
    except BaseException:
        _stop(thread)
        raise
    if not finished:
        frame = sys._current_frames().get(thread.ident)
        _stop(thread)
        raise OutOfTime(seconds, frame)
    return outcome.get("value"), outcome.get("error")


def _wait(running: threading.Lock, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if running.acquire(timeout=min(left, LOOK_AFTER)):
            return True
    return running.acquire(blocking=False)


def _stop(thread: threading.Thread) -> None:
    """Raise _Stop in the thread, again and again if it catches it; one that sleeps will meet it when it wakes."""
    until = time.monotonic() + PATIENCE
    while thread.is_alive() and time.monotonic() < until:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop))
        thread.join(LOOK_AFTER / 5)
