"""How time, memory and disk space of every stage grow with the number of training images; what more images cost.

Each size runs cold in a project of its own, trained from mixed9 with one copy of each training image and one epoch; val
and test have a quarter of the training images each, as far as the data allows. --grow changes the number of training
images in one project, step by step. Prints Markdown tables.

    python -m benchmarks.growth --celeba FOLDER --weights inception_v3_notop.h5 [--sizes 1000 4000 16000]
    python -m benchmarks.growth --celeba FOLDER --weights inception_v3_notop.h5 --sizes 2000 20000 --grow
"""

import argparse
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.measure import (
    STORED_FEATURES,
    Run,
    argument_parser,
    change_params,
    measured_repro,
    megabytes,
    project,
    say,
    settings,
    table,
)
from facegender.errors import one_line_errors
from facegender.files import md5_of
from facegender.network.features import feature_paths, load_shard

SPLITS = ("train", "train_copies", "val", "test")
"""The folders of data/features."""

TRAINING_FEATURES = ("features@train", "features@train_copies")


class Size(NamedTuple):
    """What a number of training images costs.

    Attributes:
        images: number of training images.
        run: `dvc repro` from scratch.
        outs: bytes of each stage's outs.
        raw_features: bytes of all features as plain float16.
        stored_features: bytes that features take on the disk, in all places.
    """

    images: int
    run: Run
    outs: dict[str, int]
    raw_features: int
    stored_features: int


def outs_of(folder: Path) -> dict[str, int]:
    """Read the size of each stage's outs, bytes, from dvc.lock."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: sum(out["size"] for out in stage.get("outs", [])) for name, stage in stages.items()}


def bytes_on_disk(files: Iterable[Path]) -> int:
    """Add up what files take on the disk. Hard links count once; bytes that reflinks share count for each file."""
    found = [file.stat() for file in files]
    return sum({(status.st_dev, status.st_ino): status.st_blocks * 512 for status in found}.values())


def measure_features(folder: Path) -> tuple[int, int]:
    """Return the bytes of all features as plain float16, and what memo, outs and DVC's cache take up for them."""
    shards = feature_paths(*(folder / "data/features" / split for split in SPLITS))
    raw = sum(load_shard(shard).features.nbytes for shard in shards)
    digests = map(md5_of, shards)
    cached = [folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:] for digest in digests]
    memo = [path for path in (folder / ".cache/features").rglob("*") if path.is_file()]
    return raw, bytes_on_disk([*shards, *cached, *memo])


def run_size(options: argparse.Namespace, images: int) -> Size:
    """Run from scratch with this number of training images."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(options.celeba, options.weights, Path(temporary, "project"), parameters(options, images))
        run = measured_repro(folder)
        return Size(images, run, outs_of(folder), *measure_features(folder))


def parameters(options: argparse.Namespace, images: int) -> dict[str, Any]:
    """Return the parameters for this number of training images, by dotted key."""
    held_out = min(images // 8, options.held_out // 2) * 2
    return {
        **STORED_FEATURES,
        "partition.train": images,
        "partition.val": held_out,
        "partition.test": held_out,
        "backbone.trainable_from": "mixed9",
        "train.epochs": 1,
        **settings(options.set),
    }


def size_tables(sizes: Sequence[Size]) -> str:
    """Return the tables of time, memory and outs by stage, with a column for each size."""
    header = [f"{size.images:,}" for size in sizes]
    seconds = {size.images: {stage.name: stage.seconds for stage in size.run.stages} for size in sizes}
    peaks = {size.images: {stage.name: stage.peak for stage in size.run.stages} for size in sizes}
    names = [stage.name for stage in sizes[0].run.stages]
    times = [
        *([name, *(f"{seconds[size.images][name]:.1f} s" for size in sizes)] for name in names),
        ["all, with DVC", *(f"{size.run.seconds:.1f} s" for size in sizes)],
    ]
    memory = [
        *([name, *(megabytes(peaks[size.images][name]) for size in sizes)] for name in names),
        ["all, with DVC", *(megabytes(size.run.peak) for size in sizes)],
    ]
    outs = [
        *([name, *(megabytes(size.outs[name]) for size in sizes)] for name in names),
        ["features as plain float16", *(megabytes(size.raw_features) for size in sizes)],
        ["features on disk: memo, outs, DVC's cache", *(megabytes(size.stored_features) for size in sizes)],
        ["of plain float16", *(f"{size.stored_features / size.raw_features:.2f}" for size in sizes)],
    ]
    titles = ("Wall time, training images:", "Peak memory, training images:", "Outs, training images:")
    rows = (times, memory, outs)
    return "\n".join(table([title, *header], content) for title, content in zip(titles, rows, strict=True))


def growth_table(options: argparse.Namespace) -> str:
    """Return the table of what each step of --grow costs in one project."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        start = parameters(options, options.grow[0])
        folder = project(options.celeba, options.weights, Path(temporary, "project"), start)
        for images in options.grow:
            say(f"{images} training images in one project")
            change_params(folder, {"partition.train": images})
            run = measured_repro(folder)
            computed = re.findall(r"features train(?:_copies)?: (\d+) shards computed", run.printed)
            seconds = [stage.seconds for stage in run.stages if stage.name in TRAINING_FEATURES]
            if len(computed) != len(seconds):
                raise SystemExit(f"the stage features did not print how many shards it computed:\n{run.printed}")
            shards = sum(map(int, computed)) if computed else "not run"
            rows.append((f"{images:,}", shards, f"{sum(seconds):.1f} s", f"{run.seconds:.1f} s"))
    return table(["Training images, in turn", "Shards computed", "features@train and copies", "`dvc repro`"], rows)


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba", "weights", "set")
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[1000, 4000, 16000], help="training images, each from scratch"
    )
    parser.add_argument("--grow", type=int, nargs="*", default=[4000, 5000, 4000], help="training images, in turn")
    parser.add_argument("--held-out", type=int, default=3872, help="at most this many val and this many test images")
    options = parser.parse_args()
    sizes = []
    for images in options.sizes:
        say(f"{images} training images, from scratch")
        sizes.append(run_size(options, images))
    if sizes:
        print(size_tables(sizes))
    if options.grow:
        print(growth_table(options))


if __name__ == "__main__":
    with one_line_errors():
        main()
