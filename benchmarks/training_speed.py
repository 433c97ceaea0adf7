"""Compare the steps of training in float32 and bfloat16, with and without oneDNN, from several cuts.

All ways take the same number of steps on random images or features, turn by turn, each in a new process that takes two
steps before it is measured. TensorFlow decides by TF_ENABLE_ONEDNN_OPTS whether it uses oneDNN; the pipeline sets it
to 1 on x86-64. Prints a Markdown table.

    python -m benchmarks.training_speed --trainable-from image mixed5
"""

import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from benchmarks.measure import argument_parser, rate_cells, table, take_turns
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.errors import one_line_errors
from facegender.network.sidecar import IMAGE
from facegender.processor import this_processor

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
ONEDNN = {"with oneDNN": "1", "without": "0"}


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("--trainable-from", nargs="+", default=[IMAGE, "mixed5"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    ways = {
        f"{cut}, {precision}, {name}": partial(
            in_new_process, cut, PRECISIONS[precision], switch, options.batch_size, options.steps
        )
        for cut in options.trainable_from
        for precision in options.precisions
        for name, switch in ONEDNN.items()
    }
    seconds = take_turns(ways, options.rounds)
    images = options.steps * options.batch_size
    print(f"{this_processor()}, {os.cpu_count()} cores ({platform.machine()}), batches of {options.batch_size}:\n")
    print(
        table(("trained from", "images/s", "all rounds"), [(name, *rate_cells(images, seconds[name])) for name in ways])
    )


def in_new_process(cut: str, policy: str, onednn: str, batch_size: int, steps: int) -> float:
    """Return the seconds of the steps, in a process that starts with this setting of oneDNN."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = onednn
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(train, cut, policy, batch_size, steps).result()


def train(cut: str, policy: str, batch_size: int, steps: int) -> float:
    """Return the seconds that the steps take after two others; everything from the cut on is trained."""
    import keras
    import numpy as np

    from facegender.network.backbone import build_model, tail_of

    keras.config.set_dtype_policy(policy)
    model = tail_of(build_model(HEIGHT, WIDTH, 0.5), cut)
    model.compile(keras.optimizers.AdamW(1e-4), loss="sparse_categorical_crossentropy")
    shape = (batch_size, *model.input_shape[1:])
    chance = np.random.default_rng(0)
    inputs = chance.integers(0, 256, shape, np.uint8) if cut == IMAGE else chance.random(shape, np.float32)
    labels = np.arange(batch_size) % 2
    for _ in range(2):
        model.train_on_batch(inputs, labels)
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(inputs, labels)
    return time.perf_counter() - start


if __name__ == "__main__":
    with one_line_errors():
        main()
