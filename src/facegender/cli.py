"""The command line `facegender`. Each command imports what it needs: some libraries take seconds to load or are not
installed with the base package.
"""

import io
import json
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from facegender.errors import FacegenderError, one_line_errors
from facegender.evaluation.calibration import UNSURE_WITHIN
from facegender.network.startup import load_tensorflow

CACHE = Path(".cache")
MODEL, KERAS_MODEL = Path("models/gender.onnx"), Path("models/gender.keras")
MODEL_CARD = Path("docs/model-card.md")
PARAMS = Path("params.yaml")
REPORT, READ_REPORT = Path("metrics/report.html"), Path("report.html")
"""The page of the stage report, and the one to read, with what differs by machine and commit."""

APP_MODULES = ("aiohttp", "jinja2", "markdown_it")
"""Modules of the packages that the extra `serve` installs; every other optional one is in the extra `train`."""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)


class _Command(TyperCommand):
    """A command whose help names an argument without its type in Python, which typer adds."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                name, text = record
                is_argument = parameter.param_type_name == "argument"
                title, name = ("Arguments", name.split(" <")[0]) if is_argument else ("Options", name)
                rows[title].append((name, text))
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"facegender {version('facegender')}")
        raise typer.Exit


@app.callback()
def facegender(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train and use a model of CelebA's attribute Male.

    `dvc repro` runs the pipeline itself.
    """


@app.command("cache")
def cache_command(
    limit: Annotated[
        float | None,
        typer.Option(metavar="GIGABYTES", help="Delete the least recently used entries until the rest fits."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete everything.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check DVC's cache instead, and delete damaged outs.")
    ] = False,
) -> None:
    """Show, limit or clear .cache, or check DVC's cache.

    The folder .cache holds computed features and the checkpoints of interrupted training. Deleting it only costs time.
    DVC's cache holds what the stages wrote. Do not use this command while the pipeline is running.
    """
    from facegender import cache

    if verify:
        if clear or limit is not None:
            raise FacegenderError("--verify with --limit or --clear", "cannot be used together", "use one of them")
        verify_dvc_cache()
        return
    if limit is not None and not limit >= 0:
        raise FacegenderError(f"--limit {limit}", "not a size", "use the number of gigabytes to keep, 0 or more")
    if limit is not None and clear:
        raise FacegenderError("--limit and --clear", "cannot be used together", "use one of them")
    if not CACHE.is_dir():
        print(f"there is no {CACHE} in this folder")
        return
    if clear:
        cache.clear(CACHE)
    if limit is not None:
        print(f"deleted: {cache.describe(cache.prune(CACHE, limit * 1e9))}")
    for part, entries in cache.list_entries(CACHE).items():
        print(f"{CACHE / part}: {cache.describe(entries)}")


def verify_dvc_cache() -> None:
    """Check DVC's cache, and delete damaged outs.

    Raises:
        FacegenderError: an object is damaged.
    """
    from facegender.repository.dvc_cache import damage_error, delete_damaged, verify_objects

    verified = verify_objects()
    if verified.damaged:
        raise damage_error(verified, delete_damaged(verified.damaged))
    print(f"DVC's cache: {verified.objects} objects, none damaged")


Model = Annotated[Path, typer.Option(metavar="FILE", help="Model: .onnx, or .keras, which needs TensorFlow.")]
Align = Annotated[
    Literal["auto", "never", "always"],
    typer.Option(
        help="Find and align the faces: always, never (the picture is one face), or auto (always, except in pictures "
        "of CelebA's size, 178x218)."
    ),
]


@app.command("predict")
def predict_command(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="File, folder or pattern; - reads a list of these from stdin.")
    ],
    model: Model = MODEL,
    rev: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Use the model of a release or Git revision, such as gender@v1.0.0."),
    ] = None,
    align: Align = "auto",
    unsure: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="NUMBER", help="Print unsure if P(Male) is this close to the threshold."),
    ] = UNSURE_WITHIN,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ray: Annotated[
        str | None, typer.Option(envvar="RAY_ADDRESS", metavar="ADDRESS", help="Compute on this Ray cluster.")
    ] = None,
) -> None:
    """Predict Male or No male for photographs: one row per face.

    A file that fails is listed with the reason, and the exit status is 1. Files in a folder that are not images are
    skipped and counted. A list has a path in each line, or a zero byte after each, as find -print0 writes it.
    """
    from tqdm import tqdm

    from facegender.serving.classifier import load_classifier
    from facegender.serving.listing import passed_over_line, print_csv, print_json, print_table
    from facegender.serving.photographs import (
        find_photographs,
        predict_on_cluster,
        predict_photographs,
        read_photographs,
        split_list,
    )

    if as_csv and as_json:
        raise FacegenderError("--csv and --json", "cannot be used together", "use one of them")
    if rev is not None and model != MODEL:
        raise FacegenderError("--model and --rev", "cannot be used together", "use one of them")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be valid text: CSV keeps its bytes. The table escapes what the terminal cannot show.
        if as_csv:
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        else:
            sys.stdout.reconfigure(errors="backslashreplace")
    found = find_photographs(paths, split_list(sys.stdin.buffer.read()) if "-" in paths else ())
    if rev is not None:
        from facegender.repository.registry import fetch_model

        model = fetch_model(rev)
    classifier = load_classifier(model)
    _show_notices(classifier.notices)
    # On a terminal the rows themselves show the progress.
    quiet = sys.stdout.isatty() or not sys.stderr.isatty()
    photographs = read_photographs(tqdm(found.photographs, "predict", disable=quiet))
    if ray:
        predictions = predict_on_cluster(photographs, model, align, unsure, ray)
    else:
        predictions = predict_photographs(photographs, classifier, align, unsure)
    failed = (print_csv if as_csv else print_json if as_json else print_table)(predictions, sys.stdout)
    if not (as_csv or as_json):
        print(
            f"Male if P(Male) is at least {classifier.threshold:g}, unsure within {unsure:g} of it. What this does not "
            "mean: docs/model-card.md",
            file=sys.stderr,
        )
    if found.passed_over:
        print(passed_over_line(found.passed_over), file=sys.stderr)
    if failed:
        raise FacegenderError("facegender predict", f"{failed} of the files failed", "the rows above give the reasons")


