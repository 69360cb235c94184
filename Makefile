# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ROOT := $(shell . deploy/environment.sh && echo "$$root")
UV_VERSION := 0.13.9
export UV_CACHE_DIR ?= $(ROOT)/cache/uv
export UV_PYTHON_DOWNLOADS := never
PYTHON ?= python3
UV := $(ROOT)/venvs/uv/bin/uv
DEPLOY := $(ROOT)/venvs/deploy
STACK := deploy/stack
# The development environment; every `uv run` below uses it as it is.
DEV := UV_PROJECT_ENVIRONMENT=$(ROOT)/venvs/dev $(UV)
# Bytecode makes every later start faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed as $(PYTHON); set PYTHON=…"; exit 1; }
	@echo "uv $(UV_VERSION)"
	@$(PYTHON) -m venv $(ROOT)/venvs/uv || { echo "error: $(PYTHON) lacks the venv module (Debian: apt install python3-venv)"; exit 1; }
	@$(ROOT)/venvs/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(DEPLOY)/.installed: $(UV) deploy/uv.lock
	@echo "tools that build, publish and serve"
	@UV_PROJECT_ENVIRONMENT=$(DEPLOY) $(UV) sync --quiet --frozen --project deploy --python $(PYTHON)
	@touch $@

.PHONY: setup
setup: $(DEPLOY)/.installed ## install the deploy tools only

.PHONY: run
run: $(DEPLOY)/.installed ## start everything, run the pipeline, print a summary, stay up (ONCE=1: stop then)
	@$(STACK) run $(if $(ONCE),--once)

.PHONY: up
up: $(DEPLOY)/.installed ## start everything in the background
	@$(STACK) up

.PHONY: down
down: ## stop everything that was started
	@if [ -x $(DEPLOY)/bin/python ]; then $(STACK) down; fi

.PHONY: dev
dev: $(UV) ## install the development environment
	@$(DEV) sync --quiet --frozen --python $(PYTHON)

.PHONY: check
check: dev $(DEPLOY)/.installed ## lint, format, types, import arrows, locks
	$(DEV) run --no-sync ruff check .
	$(DEV) run --no-sync ruff format --check .
	$(DEV) run --no-sync mypy
	MYPYPATH=deploy $(DEV) run --no-sync mypy --python-executable $(DEPLOY)/bin/python -p local_stack
	$(DEV) run --no-sync lint-imports
	$(DEV) run --no-sync hadolint airflow/Dockerfile airflow/index.Dockerfile
	$(DEV) run --no-sync check-jsonschema --builtin-schema vendor.compose-spec airflow/docker-compose.yaml
	$(UV) lock --check --quiet
	$(UV) lock --check --quiet --project airflow
	$(UV) lock --check --quiet --project deploy

.PHONY: test
test: dev $(DEPLOY)/.installed ## every test, the end-to-end one under a real Airflow included
	$(DEV) run --no-sync pytest -n 2 -m "not stack"
	$(DEV) run --no-sync pytest -m stack

.PHONY: bench-airflow
bench-airflow: export ML_PIPELINE_ROOT_DIR = $(ROOT)/benchmark
bench-airflow: export ML_PIPELINE_DAGS_DIR = $(ROOT)/benchmark/dags
bench-airflow: ## time whole runs on a stack of its own: ARGS="warm", ARGS="backfill --hours 24"
	@rm -rf $(ROOT)/benchmark
	@$(MAKE) --no-print-directory setup
	@PYTHONPATH=deploy $(ROOT)/benchmark/venvs/deploy/bin/python benchmarks/airflow_runs.py $(ARGS)

.PHONY: version
version: $(UV) ## give all packages one version: make version V=1.0.1
	@test -n "$(V)" || { echo "error: say which: make version V=1.0.1"; exit 1; }
	@sed -i -E 's/^version = ".*"/version = "$(V)"/; s/("forecast-core(\[[a-z,]+\])?==)[^"]+/\1$(V)/' {forecast-core,feature-pipeline,training-pipeline,batch-prediction-pipeline}/pyproject.toml
	@$(UV) lock --quiet

.PHONY: clean
clean: down ## remove everything that was generated
	rm -rf $(ROOT)
