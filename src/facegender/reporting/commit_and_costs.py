"""The report as a person reads it: with what differs by machine and commit, which the pipeline's own leaves out."""

import html
from collections.abc import Mapping

import jinja2

COMMIT, COSTS = "<!-- commit -->", "<!-- costs -->"
"""The places of both in the template report.html."""


def add_commit_and_costs(page: str, revision: str, costs: Mapping[str, Mapping[str, float]]) -> str:
    """Return a page of the stage report with the commit, and the time and memory of each stage.

    Args:
        page: HTML as `facegender.reporting.report.render_report` returns it.
        revision: name of the commit.
        costs: seconds and peak_bytes by stage.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.reporting"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    section = environment.get_template("costs.html").render(costs=costs)
    return page.replace(COMMIT, f" · code {html.escape(revision)}", 1).replace(COSTS, section, 1)
