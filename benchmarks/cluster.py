"""Compare stages here with the same stages on a Ray cluster of this machine, and simulate larger clusters.

Each round runs preprocess, augment and features once here and once on a cluster of two nodes of one CPU each, with
empty caches; their outs must be the same. Then the parts that decide how far a cluster scales are measured: a task of
features on one CPU; what this machine does for each task, with tasks that do nothing; and the start. A simulation of
`spread` with these numbers gives the time of features for more images and workers. Needs requirements-ray.lock. Prints
Markdown tables.

    python -m benchmarks.cluster --celeba FOLDER --weights WEIGHTS [--images 5000] [--rounds 3]
"""

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.cluster_simulation import IMAGES_PER_TASK, Costs, seconds_between_tasks, simulated_seconds
from benchmarks.features_stage import save_backbone, trunk_network
from benchmarks.measure import DATASET, PLAIN, ROOT, argument_parser, say, table, take_turns, timed
from facegender.cluster import ADDRESS, spread
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.data.image_sources import open_images
from facegender.data.lists import read_partitions
from facegender.data.shards import ShardFile, read_files, shard_paths, write_shards
from facegender.errors import FacegenderError
from facegender.network.engines.openvino import OpenVinoEngine
from facegender.network.features import compute_shard, write_features
from facegender.network.weights import pretrained_backbone
from facegender.preparation.augment import Ranges, copy_shards
from facegender.preparation.preprocess import good_records, preprocess

STAGES = ("preprocess", "augment", "features")
WORKERS = (8, 64, 256)
IMAGES = (10**6, 10**8)


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__, "celeba", "weights")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, two_nodes() as address:
        folder = Path(temporary)
        save_backbone(pretrained_backbone(options.weights), folder / "backbone.keras")
        seconds: dict[str, dict[str, list[float]]] = {stage: {} for stage in STAGES}

        def run(where: str) -> float:
            os.environ.pop(ADDRESS, None)
            if where == "cluster":
                os.environ[ADDRESS] = address
            for stage, work in stages(
                options.celeba, options.images, folder / "backbone.keras", folder / where
            ).items():
                seconds[stage].setdefault(where, []).append(timed(work))
            return sum(of_stage[where][-1] for of_stage in seconds.values())

        totals = take_turns({where: partial(run, where) for where in ("here", "cluster")}, options.rounds)
        if contents(folder / "here") != contents(folder / "cluster"):
            raise FacegenderError("the cluster", "gave other bytes", "this is a fault: please report it")
        print(f"{options.images:,} images, {options.rounds} rounds, two nodes of one CPU on this machine\n")
        print(rounds_table({**seconds, "all": totals}))
        say("costs")
        costs = measure(folder, address)
    print(
        f"\nA task of {IMAGES_PER_TASK} images takes {statistics.median(costs.tasks):.2f} s on one CPU, this machine "
        f"{1000 * costs.driver:.1f} ms for each task, and the start {costs.start:.1f} s. {costs.size / 1e6:.2f} MB "
        "travel for each task.\n"
    )
    print(simulation_table(costs))
    rate = IMAGES_PER_TASK / seconds_between_tasks(costs)
    print(
        f"\nThis machine can send {rate:,.0f} images/s to the nodes and take back their features: "
        f"{rate / IMAGES_PER_TASK * statistics.mean(costs.tasks):,.0f} workers of one CPU keep up with that. "
        f"1,000 images/s, to one node or several, are {costs.size / IMAGES_PER_TASK / 1e3:.1f} MB/s."
    )


