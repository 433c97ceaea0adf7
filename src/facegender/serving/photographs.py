"""Predictions for photographs: which files the arguments mean, the faces in them, and the class of each face."""

import codecs
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from facegender.cluster import spread
from facegender.data.folders import list_files, suffix_counts
from facegender.data.images import IMAGE_SUFFIXES, MAX_FILE_BYTES, Pixels, decode_verified
from facegender.data.streams import batched, read_ahead
from facegender.data.tables import DECIMALS
from facegender.errors import FacegenderError
from facegender.files import as_stored, is_url, read_regular_file
from facegender.serving.alignment import Align, Face, aligned_faces
from facegender.serving.classifier import Classifier, load_classifier
from facegender.serving.labels import predicted_class

_BATCH = 32


class Prediction(NamedTuple):
    """The prediction for a face, or the reason why a file has none.

    Attributes:
        path: of the photograph.
        face: number of the face in the photograph, from 1; None if it was taken whole or failed.
        box: left, top, right and bottom of the face in pixels of the photograph; None if `face` is.
        probability: P(Male); None for a file that failed.
        predicted: Male, No male or unsure; None for a file that failed.
        error: why the file failed; None for a face.
    """

    path: str
    face: int | None = None
    box: tuple[int, int, int, int] | None = None
    probability: float | None = None
    predicted: str | None = None
    error: str | None = None


class _Crop(NamedTuple):
    path: str
    face: int | None
    box: tuple[int, int, int, int] | None
    image: Pixels


class Found(NamedTuple):
    """The photographs that the arguments of a command mean.

    Attributes:
        photographs: paths of files in the order of the arguments, sorted within each; for an argument that matches no
            file, a Prediction with the reason.
        passed_over: how many files of folders are not images that can be decoded, by their suffix in lower case.
    """

    photographs: list[str | Prediction]
    passed_over: Counter[str]


def find_photographs(arguments: Iterable[str], listed: Sequence[str] = ()) -> Found:
    """Find the files that the arguments of a command mean.

    Args:
        arguments: files, folders (with everything below them), patterns such as `*.jpg`, or `-` for `listed`.
        listed: files, folders and patterns.
    """
    found = Found([], Counter())
    for argument in arguments:
        if argument == "-":
            photographs, passed_over = find_photographs(listed)
            if not listed:
                photographs = [Prediction("standard input", error="no path there")]
        elif os.path.isdir(argument):
            photographs, passed_over = _below(argument)
        else:
            photographs, passed_over = _matching(argument), Counter[str]()
        found.photographs.extend(photographs)
        found.passed_over.update(passed_over)
    return found


def _matching(argument: str) -> list[str | Prediction]:
    argument = as_stored(argument)
    if os.path.exists(argument) or is_url(argument) or not glob.has_magic(argument):
        return [argument]
    files = filter(os.path.isfile, glob.iglob(argument, recursive=True))
    return [*sorted(files)] or [Prediction(argument, error="no file matches")]


def _below(folder: str) -> Found:
    try:
        names = list_files(Path(folder))
    except FacegenderError as error:
        return Found([Prediction(error.where, error=error.reason)], Counter())
    images = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
    others = suffix_counts(set(names) - set(images))
    if not images:
        reason = f"no image in this folder ({', '.join(IMAGE_SUFFIXES)})"
        return Found([Prediction(folder, error=reason)], others)
    return Found([os.path.join(folder, name) for name in images], others)


def split_list(data: bytes) -> list[str]:
    """Split a list of paths into its entries.

    Args:
        data: with a path in each line, or with a zero byte after each as `find -print0` writes them; a byte order mark,
            and UTF-16, which some shells on Windows write, are understood. Lines may be indented or blank.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    else:
        text = os.fsdecode(data.removeprefix(codecs.BOM_UTF8))
    entries = text.split("\0") if "\0" in text else map(str.strip, text.split("\n"))
    return [entry for entry in entries if entry]


class Photograph(NamedTuple):
    """A photograph's path and the bytes of its file, or a Prediction with the reason why there are none."""

    name: str
    content: bytes | Prediction


