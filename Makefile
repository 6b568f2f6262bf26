# The Python that the virtual environment is made from, and how many tests run at once: engine tests mostly wait.
PYTHON ?= python3
JOBS ?= 4
# The Pythons of `make test-pythons`.
PYTHONS ?= python3.11 python3.12 python3.13

.DEFAULT_GOAL := help
.PHONY: help setup venv env demo lint test test-fast test-pythons chaos bench sdk docs dist

help:
	@echo 'make demo        set everything up and watch five retries fire, once each, on the emulator'
	@echo 'make test        lint, types and every test'
	@echo 'make test-fast   the same without the tests that drive the Pulumi engine'
	@echo 'make test-pythons   those fast tests on each supported Python (PYTHONS="python3.12 python3.13")'
	@echo 'make chaos       1000 runs with kills, faults and corrections, judged by the effects (CHAOS="--runs 50 --seed 2")'
	@echo 'make bench       what it costs, beside others, into docs/benchmark.md (BENCH="--quick" for a look)'
	@echo 'make lint        lint, format and types only'
	@echo 'make sdk         schema.json and the SDKs, generated from the actions'
	@echo 'make docs        docs/reference, generated from the actions and the configuration, and the site in site/'
	@echo 'make dist        dist/: wheel, sdist and the archives for `pulumi plugin install`'
	@echo 'make setup       the virtual environment and the Pulumi engine only'
	@echo 'eval "$$(make -s env)"   give this shell the engine, the virtual environment and the plugin'

# What builds the site, the SDKs and the oldest engine is there where it is needed, and nobody else waits for it.
docs lint test-fast test-pythons: SETUP = --docs
test: SETUP = --docs --gensdk --oldest-engine

setup:
	@$(PYTHON) tools/setup.py $(SETUP)

venv:
	@$(PYTHON) tools/setup.py --no-engine $(SETUP)

env:
	@$(PYTHON) tools/setup.py --print-env

demo: setup
	@.venv/bin/python tools/demo.py

lint: venv
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/mypy tools
	.venv/bin/mypy --platform win32 --cache-dir .mypy_cache/win32
	.venv/bin/mypy --platform darwin --cache-dir .mypy_cache/darwin

test: setup lint
	.venv/bin/pytest -n $(JOBS) --dist worksteal

test-fast: lint
	.venv/bin/pytest -n $(JOBS) --dist worksteal -m 'not engine'

test-pythons: venv
	@set -e; for python in $(PYTHONS); do \
	    version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "--- Python $$version"; \
	    $$python -m venv .cloudretry/pythons/$$version; \
	    .cloudretry/pythons/$$version/bin/pip install --quiet --editable '.[dev,docs,witness]'; \
	    .cloudretry/pythons/$$version/bin/pytest -n $(JOBS) --dist worksteal -m 'not engine'; \
	done

chaos: setup
	.venv/bin/python tools/chaos.py $(CHAOS)

bench:
	@$(PYTHON) tools/setup.py --bench
	@.venv/bin/python tools/bench.py $(BENCH)

sdk:
	@$(PYTHON) tools/setup.py --no-engine --gensdk
	.venv/bin/python tools/sdk.py

docs: venv
	.venv/bin/python tools/reference.py
	.venv/bin/python tools/docsite/build.py

dist: venv
	.venv/bin/python tools/dist.py
