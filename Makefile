# Two commands on a fresh machine that has Python >= 3.11, git and make: `make demo` and `make test`.
# Both build .venv from hash-locked requirements the first time and install nothing the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: help demo test unit check format bench lock clean setup

help:            ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo   ## the loop on a year of real flights, in about two minutes
	@$(BIN)/modelloop demo

# What tests import, and every process that they start, is compiled once and not at each start.
test unit: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/.test   ## everything: checks, unit, integration, crash, browser
	$(BIN)/python tests/provision.py
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

unit: $(VENV)/.test   ## the fast part, to run at each save
	$(BIN)/python -m pytest -q tests/unit

check: $(VENV)/.test  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test ## let ruff write
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test  ## make bench, or make bench NAME=help
	$(BIN)/python -m benchmarks $(NAME)

setup: $(VENV)/.test

lock:            ## resolve anew (needs uv)
	sh requirements/lock.sh

clean:           ## remove what make built
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"modelloop needs Python 3.11 or newer, this is {v.major}.{v.minor}: make PYTHON=/path/to/python3.11 ...")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements/demo.txt requirements/data.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked dependencies into $(VENV) (once; about a minute)"
	@PYTHONDONTWRITEBYTECODE= $(PIP) --require-hashes -r requirements/demo.txt -r requirements/data.txt
	@PYTHONDONTWRITEBYTECODE= $(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements/test.txt requirements/data.txt requirements/torch.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked dependencies and test tools into $(VENV) (once; about two minutes)"
	@PYTHONDONTWRITEBYTECODE= $(PIP) --require-hashes -r requirements/test.txt -r requirements/data.txt
	@PYTHONDONTWRITEBYTECODE= $(PIP) --require-hashes -r requirements/torch.txt || echo "no build of torch for this machine: its tests will be skipped"
	@PYTHONDONTWRITEBYTECODE= $(PIP) --no-build-isolation -e .
	@touch $@ $(VENV)/.demo
