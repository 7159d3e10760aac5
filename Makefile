# Everything from a fresh clone, with only Python (3.11 or later) and make:
#
#   make demo    set up, then redraw coins as galaxies
#   make test    set up, then ruff, mypy and the test suite
#
# Without an NVIDIA GPU, PyTorch's CPU build saves several GB of download on Linux; pytorch.org ("Get started", CPU)
# names the index that carries it:
#
#   make TORCH_INDEX=... demo

PYTHON ?= python3
# An extra package index that carries the build of PyTorch you want; empty: whatever pip finds by itself.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
# Made anew whenever what is installed should change; a second `make` is quick.
STAMP := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help env demo test lint clean

help:
	@sed -n 's/^#   //p' Makefile
	@echo "also: make env (set up only), make lint, make clean (removes the environment and caches)"

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "lonepair: $(PYTHON) is not there; install Python 3.11 or later (Debian: sudo apt install python3 python3-venv)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lonepair: $$($(PYTHON) --version) is too old; install Python 3.11 or later and name it: make PYTHON=python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "lonepair: $(PYTHON) has no venv module; install it (Debian: sudo apt install python3-venv)" >&2; exit 2; }
ifeq ($(strip $(TORCH_INDEX)),)
	@if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then echo "no NVIDIA GPU seen: if pip starts to download CUDA (several GB), stop it and add TORCH_INDEX=..., the index that pytorch.org names for CPU builds"; fi
endif
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check $(addprefix --extra-index-url ,$(TORCH_INDEX)) -c constraints.txt -e '.[demo,dev]'
	@touch $@

demo: env
	$(BIN)/lonepair demo

test: lint
	$(BIN)/python -m pytest

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Runs and the demo's results are yours and stay.
clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
