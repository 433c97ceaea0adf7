# The two commands of the README are `make repro` and `make test`. Both make the virtual environment when it is missing.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: app check-params repro sweep test test-fast lint lock-fresh validate-model lock

repro: check-params
	dvc repro
	dvc metrics show metrics/evaluate.json metrics/evaluate_low.json metrics/evaluate_high.json metrics/baseline.json
	@echo "All of it on one page: metrics/report.html"

# A page to try the model on, on this machine alone.
app: $(VENV)/installed
	facegender app

test: lint lock-fresh
	pytest --numprocesses 2 --dist loadfile

test-fast: $(VENV)/installed
	pytest -m "not slow"

# An experiment for every combination, one after the other in this folder, where .cache knows the features: for each cut
# they are computed once, and for each number of copies only those of the copies that are new.
CUTS ?= mixed10 mixed9
COPIES ?= 0 1
RATES ?= 0.0001 0.0003
SORT_BY ?= after.log_loss

sweep: check-params
	@for cut in $(CUTS); do for copies in $(COPIES); do for rate in $(RATES); do \
		dvc exp run -S backbone.trainable_from=$$cut -S augment.copies=$$copies -S train.learning_rate=$$rate || exit 1; \
	done; done; done
	dvc exp show --hide-workspace --drop '.*' --keep 'Experiment|.*(trainable_from|copies|yaml:train.learning_rate|after)' \
		--sort-by metrics/calibrate.json:$(SORT_BY)

# DVC alone tells of no surplus key while nothing is to run.
check-params: $(VENV)/installed
	@python -c "from facegender.errors import one_line_errors; from facegender.params import load_params; one_line_errors()(load_params)()"

lint: $(VENV)/installed
	ruff check
	ruff format --check
	mypy

lock-fresh: $(VENV)/installed
	@facegender gate lock

# What CI does of a pull request: BASE is the revision to compare with.
validate-model: $(VENV)/installed
	@scripts/validate_model.sh $(or $(BASE),$(error give the revision to compare with: make validate-model BASE=origin/main))

# Every version of requirements.lock anew, from requirements.txt and requirements-dev.txt.
lock: $(VENV)/installed
	UV_PYTHON_DOWNLOADS=never uv pip compile --universal --python-version 3.10 --fork-strategy fewest --no-header --no-annotate \
		--output-file requirements.lock requirements.txt requirements-dev.txt

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(0 if (3, 10) <= sys.version_info < (3, 14) else 'Python 3.10 to 3.13 is needed: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@
