# make demo · make test · make check: each builds its own environment in .venv first.
PYTHON ?= python3
JOBS ?= 3
MINUTES ?= 2
BENCH ?=

BIN := .venv/bin
RUNTIME := .venv/.runtime
DEV := .venv/.dev
RIVALS := .venv-bench/.installed
SITE := .venv-docs/.installed
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

# What is imported is compiled once and kept, whatever the machine's default: it is half of every start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo env browser test test-all lint check format bench docs constraints clean

help:  ## these lines
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(RUNTIME)  ## train on MNIST for MINUTES=2 and say where the pictures are
	@$(BIN)/gansmith train --minutes $(MINUTES)

env: $(DEV)  ## the environment for development

browser:  ## Chromium for the tests of the studio, by the system's packages where it is missing
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  run=; [ "$$(id -u)" = 0 ] || run='sudo -n'; \
	  $$run apt-get update -qq && $$run apt-get install -yqq --no-install-recommends chromium >/dev/null; } \
	  || echo 'make: Chromium cannot be installed here; the tests of the studio in a browser are skipped' >&2

test: $(DEV) browser  ## the tests, on JOBS=3 processes, some of which wait for a browser
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

test-all: $(DEV) browser  ## all tests, and slow variants of some that are left out otherwise
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder --thorough

lint: $(DEV)  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test  ## style, types and tests

format: $(DEV)  ## put the code into the house's style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(RIVALS)  ## time ours, plain PyTorch and Keras side by side; BENCH=--quick takes 4 to 5 minutes
	@.venv-bench/bin/python -m benchmarks.speed $(BENCH)

docs: $(RUNTIME) $(SITE)  ## the documents as a site, in site/index.html
	@$(BIN)/python docs/build_site.py build/site-source
	@cd build/site-source && ../../.venv-docs/bin/zensical build --clean --strict
	@rm -rf site && mv build/site-source/site site && echo 'open site/index.html'

constraints: $(DEV)  ## pin what .venv holds now, and .venv-bench if it is there
	@{ head -n 1 constraints.txt; for python in $(wildcard .venv-bench/bin/python .venv-docs/bin/python) $(BIN)/python; do \
	  $$python -m pip list --format=freeze; done \
	  | grep -viE '^(gansmith|pip|setuptools|wheel)==' | sed -E 's/\+[A-Za-z0-9.]+$$//' | sort -fu; } > constraints.new
	@mv constraints.new constraints.txt

clean:  ## remove the environment and all caches; runs stay
	rm -rf .venv .venv-bench .venv-docs site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo 'make: $(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -m venv .venv >/dev/null \
	  || { rm -rf .venv; echo 'make: $(PYTHON) cannot build environments; install its venv module (Debian: python3-venv)' >&2; exit 1; }

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing gansmith into .venv (about a minute) ...'
	@$(PIP) -e .
	@$(BIN)/gansmith info >/dev/null
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing gansmith and its development tools into .venv (about a minute) ...'
	@$(PIP) -e '.[dev]'
	@$(BIN)/gansmith info >/dev/null
	@touch $(RUNTIME) $@

$(RIVALS): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing gansmith, Keras and TensorFlow into .venv-bench (a few minutes) ...'
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

$(SITE): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing what builds the site into .venv-docs ...'
	@$(BIN)/python -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt zensical
	@touch $@
