"""The command line `facegender`. What takes seconds to load is imported by the commands that need it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from facegender import cache
from facegender.errors import FacegenderError, one_line_errors

CACHE = Path(".cache")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def facegender() -> None:
    """Learn and tell the CelebA attribute Male; the pipeline itself is run by `dvc repro`."""


@app.command("cache")
def cache_command(
    limit: Annotated[
        float | None, typer.Option(metavar="GIGABYTES", help="Drop what was used longest ago, down to this size.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Drop everything.")] = False,
) -> None:
    """Show, bound or clear the .cache of this folder.

    It keeps features that are known and training that was interrupted; losing it costs time and no more. Not for use
    while a run is at work.
    """
    if limit is not None and not limit >= 0:
        raise FacegenderError(f"--limit {limit}: give the gigabytes that may stay, 0 or more")
    if limit is not None and clear:
        raise FacegenderError("--limit and --clear: give one of them")
    if not CACHE.is_dir():
        print(f"no {CACHE} in this folder, so nothing is kept here")
        return
    if clear:
        cache.clear(CACHE)
    if limit is not None:
        print(f"dropped: {cache.describe(cache.prune(CACHE, limit * 1e9))}")
    for part, entries in cache.list_entries(CACHE).items():
        print(f"{CACHE / part}: {cache.describe(entries)}")


@app.command("compare")
def compare_command(
    old: Annotated[str, typer.Argument(metavar="REV", help="Git revision of the model to compare with.")],
    new: Annotated[
        str | None, typer.Argument(metavar="[REV]", help="The one to judge; without it, this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of Markdown.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Samples of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 120,
) -> None:
    """Compare two revisions' models by their predictions of the same test images."""
    from facegender.comparison import compare_predictions, comparison_markdown
    from facegender.repository import predictions_of

    comparison = compare_predictions(predictions_of(old), predictions_of(new), resamples, seed)
    if as_json:
        print(json.dumps(comparison, indent=2, sort_keys=True))
    else:
        print(comparison_markdown(comparison, old, new or "this folder"), end="")


@app.command("gate")
def gate_command(
    asked: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK]...", help="lock, floors, base, model, remote; without, all.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="Git revision to compare with, such as origin/main.")
    ] = None,
    no_remote: Annotated[bool, typer.Option("--no-remote", help="Declare that the data stays here.")] = False,
) -> None:
    """Decide whether this folder's model may be merged: exit 0 only if every check passes.

    lock: dvc.lock answers to code, parameters and data. floors: the figures meet `gate` in params.yaml. base: none is
    worse than the base's by more than its margin and chance. model: it says here what the committed figures say.
    remote: others can get all data.
    """
    from facegender.gate import findings_markdown
    from facegender.gate_command import CHECKS, run_checks, show

    names = asked or list(CHECKS)
    unknown = set(names) - set(CHECKS)
    if unknown:
        raise FacegenderError(f"{min(unknown)}: no such check; known: {', '.join(CHECKS)}")
    findings = run_checks(names, base, no_remote)
    show(findings_markdown(findings, [name for name in CHECKS if name not in names]))
    failed = [finding.check for finding in findings if finding.verdict == "fail"]
    if failed:
        raise FacegenderError(f"not to be merged: {', '.join(failed)}; the table says what to do")


@one_line_errors()
def main() -> None:
    """Run the command that the arguments name."""
    app()
