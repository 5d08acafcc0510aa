"""Whether anybody is watching what a program prints."""

import os
import sys


def somebody_is_watching() -> bool:
    """Say whether a progress bar has a reader: a terminal, or a notebook open in a front end.

    A kernel that only executes a notebook to store or check its outputs has none. Jupyter's server and VS Code tell
    their kernels about themselves in the environment; a kernel started for execution alone is told nothing.
    """
    if "ipykernel" in sys.modules:
        return any(name in os.environ for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"))
    return sys.stderr is not None and sys.stderr.isatty()
