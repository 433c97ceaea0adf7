"""Import of a source: its images and labels written in CelebA's format, so that the pipeline reads them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from facegender.data.celeba import CLASSES, LABEL
from facegender.data.tables import write_csv
from facegender.errors import PARTIAL, FacegenderError
from facegender.files import check_has_an_end
from facegender.importing.celeba_source import lay_out_celeba
from facegender.importing.images import check_copies, identify, image_bytes
from facegender.importing.kinds import KINDS, Found
from facegender.importing.outputs import IMAGES, OUTPUTS, SOURCES, whole_outputs, write_images, write_lists
from facegender.importing.partitions import assign_partitions
from facegender.importing.sources import find_kind, read_source
from facegender.serving.alignment import Align

SHARES = (0.8, 0.1, 0.1)
"""Of train, val and test, for a source without partitions."""


class Imported(NamedTuple):
    """What was written to a folder.

    Attributes:
        folder: the folder.
        annotations: as `read_annotations` reads them from there.
        problems: a line for each image that was left out.
        notes: remarks on how the source was read.
    """

    folder: Path
    annotations: pd.DataFrame
    problems: list[str]
    notes: list[str]


def import_data(
    source: Path,
    folder: Path,
    kind: str | None = None,
    male: str | None = None,
    columns: Mapping[str, str] | None = None,
    image_folder: Path | None = None,
    align: Align = "never",
    skip_bad: bool = False,
    shares: Sequence[float] | None = None,
    seed: int = 120,
    force: bool = False,
) -> Imported:
    """Write a source of images and labels in CelebA's format. The source is only read.

    Args:
        source: a folder, a CSV file, or the zip file of CelebA from Kaggle.
        folder: gets the files of `OUTPUTS`, all or none of them; created if missing.
        kind: a key of `facegender.importing.kinds.KINDS`; None to detect it.
        male: the folder or label that stands for Male, if `facegender.importing.kinds.LABEL_NAMES` does not have it.
        columns: names of the CSV file's columns by the keys of `facegender.importing.csv_source.COLUMNS`, for columns
            of other names.
        image_folder: folder that the CSV file's paths are relative to; None for the CSV file's own.
        align: `never`, `auto` or `always`, as `facegender.serving.alignment.aligned_faces` takes it.
        skip_bad: leave out images that cannot be used.
        shares: of the images in train, val and test; None to keep the source's partitions, or for `SHARES` if it has
            none.
        seed: of the partitions, in [0, 2**64).
        force: replace files of these names in `folder`.

    Raises:
        FacegenderError: the source is of no known kind, files would be overwritten, or images cannot be used and
            `skip_bad` is not set; it lists all of them.
    """
    _check_folder(source, folder, force)
    _check_shares(shares)
    kind = kind or find_kind(source, male)
    _check_options(source, kind, male, bool(columns or image_folder), align)
    try:
        with whole_outputs(folder) as partial:
            if kind == "celeba":
                annotations, problems, notes = lay_out_celeba(source, partial, skip_bad)
            else:
                found = read_source(source, kind, male, columns or {}, image_folder)
                annotations, problems, notes = _lay_out_images(source, found, partial, align, skip_bad)
            _check_both_classes(source, annotations)
            if shares is None and "partition" in annotations:
                notes.append("partitions: from the source")
            else:
                shares = SHARES if shares is None else shares
                identities = annotations.get("identity_name", annotations.get("identity"))
                annotations["partition"] = assign_partitions(annotations[LABEL], identities, shares, seed)
                unit = "image" if identities is None else "identity"
                notes.append(
                    f"partitions: random by {unit}, shares {' '.join(f'{share:g}' for share in shares)}, seed {seed}"
                )
            annotations = annotations.drop(columns="identity_name", errors="ignore")
            write_lists(partial, annotations)
    except OSError as error:
        is_source = error.filename and PARTIAL not in str(error.filename)
        where = error.filename if is_source else folder
        raise FacegenderError(where, f"{error.strerror}, so nothing was imported", "fix that and try again") from error
    return Imported(folder, annotations, problems, notes)


def _check_folder(source: Path, folder: Path, force: bool) -> None:
    if not source.exists():
        raise FacegenderError(source, "no such file or folder", "name the data to import")
    check_has_an_end(source)
    if folder.exists() and not folder.is_dir():
        raise FacegenderError(folder, "not a folder", "name a folder to import to")
    if source.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise FacegenderError(folder, "inside the data to import, which is only read", "use another folder")
    if source.resolve() in [(folder / name).resolve() for name in OUTPUTS]:
        raise FacegenderError(folder, f"{source.name} in it is the data to import", "use another folder")
    existing = [name for name in OUTPUTS if (folder / name).exists()]
    if existing and not force:
        raise FacegenderError(folder, f"{', '.join(existing)} would be overwritten", "allow it with --force")


def _check_shares(shares: Sequence[float] | None) -> None:
    if shares is not None and not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6):
        raise FacegenderError(
            f"--shares {' '.join(map(str, shares))}",
            "shares must be 0 or more and sum to 1",
            "use three such numbers",
        )


def _check_options(source: Path, kind: str, male: str | None, has_csv_options: bool, align: Align) -> None:
    if kind != "csv" and has_csv_options:
        raise FacegenderError(source, f"{KINDS[kind]}, without columns or paths to name", "leave these options out")
    if kind in ("celeba", "utkface") and male is not None:
        raise FacegenderError(source, f"{KINDS[kind]}, so its labels are known", "leave --male out")
    if kind == "celeba" and align != "never":
        raise FacegenderError(source, f"{KINDS[kind]}, so it is already aligned", "leave --align out")


def _check_both_classes(source: Path, annotations: pd.DataFrame) -> None:
    for label, name in enumerate(CLASSES):
        if not (annotations[LABEL] == label).any():
            raise FacegenderError(source, f"no image is {name}", "add some: a model needs images of both classes")


def _lay_out_images(
    source: Path, found: Found, folder: Path, align: Align, skip_bad: bool
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Write the images and `SOURCES`; return the annotations, a line for each bad image, and remarks."""
    images, unreadable = identify(found.images, align)
    images, contradictions = check_copies(images)
    images = images.sort_values(["image_id", "source"])
    kept = images.drop_duplicates("image_id").set_index("image_id")
    bad: dict[str, str] = {}

    def members() -> Iterator[tuple[str, bytes]]:
        for image_id, path, name in zip(kept.index, kept["path"], kept["source"], strict=True):
            try:
                data = image_bytes(Path(path).read_bytes(), name, align)
            except FacegenderError as error:
                bad[image_id] = error.reason
            else:
                yield image_id, data

    write_images(folder / IMAGES, members(), len(kept))
    unusable = images[images["image_id"].isin(list(bad))].sort_values("source")
    problems = found.problems + unreadable + contradictions
    problems += [
        f"{name}: {bad[image_id]}" for name, image_id in zip(unusable["source"], unusable["image_id"], strict=True)
    ]
    if problems and not skip_bad:
        raise FacegenderError(
            source, f"bad images: {len(problems)}", "fix them, or leave them out with --skip-bad", problems
        )
    kept = kept.drop(index=list(bad))
    images = images[images["image_id"].isin(kept.index)]
    columns = ["image_id", "source"] + ["identity_name"] * ("identity_name" in images)
    write_csv(folder / SOURCES, images[columns].rename(columns={"identity_name": "identity"}))
    notes = [f"kind: {found.description}"]
    if len(images) > len(kept):
        notes.append(
            f"copies left out: {len(images) - len(kept)}, each with the same bytes as an image that was kept, in the "
            f"earliest of their partitions ({SOURCES} lists them all)"
        )
    annotations = kept.drop(columns=["path", "source"])
    if "identity_name" in annotations:
        # An image of unknown identity gets an identity of its own.
        named = annotations["identity_name"] != ""
        annotations["identity_name"] = annotations["identity_name"].where(named, annotations.index.to_series())
        annotations["identity"] = pd.factorize(annotations["identity_name"], sort=True)[0] + 1
    return annotations, problems, notes