def _print_markdown(text: str) -> None:
    """Print Markdown as it is, or laid out for reading on a terminal."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))


def _show_notices(notices: tuple[str, ...]) -> None:
    for notice in notices:
        print(notice, file=sys.stderr)


@app.command("explain")
def explain_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A photograph.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.png", help="PNG file to write.")],
    model: Annotated[Path, typer.Option(metavar="FILE", help="Model: .onnx.")] = MODEL,
    align: Align = "auto",
) -> None:
    """Draw which regions of each face are evidence for each class.

    The picture shows each face, then the evidence for No male and for Male in it (Grad-CAM): red is most, blue least.
    """
    if output.suffix.lower() != ".png":
        raise FacegenderError(output, "not a name for a PNG file", "use a name that ends in .png")
    if not output.resolve().parent.is_dir():
        raise FacegenderError(output, "its folder does not exist", "create the folder first")
    if output.resolve() == Path(image).resolve():
        raise FacegenderError(output, "this is the photograph itself", "name another file with -o")
    import numpy as np

    from facegender.data.celeba import CLASSES
    from facegender.network.explanation import class_overlays
    from facegender.reporting.pictures import image_grid
    from facegender.serving.classifier import load_classifier
    from facegender.serving.photographs import read_faces

    classifier = load_classifier(model)
    if classifier.explain is None:
        raise FacegenderError(model, "does not say where it finds evidence", f"use an .onnx model, such as {MODEL}")
    _show_notices(classifier.notices)
    images = np.stack([face for _, face in read_faces(image, classifier.height, classifier.width, align)])
    probabilities, evidence = classifier.explain(images)
    pictures, captions = [], []
    faces = zip(images, probabilities, class_overlays(images, evidence), strict=True)
    for number, (face, probability, overlays) in enumerate(faces, start=1):
        pictures += [face, *overlays]
        captions += [f"face {number}: P(Male) = {probability:.3f}", *(f"red: evidence for {name}" for name in CLASSES)]
    image_grid(output, pictures, captions, "Evidence for each class", columns=3)


@app.command("export")
def export_command(
    form: Annotated[Literal["saved_model", "tflite"], typer.Option("--format", help="Format to write.")],
    model: Annotated[Path, typer.Option(metavar="FILE", help="Model to export: a .keras file.")] = KERAS_MODEL,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="File to write; by default beside the model.")
    ] = None,
    check: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Faces to compare on: images, or shards of the stage preprocess.")
    ] = Path("data/preprocessed/test"),
) -> None:
    """Write the model in another format for other programs.

    The pipeline itself writes .onnx and .keras. The file is written only if its P(Male) is within 0.0001 of Keras's
    for up to 32 faces.
    """
    load_tensorflow()
    from facegender.serving.export import SUFFIXES, export_model

    target = output or model.with_name(model.stem + SUFFIXES[form])
    difference, images = export_model(model, target, form, check)
    print(f"{target}: P(Male) of {images} faces differs from Keras's by at most {difference:.1e}")


@app.command("app")
def app_command(
    model: Model = MODEL,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0 for any free one.")
    ] = 8765,
) -> None:
    """Serve a local web page to try the model on pictures.

    Nothing is stored. docs/app.md describes the page, and how programs can use the server.
    """
    from facegender.serving.app import serve

    serve(model, MODEL_CARD, port)


@app.command("compare")
def compare_command(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Git revision of the old model, or the word baseline.")],
    new: Annotated[
        str | None, typer.Argument(metavar="NEW", help="Git revision of the new model; this folder if omitted.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
    resamples: Annotated[int, typer.Option(min=100, metavar="NUMBER", help="Bootstrap samples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Seed of the bootstrap.")] = 0,
) -> None:
    """Compare two models on the same test images.

    `facegender compare baseline` compares this folder's model with its baseline, logistic regression on small grey
    images; `facegender compare baseline REV` does so for a revision. For a branch that is called baseline, write
    refs/heads/baseline.
    """
    from facegender.evaluation.comparison import (
        against_baseline,
        compare_predictions,
        comparison_markdown,
        difference_in_accuracy,
    )
    from facegender.repository.revisions import BASELINE, current_predictions, predictions_of

    is_baseline = old == "baseline"
    if is_baseline:
        of_old = current_predictions(BASELINE) if new is None else predictions_of(new, BASELINE)
    else:
        of_old = predictions_of(old)
    of_new = current_predictions() if new is None else predictions_of(new)
    comparison = compare_predictions(of_old, of_new, resamples, seed)
    if as_json:
        print(json.dumps(comparison, indent=2, sort_keys=True))
    else:
        headline = against_baseline(comparison).sentence if is_baseline else difference_in_accuracy(comparison)
        _print_markdown(comparison_markdown(headline, comparison, old, new or "this folder"))


@app.command("check")
def check_command() -> None:
    """Check params.yaml and the paths in it.

    `make repro` and the stage `check` do this before anything else.
    """
    from facegender.params import load_params
    from facegender.repository.check import check_inputs

    for remark in check_inputs(load_params(), pulled=True):
        print(remark)
    print("params.yaml: valid, and its paths exist")


@app.command("summary")
def summary_command() -> None:
    """Show each metric with its interval, beside the baseline's."""
    from facegender.evaluation.results import read_metrics, read_results
    from facegender.params import load_params
    from facegender.repository.summary import FIRST, comparison_with_baseline, summary_text

    params = load_params()
    _tell_changed_params()
    metrics, table = read_results("metrics/evaluate", FIRST)
    baseline = read_metrics("metrics/baseline.json", table.index)
    print(summary_text("test", metrics["images"], table, baseline, comparison_with_baseline()), end="")
    for name in params.evaluate.datasets:
        metrics, table = read_results(f"metrics/datasets/{name}", FIRST)
        print("\n" + summary_text(name, metrics["images"], table, None), end="")


