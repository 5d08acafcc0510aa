"""The stop button: a run that is told to stop takes the step it is in to its end, is saved, and only then stops.

Ctrl-C, and the ■ button of a notebook, send SIGINT; a system that wants its machine back sends SIGTERM. While `fit` has
a place to save to, either only makes a note. After the save the signal does what it would have done at once: it ends
the process, or raises KeyboardInterrupt, which a notebook shows as one sentence. A second signal is not waited for; but
a SIGTERM right behind another is the same one, since a scheduler sends it to all processes, and torchrun passes it on.
A look at the validation images is taken to its end too, and the run is saved behind it or after the next step.
"""

import signal
import threading
from time import monotonic
from types import FrameType

import torch

from vit_tutorial.training.distributed import World

SIGNALS = (signal.SIGTERM, signal.SIGINT)
ECHO = 1.0  # seconds in which one more SIGTERM is the same one


class Stopped(KeyboardInterrupt):
    """A training was stopped by its user, and is saved; the message says where, and how it goes on."""

    def _render_traceback_(self) -> list[str]:
        """Say all that a notebook is to show: no traceback, since nothing is wrong."""
        return [str(self)]


class StopSignals:
    """A context in which SIGTERM and SIGINT are noted; at its end all is as it was.

    Only the main thread may listen to signals: in another one, and where it is not `wanted`, nothing changes. A signal
    that the process ignores stays ignored.
    """

    def __init__(self, wanted: bool):
        self.listening = wanted
        self.noted: int | None = None  # the signal that came
        self.since = 0.0  # when it came
        self._before: dict[int, object] = {}  # what a signal did before

    def __enter__(self) -> "StopSignals":
        if self.listening and threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):  # None: somebody else than Python listens
                    self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.noted is None:
            self.noted, self.since = number, monotonic()
            self._as_before(but=number if number == signal.SIGTERM else None)
        elif monotonic() - self.since >= ECHO:
            self._as_before()
            signal.raise_signal(number)

    def _as_before(self, but: int | None = None) -> None:
        for number in [number for number in self._before if number != but]:
            signal.signal(number, self._before.pop(number))

    def asked(self, world: World, device: torch.device) -> int | None:
        """Give the signal that came to any of the processes, the same to all, so that all stop after the same step."""
        if not self.listening:
            return None
        came = world.sum([float(self.noted == number) for number in SIGNALS], device)
        return next((number for number, times in zip(SIGNALS, came, strict=True) if times), None)

    def obey(self, number: int, words: str) -> None:
        """Let the signal do now what it would have done without us.

        Raises Stopped, a KeyboardInterrupt with these words, where that is what the signal does.
        """
        self.noted = None
        self._as_before()
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise Stopped(words) from None

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        self._as_before()
        if self.noted is not None and kind is None:  # it came after the last step
            self.obey(self.noted, "stopped after the last step; the run has ended, and is saved")