def read_photographs(paths: Iterable[str | Prediction]) -> Iterator[Photograph]:
    """Read files, from `find_photographs`, one after the other."""
    for path in paths:
        if isinstance(path, Prediction):
            yield Photograph(path.path, path)
            continue
        content: bytes | Prediction
        try:
            content = read_regular_file(path, MAX_FILE_BYTES)
        except FacegenderError as error:
            content = Prediction(path, error=error.reason)
        yield Photograph(path, content)


def predict_photographs(
    photographs: Iterable[Photograph], classifier: Classifier, align: Align, unsure: float
) -> Iterator[Prediction]:
    """Classify every face of every photograph, with one batch in memory at a time.

    Args:
        photographs: from `read_photographs`.
        classifier: the model.
        align: `mode` of `facegender.serving.alignment.aligned_faces`.
        unsure: as in `facegender.serving.labels.predicted_class`.

    Yields:
        In the order of the photographs: a prediction for each face, or one with the reason for a file that failed.
    """
    crops = (crop for photograph in photographs for crop in _crops(photograph, classifier, align))
    for batch in read_ahead(batched(crops, _BATCH)):
        images = [crop.image for crop in batch if isinstance(crop, _Crop)]
        probabilities = iter(classifier.predict(np.stack(images)) if images else ())
        for crop in batch:
            if isinstance(crop, Prediction):
                yield crop
                continue
            probability = round(float(next(probabilities)), DECIMALS)
            predicted = predicted_class(probability, classifier.threshold, unsure)
            yield Prediction(crop.path, crop.face, crop.box, probability, predicted)


def predict_on_cluster(
    photographs: Iterable[Photograph], model: Path, align: Align, unsure: float, address: str
) -> Iterator[Prediction]:
    """Do the same on a Ray cluster.

    Args:
        photographs: as in `predict_photographs`.
        model: the file; its bytes are sent to the nodes.
        align: as in `predict_photographs`.
        unsure: as in `predict_photographs`.
        address: of the cluster.

    Yields:
        As `predict_photographs`. Batches do not cross tasks, so that a last digit may differ.

    Raises:
        FacegenderError: as `facegender.cluster.spread`.
    """
    predict = partial(_predict_with, name=model.name, content=model.read_bytes(), align=align, unsure=unsure)
    return spread(predict, photographs, _BATCH, address)


def _predict_with(
    photographs: Iterable[Photograph], name: str, content: bytes, align: Align, unsure: float
) -> Iterator[Prediction]:
    return predict_photographs(photographs, _classifier_of(name, content), align, unsure)


@lru_cache(maxsize=1)
def _classifier_of(name: str, content: bytes) -> Classifier:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        return load_classifier(path)


def _crops(photograph: Photograph, classifier: Classifier, align: Align) -> Iterator[_Crop | Prediction]:
    path, content = photograph
    if isinstance(content, Prediction):
        yield content
        return
    try:
        faces = _find_faces(content, path, classifier.height, classifier.width, align)
    except FacegenderError as error:
        yield Prediction(path, error=error.reason)
        return
    for number, (face, image) in enumerate(faces, start=1):
        if face is None:
            yield _Crop(path, None, None, image)
        else:
            left, top, right, bottom = map(round, face.box)
            yield _Crop(path, number, (left, top, right, bottom), image)


def read_faces(path: str, height: int, width: int, align: Align) -> Sequence[tuple[Face | None, Pixels]]:
    """Read a photograph and return its faces as `facegender.serving.alignment.aligned_faces` does, at least one.

    Raises:
        FacegenderError: the file cannot be read, is not a picture or shows no face; `where` is the path.
    """
    return _find_faces(read_regular_file(path, MAX_FILE_BYTES), path, height, width, align)


def _find_faces(data: bytes, path: str, height: int, width: int, align: Align) -> Sequence[tuple[Face | None, Pixels]]:
    faces = aligned_faces(decode_verified(data, path), align, height, width)
    if not faces:
        remedy = "use a larger or clearer picture, or use all of it with --align never"
        raise FacegenderError(path, "no face found", remedy)
    return faces
