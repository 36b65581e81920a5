# make demo   the tour: every task, on generated data, on a laptop
# make test   run the tests
# make lint   check style
# make ops    build mmcv's compiled ops (minutes; glid_mm itself needs none)
# make clean  remove .venv and whatever else make has made, but no results
#
# Each makes .venv first, from the exact versions in requirements/lock.txt.
# A certain interpreter: make PYTHON=python3.11 demo

LOCK := requirements/lock.txt
PYTHON ?= python3 python3.12 python3.11 python3.10 python
VENV_PYTHON := .venv/bin/python
PIP := $(VENV_PYTHON) -m pip --disable-pip-version-check install
SOURCES := $(wildcard setup.py glid_mm tools tests configs)

# One process per test run and few cores: more threads than these only wait.
export OMP_NUM_THREADS ?= 2
# Threads that spin while they wait stand in the way of other processes.
export OMP_WAIT_POLICY ?= PASSIVE
export MPLBACKEND ?= Agg

.PHONY: demo test lint ops clean

demo: .venv/.installed
	$(VENV_PYTHON) tools/demo.py --out work_dirs/demo

test: .venv/.installed
	$(VENV_PYTHON) -m pytest tests

lint: .venv/.installed
	$(VENV_PYTHON) -m flake8 $(SOURCES)
	$(VENV_PYTHON) -m isort --check-only --diff $(SOURCES)
	$(VENV_PYTHON) -m yapf --diff --recursive --parallel $(SOURCES)

# A changed lock makes .venv anew: what an old lock brought does not linger.
# The order matters. The second step builds onedl-mmcv before torch is there
# to be imported, which is what keeps its ops from being compiled (about ten
# minutes). The third brings what this build of torch requires besides (its
# CUDA packages, or nothing).
.venv/.installed: $(LOCK)
	@for python in $(PYTHON); do \
	    $$python -c 'import sys, ensurepip; \
	        sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
	        2>/dev/null && found=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'glid_mm needs Python 3.10, 3.11 or 3.12 with its venv module;' \
	        'none of these is one: $(PYTHON).' >&2; \
	    echo 'Name yours: make PYTHON=/path/to/python3.11' \
	        '$(or $(MAKECMDGOALS),demo)' >&2; \
	    exit 1; \
	fi; \
	echo "Setting up .venv with $$($$found --version)"; \
	$$found -m venv --clear .venv
	$(PIP) --quiet --constraint $(LOCK) setuptools wheel packaging
	$(PIP) --quiet --no-deps --no-build-isolation --requirement $(LOCK)
	$(PIP) --quiet --constraint $(LOCK) torch
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# With ninja, which is in .venv, and one job per core.
ops: export PATH := $(CURDIR)/.venv/bin:$(PATH)
ops: export MAX_JOBS ?= $(shell nproc)
ops: .venv/.installed
	$(PIP) --force-reinstall --no-deps --no-build-isolation --no-cache-dir \
	    --no-binary onedl-mmcv --constraint $(LOCK) onedl-mmcv

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
