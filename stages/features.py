"""Stage features: the frozen trunk's output for each image of a split."""

import sys
from pathlib import Path

from tqdm import tqdm

from facegender.cache import FEATURES, TRUNKS, describe, prune, sole_run
from facegender.data.shards import shard_paths
from facegender.errors import one_line_errors
from facegender.files import md5_of, whole_folder, write_json
from facegender.network.engines.choice import choose_engine, engine_file, make_engine
from facegender.network.features import IMAGE, TRUNK_FILE, TrunkSpec, digest_trunk, write_features
from facegender.params import Params, load_params
from facegender.reporting.costs import recorded_cost

WEIGHTS = Path("models/backbone.weights.h5")
CACHE = Path(".cache")


@one_line_errors()
@recorded_cost
def main(split: str) -> None:
    """Write data/features/`split` from data/preprocessed/`split`."""
    params = load_params()
    folder = Path("data/features", split)
    spec = TrunkSpec(
        trainable_from=params.backbone.trainable_from,
        weights_md5=md5_of(WEIGHTS),
        height=params.preprocess.height,
        width=params.preprocess.width,
    )
    if spec["trainable_from"] == IMAGE:
        with whole_folder(folder) as partial:
            write_json(partial / TRUNK_FILE, dict(spec))
        print(f"features {split}: none are stored, because nothing is frozen (backbone.trainable_from: image)")
        in_use = None
    else:
        in_use = store_features(split, folder, spec, params)
    dropped = prune(CACHE, params.cache.gigabytes * 1e9, in_use)
    if dropped:
        print(
            f"features {split}: dropped {describe(dropped)} from {CACHE}, least recently used, to fit cache.gigabytes"
        )


def store_features(split: str, folder: Path, spec: TrunkSpec, params: Params) -> Path:
    """Compute the features that .cache does not hold, write all, and return the folder of the network in .cache."""
    cut = spec["trainable_from"]
    engine_name = choose_engine(half_precision=params.backbone.weights != "random")
    print(f"features {split}: the engine is {engine_name}", flush=True)
    images = Path("data/preprocessed", split)
    trunk = digest_trunk(WEIGHTS, cut, engine_name, engine_file(engine_name))
    networks = CACHE / TRUNKS / trunk
    engine = make_engine(engine_name, WEIGHTS, cut, networks)
    with sole_run(CACHE, f"features@{split}"), whole_folder(folder) as partial:
        shards = write_features(images, partial, trunk, engine, CACHE / FEATURES)
        computed = list(tqdm(shards, f"features {split}", len(shard_paths(images)), unit="shard", disable=None))
        write_json(partial / TRUNK_FILE, dict(spec))
    print(f"features {split}: {sum(computed)} shards computed, {len(computed) - sum(computed)} known")
    return networks


if __name__ == "__main__":
    main(sys.argv[1])
