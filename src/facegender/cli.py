"""The command line `facegender`. What takes seconds to load is imported by the commands that need it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from facegender import cache
from facegender.errors import FacegenderError, one_line_errors

CACHE = Path(".cache")
PREDICTIONS = Path("data/predictions.csv")

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

    comparison = compare_predictions(_predictions(old), _predictions(new), resamples, seed)
    if as_json:
        print(json.dumps(comparison, indent=2, sort_keys=True))
    else:
        print(comparison_markdown(comparison, old, new or "this folder"), end="")


def _predictions(revision: str | None) -> pd.DataFrame:
    """Read a revision's predictions, from DVC's cache or remote; those of this folder for None."""
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    from facegender.evaluation import parse_predictions

    if revision is None:
        try:
            repository = Repo()
            path = Path(repository.root_dir, PREDICTIONS)
            content = path.read_text(encoding="utf-8")
        except DvcException as error:
            raise FacegenderError(f"{Path.cwd()}: {error}; run it in the project's folder") from error
        except OSError as error:
            raise FacegenderError(f"{PREDICTIONS}: {error.strerror}; run: dvc repro, or: dvc pull") from error
        makers = [out.stage.addressing for out in repository.find_outs_by_path(str(path))]
        for place in _changed(repository.status(targets=makers, with_deps=True)):
            raise FacegenderError(
                f"{PREDICTIONS}: {place} has changed since it was made; run: dvc repro, or compare revisions"
            )
    else:
        try:
            content = dvc.api.read(str(PREDICTIONS), rev=revision)
        except SCMError as error:
            raise FacegenderError(f"{revision}: {error}; see: git log, git tag, git fetch") from error
        except (DvcException, OSError) as error:
            raise FacegenderError(
                f"{revision}: its {PREDICTIONS} is neither in DVC's cache here nor in a remote; where it was made, "
                f"run: dvc push; or check it out and run: dvc repro ({' '.join(str(error).split())})"
            ) from error
    return parse_predictions(content, f"{revision or 'this folder'}: {PREDICTIONS}")


def _changed(status: dict[str, Any]) -> Iterator[str]:
    """Name what DVC's status finds changed; what is merely not here, as in a clone, is passed over."""
    for stage, findings in status.items():
        for finding in findings:
            if isinstance(finding, str):  # Its command.
                yield f"the stage {stage}"
                continue
            for paths in finding.values():
                for path, state in paths.items():
                    if isinstance(state, dict):  # Of parameters, by key.
                        yield from (f"{path}: {key}" for key, value in state.items() if value != "deleted")
                    elif state not in ("deleted", "not in cache"):
                        yield str(path)


@one_line_errors()
def main() -> None:
    """Run the command that the arguments name."""
    app()
