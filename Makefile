# Every target sets up what it needs: a machine with Python >= 3.11 (with venv) and make is enough.
# The first run installs .venv from requirements.lock; later runs reuse it until the lock or pyproject.toml changes.

PYTHON ?= python3
WORKERS ?= 2

BIN := .venv/bin
READY := .venv/.installed
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup browser lock test test-all lint format types contracts check demo docs bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(READY) ## create .venv and install the locked packages

$(READY): requirements.lock pyproject.toml
	@sh .ci/venv "$(PYTHON)"
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --requirements requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --editable .
	@touch $@

browser: ## Debian's chromium for the browser tests, where it is absent and may be installed
	@sh .ci/browser

lock: $(READY) ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --upgrade \
		--no-header --no-emit-index-url --no-annotate --quiet --output-file requirements.lock

test: $(READY) browser ## the tests that every change must pass
	$(PYTEST)

test-all: test ## the tests, then the long sweeps
	$(PYTEST) -m slow

lint: $(READY) ## style, and formatting without changing a file
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(READY) ## fix what lint can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY) ## mypy --strict on src
	$(BIN)/mypy

contracts: $(READY) ## who may import whom
	$(BIN)/lint-imports

check: lint types contracts ## everything that reads the code without running it

demo: $(READY) ## explain two small models on built-in digits
	$(BIN)/seewhy demo

docs: $(READY) ## the site of the documentation, in site/
	$(BIN)/zensical build --clean

bench: $(READY) ## every measurement, printed as tables; goes on after one that fails
	@failed=""; for script in $$(grep -l __main__ benchmarks/*.py); do \
		echo "== $$script"; $(BIN)/python $$script || failed="$$failed $$script"; done; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

clean: ## remove caches and build outputs; .venv and run directories stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
