# Two commands do everything: `make run` and `make test`. A machine needs Python 3.11+ and make.
.DEFAULT_GOAL := help
.PHONY: help run test check bench lint types migrate format lock web setup chromium cassettes clean

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
export PATH := $(CURDIR)/$(BIN):$(PATH)

help:  ## This list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

run: setup  ## Set everything up and start the product on http://127.0.0.1:8000
	@exec $(BIN)/emptor up

test: setup chromium  ## Set everything up and run every test
	@cd frontend-static && npm test --silent
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: setup chromium  ## What CI runs: format, lint, types, contracts, tests, wheel
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test
	$(MAKE) wheel

bench: setup  ## Benchmarks, each beside its baseline in the same run
	@$(BIN)/python -m tests.bench

lint: setup  ## ruff and the import contracts
	$(BIN)/ruff check .
	$(BIN)/lint-imports

cassettes: setup  ## Record the clients' tapes anew, from the simulators
	@$(BIN)/python -m tests.cassettes

types: setup  ## mypy --strict
	$(BIN)/mypy

format: setup  ## Format the Python code
	$(BIN)/ruff format .

migrate: setup  ## Bring the database to the newest schema
	$(BIN)/emptor migrate

.PHONY: wheel
wheel: setup
	@rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/uv build --wheel --no-build-isolation --python $(BIN)/python -q -o build/wheel .
	$(BIN)/python tests/wheel.py build/wheel

lock:  ## Renew requirements.lock (hashes, no index addresses)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 -q -o requirements.lock

setup: .venv/.installed frontend-static/dist/.built

$(BIN)/uv:
	@echo "· Python environment"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Emptor needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.installed: requirements.lock pyproject.toml | $(BIN)/uv
	@echo "· Python packages (pinned, hashes checked)"
	@$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet -e .
	@$(BIN)/python -m compileall -q backend graphs integrations quotas
	@touch $@

WEB := $(shell find frontend-static -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

frontend-static/node_modules/.installed: frontend-static/package-lock.json | .venv/.installed
	@echo "· Page: packages"
	@cd frontend-static && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

frontend-static/dist/.built: frontend-static/node_modules/.installed $(WEB)
	@echo "· Page: build"
	@cd frontend-static && npm run build --silent
	@touch $@

web: frontend-static/dist/.built  ## Build the page

chromium:
	@command -v chromium >/dev/null || { \
	  echo "· Chromium for the browser tests"; \
	  apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  { echo "The browser tests need Debian's chromium: apt-get install chromium"; exit 1; }

clean:  ## Remove what set-up made (not the data in .emptor)
	rm -rf .venv build frontend-static/node_modules frontend-static/dist
