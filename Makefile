# Everything a developer runs. The first call of a target sets up what it needs: Python 3.11+, git and make are enough.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
UV_VERSION := 0.13.9
UV := .build/uv-$(UV_VERSION)/bin/uv
RUN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
# Behind a company's proxy the machine knows the certificates, not uv.
export UV_SYSTEM_CERTS := true
# Compiled once, at installation and at the first import, not at every one.
export UV_COMPILE_BYTECODE := true
unexport PYTHONDONTWRITEBYTECODE
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
# The suites run beside one another on as many workers as there are cores.
PYTEST := $(RUN)/python -m pytest
JOBS ?= auto

.PHONY: help setup test test-fast test-e2e test-system test-torch test-gpu test-pythons calibrate lint format schemas docs demo bench stamp clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(UV):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer on PATH; install one"; exit 2; }
	@echo "Setting up uv $(UV_VERSION) …"
	@$(PYTHON) -m venv .build/uv-$(UV_VERSION)
	@.build/uv-$(UV_VERSION)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: uv.lock pyproject.toml | $(UV)
	@echo "Installing what uv.lock names …"
	@$(UV) sync --locked --inexact --all-extras --no-extra spark --group dev --python $(PYTHON)
	@touch $@

.venv/.ready-system: .venv/.ready
	@$(UV) sync --locked --inexact --all-extras --group dev --group system --python $(PYTHON)
	@touch $@

# Servers of Debian's, and Java, that nothing on PyPI stands in for. Where we may not install, their tests say what they miss. No service is started.
DEBIAN := openssh-server git-lfs openjdk-17-jre-headless
.build/debian-packages:
	@mkdir -p .build
	@if dpkg --status $(DEBIAN) >/dev/null 2>&1; then touch $@; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing $(DEBIAN) …"; \
		export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $(DEBIAN) >/dev/null && touch $@; \
	else echo "Not installed, so not tested: $(DEBIAN)"; fi

# What the examples' users have: their own Python environment, which mlgate never touches.
.build/user/.ready: examples/digits/requirements.txt examples/diabetes/requirements.txt | $(UV)
	@echo "Making the environment of the examples …"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .build/user
	@$(UV) pip install --quiet --python .build/user/bin/python -r examples/digits/requirements.txt -r examples/diabetes/requirements.txt
	@touch $@

# What the hand-written side of the benchmark has installed.
.build/by-hand/.ready: tests/benchmarks/by_hand/requirements.txt | $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .build/by-hand
	@$(UV) pip install --quiet --python .build/by-hand/bin/python -r tests/benchmarks/by_hand/requirements.txt
	@touch $@

# PyTorch outside uv.lock: with the CUDA that its wheels for Linux on PyPI bring it takes gigabytes. Version 2.13 of any build will do: a
# CPU build that pip is told of (PIP_FIND_LINKS), else with UV_TORCH_BACKEND=cpu the one of PyTorch's own index, else PyPI's.
TORCH := torch==2.13.0 numpy
.build/torch/.ready: | $(UV)
	@echo "Making the environment with PyTorch …"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .build/torch
	@$(UV) pip install --quiet --python .build/torch/bin/python $(foreach place,$(PIP_FIND_LINKS),--find-links $(place)) $(TORCH) || \
		{ echo "make: cannot install $(TORCH), so what trains with PyTorch is not tested here"; exit 1; }
	@.build/torch/bin/python -c 'import torch' || { echo "make: PyTorch was installed and cannot be imported here"; exit 1; }
	@touch $@

tests/e2e/actions/node_modules/.ready: tests/e2e/actions/package-lock.json | .venv/.ready
	@echo "Installing what the end-to-end tests stand in for GitHub's own actions with …"
	@$(RUN)/python scripts/npm.py --prefix tests/e2e/actions ci
	@touch $@

tests/system/azurite/node_modules/.ready: tests/system/azurite/package-lock.json | .venv/.ready
	@echo "Installing an emulator of Azure's blob storage …"
	@$(RUN)/python scripts/npm.py --prefix tests/system/azurite ci --omit=dev --omit=optional --no-audit --no-fund
	@touch $@

tests/lint_workflows/node_modules/.ready: tests/lint_workflows/package-lock.json | .venv/.ready
	@$(RUN)/python scripts/npm.py --prefix tests/lint_workflows ci
	@touch $@

setup: .venv/.ready .build/user/.ready ## install everything tests and demo need

