# `make demo` and `make test` are all a fresh machine needs: each makes .venv from pyproject.toml,
# pinned by constraints.txt, then runs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test fast long lint notebooks write-notebooks clean help

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed-text ## the main job on the embedded example
	$(BIN)/interest demo

test: $(VENV)/.installed-dev lint ## everything that CI checks: style, types, contracts, tests, notebooks
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal # a process for each of two cores

fast: $(VENV)/.installed-dev ## the tests that take no more than a few seconds each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not long" tests

long: $(VENV)/.installed-dev ## the tests that take minutes each, such as kills at 100 moments
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long tests

lint: $(VENV)/.installed-dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: $(VENV)/.installed-dev ## run every notebook, and compare its figures with the committed ones
	$(BIN)/python -m pytest tests/test_notebooks.py

write-notebooks: $(VENV)/.installed-dev ## run every notebook, and write its outputs
	INTEREST_WRITE_NOTEBOOKS=1 $(BIN)/python -m pytest tests/test_notebooks.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

clean: ## remove what was built
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
