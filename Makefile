# Every target makes its own virtual environment first and installs what it needs; a repeated call is instant.
#
#   make quickstart    train two small models, probe them, write the report      OUT=runs/quickstart SEED=0
#   make test          the tests                                                 TESTS=tests JOBS=3
#   make test-all      the tests and the scientific runs of minutes
#   make check         ruff, ruff format, mypy
#   make app           look at the runs in a browser                             RUNS=runs
#   make clean         delete the environment and the caches; runs stay
#
# PYTHON=python3.12 chooses the interpreter (without it the first of python3, python3.14 … python3.11 that is new
# enough), VENV=path the environment's folder, JOBS=1 one test process.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV ?= .venv
OUT ?= runs/quickstart
RUNS ?= runs
SEED ?= 0
JOBS ?= 3
TESTS ?= tests

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
TORCH := $(shell grep '^torch==' constraints.txt)
NOT_INSTALLED := { echo "This could not be installed; pip says above why. Offline, give it a folder with the wheels: PIP_FIND_LINKS=path. The same command then goes on from here."; exit 1; }

.PHONY: quickstart test test-all check app clean install install-dev browser
.DELETE_ON_ERROR:

quickstart: install
	$(BIN)/workbench quickstart --out $(OUT) --seed $(SEED)

app: install
	$(BIN)/workbench ui $(RUNS)

# Each test process computes with one thread: processes that each take both cores slow one another down. There is one more than
# two cores, since each waits a third of its time, for a browser, a subprocess or SLURM.
test: install-dev browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-all: install-dev browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder -m "not gpu" $(TESTS)

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# The tests of pages need a browser. One that is there is used; else it is brought, or said that it cannot be.
browser: install-dev
	@$(BIN)/python -m tests.app.browsers

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "This needs Python 3.11 or newer, and none was found: choose one with PYTHON=path."; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON); this needs Python 3.11 or newer: choose another with PYTHON=path."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "This needs Python 3.11 or newer, and $(PYTHON) is not: choose another with PYTHON=python3.11."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks its modules venv and ensurepip: install them (Debian: apt-get install python3-venv) or choose another with PYTHON=path."; exit 1; }
	@echo "Making an environment in $(VENV); what it needs is downloaded once, in a few minutes."
	$(PYTHON) -m venv $(VENV)

# torch comes first, by its bare version, so that the rest of the installation cannot pull in another build of it. One
# that is installed, or lies in a folder that pip was told of (PIP_FIND_LINKS), is taken. Else, on Linux without an
# NVIDIA GPU, the CPU build: PyPI's brings gigabytes of GPU libraries there, and pip does not know where PyTorch keeps
# the others, but uv does. On macOS, on Linux with a GPU, and where uv fails, what pip's own configuration gives.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	@$(INSTALL) --no-index --no-deps $(TORCH) 2>/dev/null || \
	if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && echo "No GPU: taking PyTorch's CPU build." && \
	  $(INSTALL) uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu $(TORCH); then :; else \
	  echo "Taking $(TORCH) from where pip is configured to look (on Linux that may come with gigabytes for GPUs)." && \
	  $(INSTALL) $(TORCH); fi || $(NOT_INSTALLED)
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	@$(INSTALL) --editable . || $(NOT_INSTALLED)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(INSTALL) --editable '.[dev]' || $(NOT_INSTALLED)
	@touch $@
