# Everything from a fresh clone: `make demo`, `make test`. Needs Python 3.11 or newer, with venv.

PYTHON ?= python3
BIN := .venv/bin
# Nothing is written but .venv/ and out/: caches go to the former.
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
export PYTEST_ADDOPTS := -o 'cache_dir=$(CURDIR)/.venv/pytest' $(PYTEST_ADDOPTS)
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.venv/hypothesis
export COVERAGE_FILE := $(CURDIR)/.venv/coverage
export MYPY_CACHE_DIR := $(CURDIR)/.venv/mypy
export RUFF_CACHE_DIR := $(CURDIR)/.venv/ruff

.PHONY: help demo test test-fast fuzz lint types docs docs-check bench records dist clean

help:
	@echo "make demo       portfolios of the Fama-French data, side by side and in a backtest; see out/demo/"
	@echo "make test       the tests; PYTEST_ARGS for more options"
	@echo "make test-fast  the inner loop, in a minute: no backtests, command line, paper, docs"
	@echo "make fuzz       random cases against independent oracles: N=1000 SUITE=all SEED=0"
	@echo "make lint       formatting and style"
	@echo "make types      static types"
	@echo "make docs       the site, with every page run; see out/site/index.html"
	@echo "make docs-check links within the site, and its pages in Chromium"
	@echo "make bench      speed against other packages"
	@echo "make records    the fastest of the field, measured beside the others; see out/records.md"
	@echo "make dist       wheel and sdist, each tried out in an empty environment; see out/dist/"
	@echo "make clean      remove .venv/ and out/"

demo: .venv/installed-data,backtest
	$(BIN)/python examples/demo.py out/demo
	$(BIN)/rrp backtest --dataset french --out out/demo/backtest

# A process for each core; files stay together, for what their tests share.
test: .venv/installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile \
	    --no-loadscope-reorder $(PYTEST_ARGS)

# The inner loop. What it leaves out starts processes, runs whole backtests or asks other packages.
SLOW := backtest cli paper conformance fuzz data/test_units.py test_examples.py test_import.py test_plots.py \
    test_readme.py solvers/test_process.py solvers/conic/test_cones.py \
    solvers/conic/test_cvxpy.py solvers/conic/test_faults.py solvers/conic/test_quadratics.py \
    solvers/ipopt models/test_agreement.py models/test_weight_sets.py solve/test_matrix.py

test-fast: .venv/installed-dev
	$(BIN)/python -m pytest -m "not slow" $(addprefix --ignore=tests/,$(SLOW)) $(PYTEST_ARGS)

fuzz: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz --suite $(or $(SUITE),all) --cases $(or $(N),1000) \
	    --seed $(or $(SEED),0)

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed-dev
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/python docs/_site/build.py out/site

# Links and anchors within the site that `make docs` built; and all pages in Chromium, if it is here.
docs-check: .venv/installed-docs
	$(BIN)/python docs/_site/links.py out/site
	$(BIN)/python docs/_site/browser.py out/site

bench: .venv/installed-dev
	for file in benchmarks/[!_]*.py; do OMP_NUM_THREADS=1 $(BIN)/python $$file || exit 1; done

records: .venv/installed-records
	$(BIN)/python benchmarks/records --out out/records.md

dist: .venv/installed-dist
	$(BIN)/python .ci/distributions.py out/dist

clean:
	rm -rf .venv out

# One stamp for each set of extras; a change of the dependencies installs again.
.venv/installed-%: pyproject.toml .venv/created
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is" \
	        "$$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@
