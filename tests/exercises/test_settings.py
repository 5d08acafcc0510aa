"""An exercise judges a right answer as right, whatever a learner has set PyTorch to."""

from dataclasses import replace

import pytest
from learners import SETTINGS

from vit_tutorial.exercises import check

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", check.__all__)
def test_a_solution_is_right_whatever_was_set(name, setting):
    exercise = replace(getattr(check, name))  # one that has computed nothing yet
    with SETTINGS[setting]():
        verdict = exercise(exercise.solution)
    assert verdict.passed, str(verdict)
