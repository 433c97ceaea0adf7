# The two commands of the README are `make repro` and `make test`. Both make the virtual environment when it is missing.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: app check-params repro test test-fast lint lock-fresh lock

repro: check-params
	dvc repro
	dvc metrics show metrics/evaluate.json metrics/evaluate_low.json metrics/evaluate_high.json metrics/baseline.json

# A page to try the model on, on this machine alone.
app: $(VENV)/installed
	facegender app

test: lint lock-fresh
	pytest --numprocesses 2 --dist loadfile

test-fast: $(VENV)/installed
	pytest -m "not slow"

# DVC alone tells of no surplus key while nothing is to run.
check-params: $(VENV)/installed
	@python -c "from facegender.errors import one_line_errors; from facegender.params import load_params; one_line_errors()(load_params)()"

lint: $(VENV)/installed
	ruff check
	ruff format --check
	mypy

# DVC's dry run ends with 0 even when a stage is stale, so its words decide; without the data it may fail instead.
lock-fresh: check-params
	@planned=$$(dvc repro --dry --allow-missing 2>&1); status=$$?; \
	if [ $$status -ne 0 ] || echo "$$planned" | grep --quiet "Running stage"; then \
		echo "$$planned" | grep --invert-match "didn't change" >&2; \
		echo "error: dvc.lock is stale; run 'make repro' and commit dvc.lock and metrics/" >&2; exit 1; fi

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
