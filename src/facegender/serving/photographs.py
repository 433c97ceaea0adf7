"""Judging photographs: which files they are, the faces in them, and what a classifier says of each."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facegender.data.celeba import CLASSES
from facegender.data.folders import list_files
from facegender.data.images import IMAGE_SUFFIXES, Pixels, decode_image
from facegender.data.streams import batched, read_ahead
from facegender.errors import FacegenderError
from facegender.serving.alignment import Align, Face, aligned_faces
from facegender.serving.classifier import Classifier

UNSURE = "unsure"
_BATCH = 32


class Judgement(NamedTuple):
    """What is said of a face, or why nothing can be said of a file.

    Attributes:
        path: of the photograph.
        face: number of the face in it, from 1; None where the photograph was taken whole, or for a bad file.
        box: left, top, right and bottom of the face in pixels of the photograph; None like `face`.
        probability: P(Male); None for a bad file.
        label: Male, No male or unsure; None for a bad file.
        error: what is wrong with the file; None for a face.
    """

    path: str
    face: int | None = None
    box: tuple[int, int, int, int] | None = None
    probability: float | None = None
    label: str | None = None
    error: str | None = None


class _Crop(NamedTuple):
    path: str
    face: int | None
    box: tuple[int, int, int, int] | None
    image: Pixels


def find_photographs(arguments: Iterable[str], listed: Iterable[str]) -> Iterator[str | Judgement]:
    """List the files that arguments mean.

    Args:
        arguments: files, folders (with all that is below them), patterns such as `*.jpg`, or `-` for `listed`.
        listed: the lines of a list of files, folders or patterns; blank ones are passed over.

    Yields:
        Paths of files in the order of the arguments, sorted within each; a Judgement with the reason for an argument
        that means no file.
    """
    for argument in arguments:
        if argument == "-":
            lines = [line.strip() for line in listed if line.strip()]
            yield from find_photographs(lines, ()) if lines else (Judgement("-", error="no path on standard input"),)
        elif os.path.isdir(argument):
            yield from _below(argument)
        elif os.path.exists(argument) or not glob.has_magic(argument):
            yield argument
        else:
            files = filter(os.path.isfile, glob.iglob(argument, recursive=True))
            yield from sorted(files) or (Judgement(argument, error="no file matches"),)


def _below(folder: str) -> Iterator[str | Judgement]:
    try:
        names = [name for name in list_files(Path(folder)) if name.lower().endswith(IMAGE_SUFFIXES)]
    except FacegenderError as error:
        yield Judgement(folder, error=str(error))
        return
    if not names:
        yield Judgement(folder, error=f"no image inside ({', '.join(IMAGE_SUFFIXES)})")
    yield from (os.path.join(folder, name) for name in names)


def judge_photographs(
    paths: Iterable[str | Judgement], classifier: Classifier, align: Align, unsure: float
) -> Iterator[Judgement]:
    """Judge every face of every photograph, a batch in memory at a time.

    Args:
        paths: as `find_photographs` gives them.
        classifier: what judges.
        align: as of `facegender.serving.alignment.aligned_faces`.
        unsure: a face whose P(Male) is nearer to the threshold than this is called unsure.

    Yields:
        In the order of the paths: a judgement for each face, or one for a file that cannot be judged.
    """
    crops = (crop for path in paths for crop in _crops(path, classifier, align))
    for batch in read_ahead(batched(crops, _BATCH)):
        images = [crop.image for crop in batch if isinstance(crop, _Crop)]
        probabilities = iter(classifier.predict(np.stack(images)) if images else ())
        for crop in batch:
            if isinstance(crop, Judgement):
                yield crop
                continue
            probability = round(float(next(probabilities)), 6)
            label = label_of(probability, classifier.threshold, unsure)
            yield Judgement(crop.path, crop.face, crop.box, probability, label)


def _crops(path: str | Judgement, classifier: Classifier, align: Align) -> Iterator[_Crop | Judgement]:
    if isinstance(path, Judgement):
        yield path
        return
    try:
        faces = read_faces(path, classifier.height, classifier.width, align)
    except FacegenderError as error:
        yield Judgement(path, error=str(error).removeprefix(f"{path}: "))
        return
    for number, (face, image) in enumerate(faces, start=1):
        if face is None:
            yield _Crop(path, None, None, image)
        else:
            left, top, right, bottom = map(round, face.box)
            yield _Crop(path, number, (left, top, right, bottom), image)


def read_faces(path: str, height: int, width: int, align: Align) -> Sequence[tuple[Face | None, Pixels]]:
    """Read a photograph and give its faces as `facegender.serving.alignment.aligned_faces` does, at least one.

    Raises:
        FacegenderError: the file cannot be read, is no picture, or shows no face.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FacegenderError(f"{path}: {reason}; check the path") from error
    faces = aligned_faces(decode_image(data, path), align, height, width)
    if not faces:
        raise FacegenderError(
            f"{path}: no face found; give a larger or clearer picture, or --align never to take it whole"
        )
    return faces


def label_of(probability: float, threshold: float, unsure: float) -> str:
    """Name what a P(Male) means: `unsure` nearer to the threshold than `unsure`, otherwise `Male` from it on."""
    return UNSURE if abs(probability - threshold) < unsure else CLASSES[int(probability >= threshold)]
