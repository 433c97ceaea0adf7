import re
from pathlib import Path

import pytest
import yaml

from facegender.cli import report_command
from facegender.errors import FacegenderError
from facegender.files import md5_of
from facegender.reporting.commit_and_costs import COMMIT, COSTS, END_OF_COSTS, add_commit_and_costs, duration
from facegender.reporting.costs import PIPELINE
from facegender.repository import status
from tests.paths import ROOT
from tests.unit.reporting.test_report import Page, default_page

COST = {
    "train": {"seconds": 132.34, "peak_bytes": 1_500_000_000},
    "features@val": {"seconds": 7.0, "peak_bytes": 400_000_000},
    "features@train": {"seconds": 8.0, "peak_bytes": 500_000_000},
    "eda": {"seconds": 0.26, "peak_bytes": 0},
    "sample_data": {"seconds": 5.0, "peak_bytes": 1},
}


def read(page: str) -> str:
    return " ".join(Page(page).words)


def test_the_pipelines_page_names_neither_a_commit_nor_a_cost_and_has_a_place_for_both() -> None:
    page = default_page()

    assert page.count(COMMIT) == page.count(COSTS) == page.count(END_OF_COSTS) == 1
    assert "facegender report" in page[page.index(COSTS) : page.index(END_OF_COSTS)]


def test_a_reader_sees_date_commit_and_what_each_stage_took_in_the_order_of_the_pipeline() -> None:
    page = add_commit_and_costs(default_page(), "0123456789ab, <b>", "2026-11-26", COST)
    text = read(page)

    for words in ("Lock 2026-11-26", "Code 0123456789ab, <b>", "0.3 s", "1,500 MB", "88%", "Model card"):
        assert words in text, words
    table = text[text.rindex("Time and memory") :]
    assert re.findall(r"eda|train|features@\w+|all stages", table)[-5:] == [
        *("eda", "features@train", "features@val", "train", "all stages")
    ]
    # 132.34 + 7 + 8 + 0.26 seconds. A stage of an earlier version, sample_data, does not count.
    assert "all stages 2.5 min 1,500 MB at most" in " ".join(table.split())
    assert "sample_data" not in text
    assert COSTS not in page


def test_a_page_in_a_folder_where_no_stage_ran_says_so() -> None:
    text = read(add_commit_and_costs(default_page(), "0123456789ab", "2026-11-26", {}))

    assert "no stage ran in this folder" in text
    assert "all stages" not in text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0 s"), (119.9, "119.9 s"), (120, "2.0 min"), (7199, "120.0 min"), (9000, "2.5 h")]
)
def test_a_time_is_in_a_unit_that_suits_it(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_the_order_of_the_pipeline_is_that_of_dvc_yaml() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    reads: dict[str, set[str]] = {script: set() for script in PIPELINE}
    writes: dict[str, set[str]] = {script: set() for script in PIPELINE}
    for stage in stages.values():
        definition = stage.get("do", stage)
        script = definition["cmd"].split()[2].removeprefix("stages.")
        keys = stage.get("foreach", {"": {}})
        for key in keys if isinstance(keys, dict) else ["a further test set"]:
            outs = [out for kind in ("outs", "metrics", "plots") for out in definition.get(kind, [])]
            paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
            writes[script] |= {path.replace("${key}", key) for path in paths}
            reads[script] |= {path.replace("${key}", key) for path in definition["deps"]}

    for place, script in enumerate(PIPELINE):
        for later in PIPELINE[place:]:
            assert not reads[script] & writes[later], (script, later)
    assert len(reads) == len(PIPELINE)


def test_the_command_reads_the_pipelines_page_and_leaves_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(status, "changed_params", lambda: ["params.yaml: train", "params.yaml: eda"])
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with pytest.raises(FacegenderError, match=r"^metrics/report\.html: no such file; run: dvc repro, or: dvc pull met"):
        report_command(show=False)
    page = tmp_path / "metrics" / "report.html"
    page.parent.mkdir()
    page.write_text(default_page(), encoding="utf-8")
    before = page.read_bytes()
    lock = "stages: {report: {outs: [{path: metrics/report.html, md5: %s}]}}\n"
    (tmp_path / "dvc.lock").write_text(lock % "another")
    with pytest.raises(FacegenderError, match=r"not the page that dvc\.lock records; run: dvc repro, or: "):
        report_command(show=False)

    (tmp_path / "dvc.lock").write_text(lock % md5_of(page))
    report_command(show=True)

    assert page.read_bytes() == before
    text = read((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Code not in Git" in text
    assert re.search(r"Lock \d{4}-\d\d-\d\d, not committed", text)
    shown = capsys.readouterr()
    assert shown.out == "Everything on one page: report.html\n"
    assert shown.err == (
        "changed since the run that this shows: params.yaml: train, params.yaml: eda; run: dvc repro\n"
    )
    assert opened == [(tmp_path / "report.html").as_uri()]
