"""The small data set of examples.py, made once."""

import pytest

from training.examples import make_data


@pytest.fixture(scope="session")
def data():
    return make_data()
