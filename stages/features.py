"""Stage features: the frozen trunk's output for each image of a split."""

import sys
from pathlib import Path

from tqdm import tqdm

from facegender.cache import CACHE, FEATURES, alone, describe, prune
from facegender.data.shards import shard_paths
from facegender.errors import one_line_errors
from facegender.files import md5_of, whole_folder, write_json
from facegender.network.engines.choice import choose_engine, engine_file, engine_packages, has_bfloat16, make_engine
from facegender.network.features import TRUNK_FILE, digest_trunk, write_features
from facegender.network.model_file import read_layers
from facegender.network.onnx_file import convert, part
from facegender.network.sidecar import FEATURES as OUTPUT
from facegender.network.sidecar import IMAGE, Precision, TrunkSpec
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

BACKBONE = Path("models/backbone.keras")
TRAIN, COPIES = "train", "train_copies"


@one_line_errors()
@recorded_cost
@alone
def main(split: str) -> None:
    """Write data/features/`split` from data/preprocessed/`split`."""
    params = load_params()
    folder = Path("data/features", split)
    spec = TrunkSpec(
        trainable_from=params.backbone.trainable_from,
        weights_md5=md5_of(BACKBONE),
        height=params.preprocess.height,
        width=params.preprocess.width,
    )
    if spec["trainable_from"] == IMAGE:
        with whole_folder(folder) as partial:
            write_json(partial / TRUNK_FILE, dict(spec))
        print(f"features {split}: none are stored, because nothing is frozen (backbone.trainable_from: image)")
    else:
        # What is evaluated is what the model computes, in float32.
        trained_on = split in (TRAIN, COPIES)
        store_features(split, folder, spec, params.backbone.precision if trained_on else "float32")
    dropped = prune(CACHE, params.cache.gigabytes * 1e9)
    if dropped:
        print(
            f"features {split}: dropped {describe(dropped)} from {CACHE}, least recently used, to fit cache.gigabytes"
        )


def store_features(split: str, folder: Path, spec: TrunkSpec, precision: Precision) -> None:
    """Compute the features that .cache does not hold, and write all."""
    name = choose_engine()
    print(f"features {split}: {name} computes in {precision}", flush=True)
    if precision == "bfloat16" and not has_bfloat16(name):
        print(f"features {split}: this processor has no bfloat16 instructions; float32 may be faster", flush=True)
    images = Path("data/preprocessed", split)
    trunk = part(convert(read_layers(BACKBONE), spec), IMAGE, OUTPUT)
    digest = digest_trunk(
        trunk.SerializeToString(deterministic=True), name, precision, engine_file(name), engine_packages(name)
    )
    engine = make_engine(name, trunk, BACKBONE, spec["trainable_from"], precision)
    with whole_folder(folder) as partial:
        shards = write_features(images, partial, digest, engine, CACHE / FEATURES)
        computed = list(tqdm(shards, f"features {split}", len(shard_paths(images)), unit="shard", disable=None))
        write_json(partial / TRUNK_FILE, dict(spec))
    print(f"features {split}: {sum(computed)} shards computed, {len(computed) - sum(computed)} taken from .cache")


if __name__ == "__main__":
    main(sys.argv[1])
