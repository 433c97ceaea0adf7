# Targets that need the virtual environment create it first. What follows ## is the text of `make help`.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL := 3

.DEFAULT_GOAL := help
.PHONY: help repro celeba test test-fast test-long test-ray faults soak mutants lint lock-fresh app sweep experiments seeds check-params validate-model lock audit

help: ## List the targets
	@awk -F ':.*## ' '/^[^\t#].*:.*## / { sub(/\$$\(VENV\)/, "$(VENV)"); printf "make %-16s %s\n", $$1, $$2 }' Makefile

repro: check-params ## Run the pipeline and show its metrics
	dvc repro
	@facegender summary
	@facegender report

celeba: $(VENV)/installed ## Set this project up for CelebA; FOLDER=… is where its files are
	@facegender use celeba "$(or $(FOLDER),$(error name the folder of CelebA's files: make celeba FOLDER=data/celeba))"

app: $(VENV)/installed ## Serve a local web page to try the model on
	facegender app

# Without reordering, the files of tests/functional, which take minutes, start first.
test: lint lock-fresh ## Run all checks, and all tests but the longest (minutes)
	pytest -m "not long" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/installed ## Run the tests that make test leaves out, apart from those on a Ray cluster (minutes)
	pytest -m long --numprocesses 2 --dist loadfile

test-fast: $(VENV)/installed ## Run the tests that need neither TensorFlow nor DVC (seconds)
	pytest -m "not slow"

test-ray: $(VENV)/installed ## Install Ray, and test on a cluster of nodes on this machine (minutes)
	$(VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements-ray.lock
	pytest tests/ray tests/unit/test_cluster.py

# The experiments run one after the other in this folder, because .cache keeps the features: they are computed once for
# each cut, and for a larger number of copies only for the additional ones. A cut needs
# augment.mode copies, and calibrate.mirror false.
CUTS ?= mixed5 mixed4
COPIES ?= 0 1
RATES ?= 0.0001 0.0003
SORT_BY ?= val_log_loss

sweep: check-params ## Run an experiment for every combination of CUTS, COPIES and RATES
	@for cut in $(CUTS); do for copies in $(COPIES); do for rate in $(RATES); do \
		echo $$cut-$$copies-$$rate augment.mode=copies calibrate.mirror=false \
			backbone.trainable_from=$$cut augment.copies=$$copies train.learning_rate=$$rate; \
	done; done; done | facegender trials
	@facegender experiments --sort $(SORT_BY)

experiments: $(VENV)/installed ## List the experiments of this commit, sorted by SORT_BY (val_log_loss)
	@facegender experiments --sort $(SORT_BY)

# partition.seed stays the same, so all experiments have the same test images.
N ?= 3

seeds: check-params ## Run an experiment for each of N seeds, and show how much the metrics vary
	@case "$(N)" in ''|0*|*[!0-9]*) echo "error: N: must be a number of seeds, at least 1, not '$(N)'; use: make seeds N=3" >&2; exit 1; esac
	@for seed in $$(seq 120 $$((119 + $(N)))); do \
		echo seed-$$seed train.seed=$$seed augment.seed=$$seed; \
	done | facegender trials
	@facegender seeds

# DVC ignores unknown keys while nothing is stale, and runs the stage check only if the paths have changed.
check-params: $(VENV)/installed ## Check params.yaml and the paths in it
	@facegender check

faults: $(VENV)/installed ## Read wrong files, kill and disturb stages, and count what happens (long)
	python -m tests.faults

MINUTES ?= 30

soak: $(VENV)/installed ## Send good, bad and slow requests to the app for MINUTES (30), and predict beside it
	python -m tests.soak --minutes $(MINUTES)

# Mutants that were tried are skipped, unless MUTANTS names them; delete mutants/ to start anew.
# Python must find the folder of the changed modules when it starts.
MUTANTS ?=

mutants: $(VENV)/installed ## Install mutmut, and check that tests notice small changes to the code (hours)
	$(VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements-mutants.lock
	mkdir -p mutants/src
	PYTHONPATH=$(CURDIR)/mutants/src PYTHONHASHSEED=0 OMP_NUM_THREADS=1 mutmut run --max-children 1 $(MUTANTS)
	python -m tests.mutants

lint: $(VENV)/installed ## Run ruff and mypy, as the pre-commit hooks do
	ruff check
	ruff format --check
	mypy

lock-fresh: $(VENV)/installed ## Check that dvc.lock matches code, parameters and data
	@facegender gate lock

validate-model: $(VENV)/installed ## Check the model as CI does for a pull request; BASE=REV is the revision to compare with
	@scripts/validate_model.sh $(or $(BASE),$(error name the revision to compare with: make validate-model BASE=origin/main))

# What Ray and mutmut depend on is in requirements.lock, or named beside them.
COMPILE := UV_PYTHON_DOWNLOADS=never uv pip compile --quiet --universal --python-version 3.10 --fork-strategy fewest \
	--no-header --no-annotate --generate-hashes

lock: $(VENV)/installed ## Resolve the lock files again from the requirements files
	$(COMPILE) --output-file requirements.lock requirements.txt requirements-dev.txt
	$(COMPILE) --no-deps --output-file requirements-ray.lock requirements-ray.txt
	$(COMPILE) --no-deps --output-file requirements-mutants.lock requirements-mutants.txt

audit: $(VENV)/installed ## List known vulnerabilities of the locked packages; ADVISORIES=FILE.zip is OSV's list, if there is no internet
	@python scripts/audit.py $(ADVISORIES)

$(VENV)/installed: requirements.lock pyproject.toml ## Create the virtual environment
	$(PYTHON) -c "import sys; sys.exit(0 if (3, 10) <= sys.version_info < (3, 14) else 'Python 3.10 to 3.13 is needed: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
