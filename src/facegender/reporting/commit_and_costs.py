"""The report as a person reads it: with what differs by machine and commit, which the pipeline's own leaves out."""

import html
from collections.abc import Mapping

import jinja2

from facegender.reporting.costs import in_pipeline_order

COMMIT = "<!-- commit -->"
COSTS, END_OF_COSTS = "<!-- costs -->", "<!-- end of costs -->"
"""Their places in the template report.html; what is between the last two is replaced."""


def add_commit_and_costs(page: str, revision: str, locked: str, costs: Mapping[str, Mapping[str, float]]) -> str:
    """Return a page of the stage report with the commit, the date of dvc.lock, and each stage's time and memory.

    Args:
        page: HTML as `facegender.reporting.report.render_report` returns it.
        revision: name of the commit.
        locked: date of dvc.lock.
        costs: seconds and peak_bytes by stage.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.reporting"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["duration"] = duration
    ordered = in_pipeline_order(costs)
    seconds = [cost["seconds"] for cost in ordered.values()]
    section = environment.get_template("costs.html").render(
        costs=ordered,
        # Above 0, as bars are shares of it.
        longest=max([*seconds, 1e-3]),
        total=sum(seconds),
        peak=max((cost["peak_bytes"] for cost in ordered.values()), default=0),
    )
    added = {"Lock": locked, "Code": revision}
    facts = "".join(f"<div><dt>{name}</dt><dd>{html.escape(text)}</dd></div>\n" for name, text in added.items())
    before, _, rest = page.partition(COSTS)
    return before.replace(COMMIT, facts, 1) + section + rest.partition(END_OF_COSTS)[2]


def duration(seconds: float) -> str:
    """Return a time in a unit that suits it: 12.3 s, 4.5 min or 6.7 h."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
