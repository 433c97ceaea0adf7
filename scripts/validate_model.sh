#!/usr/bin/env bash
# What CI does of a pull request, in the folder pull_request. Usage: scripts/validate_model.sh BASE
# Ends as `facegender gate` does; what else fails is told, and the gate's table says what follows from it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
base=$1 page=pull_request/page.md
mkdir -p pull_request

dvc pull models/gender.keras data/predictions.csv data/preprocessed/test
facegender gate --base "$base" | tee "$page"
verdict=${PIPESTATUS[0]}

# Runs nothing where dvc.lock is fresh; else it finds out what the change gives. The second form makes what is not pushed.
dvc repro --pull --allow-missing || dvc repro --pull || printf '\n%s\n' "dvc repro failed; the log of the job says why." >> "$page"
{
  printf '\n### Parameters\n\n' && dvc params diff --md "$base"
  printf '\n### Metrics\n\n' && dvc metrics diff --md "$base"
} | tee -a "$page" "${GITHUB_STEP_SUMMARY:-/dev/null}"
dvc plots diff --out pull_request/plots "$base"
# Pictures may show faces that must not be passed on; curves stay.
find pull_request/plots -type f ! -name '*.html' -delete
python scripts/post_comment.py "$page"
exit "$verdict"
