"""Where the course keeps its files."""

from pathlib import Path

DATA_FOLDER = Path(__file__).resolve().parents[2] / "data"  # what comes with the course
RESULTS = DATA_FOLDER / "results"  # the records of trainings and studies
RUNS = DATA_FOLDER.parent / "runs"  # what a learner's own trainings write
