# Everything runs in a virtual environment of its own; only git, make and Python are needed first,
# and PostgreSQL's server programs, which root gets on Debian automatically.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One more than there are cores: many tests wait for a process or a deadline.
JOBS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# The minor version of Kubernetes that the tests run on.
KUBERNETES ?=
export REAL_KUBERNETES_VERSION := $(KUBERNETES)
# In CI no test with real mail or on Kubernetes is skipped.
unit test-newest test-oldest: export REAL_MAIL_TESTS := $(if $(CI),required)
unit test-newest test-oldest test-kubernetes: export REAL_KUBERNETES_TESTS := $(if $(CI),required)
# The tests start thousands of commands, and each would compile the program again.
unit test-newest test-oldest test-kubernetes: export PYTHONDONTWRITEBYTECODE :=
# What the checker of words reads.
WORDS = $(shell git ls-files operator docs examples tests README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md Makefile)
KUBERNETES_TESTS := tests/control_plane tests/cluster tests/admission tests/chart tests/manifests/test_crd.py
LOCKED := tests/requirements/locked.txt
OLDEST := tests/requirements/oldest.txt
# What the images hold: the part of the lock that is not for developers.
RUNTIME := tests/requirements/runtime.txt
PIP := -m pip --quiet --disable-pip-version-check install
RESOLVE := .venv-lock/bin/uv --quiet pip compile pyproject.toml --python-version 3.11 \
  --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help demo demo-mail test lint types unit test-newest test-oldest test-kubernetes lock control-plane postgresql postfix bench schemas docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

# An old Python is reported before anything is installed.
define supported
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "Sendroute needs Python 3.11 or newer; specify one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
endef

$(VENV)/ready: pyproject.toml $(LOCKED)
	$(supported)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --require-hashes --requirement $(LOCKED)
	$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/ready  ## a first plan, apply, routes, explain, then a change and its plan
	@PATH="$(abspath $(BIN)):$$PATH" sh examples/quickstart/demo.sh

demo-mail: $(VENV)/ready postfix  ## real mail through a private Postfix to pretend providers; needs root
	@$(BIN)/python -m tests.postfix.demo

test: lint types unit  ## all that CI runs

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/python tests/words/check.py $(WORDS)

types: $(VENV)/ready
	$(BIN)/mypy

unit: $(VENV)/ready postgresql postfix control-plane
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n $(JOBS)

test-newest: postgresql postfix control-plane  ## the tests with the newest libraries that the ranges allow
	$(supported)
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python $(PIP) --upgrade --upgrade-strategy eager --editable '.[dev]'
	PATH="$(abspath .venv-newest/bin):$$PATH" .venv-newest/bin/python -m pytest -n $(JOBS)

test-oldest: postgresql postfix control-plane  ## the tests with the oldest libraries that the ranges allow
	$(supported)
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python $(PIP) --require-hashes --requirement $(OLDEST)
	.venv-oldest/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	PATH="$(abspath .venv-oldest/bin):$$PATH" .venv-oldest/bin/python -m pytest -n $(JOBS)

test-kubernetes: $(VENV)/ready postgresql  ## the tests on Kubernetes, with each minor version
	set -e; unset KUBEBUILDER_ASSETS; for minor in $$($(PYTHON) -m tests.control_plane.programs --list); do \
	  echo "Kubernetes $$minor:"; \
	  $(PYTHON) -m tests.control_plane.programs $$minor; \
	  REAL_KUBERNETES_VERSION=$$minor PATH="$(abspath $(BIN)):$$PATH" \
	    $(BIN)/python -m pytest -n $(JOBS) $(KUBERNETES_TESTS); \
	done

control-plane:  ## Kubernetes' programs for the tests, into ~/.cache/sendroute: 5 minutes, once
	@$(PYTHON) -m tests.control_plane.programs

lock:  ## resolve the locked versions again, from the ranges in pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP) 'uv>=0.5,<1'
	$(RESOLVE) --extra dev --universal --output-file $(LOCKED)
	$(RESOLVE) --universal --constraint $(LOCKED) --output-file $(RUNTIME)
	$(RESOLVE) --extra dev --resolution lowest-direct --output-file $(OLDEST)

postgresql:
	@.ci/postgresql

postfix:
	@.ci/postfix .postfix

bench: $(VENV)/ready postgresql postfix  ## measure the performance goals on this machine
	$(BIN)/python tests/bench/run.py

schemas: $(VENV)/ready postgresql  ## write schemas/ and the CRDs from the shapes, and what migrations create
	$(BIN)/python -m pytest -q tests/manifests/test_schema.py tests/manifests/test_crd.py tests/chart/test_base.py \
	  tests/store/test_schema_objects.py -k "up_to_date or recorded" --rewrite-cases

docs: $(VENV)/ready  ## write the generated pages of docs/
	$(BIN)/python -m tests.docs.pages

clean:  ## remove the virtual environments and caches
	rm -rf $(VENV) .postfix .venv-newest .venv-oldest .venv-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis
