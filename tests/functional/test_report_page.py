"""The report in a real browser, if there is one."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.functional.browser import BROWSER, FLAGS
from tests.unit.reporting.test_report import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]

# Writes its results to the page's title once everything has loaded.
PROBE = """<script>
addEventListener("load", () => {
  const pictures = [...document.images];
  const wide = document.documentElement.scrollWidth > innerWidth;
  const paint = getComputedStyle(document.body);
  const stroke = getComputedStyle(document.querySelector("figure svg text")).fill;
  document.title = JSON.stringify({
    wide, width: innerWidth, broken: pictures.filter(picture => !picture.naturalWidth).length,
    back: paint.backgroundColor, text: paint.color, chart: stroke,
  });
});
</script></body>"""


def look(folder: Path, width: int, *flags: str) -> str:
    page = render(folder).replace("</body>", PROBE)
    (folder / "report.html").write_text(page, encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, *flags, f"--user-data-dir={folder / 'browser'}", f"--window-size={width},900"]
    done = subprocess.run(
        [*command, "--dump-dom", (folder / "report.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert found, done.stderr[-2000:]
    return found[1]


# A Chromium window is at least 500 pixels wide.
@pytest.mark.parametrize("width", [500, 1400])
def test_nothing_is_wider_than_the_window_and_all_pictures_show(tmp_path: Path, width: int) -> None:
    seen = look(tmp_path, width)

    assert f'"width":{width}' in seen
    assert '"wide":false' in seen
    assert '"broken":0' in seen


def test_dark_and_light_are_both_readable(tmp_path: Path) -> None:
    light = look(tmp_path, 1200)
    dark = look(tmp_path, 1200, "--blink-settings=preferredColorScheme=0")

    assert '"back":"rgb(255, 255, 255)"' in light
    assert '"back":"rgb(20, 23, 28)"' in dark
    # Text in charts has the colour of the text around it.
    assert '"chart":"rgb(28, 31, 36)"' in light
    assert '"chart":"rgb(231, 234, 239)"' in dark
