# Everything runs in an own virtual environment; only git, make and Python are needed beforehand,
# and PostgreSQL's server programs, which root gets on Debian by itself.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit postgresql bench schemas docs clean

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sendroute needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready  ## a first plan, apply, routes, explain, then a change and its plan
	@PATH="$(abspath $(BIN)):$$PATH" sh examples/quickstart/demo.sh

test: lint types unit  ## all that CI runs

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

unit: $(VENV)/ready postgresql
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n $(JOBS)

postgresql:
	@.ci/postgresql

bench: $(VENV)/ready postgresql  ## the table of performance goals, for the machine at hand
	$(BIN)/python tests/bench/run.py

schemas: $(VENV)/ready  ## write schemas/ anew from the shapes the reader accepts
	$(BIN)/python -m pytest -q tests/manifests/test_schema.py --rewrite-cases

docs: $(VENV)/ready  ## write the generated pages of docs/
	$(BIN)/python tests/docs/pages.py

clean:  ## removes the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
