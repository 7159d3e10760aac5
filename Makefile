# Everything from a fresh clone, with only Python (3.11 or later) and make:
#
#   make demo    set up, then translate a clip of coins into galaxies
#   make test    set up, then run ruff, mypy and the test suite
#   make test-cluster  set up with Ray and an S3 server, then test batches on a local cluster of several nodes
#   make test-browser  set up, then test the studio in Debian's chromium (sudo apt install chromium)
#   make docs    set up, then build the documentation site into docs/_build
#   make fuzz    set up, then search for files that no reader survives, for MINUTES=1
#   make dist    set up, then build the source distribution and the wheel into dist
#
# On Linux without an NVIDIA GPU, PyTorch's CPU build saves several GB of download. pytorch.org ("Get started", CPU)
# names the index that carries it:
#
#   make TORCH_INDEX=... demo

PYTHON ?= python3
# An extra package index that carries the build of PyTorch you want. Empty: the index that pip uses by default.
TORCH_INDEX ?=
# The repository's public address, for `make dist`. Empty: the one in pyproject.toml.
URL ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
# The time of these files is the time of the last installation; make installs again when the versions change.
STAMP := $(VENV)/installed
DOCS_STAMP := $(VENV)/installed-docs
BROWSER_STAMP := $(VENV)/installed-browser

.DEFAULT_GOAL := help
.PHONY: help env demo test test-browser test-cluster fuzz lint docs dist clean

help:
	@sed -n 's/^#   //p' Makefile
	@echo "also: make env (set up only), make lint, make clean (removes the environment, the site and caches)"

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "lonepair: $(PYTHON) is not installed; install Python 3.11 or later (Debian: sudo apt install python3 python3-venv)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lonepair: $$($(PYTHON) --version) is too old; install Python 3.11 or later and name it: make PYTHON=python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "lonepair: $(PYTHON) has no venv module; install it (Debian: sudo apt install python3-venv)" >&2; exit 2; }
ifeq ($(strip $(TORCH_INDEX)),)
	@if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then echo "no NVIDIA GPU was detected: if pip starts to download CUDA (several GB), stop it and add TORCH_INDEX=..., the index that pytorch.org names for CPU builds"; fi
endif
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(addprefix --extra-index-url ,$(TORCH_INDEX)) -e '.[demo,dev]'
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(PIP) $(addprefix --extra-index-url ,$(TORCH_INDEX)) -e '.[demo,dev,docs]'
	@touch $@

$(BROWSER_STAMP): $(STAMP)
	$(PIP) $(addprefix --extra-index-url ,$(TORCH_INDEX)) -e '.[demo,dev,studio]' playwright
	@touch $@

demo: env
	$(BIN)/lonepair demo

test: lint
	$(BIN)/python -m pytest -n auto

# Ray is large and takes long to start.
test-cluster: env
	$(PIP) $(addprefix --extra-index-url ,$(TORCH_INDEX)) -e '.[cluster,dev]' s3fs 'moto[server]'
	$(BIN)/python -m pytest -n0 -s tests/cluster

test-browser: $(BROWSER_STAMP)
	$(BIN)/python -m pytest -n0 -o addopts= -W default tests_browser

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

MINUTES ?= 1

fuzz: env
	$(BIN)/python tests/fuzz/search.py --minutes $(MINUTES)

# A warning is an error: a link that leads nowhere, a page that no menu lists, a block of code that cannot be read.
docs: $(DOCS_STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	@echo "the site is in docs/_build/index.html"

# The versions of constraints.txt build both; nothing is downloaded for it.
dist: env
	rm -rf dist
	LONEPAIR_URL=$(URL) $(BIN)/python -m build --no-isolation

# Your runs and the results of the demo stay.
clean:
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
