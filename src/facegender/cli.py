"""The command line `facegender`. What takes seconds to load is imported by the commands that need it."""

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from facegender.errors import FacegenderError, one_line_errors
from facegender.network import cache
from facegender.network.quiet import load_tensorflow

CACHE = Path(".cache")
MODEL = Path("models/gender.keras")
MODEL_CARD = Path("docs/model-card.md")

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


Model = Annotated[Path, typer.Option(metavar="FILE", help="Model to use: .keras, or .onnx without TensorFlow.")]
Align = Annotated[
    Literal["auto", "never", "always"],
    typer.Option(help="Find and align faces: in what is not aligned yet, never (each picture is a face), or always."),
]


@app.command("predict")
def predict_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders, patterns, or - for a list.")],
    model: Model = MODEL,
    rev: Annotated[
        str | None, typer.Option(metavar="REV", help="Use this release's or Git revision's model, as gender@v1.0.0.")
    ] = None,
    align: Align = "auto",
    unsure: Annotated[
        float, typer.Option(min=0, max=1, help="Call unsure what is nearer to the threshold than this.")
    ] = 0.1,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell Male from No male on photographs: a row for each face.

    A file that cannot be judged is a row with the reason, and the exit status is 1 at the end.
    """
    from tqdm import tqdm

    from facegender.serving.classifier import load_classifier
    from facegender.serving.listing import print_csv, print_json, print_table
    from facegender.serving.photographs import find_photographs, judge_photographs

    if as_csv and as_json:
        raise FacegenderError("--csv and --json: give one of them")
    if rev is not None and model != MODEL:
        raise FacegenderError("--model and --rev: give one of them")
    # A file's name need not be text.
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    files = list(find_photographs(paths, sys.stdin))
    if rev is not None:
        from facegender.repository.registry import fetch_model

        model = fetch_model(rev)
    classifier = load_classifier(model)
    # On a terminal the rows themselves show how far it is.
    quiet = sys.stdout.isatty() or not sys.stderr.isatty()
    judgements = judge_photographs(tqdm(files, "predict", disable=quiet), classifier, align, unsure)
    bad = (print_csv if as_csv else print_json if as_json else print_table)(judgements, sys.stdout)
    if not (as_csv or as_json):
        print(
            f"Male from P(Male) = {classifier.threshold:g} on, unsure within {unsure:g} of it; what this cannot tell: "
            "docs/model-card.md",
            file=sys.stderr,
        )
    if bad:
        raise FacegenderError(f"{bad} of the files could not be judged; the rows above say why")


@app.command("explain")
def explain_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A photograph.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.png", help="Picture to write.")],
    model: Annotated[Path, typer.Option(metavar="FILE", help="Model to explain: .keras.")] = MODEL,
    align: Align = "auto",
) -> None:
    """Show where on each face the network saw what speaks for Male, and for No male (Grad-CAM)."""
    if output.suffix.lower() != ".png":
        raise FacegenderError(f"{output}: a PNG is written; let its name end in .png")
    if not output.resolve().parent.is_dir():
        raise FacegenderError(f"{output}: its folder is not there; make it first")
    if output.resolve() == Path(image).resolve():
        raise FacegenderError(f"{output}: the photograph itself; name another file with -o")
    load_tensorflow()
    import numpy as np

    from facegender.data.celeba import CLASSES
    from facegender.network.explanation import class_overlays
    from facegender.network.model_file import load_calibrated
    from facegender.network.prediction import predict
    from facegender.reporting.pictures import image_grid
    from facegender.serving.photographs import read_faces

    network, _ = load_calibrated(model)
    _, height, width, _ = network.input_shape
    images = np.stack([face for _, face in read_faces(image, height, width, align)])
    pictures, captions = [], []
    faces = zip(images, predict(network, images), class_overlays(network, images), strict=True)
    for number, (face, probability, overlays) in enumerate(faces, start=1):
        pictures += [face, *overlays]
        captions += [f"face {number}: P(Male) = {probability:.3f}", *(f"red: speaks for {name}" for name in CLASSES)]
    image_grid(output, pictures, captions, "Where the network saw it", columns=3)


@app.command("export")
def export_command(
    form: Annotated[Literal["onnx", "saved_model", "tflite"], typer.Option("--format", help="Of the file.")],
    model: Annotated[Path, typer.Option(metavar="FILE", help="Model to export: .keras.")] = MODEL,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="To write; beside the model without it.")
    ] = None,
    check: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Faces to compare on: images, or shards of the stage preprocess.")
    ] = Path("data/preprocessed/test"),
) -> None:
    """Write the model for other programs, if it says of up to 32 faces what Keras says, to 0.0001 of P(Male)."""
    load_tensorflow()
    from facegender.serving.export import SUFFIXES, export_model

    target = output or model.with_name(model.stem + SUFFIXES[form])
    difference, images = export_model(model, target, form, check)
    print(f"{target}: P(Male) of {images} faces differs from Keras's by {difference:.1e} at most")


@app.command("app")
def app_command(
    model: Model = MODEL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1 to listen on; 0: any free one.")] = 8765,
) -> None:
    """Serve a page, on this machine alone, to try the model on pictures; nothing is stored."""
    from facegender.serving.app import serve

    serve(model, MODEL_CARD, port)


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
    from facegender.evaluation.comparison import compare_predictions, comparison_markdown
    from facegender.repository.revisions import current_predictions, predictions_of

    tables = (predictions_of(old), current_predictions() if new is None else predictions_of(new))
    comparison = compare_predictions(*tables, resamples, seed)
    if as_json:
        print(json.dumps(comparison, indent=2, sort_keys=True))
    else:
        print(comparison_markdown(comparison, old, new or "this folder"), end="")


@app.command("gate")
def gate_command(
    asked: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHECK]...", help="lock, floors, base, model or remote; all of them by default."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Git revision to compare with, such as origin/main; its limits hold."),
    ] = None,
    no_remote: Annotated[
        bool, typer.Option("--no-remote", help="Skip the check of the remote: the data is not shared.")
    ] = False,
) -> None:
    """Check whether this folder's model may be merged; the exit status is 0 only if every check passes.

    lock: dvc.lock matches code, parameters, data, metrics and plots. floors: the metrics are within the limits, `gate`
    in params.yaml. base: no metric is significantly worse than the base's, by more than its margin. model: the
    committed predictions and metrics are those of the model. remote: others can get all data.
    """
    from facegender.repository.gate import findings_markdown
    from facegender.repository.gate_checks import CHECKS, run_checks, show

    names = asked or list(CHECKS)
    unknown = set(names) - set(CHECKS)
    if unknown:
        raise FacegenderError(min(unknown), "no such check", f"the checks are {', '.join(CHECKS)}")
    findings = run_checks(names, base, no_remote)
    show(findings_markdown(findings, [name for name in CHECKS if name not in names]))
    failed = [finding.check for finding in findings if finding.verdict == "fail"]
    if failed:
        raise FacegenderError("gate", f"failed at {', '.join(failed)}", "the table says what to do")


@app.command("import")
def import_command(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A folder, a csv, or the zip of CelebA from Kaggle; it is only read."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to write CelebA's files to.")],
    kind: Annotated[
        Literal["celeba", "classes", "utkface", "csv"] | None,
        typer.Option(help="What SOURCE is, if it cannot be seen."),
    ] = None,
    male: Annotated[
        str | None, typer.Option(metavar="NAME", help="The folder or label that is Male, where its name does not tell.")
    ] = None,
    path_column: Annotated[str | None, typer.Option(metavar="NAME", help="Of the csv.")] = None,
    label_column: Annotated[str | None, typer.Option(metavar="NAME", help="Of the csv.")] = None,
    person_column: Annotated[str | None, typer.Option(metavar="NAME", help="Of the csv.")] = None,
    split_column: Annotated[str | None, typer.Option(metavar="NAME", help="Of the csv.")] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the csv's paths start; without it, beside the csv.")
    ] = None,
    align: Annotated[
        Literal["never", "auto", "always"],
        typer.Option(
            help="Find the one face and align it as CelebA's are. never, unless asked for: it takes far longer, and "
            "changes pictures that may be aligned."
        ),
    ] = "never",
    shares: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="TRAIN VAL TEST",
            help="Draw partitions of these shares; without it the source's, or 0.8 0.1 0.1 where it has none.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Of the partitions that are drawn.")] = 120,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out, and list, what cannot be used.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files in DEST.")] = False,
) -> None:
    """Lay your own pictures and labels out in CelebA's format; docs/your-own-data.md has examples."""
    from facegender.importing.layout import describe, import_data

    named = {"path": path_column, "label": label_column, "person": person_column, "split": split_column}
    columns = {role: name for role, name in named.items() if name is not None}
    print(describe(import_data(source, folder, kind, male, columns, images, align, skip_bad, shares, seed, force)))


@one_line_errors()
def main() -> None:
    """Run the command that the arguments name."""
    app()
