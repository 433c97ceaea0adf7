"""Stage features: what the frozen trunk gives for each image of one split."""

import sys
from pathlib import Path

from tqdm import tqdm

from facegender.data.shards import shard_paths
from facegender.errors import one_line_errors
from facegender.files import whole_folder
from facegender.network.cache import FEATURES, TRUNKS, describe, prune, sole_run
from facegender.network.engines.choice import choose_engine, make_engine
from facegender.network.features import digest_trunk, write_features
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost

WEIGHTS = Path("models/backbone.weights.h5")
CACHE = Path(".cache")


@one_line_errors()
@recorded_cost
def main(split: str, images: Path) -> None:
    """Write data/features/`split` from the image shards in `images`."""
    params = load_params()
    cut = params.backbone.trainable_from
    engine_name = choose_engine(half_precision=params.backbone.weights != "random")
    print(f"features {split}: the engine is {engine_name}", flush=True)
    trunk = digest_trunk(WEIGHTS, cut, engine_name)
    networks = CACHE / TRUNKS / trunk
    engine = make_engine(engine_name, WEIGHTS, cut, networks)
    with sole_run(CACHE, f"features@{split}"), whole_folder(Path("data/features", split)) as folder:
        shards = write_features(images, folder, trunk, engine, CACHE / FEATURES)
        computed = list(tqdm(shards, f"features {split}", len(shard_paths(images)), unit="shard", disable=None))
    print(f"features {split}: {sum(computed)} shards computed, {len(computed) - sum(computed)} known")
    dropped = prune(CACHE, params.cache.gigabytes * 1e9, in_use=networks)
    if dropped:
        print(f"features {split}: dropped {describe(dropped)} of {CACHE}, used longest ago, to keep cache.gigabytes")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
