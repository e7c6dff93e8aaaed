# Every command sets up what it needs on first use. The two to remember: `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEEDED := $(VENV)/.installed
NEEDED_DEV := $(VENV)/.installed-dev

.PHONY: help run demo install test bench bench-baseline check format lock frontend clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(NEEDED) ## start the gateway on http://127.0.0.1:8080
	@DRAIN_SECONDS=$${DRAIN_SECONDS:-1} exec $(BIN)/flask --app wsgi serve

demo: $(NEEDED) ## gateway and a stand-in for Kiro, no login needed
	@exec $(BIN)/python -m simulator.demo

install: $(NEEDED) ## only set up .venv; the gateway is then .venv/bin/gunicorn wsgi:app

test: $(NEEDED_DEV) ## all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/contract tests/integration

bench: $(NEEDED_DEV) ## what a unit of work costs, against nginx relaying bytes; ARGS="--quick" is a smoke
	@$(BIN)/python -m bench.compare $(ARGS)

bench-baseline: $(NEEDED_DEV) ## renew what the hot path may cost (tests/unit/cost_baseline.json)
	@$(BIN)/python -m tests.unit.cost_guard

check: $(NEEDED_DEV) ## ruff, mypy, import contracts, unused code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture

format: $(NEEDED_DEV) ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(NEEDED_DEV) ## requirements*.txt from requirements*.in
	@CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile -q --no-header --no-annotate --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host requirements.in
	@CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile -q --no-header --no-annotate --strip-extras \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host requirements-dev.in

frontend: ## the admin UI (comes with a later version)
	@echo "There is no frontend yet: /admin is a plain page."

clean: ## remove what was built or installed
	@rm -rf $(VENV) .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "kiro-py needs Python 3.11 or newer (PYTHON=/path/to/python3 make ...)")'
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Could not make a virtual environment; on Debian: apt install python3-venv"; exit 1; }

$(NEEDED): requirements.txt | $(BIN)/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

$(NEEDED_DEV): requirements-dev.txt $(NEEDED)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@
