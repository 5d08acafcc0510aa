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
# The recorded trainings: what each trains, where it keeps its checkpoints, and the name of its record in data/results.
FASHION  := --data fashion_mnist_full --out runs/vit_fashion_mnist --record vit_fashion_mnist --float16 \
            data/vit_fashion_mnist.safetensors --patch-size 4 --dim 64 --depth 6 --num-heads 4 --mlp-ratio 2 --epochs 12 \
            --batch-size 128 --learning-rate 0.002 --warmup-epochs 1 --validation-fraction 0.05
PHOTOS   := --dim 128 --depth 6 --num-heads 4 --mlp-ratio 2 --pool mean --epochs 24 --batch-size 128 --learning-rate 0.005 \
            --warmup-epochs 1 --optimizer muon --average 0.998 --flip --max-shift 4 --validation-fraction 0.04 --device cpu
CIFAR10  := --data cifar10 --out runs/vit_cifar10 --record vit_cifar10 --float16 data/vit_cifar10.safetensors \
            --keep 1 2 5 12 --keep-in data/vit_cifar10_epochs --patch-size 4 $(PHOTOS)
PATCH_8  := --data cifar10 --out runs/vit_cifar10_patch_8 --record vit_cifar10_patch_8 --patch-size 8 $(PHOTOS)
export PYTHON

VENV_PYTHON := .venv/bin/python

# Outputs are stored and compared as they come out without a GPU, with one thread for each of two notebooks at a time.
LIKE_STORED := CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1

# Any Python from 3.6 on can run setup_env.py, which looks for the one that makes .venv and says what is missing.
define setup_env
@for python in "$${PYTHON:-python3}" python3.13 python3.12 python3.11 python3 python; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then \
		exec "$$python" setup_env.py $(1); \
	fi; \
done; \
echo "No Python was found; install Python 3.11 or newer from https://www.python.org, then run make again." >&2; \
exit 1
endef

.PHONY: help setup lab test results notebooks

help:
	@echo "make lab        open the course in JupyterLab"
	@echo "make test       check everything: lint, unit tests, every notebook"
	@echo "make setup      only make .venv"
	@echo "make results    run the recorded experiments of data/results again"
	@echo "make notebooks  execute the notebooks from notebooks/source"

setup:
	$(call setup_env,course)

lab:
	$(call setup_env,lab --port='$(PORT)' $(LAB_ARGS))

# The notebooks run in a copy, where a learner's own runs are neither taken for the test's nor overwritten.
test:
	$(call setup_env,test)
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m pytest -n 2 --dist loadfile --ignore=tests/browser
	$(VENV_PYTHON) -m pytest tests/browser
	rm -rf build && mkdir build && cp -R notebooks/*.ipynb notebooks/figures build
	$(LIKE_STORED) $(VENV_PYTHON) -m pytest --nbval -n 2 --dist loadfile build
	rm -rf build

results:
	$(call setup_env,course)
	$(VENV_PYTHON) -m vit_tutorial.train $(FASHION)
	$(VENV_PYTHON) -m vit_tutorial.train $(CIFAR10)
	$(VENV_PYTHON) -m vit_tutorial.train $(PATCH_8)
	$(VENV_PYTHON) -m vit_tutorial.studies

notebooks:
	$(call setup_env,test)
	$(LIKE_STORED) $(VENV_PYTHON) notebooks/build.py $(NAMES)
