"""Gives the tests the modules of site/, which find each other as when site/build.py runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "site"))
