"""What `facegender import` prints."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml

from facegender.data.celeba import CLASSES, LABEL, PARTITIONS
from facegender.importing.layout import Imported
from facegender.importing.outputs import ATTRIBUTE_LIST, IDENTITY_LIST, IMAGES, OUTPUTS, PARTITION_LIST
from facegender.importing.partitions import balanced_counts
from facegender.preparation.partition import drop_shared_identities


def describe(imported: Imported) -> str:
    """Return what was imported, what to put in params.yaml, and how to version the files."""
    annotations, folder = imported.annotations, imported.folder
    counts = balanced_counts(annotations)
    place = folder.resolve()
    inside = place.is_relative_to(Path.cwd().resolve())
    shown = place.relative_to(Path.cwd().resolve()) if inside else place
    paths = {
        "images": (shown / IMAGES).as_posix(),
        "attributes": (shown / ATTRIBUTE_LIST).as_posix(),
        "partitions": (shown / PARTITION_LIST).as_posix(),
        "identities": (shown / IDENTITY_LIST).as_posix() if "identity" in annotations else "params/no_identities.txt",
    }
    block = yaml.safe_dump({"dataset": paths}, sort_keys=False, allow_unicode=True, width=10_000)
    most = ", ".join(f"{split}: {count}" for split, count in counts.items())
    lines = [
        *imported.notes,
        *_count_lines(annotations, counts),
        "",
        "Replace `dataset` in params.yaml with:",
        "",
        block,
        f"and set at most these counts, half of each class, under `partition`: {{{most}}}, or all for every image",
        "",
    ]
    if inside:
        files = [(shown / name).as_posix() for name in OUTPUTS if (folder / name).exists()]
        lines.append(f"To version it: dvc add {shlex.join(files)}")
        lines.append(f"and commit the .dvc files: git add {shlex.join(f'{file}.dvc' for file in files)}")
    else:
        lines.append(
            f"{folder} is outside the current folder, so DVC cannot version it; to version it, import to a folder "
            "inside"
        )
    if imported.problems:
        lines += ["", f"left out: {len(imported.problems)}", *(f"  {problem}" for problem in imported.problems)]
    return "\n".join(lines)


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
