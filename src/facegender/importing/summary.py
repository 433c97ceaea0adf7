"""What `facegender import` and `facegender use celeba` print."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from facegender.data.celeba import CLASSES, LABEL, PARTITIONS
from facegender.errors import visible
from facegender.importing.layout import Imported
from facegender.importing.outputs import OUTPUTS
from facegender.importing.params_file import CELEBA, PORTRAITS, ParamsFile
from facegender.importing.partitions import balanced_counts
from facegender.preparation.partition import drop_shared_identities

IMAGES_OF_CELEBA = 202_599

_MINUTES = {
    (CELEBA, "bfloat16"): (66 / 14_000, 90 / 14_000),
    (CELEBA, "float32"): (105 / 14_000, 200 / 14_000),
    (PORTRAITS, "float32"): (7 / 1000, 10 / 1000),
}
"""Of `dvc repro` on two cores, for each training image. CELEBA, bfloat16: the runs in README.md. The others are
extrapolated from benchmarks/README.md: a second for 7 to 16 images of the whole network in float32; PORTRAITS: a second
for the features of 46 images, or the training of 28."""

_GIGABYTES = {CELEBA: 0.01 / 1000, PORTRAITS: 0.4 / 1000}
"""For each training image: its JPEG, and with PORTRAITS its features and those of its copy, twice."""

_GIGABYTES_FIXED = 2
"""Four network files of 88 MB, ImageNet's weights, and up to three states of training of 350 MB."""


def describe(imported: Imported) -> str:
    """Return what was imported, and how to version the files."""
    annotations, folder = imported.annotations, imported.folder
    place, here = folder.resolve(), Path.cwd().resolve()
    inside = place.is_relative_to(here)
    lines = [*map(visible, imported.notes), *_count_lines(annotations, balanced_counts(annotations)), ""]
    if inside:
        shown = place.relative_to(here)
        files = [(shown / name).as_posix() for name in OUTPUTS if (folder / name).exists()]
        lines.append(f"To version it: dvc add {shlex.join(files)}")
        lines.append(f"and commit the .dvc files: git add {shlex.join(f'{file}.dvc' for file in files)}")
    else:
        lines.append(
            f"{folder} is outside the current folder, so DVC cannot version it; to version it, import to a folder "
            "inside"
        )
    if imported.problems:
        lines += [
            "",
            f"left out: {len(imported.problems)}",
            *(f"  {visible(problem)}" for problem in imported.problems),
        ]
    return "\n".join(lines)


def describe_params(params: ParamsFile, available: Mapping[str, int], path: Path | None) -> str:
    """Return what a params file says, where it is if it was written, and what to check in it.

    Args:
        params: the file.
        available: as `fill_in` takes it.
        path: where it was written; None if it was only printed.
    """
    counts = ", ".join(f"{split} {count:,}" for split, count in params.counts.items())
    more = {split: most for split, most in available.items() if most > params.counts[split]}
    at_most = "; at most: " + ", ".join(f"{split} {most:,}" for split, most in more.items()) if more else ""
    kept = f"{path}, written" if path else "the file above, to save as params.yaml,"
    return "\n".join(
        [
            f"params: {kept} from {params.template.as_posix()}, whose comments explain each key",
            f"images, half of each class (or all for every image): {counts}{at_most}",
            f"weights that training starts from: {params.weights}",
            *_precision(params),
            _effort(params),
        ]
    )


def describe_celeba(annotations: pd.DataFrame, params: ParamsFile, available: Mapping[str, int], path: Path) -> str:
    """Return what was found and written, what CelebA's agreement asks for, and what to do next.

    Args:
        annotations: as `read_annotations` returns them.
        params: the params file.
        available: as `fill_in` takes it.
        path: where the params file is.
    """
    part = "" if len(annotations) == IMAGES_OF_CELEBA else f", a part of its {IMAGES_OF_CELEBA:,}"
    return "\n".join(
        [
            f"CelebA: all {len(annotations):,} listed images are there{part}",
            *_count_lines(annotations, available),
            describe_params(params, available, path),
            "licence: for non-commercial research only; its agreement forbids passing on the images, the annotations "
            "and models trained on them. So commit only params.yaml, dvc.lock and the numbers in metrics/, and do not "
            "dvc push to a remote that others can read",
            # The second time, there is nothing to commit, which `git commit` alone would call a failure.
            "next: git add .gitignore params.yaml && (git diff --cached --quiet || git commit -m 'Use CelebA') && "
            "make repro",
        ]
    )


def _precision(params: ParamsFile) -> list[str]:
    if params.template != CELEBA or params.precision == "bfloat16":
        return []
    return ["train.precision: float32, because this processor has no bfloat16 instructions"]


def _effort(params: ParamsFile) -> str:
    images = params.counts["train"]
    low, high = (images * minutes for minutes in _MINUTES[params.template, params.precision])
    minutes = f"{max(2, low):.0f} to {max(5, high):.0f} minutes"
    gigabytes = round(_GIGABYTES_FIXED + images * _GIGABYTES[params.template])
    return f"make repro takes about {minutes} on two cores, and about {gigabytes} GB of disk"


def _count_lines(annotations: pd.DataFrame, counts: Mapping[str, int]) -> list[str]:
    lines = []
    for split, number in PARTITIONS.items():
        labels = annotations[LABEL][annotations["partition"] == number]
        by_class = ", ".join(f"{(labels == label).sum()} {name}" for label, name in enumerate(CLASSES))
        line = f"{split}: {len(labels)} images, {by_class}"
        if not counts[split]:
            line += "; the pipeline needs both classes here: add images, or make new partitions with --shares"
        lines.append(line)
    if "identity" in annotations:
        line = f"identities: {annotations['identity'].nunique()}"
        shared = len(annotations) - len(drop_shared_identities(annotations))
        if shared:
            line += f"; some are in several partitions, and {shared} of their images will not be sampled"
        lines.append(line)
    return lines
