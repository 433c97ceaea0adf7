"""The command line `facegender`. What takes seconds to load is imported by the commands that need it."""

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


@one_line_errors()
def main() -> None:
    """Run the command that the arguments name."""
    app()
