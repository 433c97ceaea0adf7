"""People's own pictures and labels, laid out as CelebA's, so that the pipeline reads them."""

import hashlib
import os
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from facegender.data.celeba import CLASSES, HEIGHT, LABEL, PARTITIONS, WIDTH
from facegender.data.folders import list_files
from facegender.data.image_sources import ImageSource, open_images
from facegender.data.images import decode_image, encode_jpeg
from facegender.data.lists import known_identities, read_annotations, read_attributes
from facegender.errors import FacegenderError
from facegender.files import write_csv
from facegender.importing.sources import KINDS, Found, celeba_lists, find_kind, open_zip, read_source
from facegender.preparation.partition import drop_shared_identities
from facegender.serving.alignment import Align, aligned_faces

SHARES = (0.8, 0.1, 0.1)

IMAGES = "img_align_celeba.zip"
ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST = "list_attr_celeba.csv", "list_eval_partition.csv", "identity_CelebA.txt"
SOURCES = "sources.csv"
OUTPUTS = (IMAGES, ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST, SOURCES)

_SUFFIXES = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"BM": ".bmp",
    b"RIFF": ".webp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


class Imported(NamedTuple):
    """What was written to a folder."""

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
    images: Path | None = None,
    align: Align = "never",
    skip_bad: bool = False,
    shares: Sequence[float] | None = None,
    seed: int = 120,
    force: bool = False,
) -> Imported:
    """Lay a source of pictures and labels out in CelebA's format. The source is only read.

    Args:
        source: a folder, a csv, or the zip of CelebA that Kaggle gives.
        folder: is made, whole or not at all, with the files of `OUTPUTS`.
        kind: a key of `KINDS`; None to find it out.
        male: the folder or label that stands for Male, where `facegender.importing.sources.NAMES` does not tell.
        columns: names of the csv's columns by the keys of `COLUMNS`, where these do not tell.
        images: folder that the csv's paths start from; None for the csv's own.
        align: `never`, `auto` or `always`, as `facegender.serving.alignment.aligned_faces` takes it.
        skip_bad: leave out what cannot be used.
        shares: of the pictures in train, val and test; None to keep the source's partitions, or `SHARES` without any.
        seed: of the partitions, in [0, 2**64).
        force: replace files of these names in `folder`.

    Raises:
        FacegenderError: the source is of no kind, files would be overwritten, or pictures cannot be used and `skip_bad`
            is not set; it lists all of them.
    """
    _check_folder(source, folder, force)
    _check_shares(shares)
    kind = kind or find_kind(source, male)
    if kind != "csv" and (columns or images):
        raise FacegenderError(
            f"{source}: {KINDS[kind]}, which has no columns and paths to name; leave these options out"
        )
    if kind in ("celeba", "utkface") and male is not None:
        raise FacegenderError(f"{source}: {KINDS[kind]}, whose labels are known; leave --male out")
    try:
        with _whole_outputs(folder) as partial:
            if kind == "celeba":
                if align != "never":
                    raise FacegenderError(f"{source}: {KINDS[kind]}, which is aligned; leave --align out")
                annotations, problems, notes = _lay_out_celeba(source, partial, skip_bad)
            else:
                found = read_source(source, kind, male, columns or {}, images)
                annotations, problems, notes = _lay_out_pictures(source, found, partial, align, skip_bad)
            _check_both_classes(source, annotations)
            if shares is None and "partition" in annotations:
                notes.append("partitions: the source's")
            else:
                shares = SHARES if shares is None else shares
                persons = annotations.get("person", annotations.get("identity"))
                annotations["partition"] = assign_partitions(annotations[LABEL], persons, shares, seed)
                unit = "picture" if persons is None else "person"
                notes.append(
                    f"partitions: drawn by {unit}, shares {' '.join(f'{share:g}' for share in shares)}, seed {seed}"
                )
            annotations = annotations.drop(columns="person", errors="ignore")
            write_lists(partial, annotations)
    except OSError as error:
        raise FacegenderError(f"{error.filename or folder}: {error.strerror}; nothing was imported") from error
    return Imported(folder, annotations, problems, notes)


