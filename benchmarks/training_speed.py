"""Compare the steps of training in float32 and bfloat16, with and without oneDNN, from several cuts.

All ways take the same number of steps on random images or features, turn by turn, each in a new process that takes two
steps before it is measured. TensorFlow decides by TF_ENABLE_ONEDNN_OPTS whether it uses oneDNN; the pipeline sets it
to 1 on x86-64. Prints a Markdown table.

    python -m benchmarks.training_speed --trainable-from image mixed5
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np

from benchmarks.measure import argument_parser, rate_cells, table, take_turns
from benchmarks.tail_training import DROPOUT, train_epoch
from facegender.data.celeba import HEIGHT, WIDTH
from facegender.errors import one_line_errors
from facegender.network.backbone import build_model, tail_of
from facegender.network.devices import POLICIES, dtype_policy
from facegender.network.sidecar import IMAGE, Precision
from facegender.processor import this_processor

ONEDNN = {"with oneDNN": "1", "without": "0"}


def main() -> None:
    """Run with the arguments of the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("--trainable-from", nargs="+", default=[IMAGE, "mixed5"])
    parser.add_argument("--precisions", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    images = options.steps * options.batch_size
    ways = {
        f"{cut}, {precision}, {name}": partial(in_new_process, cut, precision, switch, images, options.batch_size)
        for cut in options.trainable_from
        for precision in options.precisions
        for name, switch in ONEDNN.items()
    }
    seconds = take_turns(ways, options.rounds)
    print(f"{this_processor()}, {os.cpu_count()} cores, batches of {options.batch_size}:\n")
    rows = [(name, *rate_cells(images, of_way)) for name, of_way in seconds.items()]
    print(table(("trained from", "images/s", "all rounds"), rows))


def in_new_process(cut: str, precision: Precision, onednn: str, images: int, batch_size: int) -> float:
    """Return the seconds of an epoch, in a process that starts with this setting of oneDNN."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = onednn
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(train, cut, precision, images, batch_size).result()


def train(cut: str, precision: Precision, images: int, batch_size: int) -> float:
    """Return the seconds of an epoch on random inputs in which everything from the cut on is trained."""
    with dtype_policy(POLICIES[precision]):
        tail = tail_of(build_model(HEIGHT, WIDTH, DROPOUT), cut)
    shape = (images, *tail.input_shape[1:])
    chance = np.random.default_rng(0)
    inputs = chance.integers(0, 256, shape, np.uint8) if cut == IMAGE else chance.random(shape, np.float32)
    return train_epoch(tail, inputs, np.arange(images) % 2, batch_size)


if __name__ == "__main__":
    with one_line_errors():
        main()
