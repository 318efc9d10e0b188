# `make` alone lists what there is to make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

PY := .venv/bin/python
PY_CORE := .venv-core/bin/python
WORKERS ?= 2
UNIT = -m pytest -n $(WORKERS)

.PHONY: help setup env core-env demo test quick unit slow core demo-short selftest docs docs-serve portable mutate lint types format bench
.PHONY: release peers lock clean distclean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make both environments, .venv (3.10, with Lava) and .venv-core (3.13)
	@scripts/setup.sh

env:  ## make .venv only
	@scripts/setup.sh full

core-env:
	@scripts/setup.sh core

demo: env  ## the whole way in one go: train, quantize, simulate, compare with Lava
	.venv/bin/tclif demo

test: setup lint types unit slow demo-short core selftest  ## everything that must hold before a change lands

quick: env  ## the unit tests only, on 3.10, with a tenth of the properties' examples
	TCLIF_TEST_EXAMPLES=0.1 $(PY) $(UNIT) -m "not slow"

unit: env
	TCLIF_REQUIRE_LAVA=1 $(PY) $(UNIT) -m "not slow"

# Those of Lava one at a time: a run of it is a dozen processes, and has a deadline. Of the others a file stays together.
slow: env  ## the tests that start Lava or train
	TCLIF_REQUIRE_LAVA=1 $(PY) $(UNIT) --dist loadfile -m "slow and not lava"
	TCLIF_REQUIRE_LAVA=1 $(PY) -m pytest -m "slow and lava"

core: setup  ## the unit tests on 3.13, without Lava; the GPU's kernels, without a GPU; and the site
	TCLIF_TEST_EXAMPLES=0.3 TCLIF_REQUIRE_TRITON=1 $(PY_CORE) $(UNIT) -m "not slow and not lava"
	TCLIF_REQUIRE_TRITON=1 $(PY_CORE) -m pytest -m slow tests/neurons/test_gpu.py
	TCLIF_REQUIRE_DOCS=1 $(PY_CORE) -m pytest tests/docs/test_site.py
	TCLIF_REQUIRE_NEUROBENCH=1 $(PY_CORE) -m pytest tests/neurobench

docs: core-env  ## the site, in build/site; a broken link is an error
	$(PY_CORE) -m scripts.site
	$(PY_CORE) -m zensical build --clean --strict

docs-serve: docs  ## the same at http://localhost:8000
	$(PY_CORE) -m http.server --bind 127.0.0.1 --directory build/site 8000

release: env  ## build wheel and sdist, install each into clean environments, run the demo from them alone
	scripts/try_release.sh

selftest: env  ## every model and the conformance vectors on Lava's models of Loihi 2
	deploy/cpu/selftest.sh

demo-short: env
	.venv/bin/tclif demo --short

portable: env  ## the tests that train, on other arithmetic, threads and seeds: half an hour on two idle cores
	PY=$(PY) scripts/portable.sh

mutate: env  ## which changes of the integer step and of the rule on the chip the tests do not notice: hours
	$(PY) scripts/mutate.py

lint: env  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: env  ## mypy, strict
	$(PY) -m mypy

format: env  ## let ruff mend what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: env  ## measure training and simulation against other libraries, on this machine: hours, or minutes with SHORT=1
	$(PY) -m sim.bench $(if $(SHORT),--short)

peers: env  ## make .venv-peers, with the libraries that bench compares with
	$(PY) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r sim/bench/peers.txt

lock: env  ## choose constraints.txt anew, keeping the versions that still fit (to move one, delete its line first)
	scripts/lock.sh

clean:  ## remove caches and what runs leave behind
	rm -rf .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist site out runs
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environments too
	rm -rf .venv .venv-core .venv-peers .venv.lock
