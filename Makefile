# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ROOT := $(shell . deploy/environment.sh && echo "$$root")
ifneq (1,$(words $(ROOT))$(word 2,$(CURDIR)))
$(error this folder and ML_PIPELINE_ROOT_DIR must be paths without spaces: uv and Airflow split these settings on spaces)
endif
export ML_PIPELINE_ROOT_DIR := $(ROOT)
export NO_PROXY := $(shell . deploy/environment.sh && echo "$$NO_PROXY")
export no_proxy := $(NO_PROXY)
# Everything that is generated is in the root folder, caches of tools too.
CACHE := $(ROOT)/cache
export UV_CACHE_DIR ?= $(CACHE)/uv
export PYTHONPYCACHEPREFIX := $(CACHE)/pycache
export RUFF_CACHE_DIR := $(CACHE)/ruff
export MYPY_CACHE_DIR := $(CACHE)/mypy
export PRE_COMMIT_HOME := $(CACHE)/pre-commit
export COVERAGE_FILE := $(CACHE)/coverage
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export UV_PYTHON_DOWNLOADS := never
# Bytecode makes every later start faster.
unexport PYTHONDONTWRITEBYTECODE

UV_VERSION := 0.13.9
PYTHON ?= python3
UV := $(ROOT)/venvs/uv-$(UV_VERSION)/bin/uv
DEPLOY := $(ROOT)/venvs/deploy
AIRFLOW := $(ROOT)/venvs/airflow
STACK := deploy/stack
# The development environment; every `uv run` below uses it as it is.
DEV := UV_PROJECT_ENVIRONMENT=$(ROOT)/venvs/dev $(UV)
# The slowest tests are listed at the end.
PYTEST := $(DEV) run --no-sync pytest -o cache_dir=$(CACHE)/pytest --durations=25 --durations-min=5

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

define PREREQUISITES
import ctypes, importlib.util, sys
if not (3, 11) <= sys.version_info[:2] < (3, 15):
    sys.exit(f"error: Python 3.11 to 3.14 is needed, not {sys.version.split()[0]}; set PYTHON=python3.13 or another")
if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
    sys.exit(f"error: {sys.executable} lacks the venv module (Debian: apt install python3-venv)")
try:
    ctypes.CDLL("libgomp.so.1")
except OSError:
    sys.exit("error: LightGBM needs the library libgomp.so.1 (Debian: apt install libgomp1)")
endef
export PREREQUISITES

$(UV):
	@$(PYTHON) -c "$$PREREQUISITES"
	@mkdir -p $(ROOT) && echo "Signature: 8a477f597d28d172789f06886806bc55" > $(ROOT)/CACHEDIR.TAG
	@echo "uv $(UV_VERSION)"
	@$(PYTHON) -m venv --clear $(ROOT)/venvs/uv-$(UV_VERSION)
	@$(ROOT)/venvs/uv-$(UV_VERSION)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

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
	@if [ -x "$(DEPLOY)/bin/python" ]; then $(STACK) down; fi

.PHONY: shell
shell: $(UV) ## install only the command .energy/bin/energy, without the stack
	@UV_PROJECT_ENVIRONMENT=$(ROOT)/venvs/shell $(UV) sync --quiet --frozen --no-dev --package app-shell --python $(PYTHON)
	@mkdir -p $(ROOT)/bin && ln -sf $(CURDIR)/deploy/energy $(ROOT)/bin/energy

.PHONY: mlflow
mlflow: $(UV) ## show MLflow's own pages over the tracking database, on loopback, until Ctrl-C
	@UV_PROJECT_ENVIRONMENT=$(ROOT)/venvs/mlflow $(UV) sync --quiet --frozen --project deploy/mlflow --python $(PYTHON)
	@deploy/mlflow-pages.sh

.PHONY: dev
dev: $(UV) ## install the development environment
	@$(DEV) sync --quiet --frozen --python $(PYTHON)

# What `make check`, the hooks of .pre-commit-config.yaml and so CI run: one target each.
CHECKS := check-lint check-format check-types check-imports check-files check-docs check-locks
.PHONY: check
check: $(CHECKS) ## lint, format, types, import arrows, formats of files, docs, locks

.PHONY: check-lint
check-lint: dev
	$(DEV) run --no-sync ruff check .

