#!/usr/bin/env bash
# Checks a pull request as CI does and writes the results to the folder pull_request. Usage: scripts/validate_model.sh BASE
# Exits with the status of `facegender gate`. Other commands may fail, such as `dvc pull` without a remote: the page then
# says what is missing.
set -uo pipefail
if [[ $# -ne 1 || -z ${1-} ]]; then
    echo "error: scripts/validate_model.sh: needs one argument, the revision to compare with; use: scripts/validate_model.sh BASE" >&2
    exit 2
fi
cd "$(dirname "$0")/.." || exit
base=$1 page=pull_request/page.md note=
[[ $base =~ ^[0-9a-f]{40}$ ]] && base=${base:0:12}
mkdir -p pull_request

dvc pull models/gender.onnx data/predictions.csv data/baseline.csv data/preprocessed/test
# Not all remotes have the raw data.
dvc pull "$(python -c 'from facegender.params import load_params; print(load_params().dataset.attributes)')"
facegender gate --base "$base" --json > pull_request/gate.json
verdict=$?

# Runs nothing if dvc.lock is fresh; otherwise computes the results of the change. The second command also recomputes
# what is not pushed.
dvc repro --pull --allow-missing || dvc repro --pull || note="dvc repro failed; see the job's log."
# Without the base, at least the plots of this revision.
dvc plots diff --out pull_request/plots "$base" || dvc plots show --out pull_request/plots
# Pictures may show faces that must not be shared; curves stay.
find pull_request/plots -type f ! -name '*.html' -delete
python scripts/write_page.py "$base" pull_request/gate.json "$note" > "$page" || exit 1
cat "$page"
cat "$page" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
python scripts/post_comment.py "$page"
exit "$verdict"
