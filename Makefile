# Every target does its own set-up; all it needs is python3 (3.11 or newer) with venv, and make.
# Settings: PYTHON=python3.12, HOST=0.0.0.0, DATA=/var/lib/kvstore, ARGS="…" (more flags or tests).

PYTHON ?= python3
HOST ?= 127.0.0.1
DATA ?= data
ARGS ?=
BIN := .venv/bin

.PHONY: help setup run test check fix lock conformance lab lab-setup proof soak bench bench-long clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed ## Make the virtual environment with everything in it.

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

run: setup ## Run the server on a journal in $(DATA).
	$(BIN)/kvstore serve --host $(HOST) --data-dir $(DATA) $(ARGS)

test: setup ## Run all tests; what needs root, engines or a Consul skips and says so.
	$(BIN)/python -m pytest $(ARGS)

check: setup ## Check format, lint and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: setup ## Format, and mend what lint can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Pin again what the container image is made of, in image/requirements.lock.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --quiet --upgrade \
	  pyproject.toml --output-file image/requirements.lock

conformance: setup ## Hold a store against Consul's contract; ARGS="--url http://HOST:8500 --html report.html".
	$(BIN)/python -m conformance $(ARGS)

lab-setup: setup ## Get what the overlay lab needs: Debian packages, pinned engines and Consul (root).
	$(BIN)/python -m conformance setup

lab: setup ## Run the whole overlay lab on this server (root); ARGS="--store consul" compares.
	$(BIN)/python -m conformance overlay $(ARGS)

proof: setup ## The long forms of all proofs: kills, crash states, the model, fuzzers (forty minutes).
	KVSTORE_KILLS=500 KVSTORE_MODEL_OPS=1000000 KVSTORE_CRASH_STATES=1000000 \
	  KVSTORE_FUZZ_CASES=1000000 KVSTORE_FUZZ_RUNS=150000 $(BIN)/python -m pytest \
	  tests/test_kills.py tests/engine/test_engine_model.py tests/proof tests/fuzz $(ARGS)

soak: setup ## 500 simulated engines for half an hour; ARGS="--minutes 5" for less.
	$(BIN)/python -m conformance soak $(ARGS)

bench: setup ## Measure this server beside Consul and etcd, three minutes; ARGS="--only get" for less.
	$(BIN)/python -m benchmarks $(ARGS)

bench-long: setup ## The same as it is published, an hour; writes docs/performance.md and its plot.
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks --long --write-docs $(ARGS)

clean: ## Remove the virtual environment and caches; leaves data alone.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