# The ways that every user goes; `test-e2e` goes all of them.
EVERYDAY_E2E := $(addprefix tests/e2e/test_,ten_lines.py pull_request.py)
# Of the integration tests, the slowest that go a whole way as well.
WHOLE_WAYS := $(addprefix tests/integration/,examples places secrets $(addsuffix .py,\
	attacks/test_hostile_names_through_the_whole_path attacks/test_intervals_made_wider data_remotes/test_remote_kinds \
	data_remotes/test_setups gate/test_faults_while_deciding gate/test_pipeline_runs_everything mistakes/test_data_that_does_not_come \
	mistakes/test_training_that_does_not_happen report/test_faults_while_publishing report/test_interrupted training/test_run_cache))
# Linting is of one process, and the suites wait now and then: side by side they fill the cores. What takes longest begins first.
test: .venv/.ready .build/user/.ready tests/e2e/actions/node_modules/.ready tests/lint_workflows/node_modules/.ready ## lint, unit and integration tests, and some of test-e2e
	@$(MAKE) --no-print-directory -j 2 lint suites

.PHONY: suites
suites:
	$(PYTEST) -n $(JOBS) --dist loadfile --no-loadscope-reorder $(EVERYDAY_E2E) tests/unit tests/calibration tests/integration $(addprefix --ignore=,$(WHOLE_WAYS))

test-e2e: .venv/.ready .build/user/.ready tests/e2e/actions/node_modules/.ready ## whole workflows on a runner, several minutes on two cores
	$(PYTEST) -n $(JOBS) --dist loadfile tests/e2e $(WHOLE_WAYS)

test-fast: .venv/.ready ## unit tests
	$(PYTEST) -n $(JOBS) tests/unit tests/calibration

test-system: .venv/.ready-system .build/user/.ready .build/debian-packages tests/system/azurite/node_modules/.ready ## tests with servers: MLflow's, and installing from nothing
	$(PYTEST) -n $(JOBS) --dist loadfile tests/system

test-gpu: .venv/.ready .build/user/.ready ## tests on this machine's NVIDIA GPUs, nothing stood in for; without one they say so
	$(PYTEST) tests/gpu

test-torch: .venv/.ready .build/torch/.ready ## trainings in PyTorch, alone and under torchrun, ended and gone on with; some minutes
	$(PYTEST) tests/pytorch

calibrate: .venv/.ready ## measure the gate's error rates: all of tests/calibration, about 15 minutes on two cores
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=tests $(RUN)/python -m calibration
	$(RUN)/python scripts/write_docs.py

test-pythons: .venv/.ready ## unit tests on every supported Python this machine has
	$(RUN)/python scripts/test_pythons.py --uv $(UV)

lint: .venv/.ready tests/lint_workflows/node_modules/.ready ## style, types, import rules, workflows and actions, schemas
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/python -m tests.lint_workflows
	$(RUN)/python scripts/write_schemas.py --check
	$(RUN)/python scripts/write_docs.py --check

format: .venv/.ready ## put code into shape
	$(RUN)/ruff check --fix
	$(RUN)/ruff format

schemas: .venv/.ready ## write the JSON Schemas of mlgate.yaml and of evidence
	$(RUN)/python scripts/write_schemas.py

docs: .venv/.ready ## write what README and docs/ show from its source
	$(RUN)/python scripts/write_docs.py

demo: .venv/.ready .build/user/.ready ## a real repository, a baseline, four pull requests, four verdicts
	@$(RUN)/python examples/demo.py demo --python .build/user/bin

bench: .venv/.ready .build/user/.ready .build/by-hand/.ready ## a pull request beside its hand-written equivalent, start-up, stages
	$(RUN)/python tests/benchmarks/pull_request.py --python .build/user/bin --by-hand .build/by-hand/bin
	$(RUN)/python tests/benchmarks/folder.py --runs 2
	$(RUN)/python tests/benchmarks/paired_predictions.py
	$(RUN)/python tests/benchmarks/training_overhead.py
	$(RUN)/python tests/benchmarks/checked_data.py --uv $(UV) --rows 1000000 10000000 --large 100000000

stamp: .venv/.ready ## set the version (or a mirror) our workflows refer to: make stamp OWNER=mlgate/mlgate REF=v0.1.0
	$(RUN)/python scripts/stamp.py --owner "$(OWNER)" --ref "$(REF)"

clean: ## forget everything that was made here
	rm -rf .venv .build demo tests/e2e/actions/node_modules tests/lint_workflows/node_modules tests/system/azurite/node_modules
