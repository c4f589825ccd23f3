# Two commands matter: `make demo` shows it, `make test` proves it. Both set up what they need.
.PHONY: help demo test test-all slow standalone lint types contracts resolve unit test-airflow2 smoke mutants bench sandbox format \
  constraints clean
.DEFAULT_GOAL := help

PYTHON ?= python3
AIRFLOW3 := .venv
AIRFLOW2 := .venv-airflow2
BETWEEN := .venv-airflow30 .venv-airflow31 .venv-airflow32
BIN := $(AIRFLOW3)/bin
# What may differ from one Airflow to the next; on those between the oldest and the newest nothing else is run.
ON_EACH := tests/versions
# What touches Airflow or the store, whose SQLAlchemy is 1.4 there; the rest is the same Python on both.
ON_AIRFLOW2 := tests/hooks tests/operators tests/sensors tests/triggers tests/notifications tests/db \
  tests/cli tests/delivery tests/plugins tests/sending/test_rate_limit.py \
  tests/sending/test_rate_limit_times.py tests/sending/test_reservations.py \
  tests/sending/test_mapped.py tests/sending/test_store_memory.py tests/test_get_provider_info.py tests/crash \
  tests/watchdog tests/external/test_cases.py tests/external/test_hook.py \
  $(ON_EACH)

help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 18

# Tests and the demo start dozens of processes; without compiled modules each takes seconds longer to begin.
unexport PYTHONDONTWRITEBYTECODE

# uv installs in seconds what pip installs in a minute, but reads another configuration than pip: where it cannot
# reach the package index, pip does the work.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	@echo "Setting up $(1) (once) ..."
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv -c $(2) || true
	@$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python -c $(2) -e '.[sandbox]' $(3) 2>/dev/null \
	  || $(1)/bin/python -m pip install --quiet --disable-pip-version-check -c $(2) -e '.[sandbox]' $(3)
	@touch $@
endef

$(AIRFLOW3)/.installed: pyproject.toml constraints.txt requirements-dev.txt
	$(call install,$(AIRFLOW3),constraints.txt,-r requirements-dev.txt)

$(AIRFLOW2)/.installed: pyproject.toml constraints-airflow2.txt requirements-test.txt
	$(call install,$(AIRFLOW2),constraints-airflow2.txt,-r requirements-test.txt)

.venv-airflow%/.installed: pyproject.toml constraints-airflow%.txt requirements-smoke.txt
	$(call install,.venv-airflow$*,constraints-airflow$*.txt,-r requirements-smoke.txt)

demo: $(AIRFLOW3)/.installed ## Run outreach_campaign through Airflow against the sandbox, and show what happened
	@$(BIN)/python -m scripts.demo

test: lint types contracts resolve unit test-airflow2 ## Lint, types, import contract, and all tests on Airflow 3 and 2.11

test-all: export ALL_EXAMPLES = 1
test-all: test smoke slow ## `make test`, and what takes an hour and a half: Airflow 3.0 to 3.2, kills at every instant, pacing

slow: $(AIRFLOW3)/.installed $(AIRFLOW2)/.installed ## The slow tests alone
	$(BIN)/python -m pytest tests -m slow
	$(AIRFLOW2)/bin/python -m pytest tests/crash tests/versions tests/system/test_airflow2.py -m "slow and not airflow3"

standalone: $(AIRFLOW3)/.installed ## A whole Airflow: send, defer, call back, resume, start a DAG; every kind of alert; on call
	$(BIN)/python -m pytest tests/system/test_standalone.py tests/system/test_alerts.py \
	  tests/system/test_standalone_on_call.py -k "not opentelemetry"

lint: $(AIRFLOW3)/.installed ## Style (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(AIRFLOW3)/.installed ## Types (mypy, strict)
	$(BIN)/mypy

contracts: $(AIRFLOW3)/.installed ## Who may import whom (import-linter)
	$(BIN)/lint-imports --no-cache

resolve: $(AIRFLOW3)/.installed ## Whether Airflow's own constraints of 2.11 to 3.2 allow this provider (needs the index)
	$(BIN)/python -m scripts.constraints resolve

smoke: $(BETWEEN:%=%/.installed) ## A DAG that sends, waits and alerts, on Airflow 3.0, 3.1 and 3.2
	@set -e; for folder in $(BETWEEN); do echo $$folder; $$folder/bin/python -m pytest $(ON_EACH); done

unit: $(AIRFLOW3)/.installed ## Tests on the newest Airflow, whole DAGs included
	$(BIN)/python -m pytest tests -m "not slow" -n 3 --dist loadfile

test-airflow2: $(AIRFLOW2)/.installed ## Operators, hooks and sensor on Airflow 2.11
	$(AIRFLOW2)/bin/python -m pytest $(ON_AIRFLOW2) -m "not (airflow3 or newest or slow)" -n 3 --dist loadfile

mutants: $(AIRFLOW3)/.installed ## Which small faults no test notices; SEED=1 SAMPLE=400 MODULES="sending/*.py ..." ONLY= OLD_MAP=
	@$(BIN)/python -m scripts.mutants --seed $(or $(SEED),1) --sample $(or $(SAMPLE),400) \
	  $(if $(MODULES),--modules $(MODULES)) $(if $(ONLY),--only $(ONLY)) $(if $(OLD_MAP),--old-map)

bench: $(AIRFLOW3)/.installed ## Speed and memory, as ratios within one run, into docs/benchmarks.md
	$(BIN)/python -m benchmarks

sandbox: $(AIRFLOW3)/.installed ## Start the sandbox on http://127.0.0.1:8025
	$(BIN)/python -m airflow_provider_voicepartner.sandbox

format: $(AIRFLOW3)/.installed ## Let ruff mend the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: ## Resolve the pinned versions anew (needs the package index)
	@$(PYTHON) scripts/constraints.py

clean: ## Remove what the other targets made
	rm -rf $(AIRFLOW3) $(AIRFLOW2) $(BETWEEN) .demo .mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
