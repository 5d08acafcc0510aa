"""Where the course keeps its files."""

from pathlib import Path

COURSE = Path(__file__).resolve().parents[2]
DATA_FOLDER = COURSE / "data"  # what comes with the course
RESULTS = DATA_FOLDER / "results"  # the records of trainings and studies
RUNS = COURSE / "runs"  # what a learner's own trainings write
