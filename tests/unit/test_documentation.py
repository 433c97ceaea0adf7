"""The README and docs: links, pictures and examples work, and what they list is what there is."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from facegender.data.images import encode_jpeg
from tests.error_messages import error_messages
from tests.onnx_model import save_mean_network
from tests.paths import ROOT

README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
COMMENT_COLUMNS = 96
"""What fits into a line of code on a page of GitHub, so that no comment has to be scrolled to."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """Remove blocks of code and code in a line."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def code_blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the content of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", without_code(text_of(page))):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_comments_in_code_need_no_scrolling(page: Path) -> None:
    for _, block in code_blocks(page):
        for line in block.splitlines():
            assert " # " not in line or len(line) <= COMMENT_COLUMNS, line


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / target).resolve() for target in re.findall(r"\]\(([^)#]+)", text_of(README))}

    assert {page for page in PAGES if page != README} <= linked


def test_the_contents_of_the_readme_are_its_sections() -> None:
    [contents] = re.findall(r"\*\*Contents:\*\*(.+?)\n\n", text_of(README), flags=re.DOTALL)
    sections = re.findall(r"^## (.+)$", text_of(README), flags=re.MULTILINE)

    listed = re.findall(r"\(#([^)]+)\)", contents)
    assert listed == [re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-") for section in sections]


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    save_mean_network(tmp_path / "models" / "gender.onnx", 218, 178, 0.25)
    (tmp_path / "photo.jpg").write_bytes(encode_jpeg(np.full((218, 178, 3), 51, np.uint8)))
    monkeypatch.chdir(tmp_path)
    [program] = [block for language, block in code_blocks(README) if language == "python"]

    exec(program, {})

    assert capsys.readouterr().out == "[0.2] 0.25\n"


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(text_of(ROOT / "notebooks" / "tour.ipynb"))["cells"]

    programs = [cell for cell in cells if cell["cell_type"] == "code"]
    assert programs
    assert not [cell for cell in programs if cell["outputs"] or cell["execution_count"] is not None]


def test_the_troubleshooting_page_has_every_error_and_no_other() -> None:
    own, _ = text_of(ROOT / "docs" / "troubleshooting.md").split("\n## Messages of other programs\n")
    first_cells = re.findall(r"^\| (`.+?) \|", own, flags=re.MULTILINE)
    listed = [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]

    assert set(listed) == error_messages()
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_command_discards_all_uncommitted_work(page: Path) -> None:
    found = re.findall(
        r"git (?:restore|checkout)(?: -\S+)* \.(?=[\s`;&]|$)|git reset --hard|git clean|git stash drop", text_of(page)
    )

    assert found == []


def test_the_badges_agree_with_the_package() -> None:
    project = text_of(ROOT / "pyproject.toml")
    badges = {path.stem: text_of(path) for path in (ROOT / "docs" / "pictures" / "badges").glob("*.svg")}

    assert {f"docs/pictures/badges/{name}.svg" for name in badges} <= set(re.findall(r"\(([^)]+)\)", text_of(README)))
    assert 'requires-python = ">=3.10,<3.14"' in project
    assert 'aria-label="Python: 3.10 to 3.13"' in badges["python"]
    assert 'license = "MIT"' in project
    assert 'aria-label="licence: MIT"' in badges["licence"]


def drawn_arrows() -> list[tuple[str, str]]:
    """Return the arrows of the README's diagram."""
    [diagram] = [block for language, block in code_blocks(README) if language == "mermaid"]
    chains = [line.split(" --> ") for line in map(str.strip, diagram.splitlines()) if " --> " in line]
    return [arrow for chain in chains for arrow in itertools.pairwise(chain)]


def stage_arrows() -> set[tuple[str, str]]:
    """Return an arrow from each stage of the default run to each stage that reads what it writes, from dvc.yaml."""
    stages: dict[str, Any] = yaml.safe_load(text_of(ROOT / "dvc.yaml"))["stages"]
    params = yaml.safe_load(text_of(ROOT / "params.yaml"))
    files: dict[str, dict[str, set[str]]] = {}
    for name, stage in stages.items():
        if stage.get("foreach") == "${evaluate.datasets}":
            continue
        body, keys = stage.get("do", stage), stage.get("foreach", [""])
        files[name] = {
            kind: {
                _filled(path if isinstance(path, str) else next(iter(path)), key, params)
                for path in body.get(kind, [])
                for key in keys
            }
            for kind in ("deps", "outs", "metrics", "plots")
        }
    return {
        (writer, reader)
        for writer, written in files.items()
        for reader, read in files.items()
        if writer != reader
        and any(
            f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")
            for path in written["outs"] | written["metrics"] | written["plots"]
            for other in read["deps"]
        )
    }


def _filled(path: str, key: str, params: dict[str, Any]) -> str:
    """Fill in the variables of a path in dvc.yaml."""
    path = path.replace("${key}", key).replace("${item.images}", "${dataset.images}")
    return re.sub(r"\$\{(\w+)\.(\w+)\}", lambda match: params[match[1]][match[2]], path)


def reachable(arrows: set[tuple[str, str]], start: str) -> set[str]:
    """Return where paths of arrows lead from `start`."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        place = waiting.pop()
        following = {end for begin, end in arrows if begin == place} - found
        found |= following
        waiting += following
    return found


def test_the_diagram_has_the_arrows_of_dvc_yaml_except_where_a_longer_path_leads_there_too() -> None:
    arrows = stage_arrows()
    needed = {arrow for arrow in arrows if arrow[1] not in reachable(arrows - {arrow}, arrow[0])}

    drawn = drawn_arrows()
    assert sorted(drawn) == sorted(needed)
    names = {name for arrow in arrows for name in arrow}
    assert all(f"\n| {name} |" in text_of(README) for name in names)
