"""The synthetic data set: faces in the layout of the CelebA copy on Kaggle."""

import warnings
import zipfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from facegender.data.celeba import ATTRIBUTES, PARTITIONS
from facegender.data.tables import write_csv
from facegender.errors import PARTIAL
from facegender.files import temporary_folder, whole_file
from facegender.synthetic.copula import sample_attributes
from facegender.synthetic.faces import draw_face

JPEG_QUALITY = 92
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold, so that the bytes do not depend on the current date."""

_WORTH_WORKERS = 200
"""Number of images that take longer to draw than worker processes take to start."""

TRAIN_SHARE, VAL_SHARE = 2 / 3, 1 / 6
"""The rest is test."""


def write_sample(folder: Path, images: int, seed: int) -> None:
    """Write synthetic faces with their attributes and partitions.

    Writes img_align_celeba.zip (members img_align_celeba/000001.jpg …), list_attr_celeba.csv (image_id and 40 names,
    -1/1) and list_eval_partition.csv (image_id, partition 0/1/2 in three blocks, as CelebA's). An image and its
    attributes depend only on the seed and the image's number. Each image shows a different identity, so there is no
    list of identities.

    Args:
        folder: created if missing; files of these names are replaced, each completely or not at all.
        images: number of images, at least 4, so that no partition is empty.
        seed: 0 or more.
    """
    attributes = sample_attributes(images, seed)
    image_ids = [f"{number:06d}.jpg" for number in range(1, images + 1)]
    with (
        warnings.catch_warnings(),
        whole_file(folder / "img_align_celeba.zip") as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,
        temporary_folder(folder / f"{PARTIAL}faces") as faces,
    ):
        # joblib warns if an error, such as a full disk, leaves drawn images unused.
        warnings.filterwarnings("ignore", message=".*tasks (have been successfully executed|which were still being)")
        # joblib, not ProcessPoolExecutor: callers need no __main__ guard, and it counts only the CPUs of a container.
        drawn = Parallel(n_jobs=-1 if images >= _WORTH_WORKERS else 1, return_as="generator")(
            delayed(_draw_jpeg)(values, seed, index, faces / image_ids[index])
            for index, values in enumerate(attributes.to_numpy().tolist())
        )
        with closing(drawn):
            for image_id, _ in zip(image_ids, tqdm(drawn, "synthetic_data", images, disable=None), strict=True):
                member = zipfile.ZipInfo(f"img_align_celeba/{image_id}", ZIP_DATE)
                archive.writestr(member, (faces / image_id).read_bytes())
                (faces / image_id).unlink()
    signs = attributes * 2 - 1
    signs.insert(0, "image_id", image_ids)
    write_csv(folder / "list_attr_celeba.csv", signs)
    write_csv(folder / "list_eval_partition.csv", pd.DataFrame({"image_id": image_ids, "partition": _blocks(images)}))


def draw_faces(images: int, seed: int) -> np.ndarray:
    """Draw the first faces of the data set: uint8 RGB (images, 218, 178, 3)."""
    attributes = sample_attributes(images, seed).to_numpy().tolist()
    return np.stack([_draw(values, seed, index) for index, values in enumerate(attributes)])


def _draw(values: list[int], seed: int, index: int) -> np.ndarray:
    return draw_face(dict(zip(ATTRIBUTES, values, strict=True)), np.random.default_rng([seed, index]))


def _blocks(images: int) -> np.ndarray:
    train = round(images * TRAIN_SHARE)
    val = round(images * VAL_SHARE)
    return np.repeat([PARTITIONS[split] for split in ("train", "val", "test")], [train, val, images - train - val])


def _draw_jpeg(values: list[int], seed: int, index: int, path: Path) -> None:
    image = _draw(values, seed, index)
    written, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert written
    # Not returned: if a worker is killed while it sends more than a pipe takes at once, joblib waits for the rest.
    path.write_bytes(content.tobytes())
