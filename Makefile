# Two commands do everything on a fresh machine that has Python 3.11 to 3.13: `make reproduce` and `make test`.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-unit test-all fuzz kills lint types format docs docs-config lock clean

# Settings, e.g. `make reproduce CORES=8 ARGS="--configfile config/scales/smoke.yaml"`.
CORES ?= all
JOBS ?= 3
ARGS ?=
N ?=
READER ?=
SEED ?=
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SNAKEFILES := Snakefile workflow

help: ## show this list
	@echo "Commands (the first two set everything up by themselves):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "Settings: CORES=$(CORES) (reproduce)  ARGS='...' (to snakemake)  JOBS=$(JOBS) (tests)  PYTHON=python3.11  NO_APT=1"

PUBLIC := data/public/multipowerlaw

reproduce: setup ## set up, then make every figure, table and the paper in results/
	@# Without a network the report goes without the public curves (170 kB), and the line above the plan says so.
	@test -f $(PUBLIC)/source.json || cpt-dynamics public-curves --set multi-power --to $(PUBLIC) || true
	snakemake --cores $(CORES) $(ARGS)

test: setup ## set up, then check style and types and run the fast tests (one builds the pages)
	@$(MAKE) --no-print-directory lint types
	@echo "Slow tests are left out (make test-all runs them); a test that is skipped says why below."
	@# One thread a process: two processes with a thread per core each would fight over the cores.
	OMP_NUM_THREADS=1 pytest -n $(JOBS) --dist worksteal -m 'not slow'

test-unit: setup ## the tests of laws, areas, fits, plans, curves and logs alone, in under a minute
	OMP_NUM_THREADS=1 pytest -n $(JOBS) --dist worksteal -m unit

test-all: setup ## what `make test` does, with the slow tests too
	@$(MAKE) --no-print-directory lint types
	OMP_NUM_THREADS=1 pytest -n $(JOBS) --dist worksteal

fuzz: setup ## give N (10000) bad inputs to each reader of files, or to READER; SEED=number repeats a run
	PYTHONPATH=tests python -m fuzz --inputs $(or $(N),10000) $(if $(READER),--reader $(READER)) $(if $(SEED),--seed $(SEED))

kills: setup ## kill training, workflow, fits and report N (100) times and compare with what nobody killed
	PYTHONPATH=tests python -m kills --kills $(or $(N),100) $(if $(SEED),--seed $(SEED))

setup: ## make .venv from requirements.lock; TeX and a C++ compiler where apt-get may install them
	@scripts/setup.sh

lint: ## check the style of the code and of the rules
	ruff check .
	ruff format --check .
	snakefmt --check $(SNAKEFILES)
	snakemake --lint

types: ## check the types
	mypy

format: ## put code and rules into the project's format
	ruff check --fix .
	ruff format .
	snakefmt $(SNAKEFILES)

docs: setup ## build the pages of docs/ into site/ (a warning or a dead link is an error; no network needed)
	python -m sphinx -E -W --keep-going -q -b html docs site
	@echo "site/index.html"

docs-config: ## write the schemas and config/README.md anew
	python -m cpt_dynamics.config_docs --write

lock: ## resolve the dependencies anew into requirements.lock (UPGRADE=1: newest versions)
	python scripts/lock.py $(if $(UPGRADE),--upgrade)

clean: ## remove caches and build files; .venv, data and results stay
	rm -rf .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist site
	find benchmarks src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