def _tell_changed_params() -> None:
    """Say on stderr that results are older than params.yaml."""
    from facegender.repository.status import changed_params

    if changed := changed_params():
        print(f"changed since the run that this shows: {', '.join(changed)}; run: dvc repro", file=sys.stderr)


@app.command("experiments")
def experiments_command(
    sort: Annotated[
        Literal["val_log_loss", "val_accuracy", "accuracy", "roc_auc", "log_loss", "expected_calibration_error"],
        typer.Option(
            metavar="METRIC",
            help="Metric to sort by: val_log_loss, val_accuracy, accuracy, roc_auc, log_loss or "
            "expected_calibration_error. To choose an experiment, use one on validation images (val_).",
        ),
    ] = "val_log_loss",
) -> None:
    """List the experiments of this commit, the best first.

    Each has its metrics and the parameters that it changed. Metrics on test images are unbiased only for an
    experiment that was not chosen by them.
    """
    from facegender.repository.experiments import experiments_table, shown_experiments

    print(experiments_table(shown_experiments(), sort), end="")


@app.command("trials")
def trials_command(
    ray: Annotated[
        str | None, typer.Option(envvar="RAY_ADDRESS", metavar="ADDRESS", help="Run them on this Ray cluster.")
    ] = None,
) -> None:
    """Run an experiment for each line of standard input.

    A line has the experiment's name and parameters as `dvc exp run -S` takes them, for example: seed-121
    train.seed=121. Those that were run on this commit are skipped. docs/cluster.md explains how they run on a cluster.
    """
    from facegender.repository.experiments import shown_experiments
    from facegender.repository.trials import not_yet_run, read_trials, run_here, run_on_cluster

    trials = read_trials(sys.stdin.buffer.read())
    left = not_yet_run(trials, shown_experiments())
    for trial in trials:
        if trial not in left:
            print(f"{trial.name}: already run on this commit", flush=True)
    if not ray or not left:
        run_here(left)
        return
    print(f"{len(left)} to run on {ray}", flush=True)
    failed = 0
    for name, error in run_on_cluster(left, ray):
        print(f"{name}: {'failed' if error else 'done'}", flush=True)
        if error:
            print(f"error: {error}", file=sys.stderr, flush=True)
        failed += error is not None
    if failed:
        what = f"{failed} of {len(left)} failed"
        raise FacegenderError(
            "facegender trials", what, "the lines above give the reasons; those that are done are kept"
        )


