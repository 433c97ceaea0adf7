"""What keeps people from using a page, found in a real browser: names, structure, contrast, keyboard.

The levels are those of WCAG 2.2, AA. If the environment variable AXE names the file axe.min.js of the npm package
axe-core, its rules are applied as well: `npm pack axe-core` downloads it.
"""

import json
import os
from pathlib import Path

from tests.functional.browser import Page

_NEED_A_NAME = {
    *("button", "link", "textbox", "combobox", "checkbox", "radio", "slider", "DisclosureTriangle"),
    *("image", "img", "heading", "region", "dialog"),
}
_MOST_TABS = 400

_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
_AXE = """axe.run(document, { resultTypes: ["violations"] }).then((result) => result.violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .flatMap((one) => one.nodes.map((node) => `axe: ${one.id}: ${node.target.join(" ")}`)))"""


def problems(page: Page) -> list[str]:
    """Open all details of a page and list what is wrong with it, a line for each; the keyboard focus moves."""
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.run(f"{_SCRIPT}; 0")
    found: list[str] = page.run("accessibility.structure()") + page.run("accessibility.contrast()")
    found += _nameless(page) + _keyboard(page)
    if axe := os.environ.get("AXE"):
        page.run(f"{Path(axe).read_text(encoding='utf-8')}; 0")
        found += page.run(_AXE)
    return found


def _nameless(page: Page) -> list[str]:
    """List what a screen reader could only name by its kind."""
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in nodes if not node["ignored"] and node["role"]["value"] in _NEED_A_NAME]
    return [
        f"no name: {node['role']['value']} {json.dumps(node.get('properties', []))[:90]}"
        for node in seen
        if not node.get("name", {}).get("value", "").strip()
    ]


def _keyboard(page: Page) -> list[str]:
    """Go through the page with the tab key, and list what it does not reach and where the focus does not show."""
    found = []
    page.run("accessibility.start()")
    for _ in range(_MOST_TABS):
        page.press("Tab", 9)
        focus = page.run("accessibility.focus()")
        if focus is None or focus["again"]:
            break
        if not focus["shown"]:
            found.append(f"the focus does not show: {focus['name']}")
    return found + [f"not reached by the tab key: {name}" for name in page.run("accessibility.unreached()")]
