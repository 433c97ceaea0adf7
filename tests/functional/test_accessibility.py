"""The report is usable by everybody, and the search for problems finds them; test_app_page.py searches the app."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.accessibility import problems
from tests.functional.browser import BROWSER, Page, open_browser
from tests.unit.reporting.test_report import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]

GOOD = """<!doctype html><html lang="en"><head><title>Good</title><style>
body { background: #fff; color: #111; } a:focus, button:focus { outline: 3px solid #00f; }
</style></head><body><main><h1>Heading</h1><h2>Part</h2><p><a href="#a">link</a> <button>Press</button></p>
<img alt="A face" src="data:,"><table><tr><th>a</th></tr><tr><td>1</td></tr></table></main></body></html>"""

# What is replaced in GOOD by what, and the problem that follows.
FAULTS = {
    "language": (' lang="en"', "", "the page has no language"),
    "title": ("<title>Good</title>", "", "the page has no title"),
    "zoom": ("<title>", '<meta name="viewport" content="width=9, user-scalable=no"><title>', "zooming is off"),
    "main": ("main>", "div>", "0 elements main"),
    "two headings": ("<h2>Part</h2>", "<h1>Part</h1>", "2 elements h1"),
    "skipped heading": ("<h2>Part</h2>", "<h3>Part</h3>", "a level of headings is skipped: <h3>"),
    "id": ("<p>", '<p id="a"></p><p id="a">', "the id a is there twice"),
    "reference": ("<button>", '<button aria-describedby="nothing">', "aria-describedby names nothing"),
    "alt": (' alt="A face"', "", "no alt: <img"),
    "empty name": ("<button>Press", "<button>", "no name: button"),
    "order": ("<button>", '<button tabindex="2">', "out of order: <button"),
    "table": ("<th>a</th>", "<td>a</td>", "a table without headings"),
    "contrast": ("color: #111", "color: #888", "contrast 3.54: "),
    "contrast over a layer": ("<p>", '<p style="background: rgb(0 0 0 / 80%)">', "contrast"),
    "hidden focus": ("</style>", "button:focus { outline: none }</style>", "the focus does not show: <button"),
    "keyboard": ("<button>", '<button onfocus="this.blur()">', "not reached by the tab key: <button"),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


def open_page(browser: Page, folder: Path, text: str) -> None:
    (folder / "page.html").write_text(text, encoding="utf-8")
    browser.open((folder / "page.html").as_uri())


def test_a_good_page_has_no_problem(browser: Page, tmp_path: Path) -> None:
    open_page(browser, tmp_path, GOOD)
    assert problems(browser) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found(browser: Page, tmp_path: Path, fault: str) -> None:
    right, wrong, problem = FAULTS[fault]
    assert right in GOOD
    open_page(browser, tmp_path, GOOD.replace(right, wrong))

    found = problems(browser)

    assert any(line.startswith(problem) for line in found), found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_has_no_problem(browser: Page, tmp_path: Path, width: int, scheme: str) -> None:
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.resize(width)
    open_page(browser, tmp_path, render())
    assert problems(browser) == []
