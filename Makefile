# Each target makes .venv by itself; a second run starts at once, unless pyproject.toml has changed.
#
#   make lab PORT=8889            another port
#   make lab LAB_ARGS=--no-browser   options for JupyterLab
#   make PYTHON=python3.12 lab    another Python for .venv
#   make notebooks NAMES="01_patches 02_class_token"   only these

PYTHON   ?=
PORT     ?= 8888
LAB_ARGS ?=
NAMES    ?=
export PYTHON

PROGRAMS    := $(CURDIR)/.venv/bin
VENV_PYTHON := .venv/bin/python

# Outputs are stored and compared as they come out without a GPU, with one thread for each of two notebooks at a time.
LIKE_STORED := CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1

# Any Python from 3.6 on can run setup_env.py, which looks for the one that makes .venv and says what is missing.
define setup_env
@for python in "$${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python3 python; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then \
		exec "$$python" setup_env.py $(1); \
	fi; \
done; \
echo "No Python was found; install Python 3.11 or newer from https://www.python.org, then run make again." >&2; \
exit 1
endef

# Each group of tests in two processes, and whatever they start with one thread: on two cores more of them only wait for
# each other. The tests of a file stay in one process (pyproject.toml), but for those in a browser: the notebooks are one
# file, and take longer than all others.
TEST_PYTHON := $(or $(VIT_TUTORIAL_WARM_PYTHON),$(VENV_PYTHON))
PYTEST := OMP_NUM_THREADS=1 $(TEST_PYTHON) -m pytest --tx '2*popen//python=$(TEST_PYTHON)'

.PHONY: help setup lab test test-fast test-groups lint results notebooks site site-open

help:
	@echo "make lab        open the course in JupyterLab"
	@echo "make site-open  make the web edition, and open it (make site only makes it)"
	@echo "make test       check everything: style, imports, unit tests, explorers in a browser, every notebook"
	@echo "make test-fast  what of it fits a few minutes"
	@echo "make setup      only make .venv"
	@echo "make results    run the recorded experiments of data/results again"
	@echo "make notebooks  execute the notebooks from notebooks/source"

setup:
	$(call setup_env,course)

lab:
	$(call setup_env,lab --port='$(PORT)' $(LAB_ARGS))

# Nothing but the installation uses the network.
site:
	$(call setup_env,site)
	$(VENV_PYTHON) site/build.py

site-open:
	$(call setup_env,site)
	$(VENV_PYTHON) site/build.py --open

lint:
	$(call setup_env,test)
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	.venv/bin/lint-imports --no-cache
	PATH="$(PROGRAMS):$$PATH" npm run --silent lint
	PATH="$(PROGRAMS):$$PATH" npm run --silent test

test-fast: lint
	$(PYTEST) -m "not slow" --ignore=tests/browser

# What tests start is copied from a Python that has torch loaded; it loads it while the linters run.
test:
	$(call setup_env,test)
	@OMP_NUM_THREADS=1 $(VENV_PYTHON) tests/warm/server.py $(MAKE) --no-print-directory test-groups

# A test that is run while annotations are checked asserts there what it would without, so it is run there only. The
# notebooks run in a copy, where a learner's own runs are neither taken for the test's nor overwritten; the last ones, which
# take longest, come first.
test-groups: lint
	$(PYTEST) -m "not checked" --ignore=tests/browser
	VIT_TUTORIAL_CHECK_SHAPES=1 $(PYTEST)
	$(PYTEST) --dist=worksteal tests/browser
	rm -rf build/nbval && mkdir -p build/nbval && cp -R notebooks/*.ipynb notebooks/figures build/nbval
	$(LIKE_STORED) $(PYTEST) --nbval --no-loadscope-reorder $$(ls -r build/nbval/*.ipynb)
	rm -rf build/nbval

results:
	$(call setup_env,course)
	@set -e; for recipe in $$($(VENV_PYTHON) -m vit_tutorial.recipes --recorded); do \
		$(VENV_PYTHON) -m vit_tutorial.train --recipe $$recipe; \
	done
	$(VENV_PYTHON) -m vit_tutorial.studies

notebooks:
	$(call setup_env,test)
	$(LIKE_STORED) $(VENV_PYTHON) notebooks/build.py $(NAMES)
