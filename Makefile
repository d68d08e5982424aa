# Everything a fresh machine needs: Python >= 3.11, git and make. `make` alone lists the targets.
#
#   PYTHON=...      interpreter that makes .venv (default: the first of python3, python3.13 ... that is new enough)
#   WORKERS=...     processes of the fast test suite (default 2)
#   CUDA=...        13 (default) or 12: which CuPy `make gpu-check` puts into .venv; nvidia-smi names the driver's CUDA
#   GPU_PYTHON=...  interpreter for `make gpu-check` where one with CuPy exists already (default: .venv's)
#   GPU_BENCH=...   further arguments of its `python -m bench gpu`, such as --traits=1024

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
CUDA ?= 13
GPU_PYTHON ?=
GPU_BENCH ?=
DEMO_OUT ?= demo

# Nothing of the surrounding Python environment may leak into .venv or into the tests.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)

.PHONY: help demo test test-fast test-slow test-plain coverage lint format gpu-check bench-quick clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "creating $(VENV) with $$("$$candidate" --version)"; \
	        "$$candidate" -m venv $(VENV) && exit 0; \
	        rm -rf $(VENV); \
	        echo "error: '$$candidate -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	    fi; \
	done; \
	echo "error: no Python >= 3.11 among: $(CANDIDATES); name one with make PYTHON=/path/to/python3" >&2; exit 1

# The core alone is enough to run; the tools of the developers come only where tests or checks are asked for.
# Either compiles the C library anew where its sources changed.
LIBRARY := $(wildcard kernels/*.c kernels/*.h)

$(VENV)/.core: $(BIN)/python pyproject.toml $(LIBRARY)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml $(LIBRARY)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.core $@

# Two builds of CuPy in one environment overwrite each other's files: the other one goes first. Where there is a
# driver and no toolkit, CuPy's compiler and libraries come from the package index, too.
$(VENV)/.cuda12 $(VENV)/.cuda13: $(VENV)/.cuda%: $(BIN)/python pyproject.toml $(LIBRARY)
	@rm -f $(VENV)/.cuda*
	@$(BIN)/python -m pip uninstall -qq --yes cupy-cuda$(if $(filter 12,$*),13,12)x
	@toolkit="cupy-cuda$*x[ctk]"; \
	if command -v nvcc >/dev/null || [ -n "$${CUDA_PATH:-}" ] || [ -d /usr/local/cuda ]; then toolkit=; fi; \
	set -x; $(BIN)/python -m pip install --quiet --editable '.[dev,cuda$*]' $$toolkit
	@touch $(VENV)/.core $(VENV)/.dev $@

demo: $(VENV)/.core ## whole study on a small synthetic cohort; ends by naming results, HTML and pictures
	$(BIN)/gputwas demo --out $(DEMO_OUT)

test: lint test-fast test-slow test-plain ## everything continuous integration runs

test-fast: $(VENV)/.dev ## tests that take seconds
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --durations=10

test-slow: $(VENV)/.dev ## tests that take minutes, and the properties with more examples
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n $(WORKERS) -m "slow or property" --durations=5

test-plain: $(VENV)/.dev ## what the C library has a part in, as if there were none
	GPUTWAS_COMPILED=0 $(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow and not property" \
	    tests/formats tests/ingest tests/kernels tests/stats tests/twas tests/variants

coverage: $(VENV)/.dev ## the fast tests, with the lines that they do not reach
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term

lint: $(VENV)/.dev ## ruff (rules and format), mypy, layer rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

gpu-check: $(if $(GPU_PYTHON),,$(VENV)/.cuda$(CUDA)) ## tests and benchmark that need a CUDA device; a missing one is a failure
	$(if $(GPU_PYTHON),-$(GPU_PYTHON) -c 'from setuptools import setup; setup()' -q build_ext --inplace)
	GPUTWAS_REQUIRE_GPU=1 $(or $(GPU_PYTHON),$(BIN)/python) -m pytest -m gpu
	$(or $(GPU_PYTHON),$(BIN)/python) -m bench gpu $(GPU_BENCH)

bench-quick: $(VENV)/.dev ## every benchmark on small sizes; METAXCAN=/path/to/MetaXcan/software adds the reference program
	$(BIN)/python -m bench all --quick $(if $(METAXCAN),--metaxcan $(METAXCAN)) \
	    $(if $(METAXCAN_PYTHON),--metaxcan-python $(METAXCAN_PYTHON)) \
	    $(if $(PYTWAS_PYTHON),--pytwas-python $(PYTWAS_PYTHON))

clean: ## remove .venv, caches, build products and the demo's results
	rm -rf $(VENV) build dist *.egg-info kernels/_cpu.* .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	    .import_linter_cache .coverage .coverage.* $(DEMO_OUT)
	find gputwas kernels tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
