"""Stage features: what the frozen trunk gives for each image of one split."""

import sys
from pathlib import Path

import joblib
from tqdm import tqdm

from facegender.engine import TrunkEngine
from facegender.errors import one_line_errors
from facegender.features import digest_trunk, write_features
from facegender.files import whole_folder
from facegender.params import load_params
from facegender.shards import shard_paths

WEIGHTS = Path("models/backbone.weights.h5")
CACHE = Path(".cache")


@one_line_errors()
def main(split: str, images: Path) -> None:
    """Write data/features/`split` from the image shards in `images`."""
    cut = load_params().backbone.trainable_from
    trunk = digest_trunk(WEIGHTS, cut)
    engine = TrunkEngine(WEIGHTS, cut, CACHE / "trunks" / trunk)
    memo = joblib.Memory(CACHE / "features", verbose=0)
    with whole_folder(Path("data/features", split)) as folder:
        shards = write_features(images, folder, trunk, engine, memo)
        computed = sum(tqdm(shards, f"features {split}", len(shard_paths(images)), unit="shard", disable=None))
    print(f"features {split}: {computed} shards computed, the others known")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
