"""Whether anybody is watching what a program prints."""

import os
import sys

FRONT_ENDS = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")  # what they tell their kernels about themselves
VARIABLE = "VIT_TUTORIAL_UNWATCHED"


def somebody_is_watching() -> bool:
    """Say whether a progress bar has a reader: a terminal, or a notebook open in a front end.

    A kernel that only executes a notebook to store or check its outputs has none: whoever starts it says so by the
    environment variable VIT_TUTORIAL_UNWATCHED, but that of Jupyter's server, of VS Code and of Colab has one.
    """
    if "ipykernel" in sys.modules:
        return any(name in os.environ for name in FRONT_ENDS) or VARIABLE not in os.environ
    return sys.stderr is not None and sys.stderr.isatty()