.PHONY: check-format
check-format: dev
	$(DEV) run --no-sync ruff format --check .

.PHONY: check-types
check-types: dev $(DEPLOY)/.installed
	$(DEV) run --no-sync mypy
	@# Each folder of tests by itself: they have modules of the same name (conftest).
	@for tests in $(wildcard */tests) "tests conftest.py"; do echo "mypy $$tests"; \
		$(DEV) run --no-sync mypy --no-error-summary $$tests || exit 1; done
	MYPYPATH=benchmarks:deploy $(DEV) run --no-sync mypy $(wildcard benchmarks/*.py benchmarks/peers/*.py docs/*.py docs/site/*.py)
	MYPYPATH=deploy $(DEV) run --no-sync mypy --python-executable $(DEPLOY)/bin/python -p local_stack
	@# Airflow has types of its own, in its own environment.
	@UV_PROJECT_ENVIRONMENT=$(AIRFLOW) $(UV) sync --quiet --frozen --no-dev --project airflow --python $(PYTHON)
	MYPYPATH=airflow/dags $(DEV) run --no-sync mypy --python-executable $(AIRFLOW)/bin/python airflow/dags airflow/*.py benchmarks/dags

.PHONY: check-imports
check-imports: dev
	$(DEV) run --no-sync lint-imports --cache-dir $(CACHE)/import-linter

.PHONY: check-files
check-files: dev
	$(DEV) run --no-sync hadolint airflow/Dockerfile airflow/index.Dockerfile
	$(SCHEMA) vendor.compose-spec airflow/docker-compose.yaml
	$(SCHEMA) vendor.citation-file-format CITATION.cff
	$(SCHEMA) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(DEV) run --no-sync pre-commit validate-config
check-files: SCHEMA := $(DEV) run --no-sync check-jsonschema --builtin-schema

.PHONY: check-docs
check-docs: dev
	$(DOCS)

.PHONY: check-locks
check-locks: $(UV)
	$(UV) lock --check --quiet
	$(UV) lock --check --quiet --project airflow
	$(UV) lock --check --quiet --project deploy
	$(UV) lock --check --quiet --project deploy/mlflow
	$(UV) lock --check --quiet --project benchmarks/peers

.PHONY: hooks
hooks: dev ## run the checks before every commit (pre-commit)
	@$(DEV) run --no-sync pre-commit install

DOCS := $(DEV) run --no-sync python docs/site/build.py $(ROOT)/docs
.PHONY: docs
docs: dev ## build the documentation site; check its links and that it loads nothing from other hosts
	@$(DOCS)
	@echo "to read it: python3 -m http.server --directory $(ROOT)/docs/site --bind 127.0.0.1 8400"

.PHONY: test
test: dev $(DEPLOY)/.installed ## run every test, including one of the whole system under a real Airflow
	@# Side by side: the tests of the stack mostly wait. Their output has a line for each test, between the others' dots.
	@$(MAKE) --no-print-directory --jobs=2 test-units test-stack

.PHONY: test-units
test-units: dev $(DEPLOY)/.installed
	$(PYTEST) -n 2 -m "not stack"

.PHONY: test-stack
test-stack: dev $(DEPLOY)/.installed
	$(PYTEST) -m stack --verbose

.PHONY: test-python
test-python: ## run the unit tests under another interpreter, if it is installed: PYTHON=3.12
	@$(MAKE) --no-print-directory $(UV) PYTHON=python3
	@UV=$(UV) deploy/test-python.sh $(PYTHON)

.PHONY: test-pythons
test-pythons: ## run them under each of 3.11 to 3.14 that is installed
	@for version in 3.11 3.12 3.13 3.14; do $(MAKE) --no-print-directory test-python PYTHON=$$version || exit 1; done

.PHONY: coverage
coverage: dev $(DEPLOY)/.installed ## run the unit tests and print how many lines of each distribution they reach
	$(PYTEST) -n 2 -m "not stack" --cov --cov-report=
	@$(DEV) run --no-sync python tests/coverage_table.py

.PHONY: picture
picture: dev ## draw the README's picture from the archive: REFERENCE=2024-03-31T05:00
	@$(DEV) run --no-sync python docs/pictures.py $(REFERENCE) docs/images/forecasts.png

.PHONY: screenshots
screenshots: dev ## take the dashboard's screenshots and time its first paint: ARGS="--address http://127.0.0.1:8501"
	@$(DEV) run --no-sync python docs/screenshots.py $(ARGS)

.PHONY: bench-airflow
bench-airflow: BENCH := ML_PIPELINE_ENV_FILE=/dev/null ML_PIPELINE_ROOT_DIR=$(ROOT)/benchmark ML_PIPELINE_DAGS_DIR=$(ROOT)/benchmark/dags \
	ML_PIPELINE_INDEX_PORT=8190 ML_PIPELINE_AIRFLOW_PORT=8180 ML_PIPELINE_API_PORT=8170 ML_PIPELINE_DASHBOARD_PORT=8171
bench-airflow: ## time whole runs on a stack for the benchmark: ARGS="warm", ARGS="backfill --hours 24"
	@rm -rf "$(ROOT)/benchmark"
	@$(BENCH) $(MAKE) --no-print-directory setup
	@$(BENCH) PYTHONPATH=deploy $(ROOT)/benchmark/venvs/deploy/bin/python benchmarks/airflow_runs.py $(ARGS)

.PHONY: bench-skill
bench-skill: BENCH := $(DEV) run --no-sync python benchmarks/skill.py --referee "$(REFEREE)" --referee-python "$(or $(REFEREE_PYTHON),python3)"
bench-skill: PEERS := $(if $(PEERS_PYTHON),--peers-python "$(PEERS_PYTHON)" --peers mean-7-days course mstl-ets mlforecast-log mlforecast-log-diff24 skforecast)
bench-skill: YEARS_PEERS := $(if $(PEERS_PYTHON),--peers-python "$(PEERS_PYTHON)" --peers mean-7-days@30 course@30 mstl-ets@30 mlforecast-log@30 mlforecast-log-diff24@30 mlforecast-log-diff24@365 skforecast@30)
bench-skill: dev ## score forecasts: DENMARK=FILE EIA=FILE DEMO=1 REFEREE=SCRIPT REFEREE_PYTHON=PYTHON PEERS_PYTHON=PYTHON
	@$(if $(DENMARK),$(BENCH) $(PEERS) --data "$(DENMARK)" $(ARGS))
	@$(if $(EIA),$(BENCH) $(PEERS) --data "$(EIA)" --year 2023 --name eia-30-days --config '{"timezone": "America/Chicago"}' $(ARGS))
	@$(if $(EIA),$(BENCH) $(YEARS_PEERS) --data "$(EIA)" --year 2023 --days 1096 --name eia-years --config '{"timezone": "America/Chicago"}' $(ARGS))
	@$(if $(EIA),$(foreach days,30 1096,$(BENCH) --data "$(EIA)" --year 2023 --days $(days) --gap 360 --name eia-late-$(days)-days --config '{"timezone": "America/Chicago"}' $(ARGS) &&) true)
	@$(if $(DEMO),$(BENCH) $(PEERS) --data demo --first 2024-03-28T06 --origins 7 --name demo $(ARGS))

.PHONY: bench-cost
bench-cost: dev ## CPU seconds and memory by the number of series: ARGS="--sizes 76x30 1000x90 10000x90" PEERS_PYTHON=PYTHON
	@$(DEV) run --no-sync python benchmarks/cost.py $(if $(PEERS_PYTHON),--peers-python "$(PEERS_PYTHON)") $(ARGS)

# Our distributions, as the workspace lists them.
DISTRIBUTIONS := $(shell sed -n 's/^members = \[\(.*\)\]$$/\1/p' pyproject.toml | tr -d '",')
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
.PHONY: version
version: $(UV) ## give all packages one version: make version V=1.0.1
	@test -n "$(V)" || { echo "error: say which: make version V=1.0.1"; exit 1; }
	@sed -i -E 's/^version = ".*"/version = "$(V)"/; s/("($(subst $(SPACE),|,$(DISTRIBUTIONS)))(\[[a-z,]+\])?==)[^"]+/\1$(V)/' \
		$(DISTRIBUTIONS:%=%/pyproject.toml)
	@$(UV) lock --quiet

.PHONY: clean
clean: down ## remove all that was generated
	@test ! -d "$(ROOT)" || test -f "$(ROOT)/CACHEDIR.TAG" || { echo "error: $(ROOT) is not a folder that this project made"; exit 1; }
	rm -rf "$(ROOT)"
