# Two commands set everything up on a machine that has Python 3.11 or later and make:
#   make demo    all roles on one machine, ending in a report you can open
#   make test    the whole test suite
# And for those who change it: make check (lint, types, tests), make fuzz (coverage-guided, FUZZ_SECONDS=60),
# make wheels (one for each platform, into dist/; docs/guides/releasing.md).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEOPLE ?= 20000
OUT ?= demo
FUZZ_SECONDS ?= 60
WHEELS_VENV ?= .venv-wheels

KERNELS := $(wildcard hashing/native/*.[ch]) hashing/native/building.py hatch_build.py

.PHONY: demo test lint types check accuracy fuzz wheels clean
.DELETE_ON_ERROR:

demo: $(VENV)/.stamp-run
	$(BIN)/tallystick demo --people $(PEOPLE) --out $(OUT)

test: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(VENV)/.stamp-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.stamp-lint
	$(BIN)/mypy

check: lint types test

fuzz: $(VENV)/.stamp-fuzz
	$(BIN)/python tests/fuzz/campaign.py --seconds $(FUZZ_SECONDS)

# Sealed linkage beside clear-text Splink and others on labelled data, into docs/benchmarks.md; ACCURACY_ARGS=--large
# adds 200,000 people (an hour). Data, results and the environment of clkhash stay in ~/.cache/tallystick-benchmarks.
accuracy: $(VENV)/.stamp-test
	$(BIN)/python -m benchmarks.accuracy --write-docs $(ACCURACY_ARGS)

# Built from the last commit; the compiler for all platforms is 100 MB and has an environment of its own.
wheels: $(WHEELS_VENV)/.stamp
	$(WHEELS_VENV)/bin/python tests/native/wheels.py $(WHEELS_ARGS)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tallystick needs Python 3.11 or later; run: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-run: $(BIN)/python pyproject.toml constraints.txt $(KERNELS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.stamp-test: $(BIN)/python pyproject.toml constraints.txt $(KERNELS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-lint: $(BIN)/python pyproject.toml constraints.txt $(KERNELS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test

$(VENV)/.stamp-fuzz: $(BIN)/python pyproject.toml constraints.txt $(KERNELS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,fuzz]'
	touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test

$(WHEELS_VENV)/.stamp: constraints.txt
	$(PYTHON) -m venv $(WHEELS_VENV)
	$(WHEELS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling ziglang
	touch $@

clean:
	rm -rf $(VENV) $(WHEELS_VENV) build dist demo fuzz-found *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
