# Targets that need the virtual environment create it first. What follows ## is the text of `make help`.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL := 3

.DEFAULT_GOAL := help
.PHONY: help repro celeba test test-fast test-ray faults soak lint lock-fresh app sweep experiments seeds check-params validate-model lock

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
test: lint lock-fresh ## Run all checks and tests (minutes)
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/installed ## Run the tests that need neither TensorFlow nor DVC (seconds)
	pytest -m "not slow"

test-ray: $(VENV)/installed ## Install Ray, and test on a cluster of nodes on this machine (minutes)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements-ray.txt --constraint requirements.lock
	pytest tests/ray tests/unit/test_cluster.py

# The experiments run one after the other in this folder, because .cache keeps the features: they are computed once for
# each cut, and for a larger number of copies only for the additional ones. A cut needs mode copies and no mirror image.
CUTS ?= mixed5 mixed4
COPIES ?= 0 1
RATES ?= 0.0001 0.0003
SORT_BY ?= val_log_loss

sweep: check-params ## Run an experiment for every combination of CUTS, COPIES and RATES
	@for cut in $(CUTS); do for copies in $(COPIES); do for rate in $(RATES); do \
		dvc exp run -S augment.mode=copies -S calibrate.mirror=false \
			-S backbone.trainable_from=$$cut -S augment.copies=$$copies -S train.learning_rate=$$rate || exit 1; \
	done; done; done
	@facegender experiments --sort $(SORT_BY)

experiments: $(VENV)/installed ## List the experiments of this commit, sorted by SORT_BY (val_log_loss)
	@facegender experiments --sort $(SORT_BY)

# partition.seed stays the same, so all experiments have the same test images.
N ?= 3

seeds: check-params ## Run an experiment for each of N seeds, and show how much the metrics vary
	@case "$(N)" in ''|0*|*[!0-9]*) echo "error: N: must be a number of seeds, at least 1, not '$(N)'; use: make seeds N=3" >&2; exit 1; esac
	@for seed in $$(seq 120 $$((119 + $(N)))); do \
		if dvc exp list --name-only | grep -qx seed-$$seed; then echo "seed-$$seed: already run on this commit"; continue; fi; \
		dvc exp run --name seed-$$seed -S train.seed=$$seed -S augment.seed=$$seed || exit 1; \
	done
	@facegender seeds

# DVC ignores unknown keys while nothing is stale, and runs the stage check only if the paths have changed.
check-params: $(VENV)/installed ## Check params.yaml and the paths in it
	@facegender check

faults: $(VENV)/installed ## Read thousands of wrong files, and count what happens (minutes)
	python -m tests.faults

MINUTES ?= 30

soak: $(VENV)/installed ## Send good, bad and slow requests to the app for MINUTES (30), and predict beside it
	python -m tests.soak --minutes $(MINUTES)

lint: $(VENV)/installed ## Run ruff and mypy, as the pre-commit hooks do
	ruff check
	ruff format --check
	mypy

lock-fresh: $(VENV)/installed ## Check that dvc.lock matches code, parameters and data
	@facegender gate lock

validate-model: $(VENV)/installed ## Check the model as CI does for a pull request; BASE=REV is the revision to compare with
	@scripts/validate_model.sh $(or $(BASE),$(error name the revision to compare with: make validate-model BASE=origin/main))

lock: $(VENV)/installed ## Resolve requirements.lock again from requirements.txt and requirements-dev.txt
	UV_PYTHON_DOWNLOADS=never uv pip compile --universal --python-version 3.10 --fork-strategy fewest --no-header --no-annotate \
		--output-file requirements.lock requirements.txt requirements-dev.txt

$(VENV)/installed: requirements.lock pyproject.toml ## Create the virtual environment
	$(PYTHON) -c "import sys; sys.exit(0 if (3, 10) <= sys.version_info < (3, 14) else 'Python 3.10 to 3.13 is needed: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@
