"""How much memory a piece of work takes at most, measured in a process of its own. Linux only."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch


def in_own_process(script: str, *arguments: object) -> int:
    """Run `script --peak ARGUMENTS`, which prints what added_peak gives, and give that: bytes."""
    command = [sys.executable, script, "--peak", *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@torch.no_grad()
def added_peak(work: Callable[[], object]) -> int:
    """Give the bytes that a piece of work adds at most to what this process holds.

    The process must not have done anything large before, but the same in small: what the first call loads does not
    count.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is held now
    before = own_peak()
    work()
    return own_peak() - before


def own_peak() -> int:
    """Give the most bytes that this process has held since its peak began anew.

    getrusage would give its parent's, if that is larger.
    """
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
