# Every target makes its own virtual environment first and installs what it needs; a repeated call is instant.
#
#   make quickstart    train two small models, probe them, write the report      OUT=runs/quickstart SEED=0
#   make test          the tests                                                 TESTS=tests JOBS=2
#   make test-all      the tests and the scientific runs of minutes
#   make check         ruff, ruff format, mypy
#   make app           look at the runs in a browser                             RUNS=runs
#   make clean         delete the environment and the caches; runs stay
#
# PYTHON=python3.12 chooses the interpreter, VENV=path the environment's folder, JOBS=1 one test process.

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/quickstart
RUNS ?= runs
SEED ?= 0
JOBS ?= 2
TESTS ?= tests

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test test-all check app clean install install-dev
.DELETE_ON_ERROR:

quickstart: install
	$(BIN)/workbench quickstart --out $(OUT) --seed $(SEED)

app: install
	$(BIN)/workbench ui $(RUNS)

# Each test process computes with one thread: two processes that each take both cores slow one another down.
test: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(TESTS)

test-all: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile -m "not gpu" $(TESTS)

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "This needs Python 3.11 or newer, and $(PYTHON) is not: choose another with PYTHON=python3.11."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first, by its bare version: an installed torch is never replaced by another build of it, and the
# rest of the installation cannot pull in a newer one with gigabytes of GPU libraries.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(INSTALL) $(shell grep '^torch==' constraints.txt)
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[dev]'
	@touch $@
