"""Pythons that begin with torch loaded, where `make test` offers them (server.py), for tests that start some."""

import os
import sys

PYTHON = os.environ.get("VIT_TUTORIAL_WARM_PYTHON", sys.executable)
