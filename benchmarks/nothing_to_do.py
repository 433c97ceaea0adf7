"""Time `dvc status` and `dvc repro` with nothing changed and a zip of 202,599 images; and measure the light stages.

The zip repeats the images of --celeba under CelebA's 202,599 names. The light stages are those that do not need
TensorFlow; they run cold on 2,000 training images. Prints Markdown tables.

    python -m benchmarks.nothing_to_do --celeba FOLDER
"""

import statistics
import tempfile
import zipfile
from itertools import cycle
from pathlib import Path

from benchmarks.measure import (
    DATASET,
    IMAGES,
    argument_parser,
    measured,
    measured_repro,
    project,
    say,
    stage_table,
    table,
)
from facegender.errors import one_line_errors

LAST_OF_PARTITIONS = (162_770, 182_637, 202_599)
"""CelebA's last image of train, val and test."""

LIGHT_STAGES = ("synthetic_data", "eda", "partition", "preprocess", "augment", "baseline")
REPEATS = 5


def full_size(celeba: Path, folder: Path) -> Path:
    """Write a zip and lists of CelebA's full size to a new folder, by repeating those in `celeba`."""
    folder.mkdir()
    names = [f"{number + 1:06}.jpg" for number in range(LAST_OF_PARTITIONS[-1])]
    with zipfile.ZipFile(celeba / IMAGES) as source, zipfile.ZipFile(folder / IMAGES, "w") as target:
        members = cycle(member for member in source.namelist() if member.endswith(".jpg"))
        for name, member in zip(names, members, strict=False):
            target.writestr(f"img_align_celeba/{name}", source.read(member))
    header, *rows = (celeba / DATASET["attributes"]).read_text(encoding="utf-8").splitlines()
    values = cycle(row.partition(",")[2] for row in rows)
    lists = {
        "attributes": [header, *(f"{name},{value}" for name, value in zip(names, values, strict=False))],
        "partitions": ["image_id,partition", *(f"{name},{partition_of(name)}" for name in names)],
        "identities": [f"{name} {number}" for number, name in enumerate(names)],
    }
    for key, lines in lists.items():
        (folder / DATASET[key]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def partition_of(name: str) -> int:
    """Return the official partition of an image: 0 train, 1 val, 2 test."""
    return sum(int(name.removesuffix(".jpg")) > last for last in LAST_OF_PARTITIONS)


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba")
    parser.add_argument("--train", type=int, default=2000, help="training images of the light stages")
    parser.add_argument("--val", type=int, default=600)
    parser.add_argument("--test", type=int, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        counts = {f"partition.{split}": getattr(options, split) for split in ("train", "val", "test")}
        folder = project(options.celeba, "random", Path(temporary, "light"), counts)
        say("the light stages, cold")
        light = measured_repro(folder, *LIGHT_STAGES)
        say("writing the full-size zip")
        celeba = full_size(options.celeba, Path(temporary, "celeba"))
        small = dict.fromkeys(counts, 20) | {"backbone.trainable_from": "head", "train.epochs": 1}
        folder = project(celeba, "random", Path(temporary, "full"), small)
        say("dvc repro")
        measured_repro(folder)
        rows = []
        for command in ("status", "repro"):
            say(f"dvc {command} with nothing changed, {REPEATS} times")
            runs = [measured(["dvc", command], folder) for _ in range(REPEATS)]
            if any("up to date" not in run.printed for run in runs):
                raise SystemExit(f"dvc {command} was not up to date:\n{runs[-1].printed}")
            seconds = [run.seconds for run in runs]
            rows.append((f"`dvc {command}`", *(f"{of(seconds):.2f} s" for of in (min, statistics.median, max))))
    print(table(["Nothing changed, 202,599 images", "min", "median", "max"], rows))
    print(stage_table(light))


if __name__ == "__main__":
    with one_line_errors():
        main()
