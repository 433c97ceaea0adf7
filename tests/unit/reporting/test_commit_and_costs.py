from pathlib import Path

import pytest

from facegender.cli import report_command
from facegender.errors import FacegenderError
from facegender.files import md5_of
from facegender.reporting.commit_and_costs import COMMIT, COSTS, add_commit_and_costs
from tests.unit.reporting.test_report import Page, render

COST = {"train": {"seconds": 12.34, "peak_bytes": 1_500_000_000}, "eda": {"seconds": 0.26, "peak_bytes": 0}}


def test_the_pipelines_page_names_neither_a_commit_nor_a_cost_and_has_a_place_for_both(tmp_path: Path) -> None:
    page = render(tmp_path)

    assert page.count(COMMIT) == page.count(COSTS) == 1
    assert "Time and memory" not in page


def test_a_reader_sees_the_commit_and_what_each_stage_took(tmp_path: Path) -> None:
    text = " ".join(Page(add_commit_and_costs(render(tmp_path), "0123456789ab, <b>", COST)).words)

    for words in ("code 0123456789ab, <b>", "Time and memory", "12.3", "1,500 MB", "0.3", "0.8765", "Model card"):
        assert words in text, words


def test_a_page_in_a_folder_where_no_stage_ran_says_so(tmp_path: Path) -> None:
    assert "no stage ran in this folder" in add_commit_and_costs(render(tmp_path), "0123456789ab", {})


def test_the_command_reads_the_pipelines_page_and_leaves_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with pytest.raises(FacegenderError, match=r"^metrics/report\.html: no such file; run: dvc repro, or: dvc pull met"):
        report_command(show=False)
    page = tmp_path / "metrics" / "report.html"
    page.parent.mkdir()
    page.write_text(render(tmp_path), encoding="utf-8")
    before = page.read_bytes()
    lock = "stages: {report: {outs: [{path: metrics/report.html, md5: %s}]}}\n"
    (tmp_path / "dvc.lock").write_text(lock % "another")
    with pytest.raises(FacegenderError, match=r"not the page that dvc\.lock records; run: dvc repro, or: "):
        report_command(show=False)

    (tmp_path / "dvc.lock").write_text(lock % md5_of(page))
    report_command(show=True)

    assert page.read_bytes() == before
    assert "code not in Git" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert capsys.readouterr().out == "Everything on one page: report.html\n"
    assert opened == [(tmp_path / "report.html").as_uri()]
