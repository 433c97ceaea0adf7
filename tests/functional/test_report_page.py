"""The report in a real browser, if there is one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.browser import BROWSER, Page, open_browser
from tests.unit.reporting.test_report import metrics, render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]

WIDTHS = (390, 800, 1280)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    path.write_text(render(test_sets=[metrics("test", 0.9, 0.8, 1)] * 3, notices=["A notice."]), encoding="utf-8")
    with open_browser(folder / "browser") as page:
        page.open(path.as_uri())
        yield page


def places(page: Page, selector: str) -> Any:
    """Return left, top, right and bottom of an element in the window."""
    return page.run(
        f"(({{left, top, right, bottom}}) => [left, top, right, bottom])"
        f"(document.querySelector({selector!r}).getBoundingClientRect())"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window_and_all_pictures_show(page: Page, width: int) -> None:
    page.resize(width)

    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run("document.images.length") > 5
    assert page.run("[...document.images].every(picture => picture.naturalWidth && picture.clientWidth > 40)")


@pytest.mark.parametrize("width", WIDTHS)
def test_what_a_reader_needs_first_is_on_the_first_screen(page: Page, width: int) -> None:
    page.resize(width, 900)
    page.run("scrollTo(0, 0)")

    for selector in (".notice", ".about", ".verdict", ".headline", "nav"):
        left, top, right, bottom = places(page, selector)
        assert 0 <= left < right <= width, selector
        assert 0 <= top < bottom <= 900, selector


def test_the_links_are_beside_the_page_where_there_is_room_and_stay_in_sight(page: Page) -> None:
    page.resize(1280)
    page.run("scrollTo(0, 3000)")
    _, top, right, _ = places(page, "nav")
    assert (top, right < places(page, "main")[0]) == (0, True)

    page.resize(390)
    page.run("scrollTo(0, 0)")
    assert places(page, "nav")[3] <= places(page, "main")[1]


@pytest.mark.parametrize("width", WIDTHS)
def test_what_scrolls_sideways_says_so_and_nothing_else_does(page: Page, width: int) -> None:
    page.resize(width)
    seen = page.run(
        "[...document.querySelectorAll('[tabindex]')].map(region => "
        "[region.scrollWidth > region.clientWidth, region.parentElement.querySelector('.hint').offsetHeight > 0])"
    )

    assert len(seen) == 2
    assert all(scrolls == says for scrolls, says in seen)
    assert any(scrolls for scrolls, _ in seen) or width == 1280


def test_dark_and_light_are_both_readable(page: Page) -> None:
    colours = {}
    for theme in ("light", "dark"):
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        colours[theme] = page.run(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('figure svg text')).fill,"
            " getComputedStyle(document.querySelector('figure svg [style*=\"var(--first)\"]')).stroke]"
        )

    # Text in charts has the colour of the text around it, and curves have a colour for each theme.
    white, ink, blue = "rgb(255, 255, 255)", "rgb(28, 31, 36)", "rgb(29, 95, 209)"
    assert colours["light"] == [white, ink, ink, blue]
    assert colours["dark"] == ["rgb(20, 23, 28)", *["rgb(231, 234, 239)"] * 2, "rgb(127, 176, 255)"]
