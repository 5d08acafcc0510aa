"""A time limit for code that somebody else wrote: it runs in a thread of its own, which is stopped when it is late.

What counts is the time that the code computes: on a busy machine it gets as much of that as on an idle one. A second,
longer limit is for code that waits. A thread works in Jupyter and in scripts, on every operating system, and leaves the
signal handlers alone. What it cannot stop is one call that never comes back and holds Python's own lock, such as
`sum(range(10**12))`. Code that catches every exception, again and again, is left behind; it goes on unseen until it
meets a stop where it catches nothing.
"""

import contextvars
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

LOOK_AFTER = 0.05  # seconds between two looks, so that Ctrl+C is heard on Windows too
PATIENCE = 0.2  # seconds that a stopped thread gets to end


_here = threading.local()  # its `running` is the call that this thread was made for


@dataclass
class Budget:
    """What is left for somebody else's code, in seconds: of computing, and of all time that passes meanwhile."""

    computing: float
    passing: float


class OutOfTime(Exception):
    """The call did not come back in time; `frame` is where it was, and `waited` says which limit it was."""

    def __init__(self, frame: FrameType | None, waited: bool):
        super().__init__("not finished in time")
        self.frame = frame
        self.waited = waited


class _Stop(SystemExit):
    """What a late thread meets: no `except Exception` catches it, and a thread that ends by it says nothing."""


def call_within(budget: Budget, function: Callable, *args) -> tuple[Any, BaseException | None]:
    """Return (function(*args), None), or (None, what it raised); raise OutOfTime if the budget is used up before.

    The budget is what is left afterwards. KeyboardInterrupt, the learner's stop button, reaches the caller at once and
    stops the call too.
    """
    running = _Running(function, args)
    began = time.monotonic()
    try:
        while not running.wait(LOOK_AFTER):
            computed, passed = running.computed(), time.monotonic() - began
            if (computed >= budget.computing or passed >= budget.passing) and not running.wait(0):
                frame = sys._current_frames().get(running.thread.ident)
                budget.computing, budget.passing = budget.computing - computed, budget.passing - passed
                raise OutOfTime(frame, waited=budget.computing > 0)
    except BaseException:
        running.stop()
        raise
    budget.computing -= running.computed()
    budget.passing -= time.monotonic() - began
    return running.value, running.error


class _Running:
    """A call in a thread of its own; it may wait for another such call, its inner one."""

    def __init__(self, function: Callable, args: tuple):
        self.value: Any = None
        self.error: BaseException | None = None
        self._over = False
        self._guard = threading.Lock()  # held while a _Stop is sent, and while the thread takes its leave
        self._done = threading.Event()
        self._clock: Callable[[], float] | None = None
        self._used: float | None = None
        self._inner: _Running | None = None
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=self._work, args=(context, function, args), daemon=True)
        outer = getattr(_here, "running", None)
        if outer is not None:
            outer._inner = self
        self.thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait so long, and say whether it is over."""
        return self._done.wait(seconds)

    def computed(self) -> float:
        """Return the seconds that it has computed."""
        if self._used is not None:
            return self._used
        return self._clock() if self._clock is not None else 0.0

    def stop(self) -> None:
        """Raise _Stop in the thread, again and again if it catches it; one that sleeps will meet it when it wakes."""
        until = time.monotonic() + PATIENCE
        _keep_stops_quiet()
        while time.monotonic() < until:
            if self._send_stop():
                return
            self.thread.join(LOOK_AFTER / 5)
        threading.Thread(target=self._chase, daemon=True).start()

    def _chase(self) -> None:
        """Go on when nobody waits for it any more: what computes behind the lesson's back would slow all of it.

        One that catches nearly every stop meets the one that it does not the sooner the more often they come.
        """
        computed = -1.0
        while not self._send_stop():
            before, computed = computed, self.computed()
            self.thread.join(LOOK_AFTER if computed == before else LOOK_AFTER / 50)

    def _send_stop(self) -> bool:
        """Raise _Stop in the thread and in the one that it waits for, if they still run; say whether both are over.

        The number of a thread that has ended may be that of a new one, which is to meet nothing.
        """
        inner_is_over = self._inner is None or self._inner._send_stop()
        with self._guard:
            is_over = self._over or not self.thread.is_alive()
            if not is_over:
                _raise_in(self.thread, _Stop)
            return inner_is_over and is_over

    def _work(self, context: contextvars.Context, function: Callable, args: tuple) -> None:
        _here.running = self
        began = time.thread_time()
        self._clock = _clock_of_this_thread()
        try:
            self.value = context.run(function, *args)
        except BaseException as error:
            self.error = error
        finally:  # after a _Stop that comes while an error is kept, too
            self._leave(began)

    def _leave(self, began: float) -> None:
        """Say that it is over, so that no _Stop comes any more; one that is on its way is caught here or dropped."""
        while not self._over:
            try:
                self._used = time.thread_time() - began
                with self._guard:
                    _raise_in(threading.current_thread(), None)
                    self._over = True
            except _Stop:
                continue
        self._done.set()


def _raise_in(thread: threading.Thread, error: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next step; None takes back one that it has not met yet."""
    what = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), what)


def _clock_of_this_thread() -> Callable[[], float]:
    """Return a function that any thread may call for the seconds that this one has computed since now."""
    try:
        number = time.pthread_getcpuclockid(threading.get_ident())
        began = time.clock_gettime(number)
    except (AttributeError, OSError):  # Windows and macOS: the time of all threads, and this one works hardest
        began = time.process_time()
        return lambda: time.process_time() - began

    def computed() -> float:
        try:
            return time.clock_gettime(number) - began
        except OSError:  # the thread has ended meanwhile
            return 0.0

    return computed


def _keep_stops_quiet() -> None:
    """See that Python reports no _Stop, met by a thread that is about to end, or where nothing can be raised."""
    for module, name in ((sys, "unraisablehook"), (threading, "excepthook")):
        report = getattr(module, name)
        if not getattr(report, "keeps_stops_quiet", False):
            setattr(module, name, _without_stops(report))


def _without_stops(report: Callable) -> Callable:
    def hook(raised) -> None:
        if not issubclass(raised.exc_type, _Stop):
            report(raised)

    hook.keeps_stops_quiet = True
    return hook