@app.command("report")
def report_command(
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write report.html: the page about the model, with its costs.

    It adds the commit, the date of dvc.lock, and the time and memory of each stage. The pipeline's own page,
    metrics/report.html, leaves these out, so that it has the same bytes on every machine.
    """
    from facegender.files import md5_of, whole_file
    from facegender.reporting.commit_and_costs import add_commit_and_costs
    from facegender.reporting.costs import read_costs
    from facegender.repository.lock import read_lock
    from facegender.repository.revisions import current_revision, lock_date

    if not REPORT.is_file():
        raise FacegenderError(REPORT, "no such file", f"run: dvc repro, or: dvc pull {REPORT}")
    if md5_of(REPORT) != read_lock().get(REPORT.as_posix()):
        raise FacegenderError(
            REPORT, "not the page that dvc.lock records", f"run: dvc repro, or: dvc checkout --force {REPORT}"
        )
    page = add_commit_and_costs(REPORT.read_text(encoding="utf-8"), current_revision(), lock_date(), read_costs())
    with whole_file(READ_REPORT) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    print(f"Everything on one page: {READ_REPORT}")
    if show:
        webbrowser.open(READ_REPORT.resolve().as_uri())
    _tell_changed_params()


@app.command("seeds")
def seeds_command() -> None:
    """Show how much the metrics vary with the seed (`make seeds`)."""
    from facegender.repository.experiments import shown_experiments
    from facegender.repository.seeds import seed_experiments, spread_markdown

    _print_markdown(spread_markdown(seed_experiments(shown_experiments())))


@app.command("gate")
def gate_command(
    asked: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CHECK",
            help="lock, pipeline, outs, floors, baseline, base, model, remote or review; all of them by default.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Git revision to compare with, such as origin/main; its limits apply."),
    ] = None,
    no_remote: Annotated[
        bool, typer.Option("--no-remote", help="Skip the check of the remote: the data is not shared.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
) -> None:
    """Check whether this folder's model may be merged.

    The exit status is 1 if a check fails. One that is waived or skipped does not fail: without --base, outs, base and
    review are skipped. With --base, the row limits shows what changed in `gate`.

    lock: dvc.lock matches code, parameters, data, metrics and plots. pipeline: dvc.yaml hides no change. outs: stages
    whose inputs did not change have the same outs as at the base. floors: the metrics are within the limits, `gate` in
    params.yaml. baseline: the model is more accurate than its baseline. base: no metric is significantly worse than
    the base's and by more than its margin. model: the committed predictions and metrics are those of the model.
    remote: others can get all data. review: tests do not go while results change.
    """
    from facegender.repository.gate import findings_markdown
    from facegender.repository.gate_checks import CHECKS, add_to_job_summary, run_checks

    names = asked or list(CHECKS)
    unknown = set(names) - set(CHECKS)
    if unknown:
        raise FacegenderError(min(unknown), "no such check", f"the checks are {', '.join(CHECKS)}")
    findings = run_checks(names, base, no_remote)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        page = findings_markdown(findings, [name for name in CHECKS if name not in names])
        _print_markdown(page)
        add_to_job_summary(page)
    failed = [finding.check for finding in findings if finding.verdict == "fail"]
    if failed:
        raise FacegenderError("gate", f"failed at {', '.join(failed)}", "the table says what to do")


Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.h5",
        help="Start training from these weights of InceptionV3 without its top; by default from ImageNet's, which "
        "Keras downloads once.",
    ),
]


@app.command("import")
def import_command(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="Folder, CSV file, or CelebA's zip file from Kaggle; it is only read."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to write CelebA's files to.")],
    kind: Annotated[
        Literal["celeba", "classes", "utkface", "csv"] | None,
        typer.Option(help="What SOURCE is; detected if left out."),
    ] = None,
    male: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Folder or label that means Male, if it is not recognised."),
    ] = None,
    path_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="CSV column of the images' paths, if not recognised.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="CSV column of the labels, if not recognised.")
    ] = None,
    identity_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="CSV column of the identities, if not recognised.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="CSV column of the splits, if not recognised.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder that the CSV file's paths are relative to; by default its own."),
    ] = None,
    align: Annotated[
        Literal["never", "auto", "always"],
        typer.Option(
            help="Find the one face in each image and align it as CelebA's are. Off by default: it takes far longer, "
            "and changes images that may be aligned already."
        ),
    ] = "never",
    shares: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="TRAIN VAL TEST",
            help="Make new random partitions of these shares. Default: the source's partitions, or 0.8 0.1 0.1 if it "
            "has none.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**64 - 1, metavar="NUMBER", help="Seed of the random partitions.")
    ] = 120,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images that cannot be used, and list them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files in DEST.")] = False,
    weights: Weights = None,
    params: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the parameters for these images to FILE, such as params.yaml; default: print them.",
        ),
    ] = None,
) -> None:
    """Convert your own images and labels to CelebA's format.

    It also fills in a params.yaml for them.

    Run this in the project's folder. docs/your-own-data.md has examples.
    """
    from facegender.importing.layout import import_data
    from facegender.importing.outputs import OUTPUTS
    from facegender.importing.params_file import check_before, dataset_paths, fill_in
    from facegender.importing.partitions import balanced_counts
    from facegender.importing.summary import describe, describe_params
    from facegender.repository.worktree import check_committed, replace_committed, seen_by_git

    check_before(weights)
    if params is not None:
        if params.resolve() in [folder.resolve(), *((folder / name).resolve() for name in OUTPUTS)]:
            raise FacegenderError(params, "one of the files that the import writes", "name another file with --params")
        check_committed(params)
    named = {"path": path_column, "label": label_column, "identity": identity_column, "split": split_column}
    columns = {role: name for role, name in named.items() if name is not None}
    imported = import_data(source, folder, kind, male, columns, images, align, skip_bad, shares, seed, force)
    available = balanced_counts(imported.annotations)
    paths = dataset_paths(folder, "identity" in imported.annotations)
    filled = fill_in(
        f"{paths['images']}, imported by facegender import.", paths, available, weights, _multiplies_bfloat16
    )
    if params is None:
        print(filled.text)
    else:
        replace_committed(params, filled.text)
    print(f"{describe(imported)}\n\n{describe_params(filled, available, params)}")
    if seen := seen_by_git(folder / name for name in OUTPUTS if (folder / name).exists()):
        print(f"Git does not ignore {', '.join(seen)}: run dvc add, or add them to .gitignore", file=sys.stderr)


@app.command("use")
def use_command(
    data_set: Annotated[Literal["celeba"], typer.Argument(metavar="celeba", help="The data set.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with its images and lists; only read.")],
    weights: Weights = None,
) -> None:
    """Set this project up for CelebA.

    The command checks the files, writes params.yaml and keeps pictures of faces out of Git. FOLDER holds
    img_align_celeba.zip (or the images), list_attr_celeba, list_eval_partition and perhaps identity_CelebA, as csv or
    txt. Running it again changes nothing.
    """
    from facegender.importing.celeba_source import find_celeba
    from facegender.importing.params_file import UNKNOWN_IDENTITIES, check_before, fill_in
    from facegender.importing.partitions import balanced_counts
    from facegender.importing.summary import describe_celeba
    from facegender.repository.worktree import PICTURES_OF_FACES, keep_out_of_git, replace_committed

    check_before(weights)
    celeba = find_celeba(folder)
    available = balanced_counts(celeba.annotations)
    filled = fill_in("CelebA, set up by facegender use celeba.", celeba.paths, available, weights, _multiplies_bfloat16)
    replace_committed(PARAMS, filled.text)
    raw = [path for path in celeba.paths.values() if path != UNKNOWN_IDENTITIES and not Path(path).is_absolute()]
    ignored, removed = keep_out_of_git([*PICTURES_OF_FACES, *raw])
    if ignored or removed:
        print(f"kept out of Git from now on: {', '.join(sorted({*ignored, *removed}))}")
    print(describe_celeba(celeba.annotations, filled, available, PARAMS))


def _multiplies_bfloat16() -> bool:
    load_tensorflow()
    from facegender.network.devices import multiplies_bfloat16

    return multiplies_bfloat16()


@contextmanager
def missing_packages_named() -> Iterator[None]:
    """Name the extra to install if a command needs a package that is not installed.

    Raises:
        FacegenderError: instead of ModuleNotFoundError, if the module belongs to another package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        if module in ("", "facegender"):
            raise
        command = " ".join(["facegender", *sys.argv[1:2]])
        extra = "serve" if module in APP_MODULES else "train"
        raise FacegenderError(
            command, f"needs {module}, which is not installed", f'run: pip install "facegender[{extra}]"'
        ) from error


@one_line_errors()
@missing_packages_named()
def main() -> None:
    """Run the command named by the arguments.

    Raises:
        FacegenderError: an argument is empty. For a path it would mean this folder.
    """
    if "" in sys.argv[1:]:
        raise FacegenderError("facegender", "an empty argument", "leave it out; is a variable of the shell not set?")
    for command in app.registered_commands:
        command.cls = _Command
    app()
