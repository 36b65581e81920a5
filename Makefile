# make demo           the tour: every task, on generated data, on a laptop
# make env            only the environment that these commands need, in .venv
# make test           run the tests, the fast ones first
# make test-fast      run the fast ones only, in a few minutes
# make test-upstream  run the tests with upstream's last releases and NumPy 1
# make test-newest    run the tests with the newest NumPy and Python
# make smoke          a step and a checkpoint of each task in both of these
# make lint           check style, types and spelling
# make ops            build mmcv's compiled ops (minutes; glid_mm needs none)
# make clean          remove all that make has made, but no results
#
# Each makes the environment it needs first, from the exact versions in
# requirements/. A certain interpreter: make PYTHON=python3.11 demo

LOCK := requirements/lock.txt
VENV_PYTHON := .venv/bin/python
PIP = $(@D)/bin/python -m pip --disable-pip-version-check install
SOURCES := $(wildcard setup.py glid_mm tools tests configs)

# One process per test run and few cores: more threads than these only wait.
export OMP_NUM_THREADS ?= 2
# Threads that spin while they wait stand in the way of other processes.
export OMP_WAIT_POLICY ?= PASSIVE
export MPLBACKEND ?= Agg

.PHONY: demo env test test-fast test-upstream test-newest smoke lint ops clean

demo: .venv/.installed
	$(VENV_PYTHON) tools/demo.py --out work_dirs/demo

env: .venv/.installed
	@echo 'Ready. Activate the environment: . .venv/bin/activate'

# One thread a process: the processes share the cores.
test test-fast test-upstream test-newest smoke: export OMP_NUM_THREADS := 1
PYTEST := -m pytest tests --numprocesses auto --maxprocesses 4 \
    --dist worksteal

test: test-fast
	$(VENV_PYTHON) $(PYTEST) -m slow

test-fast: .venv/.installed
	$(VENV_PYTHON) $(PYTEST) -m 'not slow'

test-upstream test-newest: test-%: .venv-%/.installed
	.venv-$*/bin/python $(PYTEST) -m 'not slow'
	.venv-$*/bin/python $(PYTEST) -m slow

smoke: .venv-upstream/.installed .venv-newest/.installed
	$(foreach venv,$(^D),$(venv)/bin/python $(PYTEST) -m smoke && ) true

lint: .venv/.installed
	$(VENV_PYTHON) -m flake8 $(SOURCES)
	$(VENV_PYTHON) -m isort --check-only --diff $(SOURCES)
	$(VENV_PYTHON) -m yapf --diff --recursive --parallel $(SOURCES)
	$(VENV_PYTHON) -m mypy
	$(VENV_PYTHON) -m codespell_lib

# What an environment has beside lock.txt, and the Pythons that serve it, the
# one that is tried first at the front.
.venv/.installed: requirements/maintained.txt
.venv/.installed: PYTHONS := 3 3.13 3.12 3.11 3.10
.venv-upstream/.installed: requirements/upstream.txt
.venv-upstream/.installed: PYTHONS := 3 3.12 3.11 3.10
.venv-newest/.installed: requirements/newest.txt
.venv-newest/.installed: PYTHONS := 3.13 3.12 3.11 3

# A changed lock makes an environment anew: what an old lock brought does not
# linger. The order matters. The second step builds onedl-mmcv before torch is
# there to be imported, which is what keeps its ops from being compiled (about
# ten minutes). The third brings what this build of torch requires besides (its
# CUDA packages, or nothing).
%/.installed: $(LOCK)
	@for python in $(or $(PYTHON),$(PYTHONS:%=python%) python); do \
	    $$python -c 'import sys, ensurepip; \
	        sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv)' \
	        $(filter-out 3,$(PYTHONS)) 2>/dev/null && found=$$python && break; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'glid_mm needs one of Python $(filter-out 3,$(PYTHONS)) with' \
	        'its venv module; none of these is one:' \
	        '$(or $(PYTHON),$(PYTHONS:%=python%) python).' >&2; \
	    echo 'Name yours: make PYTHON=/path/to/python3.11' \
	        '$(or $(MAKECMDGOALS),demo)' >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(@D) with $$($$found --version): 1.6 GB, or 5.4 GB with" \
	    "PyTorch's CUDA packages; a few minutes"; \
	$$found -m venv --clear $(@D)
	$(PIP) --quiet $(^:%=--constraint %) setuptools wheel packaging
	$(PIP) --quiet --no-deps --no-build-isolation $(^:%=--requirement %)
	$(PIP) --quiet $(^:%=--constraint %) torch
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# With ninja, which is in .venv, and one job per core.
ops: export PATH := $(CURDIR)/.venv/bin:$(PATH)
ops: export MAX_JOBS ?= $(shell nproc)
ops: .venv/.installed
	$(VENV_PYTHON) -m pip --disable-pip-version-check install \
	    --force-reinstall --no-deps --no-build-isolation --no-cache-dir \
	    --no-binary onedl-mmcv --constraint requirements/maintained.txt \
	    onedl-mmcv

clean:
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