@contextmanager
def two_nodes() -> Iterator[str]:
    """Start a cluster of two nodes of one CPU each, beside this process, which takes no tasks."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    started = Cluster()
    try:
        started.add_node(num_cpus=0, include_dashboard=False)
        for _ in range(2):
            started.add_node(num_cpus=1, env_vars={"PYTHONPATH": path})
        yield started.address
    finally:
        started.shutdown()


def stages(celeba: Path, count: int, backbone: Path, target: Path) -> dict[str, Callable[[], object]]:
    """Return the work of each stage, which replaces what it wrote below `target` before."""
    table_of_images = pd.DataFrame({"image_id": read_partitions(celeba / DATASET["partitions"]).index[:count]})
    table_of_images["label"] = 0
    ranges = Ranges(**{key.removeprefix("augment."): value for key, value in PLAIN.items()})
    paths = {stage: target / stage for stage in (*STAGES, "memo")}
    for path in paths.values():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)

    def preprocess_all() -> None:
        with open_images(celeba / DATASET["images"]) as source:
            outcomes = preprocess(table_of_images, source, HEIGHT, WIDTH)
            write_shards(paths["preprocess"], good_records(outcomes, "fail", "train", {}, []))

    def augment_all() -> None:
        shards = read_files(shard_paths(paths["preprocess"]))
        copied = spread(partial(copy_shards, ranges=ranges, seed=120, copies=1), shards)
        for number, content in enumerate(copied):
            (paths["augment"] / f"{number}.zip").write_bytes(content)

    def features_of_all() -> None:
        engine = OpenVinoEngine(trunk_network(backbone, "head"))
        for computed in write_features(paths["preprocess"], paths["features"], "trunk", engine, paths["memo"]):
            assert computed

    return {"preprocess": preprocess_all, "augment": augment_all, "features": features_of_all}


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files that the stages wrote, by stage and name."""
    return {f"{stage}/{path.name}": path.read_bytes() for stage in STAGES for path in (folder / stage).iterdir()}


def measure(folder: Path, address: str) -> Costs:
    """Measure the parts of the stage features on the shards that the cluster made."""
    shards = list(read_files(shard_paths(folder / "cluster" / "preprocess")))
    results = sorted((folder / "cluster" / "features").glob("*.npz*"))
    size = statistics.mean(len(shard.content) for shard in shards) + statistics.mean(
        path.stat().st_size for path in results
    )
    os.environ["OMP_NUM_THREADS"] = "1"
    engine = OpenVinoEngine(trunk_network(folder / "backbone.keras", "head"))
    paths = shard_paths(folder / "cluster" / "preprocess")[:10]
    compiling = timed(partial(compute_shard, paths[0], engine))
    tasks = [timed(partial(compute_shard, path, engine)) for path in paths]
    work = partial(nothing, size=results[0].stat().st_size)
    few, many = (
        min(timed(lambda: list(spread(work, shards[:1] * count, address=address))) for _ in range(2))  # noqa: B023
        for count in (2, 402)
    )
    return Costs(tasks, (many - few) / 400, few + max(0, compiling - statistics.median(tasks)), size)


def nothing(shards: Iterable[ShardFile], size: int) -> Iterator[bytes]:
    """Yield `size` bytes for each shard."""
    for _ in shards:
        yield bytes(size)


def rounds_table(seconds: dict[str, dict[str, list[float]]]) -> str:
    """Return the table of seconds by stage, in the median round."""
    rows = []
    for stage, ways in seconds.items():
        ratios = [cluster / here for here, cluster in zip(ways["here"], ways["cluster"], strict=True)]
        rows.append(
            (
                stage,
                *(f"{statistics.median(ways[where]):.1f} s" for where in ("here", "cluster")),
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
            )
        )
    return table(["Stage", "here", "on the cluster", "cluster / here", "all rounds"], rows)


def simulation_table(costs: Costs) -> str:
    """Return the table of simulated times of features."""
    rows = []
    for images in IMAGES:
        for workers in WORKERS:
            count = images // IMAGES_PER_TASK
            seconds = simulated_seconds(count, workers, costs)
            busy = count * statistics.mean(costs.tasks) / workers / seconds
            rows.append(
                (
                    f"{images:,}",
                    workers,
                    f"{seconds / 3600:,.2f} h",
                    f"{images / seconds:,.0f}",
                    f"{busy:.0%}",
                    f"{workers * seconds / 3600:,.0f}",
                )
            )
    return table(["images", "workers", "time", "images/s", "workers busy", "CPU hours"], rows)


if __name__ == "__main__":
    main()
