"""Wrong answers that nobody listed: none passes, nearly all get a sentence. All of them: `bench_checks.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

from exercises.corpus import made_of, wrong_answers
from exercises.corpus.gathered import CORPUS
from exercises.test_answers import EXERCISES

NAMED = 0.8  # the share of wrong answers that get a sentence
LEAST = 15  # slips of an exercise
EVERY = 5  # of these, one in so many is tried here


def test_every_exercise_has_slips():
    assert [name for name in EXERCISES if name not in CORPUS or len(CORPUS[name].slips) < LEAST] == []


@pytest.mark.parametrize("name", CORPUS)
def test_the_right_answer_of_the_corpus_passes(name):
    verdict = EXERCISES[name](made_of(CORPUS[name].right))
    assert verdict.passed, verdict


def test_no_wrong_answer_passes_and_most_are_told_what_is_wrong():
    tried = [
        (name, label, EXERCISES[name](made_of(text)))
        for name in CORPUS
        for label, text in list(wrong_answers(CORPUS[name]))[::EVERY]
    ]
    assert [(name, label) for name, label, verdict in tried if verdict.passed] == []
    assert sum(bool(verdict.diagnosis) for _, _, verdict in tried) > NAMED * len(tried)
    for name, label, verdict in tried:
        assert verdict.diagnosis in verdict.message, (name, label)
        assert "looking at your answer" not in verdict.message, (name, label)  # said of an engine that fails, too


@pytest.mark.slow
def test_figures_of_some_exercises_do_not_take_the_place_of_those_of_all():
    script = Path(__file__).parents[1] / "benchmarks" / "bench_checks.py"
    done = subprocess.run([sys.executable, script, "mlp", "--record"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "leave out the names, or --record" in done.stderr
