"""Small inputs of stages, and all that they write."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml

from facegender.data.images import encode_jpeg
from facegender.data.shards import Record, ShardFile, write_shards
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import write_features
from facegender.network.onnx_file import part
from facegender.network.sidecar import IMAGE, PROBABILITIES
from stages import augment
from tests.functional.small_network import BLOCK, make_network
from tests.paths import ROOT

HEIGHT, WIDTH = 96, 80


def jpeg(number: int, height: int = HEIGHT, width: int = WIDTH) -> bytes:
    """Return a picture of noise."""
    return encode_jpeg(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8))


def shard_files(*contents: bytes) -> list[ShardFile]:
    """Name contents 0.zip, 1.zip …"""
    return [ShardFile(f"{number}.zip", content) for number, content in enumerate(contents)]


def put_shards(folder: Path) -> None:
    """Write 22 images into a new folder as shards."""
    folder.mkdir(parents=True)
    write_shards(folder, (Record(f"{number}.jpg", number % 2, jpeg(number)) for number in range(22)))


def put_params(folder: Path, on_bad_image: str = "skip") -> None:
    """Write params.yaml."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["dataset"]["images"] = "images"
    params["preprocess"] = {"height": HEIGHT, "width": WIDTH, "on_bad_image": on_bad_image}
    params["augment"] |= {"mode": "copies", "copies": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def written(folder: Path) -> dict[str, bytes]:
    """Return all files that stages write, without costs, by their paths."""
    paths = [path for name in ("data", "metrics") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def augment_here(folder: Path) -> dict[str, bytes]:
    """Run augment on this machine, in the current folder, return all files, and delete those that it wrote."""
    put_shards(folder / "data/preprocessed/train")
    put_params(folder)
    augment.main()
    here = written(folder)
    for name in ("data/preprocessed/train_copies", "data/augment", "metrics"):
        shutil.rmtree(folder / name)
    return here


def features_of(folder: Path) -> list[bool]:
    """Write the features of the shards in `folder`/images with a small network; return which were computed."""
    count = 3 * (HEIGHT // BLOCK) * (WIDTH // BLOCK)
    network: onnx.ModelProto = part(make_network((HEIGHT, WIDTH), np.linspace(-1, 1, count), 0.1), IMAGE, PROBABILITIES)
    (folder / "features").mkdir(exist_ok=True)
    engine = OpenVinoEngine(network)
    return list(write_features(folder / "images", folder / "features", "trunk", engine, folder / "memo"))
