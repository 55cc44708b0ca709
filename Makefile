# `make` lists what there is. Every target sets the virtual environment up first, where it is missing or out of date.
SHELL = /bin/sh
PYTHON =
ARGS =
SEED =
NUMBERS =
MINUTES =
STAMP = .venv/.set-up
BENCH_STAMP = .venv/.set-up-bench
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# without compiled files each process of a test would compile all modules anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test unit check lint format lock installed chaos simulate bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-9s %s\n", $$1, $$2 }'

setup: $(STAMP) ## .venv with the locked packages and this project (PYTHON=... chooses the interpreter)

$(STAMP): requirements-dev.lock pyproject.toml
	@rm -f $(STAMP); \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		for python in $(PYTHON) python3.13 python3.12 python3.11 python3 none; do \
			$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
			test "$$python" != "$(PYTHON)" || { echo "PYTHON=$$python is no Python 3.11 or newer with venv" >&2; exit 1; }; \
		done; \
		if test $$python = none; then \
			echo "Dialstock needs Python 3.11 or newer with its venv module, and found none on the PATH." >&2; \
			echo "Install it (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13)," >&2; \
			echo "or name it: make setup PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		echo "1/3 making .venv with $$($$python --version)"; \
		$$python -m venv --clear .venv || exit 1; \
	fi; \
	echo "2/3 installing $$(grep -c '==' requirements-dev.lock) locked packages (about a minute the first time)"; \
	$(BIN)/python -m pip install -qq --require-hashes -r requirements-dev.lock || exit 1; \
	echo "3/3 installing dialstock itself"; \
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable . || exit 1; \
	touch $(STAMP)

demo: $(STAMP) ## buy numbers from sandboxes on this machine, and show what happens
	@$(BIN)/dialstock demo $(ARGS)

test: $(STAMP) ## all tests, on a process a core and five for what waits (ARGS=tests/a_file.py, ARGS='-k name' and the like goes to pytest)
	@$(PYTEST) $(ARGS)

unit: $(STAMP) ## the quick tests, about a minute: no database, no Redis, no workers, no command line
	@$(PYTEST) -m 'not served' tests/schemas tests/tasks tests/workers tests/deploy --ignore tests/workers/cli \
		--ignore tests/workers/processes --ignore tests/workers/test_launch.py --ignore tests/deploy/test_image.py $(ARGS)

check: lint test ## the linters, then all tests: what CI runs

lint: $(STAMP) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP) ## format the code, and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(STAMP) ## the lock files anew from pyproject.toml (ARGS=--upgrade takes the newest versions)
	@$(LOCK) $(ARGS) pyproject.toml -o requirements.lock
	@$(LOCK) $(ARGS) pyproject.toml --extra otel --group dev -o requirements-dev.lock
	@$(LOCK) $(ARGS) --group manifests -c requirements-dev.lock -o requirements-manifests.lock
	@$(LOCK) $(ARGS) --group bench -c requirements-dev.lock -o requirements-bench.lock

installed: $(STAMP) ## what a user installs, in clean environments: each module imports, and the demo runs
	@tests/deploy/installed.sh

chaos: $(STAMP) ## kill things at random, 10 minutes a database, with a report (SEED=... repeats a run, NUMBERS=2000 buys more)
	@CHAOS=long SEED=$(SEED) NUMBERS=$(NUMBERS) $(PYTEST) -s tests/chaos $(ARGS)

simulate: $(STAMP) ## search for a broken promise, each world in one process and in virtual time (MINUTES=..., SEED=... repeats a world)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

$(BENCH_STAMP): $(STAMP) requirements-bench.lock
	@echo "installing what the benchmarks compare with: $$(grep -c '==' requirements-bench.lock) locked packages"
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements-bench.lock
	@touch $(BENCH_STAMP)

bench: $(BENCH_STAMP) ## measure, into build/bench (COUNT=, ROUNDS= and ROWS= make it shorter)
	@$(PYTEST) -s -o python_files='bench_*.py' -o python_functions='bench_*' -o timeout=1800 tests/bench $(ARGS)

clean: ## remove .venv and what tools leave; keeps .dialstock, which holds data
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
