#!/usr/bin/env bash
# Checks a pull request as CI does and writes the results to the folder pull_request. Usage: scripts/validate_model.sh BASE
# Exits with the status of `facegender gate`. Other commands may fail, such as `dvc pull` without a remote: the gate's
# table then says what is missing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
base=$1 page=pull_request/page.md
mkdir -p pull_request

dvc pull models/gender.onnx data/predictions.csv data/preprocessed/test
facegender gate --base "$base" | tee "$page"
verdict=${PIPESTATUS[0]}

# Runs nothing if dvc.lock is fresh; otherwise computes the results of the change. The second command also recomputes
# what is not pushed.
dvc repro --pull --allow-missing || dvc repro --pull || printf '\n%s\n' "dvc repro failed; see the job's log." >> "$page"
{
  printf '\n### Parameters\n\n' && dvc params diff --md "$base"
  printf '\n### Metrics\n\n' && dvc metrics diff --md "$base"
} | tee -a "$page" "${GITHUB_STEP_SUMMARY:-/dev/null}"
dvc plots diff --out pull_request/plots "$base"
# Pictures may show faces that must not be shared; curves stay.
find pull_request/plots -type f ! -name '*.html' -delete
python scripts/post_comment.py "$page"
exit "$verdict"
