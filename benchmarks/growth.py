"""How time, memory and disk of every stage grow with the number of training images, and what a larger sample costs.

Each size runs cold in a project of its own, one copy of each image and one epoch; val and test have a quarter of the
training images, as far as the data goes. --grow raises the training images in one project and takes them back.
Prints Markdown tables.

    python -m benchmarks.growth --celeba FOLDER --weights inception_v3_notop.h5 [--sizes 1000 4000 16000]
    python -m benchmarks.growth --celeba FOLDER --weights inception_v3_notop.h5 --sizes 2000 20000 --grow
"""

import argparse
import hashlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.measure import (
    Run,
    change_params,
    measured_repro,
    megabytes,
    project,
    say,
    settings,
    table,
)
from facegender.network.features import feature_paths, load_shard


class Size(NamedTuple):
    """What a number of training images costs.

    Attributes:
        images: of training.
        run: a cold one.
        outs: bytes of each stage's outs.
        raw_features: bytes of all features as plain float16.
        stored_features: bytes on disk of all copies of the features.
    """

    images: int
    run: Run
    outs: dict[str, int]
    raw_features: int
    stored_features: int


def outs_of(folder: Path) -> dict[str, int]:
    """Read from dvc.lock how many bytes each stage's outs have."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: sum(out["size"] for out in stage.get("outs", [])) for name, stage in stages.items()}


def bytes_on_disk(files: Iterable[Path]) -> int:
    """Add up what files take on the disk, hard links once. Bytes that reflinks share count for each."""
    found = [file.stat() for file in files]
    return sum({(status.st_dev, status.st_ino): status.st_blocks * 512 for status in found}.values())


def measure_features(folder: Path) -> tuple[int, int]:
    """Give the bytes of all features as plain float16, and what memo, outs and DVC's cache take for them together."""
    shards = [shard for split in ("train", "val", "test") for shard in feature_paths(folder / "data/features" / split)]
    raw = sum(load_shard(shard).features.nbytes for shard in shards)
    digests = [hashlib.md5(shard.read_bytes()).hexdigest() for shard in shards]
    cached = [folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:] for digest in digests]
    memo = [path for path in (folder / ".cache/features").rglob("*") if path.is_file()]
    return raw, bytes_on_disk([*shards, *cached, *memo])


def run_size(options: argparse.Namespace, images: int) -> Size:
    """Run cold with so many training images."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(options.celeba, options.weights, Path(temporary, "project"), parameters(options, images))
        run = measured_repro(folder)
        return Size(images, run, outs_of(folder), *measure_features(folder))


def parameters(options: argparse.Namespace, images: int) -> dict[str, Any]:
    """Give the parameters for so many training images, by dotted key."""
    held_out = min(images // 8, options.held_out // 2) * 2
    return {
        "partition.train": images,
        "partition.val": held_out,
        "partition.test": held_out,
        "augment.copies": 1,
        "train.epochs": 1,
        **settings(options.set),
    }


def size_tables(sizes: Sequence[Size]) -> str:
    """Give the tables of time, memory and outs by stage, and of the features' disk space, a column for each size."""
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
    """Give the table of what each step of --grow costs in one project."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        start = parameters(options, options.grow[0])
        folder = project(options.celeba, options.weights, Path(temporary, "project"), start)
        for images in options.grow:
            say(f"{images} training images in one project")
            change_params(folder, {"partition.train": images})
            run = measured_repro(folder)
            computed = re.search(r"features train: (\d+) shards computed", run.printed)
            ran = any(stage.name == "features@train" for stage in run.stages)
            if ran != bool(computed):
                raise SystemExit(f"the stage features does not say what it computed:\n{run.printed}")
            of_features = sum(stage.seconds for stage in run.stages if stage.name == "features@train")
            rows.append(
                (f"{images:,}", computed[1] if computed else "not run", f"{of_features:.1f} s", f"{run.seconds:.1f} s")
            )
    return table(["Training images, in turn", "Shards computed", "features@train", "`dvc repro`"], rows)


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help="folder of the zip, the lists and the identities")
    parser.add_argument("--weights", type=Path, required=True, help=".h5 of InceptionV3 without its top")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 4000, 16000], help="training images, each cold")
    parser.add_argument("--grow", type=int, nargs="*", default=[4000, 5000, 4000], help="training images, in turn")
    parser.add_argument("--held-out", type=int, default=3872, help="at most so many val and so many test images")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more parameters")
    options = parser.parse_args()
    sizes = []
    for images in options.sizes:
        say(f"{images} training images, cold")
        sizes.append(run_size(options, images))
    if sizes:
        print(size_tables(sizes))
    if options.grow:
        print(growth_table(options))


if __name__ == "__main__":
    main()