def _check_folder(source: Path, folder: Path, force: bool) -> None:
    if not source.exists():
        raise FacegenderError(f"{source}: there is no such file or folder; give the data to import")
    if folder.exists() and not folder.is_dir():
        raise FacegenderError(f"{folder}: a file; give a folder to import to")
    if source.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise FacegenderError(f"{folder}: inside the data to import, which is only read; give another folder")
    if source.resolve() in [(folder / name).resolve() for name in OUTPUTS]:
        raise FacegenderError(f"{folder}: {source.name} there is the data to import; give another folder")
    there = [name for name in OUTPUTS if (folder / name).exists()]
    if there and not force:
        raise FacegenderError(f"{folder}: {', '.join(there)} would be overwritten; allow it with --force")


def _check_shares(shares: Sequence[float] | None) -> None:
    if shares is not None and not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6):
        raise FacegenderError(f"--shares {' '.join(map(str, shares))}: give three numbers from 0 that sum to 1")


def _check_both_classes(source: Path, annotations: pd.DataFrame) -> None:
    for label, name in enumerate(CLASSES):
        if not (annotations[LABEL] == label).any():
            raise FacegenderError(f"{source}: no picture is {name}; a model needs pictures of both classes")


@contextmanager
def _whole_outputs(folder: Path) -> Iterator[Path]:
    """Give a temporary folder whose files move to `folder` only if the block ends without an error.

    Unlike `whole_folder`, other files in `folder`, such as those of DVC, stay.
    """
    # On the same disk, though DEST be a link or a disk of its own.
    folder = folder.resolve()
    near = next(path for path in (folder, *folder.parents) if path.is_dir())
    partial = near / f".partial-{folder.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, folder)
            return
        for name in OUTPUTS:
            if (partial / name).exists():
                os.replace(partial / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def picture_bytes(data: bytes, name: str, align: Align = "never") -> bytes:
    """Check a picture and give the bytes to store: its own where the pipeline reads them, or a JPEG.

    Args:
        data: the file's bytes.
        name: what an error calls the picture.
        align: `never`, or how `facegender.serving.alignment.aligned_faces` is to look for the one face.

    Raises:
        FacegenderError: the bytes are no picture, or there is not exactly one face to align.
    """
    image = decode_image(data, name)
    if align != "never":
        faces = aligned_faces(image, align, HEIGHT, WIDTH)
        if len(faces) != 1:
            found = f"{len(faces)} faces" if faces else "no face"
            raise FacegenderError(f"{name}: {found} found, but its label is of one; crop or remove it")
        aligned = faces[0][1]
        if stored_suffix(data) != ".jpg" or not np.array_equal(aligned, image):
            return encode_jpeg(aligned)
    return data if stored_suffix(data) else encode_jpeg(image)


def stored_suffix(data: bytes) -> str:
    """Give the suffix of a kind of picture that the pipeline reads, by its first bytes; blank for any other."""
    return next((suffix for start, suffix in _SUFFIXES.items() if data.startswith(start)), "")


def identify(pictures: pd.DataFrame, align: Align = "never") -> tuple[pd.DataFrame, list[str]]:
    """Add the column `image_id`, which a picture's bytes alone decide, and neither its name nor other pictures.

    Returns:
        The pictures that can be read, and a line for each that cannot.
    """
    image_ids, problems = [], []
    for path, source in tqdm(_paths(pictures), "identify", len(pictures), disable=None):
        try:
            data = Path(path).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte.
            image_ids.append("")
            problems.append(f"{source}: {error.strerror if isinstance(error, OSError) else error}")
        else:
            digest = hashlib.blake2b(data, digest_size=8).hexdigest()
            suffix = stored_suffix(data) if align == "never" else ""
            image_ids.append(digest + (suffix or ".jpg"))
    pictures = pictures.assign(image_id=image_ids)
    return pictures[pictures["image_id"] != ""], problems


def _paths(pictures: pd.DataFrame) -> Iterator[tuple[Path, str]]:
    return zip(pictures["path"], pictures["source"], strict=True)


def check_copies(pictures: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out pictures whose copies have another label or person; give copies the earliest of their partitions
    and the person that is known.

    Args:
        pictures: as `identify` gives them.

    Returns:
        The pictures whose copies agree, and a line for each that has others.
    """
    problems = []
    bad: set[str] = set()
    copies = pictures[pictures["image_id"].duplicated(keep=False)]
    for column in (LABEL, "person"):
        if column in copies:
            known = copies[(copies[column] != "") & ~copies["image_id"].isin(bad)]
            values = known.groupby("image_id")[column].nunique()
            different = values.index[values > 1]
            for _, group in copies[copies["image_id"].isin(different)].groupby("image_id"):
                problems += _contradictions(list(zip(group["source"], group[column].tolist(), strict=True)))
            bad.update(different)
    pictures = pictures[~pictures["image_id"].isin(bad)]
    groups = pictures.groupby("image_id")
    if "partition" in pictures:
        pictures = pictures.assign(partition=groups["partition"].transform("min"))
    if "person" in pictures:
        pictures = pictures.assign(person=groups["person"].transform("max"))
    return pictures, problems


def _contradictions(copies: Sequence[tuple[str, int | str]]) -> list[str]:
    """Give a line for each copy of a picture, by its source and its label or person, that names one that is not so."""
    lines = []
    for source, value in copies:
        other, otherwise = next(copy for copy in copies if copy[1] not in (value, ""))
        what = repr(otherwise) if isinstance(otherwise, str) else CLASSES[otherwise]
        lines.append(f"{source}: the same picture as {other}, which is {what}")
    return lines


def _lay_out_pictures(
    source: Path, found: Found, folder: Path, align: Align, skip_bad: bool
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Write the pictures and where they are from; give their annotations, the problems and remarks."""
    pictures, unreadable = identify(found.pictures, align)
    pictures, contradictions = check_copies(pictures)
    pictures = pictures.sort_values(["image_id", "source"])
    kept = pictures.drop_duplicates("image_id").set_index("image_id")
    bad: dict[str, str] = {}

    def members() -> Iterator[tuple[str, bytes]]:
        for image_id, path, name in zip(kept.index, kept["path"], kept["source"], strict=True):
            try:
                data = picture_bytes(Path(path).read_bytes(), name, align)
            except FacegenderError as error:
                bad[image_id] = str(error).removeprefix(f"{name}: ")
            else:
                yield image_id, data

    write_images(folder / IMAGES, members(), len(kept))
    useless = pictures[pictures["image_id"].isin(list(bad))].sort_values("source")
    problems = found.problems + unreadable + contradictions
    problems += [
        f"{name}: {bad[image_id]}" for name, image_id in zip(useless["source"], useless["image_id"], strict=True)
    ]
    if problems and not skip_bad:
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise FacegenderError(
            f"{source}: bad pictures: {len(problems)}; mend them, or leave them out with --skip-bad:\n{listing}"
        )
    kept = kept.drop(index=list(bad))
    pictures = pictures[pictures["image_id"].isin(kept.index)]
    columns = ["image_id", "source"] + ["person"] * ("person" in pictures)
    write_csv(folder / SOURCES, pictures[columns])
    notes = [f"kind: {found.description}"]
    if len(pictures) > len(kept):
        notes.append(
            f"copies left out: {len(pictures) - len(kept)}, with the very bytes of another, which is in the earliest "
            f"of their partitions ({SOURCES} names them all)"
        )
    annotations = kept.drop(columns=["path", "source"])
    if "person" in annotations:
        # Where the person is unknown, each picture is one of its own.
        annotations["person"] = annotations["person"].where(annotations["person"] != "", annotations.index.to_series())
        annotations["identity"] = pd.factorize(annotations["person"], sort=True)[0] + 1
    return annotations, problems, notes


def write_images(path: Path, images: Iterable[tuple[str, bytes]], count: int) -> None:
    """Write images by their id as CelebA's zip, uncompressed. The same images give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for image_id, data in tqdm(images, "pack", count, disable=None):
            # A member has the earliest date there is, unless told otherwise.
            member = zipfile.ZipInfo(f"img_align_celeba/{image_id}")
            member.create_system = 3  # Unix, on Windows too, for the same bytes.
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)


def _lay_out_celeba(source: Path, folder: Path, skip_bad: bool) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Put the images in place; give the annotations, the problems and remarks.

    A zip is copied as it is, not linked: DVC makes what it links to its cache read-only, the source with it.
    """
    is_zip = source.is_file()
    with tempfile.TemporaryDirectory() if is_zip else nullcontext(str(source)) as place:
        if is_zip:
            with open_zip(source) as archive:
                lists = celeba_lists(archive.namelist())
                # Where it was put, which is below `place` whatever the member's name.
                lists = {stem: archive.extract(member, place) for stem, member in lists.items()}
            images = source
        else:
            files = list_files(source)
            lists = celeba_lists(files)
            images = _celeba_images(source, files)
        if not lists:
            raise FacegenderError(f"{source}: no list_attr_celeba.csv or .txt; give the folder that has it")
        try:
            annotations = _read_celeba({stem: Path(place, file) for stem, file in lists.items()})
        except FacegenderError as error:
            raise FacegenderError(str(error).replace(place, str(source))) from error
    annotations = annotations.sort_index()
    with open_images(images) as opened:
        missing = [image_id for image_id in annotations.index if image_id not in opened]
        if missing and not skip_bad:
            raise FacegenderError(
                f"{images}: {len(missing)} of {len(annotations)} listed images are not there (first: {missing[0]}); "
                "get them, or leave their rows out with --skip-bad"
            )
        annotations = annotations.drop(index=missing)
        if images.is_dir():
            write_images(folder / IMAGES, _read_all(opened, annotations.index), len(annotations))
    if images.is_file():
        shutil.copyfile(images, folder / IMAGES)
    how = "copied as it is" if images.is_file() else "packed"
    notes = [f"kind: {KINDS['celeba']}; {images} {how}, its images not looked into"]
    return annotations, [f"{image_id}: not there" for image_id in missing], notes


def _celeba_images(source: Path, files: Iterable[str]) -> Path:
    """Find the zip or folder of aligned images beside the lists."""
    for file in files:
        parts = file.split("/")
        if parts[-1] == IMAGES:
            return source / file
        if "img_align_celeba" in parts[:-1]:
            return source.joinpath(*parts[: parts.index("img_align_celeba") + 1])
    return source


def _read_all(images: ImageSource, image_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    return ((image_id, images.read(image_id)) for image_id in image_ids)


def _read_celeba(lists: Mapping[str, Path]) -> pd.DataFrame:
    attributes, identities = lists["list_attr_celeba"], lists.get("identity_CelebA")
    if "list_eval_partition" in lists:
        return read_annotations(attributes, lists["list_eval_partition"], identities)
    annotations = read_attributes(attributes)
    identity = None if identities is None else known_identities(identities)
    if identity is not None:
        unknown = annotations.index.difference(identity.index)
        if len(unknown):
            raise FacegenderError(f"{identities}: no row of {unknown[0]}, which {attributes} lists; get the whole list")
        annotations["identity"] = identity.reindex(annotations.index)
    return annotations


def assign_partitions(labels: pd.Series, persons: pd.Series | None, shares: Sequence[float], seed: int) -> pd.Series:
    """Draw partitions that have these shares of the pictures of each class, no person in two of them.

    A person, or a picture where persons are not known, has a rank by a hash of the seed and their name, and goes where
    the middle of their pictures falls. So the rows' order is of no matter, and further pictures move few of the others.

    Args:
        labels: 0 or 1; index `image_id`.
        persons: same index; a person of pictures of both classes counts to the class of most of them. None: not known.
        shares: of partitions 0, 1 and 2; from 0, their sum is 1.
        seed: in [0, 2**64).

    Returns:
        int8 named `partition`; same index.
    """
    names = (labels.index.to_series() if persons is None else persons).astype(str)
    units = labels.groupby(names).agg(["mean", "size"])
    key = seed.to_bytes(8, "little")
    units["rank"] = [hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest() for name in units.index]
    cuts = np.cumsum(shares)[:-1]
    homes = []
    for _, units_of_class in units.sort_values("rank").groupby(units["mean"] >= 0.5):
        sizes = units_of_class["size"]
        middles = (sizes.cumsum() - sizes / 2) / sizes.sum()
        homes.append(pd.Series(np.searchsorted(cuts, middles, side="right"), units_of_class.index))
    return names.map(pd.concat(homes)).astype(np.int8).rename("partition")


def write_lists(folder: Path, annotations: pd.DataFrame) -> None:
    """Write CelebA's lists.

    Args:
        folder: where to.
        annotations: as `facegender.data.lists.read_annotations` gives them.
    """
    annotations = annotations.sort_index()
    image_ids = annotations.index
    attributes = annotations[[name for name in annotations if name not in ("partition", "identity")]] * 2 - 1
    attributes.insert(0, "image_id", image_ids)
    write_csv(folder / ATTRIBUTE_LIST, attributes)
    write_csv(folder / PARTITION_LIST, pd.DataFrame({"image_id": image_ids, "partition": annotations["partition"]}))
    if "identity" in annotations:
        # CelebA has a space there, which cannot stay where names have some.
        apart = "," if image_ids.str.contains(" ").any() else " "
        lines = [
            f"{image_id}{apart}{identity}\n"
            for image_id, identity in zip(image_ids, annotations["identity"], strict=True)
        ]
        (folder / IDENTITY_LIST).write_text("".join(lines), encoding="utf-8", newline="\n")


def balanced_counts(annotations: pd.DataFrame) -> dict[str, int]:
    """Give the largest counts that `facegender.preparation.partition.sample_splits` can draw."""
    annotations = drop_shared_identities(annotations)
    sizes = annotations.groupby(["partition", LABEL]).size()
    return {
        split: len(CLASSES) * min(int(sizes.get((number, label), 0)) for label in range(len(CLASSES)))
        for split, number in PARTITIONS.items()
    }


def describe(imported: Imported) -> str:
    """Say what was imported, and what to do with it."""
    annotations, folder = imported.annotations, imported.folder
    counts = balanced_counts(annotations)
    lines = [*imported.notes, *_count_lines(annotations, counts)]
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
    lines += ["", "In params.yaml, in place of its dataset:", "", block]
    lines += [f"and under its partition at most these, half of each class: {{{most}}}", ""]
    if inside:
        files = [(shown / name).as_posix() for name in OUTPUTS if (folder / name).exists()]
        lines.append(f"To version it: dvc add {shlex.join(files)}")
        lines.append(f"and commit the .dvc files: git add {shlex.join(f'{file}.dvc' for file in files)}")
    else:
        lines.append(
            f"{folder} is outside this folder, where DVC cannot version it; to do so, import to a folder inside"
        )
    if imported.problems:
        lines += ["", f"left out: {len(imported.problems)}", *(f"  {problem}" for problem in imported.problems)]
    return "\n".join(lines)


def _count_lines(annotations: pd.DataFrame, counts: Mapping[str, int]) -> list[str]:
    lines = []
    for split, number in PARTITIONS.items():
        labels = annotations[LABEL][annotations["partition"] == number]
        of_classes = [int((labels == label).sum()) for label in range(len(CLASSES))]
        line = f"{split}: {len(labels)} pictures, " + ", ".join(
            f"{count} {name}" for count, name in zip(of_classes, CLASSES, strict=True)
        )
        if not counts[split]:
            line += "; the pipeline needs both classes here: give more pictures, or split anew with --shares"
        lines.append(line)
    if "identity" in annotations:
        line = f"persons: {annotations['identity'].nunique()}"
        shared = len(annotations) - len(drop_shared_identities(annotations))
        if shared:
            line += f"; some are in several partitions, and {shared} of their pictures will not be sampled"
        lines.append(line)
    return lines
