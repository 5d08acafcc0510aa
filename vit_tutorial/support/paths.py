"""Where the course keeps its files.

In a clone, what comes with the course lies in `data/`, and what a learner makes goes beside it: `runs/` and
`progress.json`. An installed copy carries its data inside the package, and what a learner makes goes to the folder
that Python was started in, never into the package. The environment variable VIT_TUTORIAL_WORK names another folder for
what is made, for instance one on a mounted drive.
"""

import os
from pathlib import Path

VARIABLE = "VIT_TUTORIAL_WORK"
PACKAGE = Path(__file__).resolve().parents[1]
COURSE = PACKAGE.parent  # in a clone, its folder
IS_CLONE = (COURSE / "setup_env.py").is_file()
DATA_FOLDER = (COURSE if IS_CLONE else PACKAGE) / "data"  # what comes with the course
RESULTS = DATA_FOLDER / "results"  # the records of trainings and studies
FIGURE_FOLDER = COURSE / "notebooks" / "figures" if IS_CLONE else PACKAGE / "figures"  # those that lessons show


def at_home(path: str | os.PathLike) -> Path:
    """Give a path with the home folder in the place of the ~ that it begins with, as shells do.

    Raises ValueError if that home is not known, as for a user who does not exist.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        home = Path(path).parts[0]
        raise ValueError(
            f"{path} begins with {home}, a home folder that is not known; write ~/ for your own, or the path in full"
        ) from None


def given_folder() -> Path | None:
    """Give the folder that the environment variable names, or None if it names none."""
    given = os.environ.get(VARIABLE)
    return at_home(given) if given else None


def work_folder() -> Path:
    """Give the folder of `runs/` and `progress.json`."""
    return given_folder() or (COURSE if IS_CLONE else Path.cwd())


RUNS = work_folder() / "runs"  # what a learner's own trainings write
NEW_DATA = DATA_FOLDER if IS_CLONE else work_folder() / "data"  # where a recorded training or study writes
