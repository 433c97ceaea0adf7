"""How much damage in the middle of JPEGs is seen, and what it costs to heed the decoder's warnings.

Of every JPEG in a folder, 16 bytes at a random place are set to zero. Each copy is refused as unreadable, refused
because the decoder warned, decoded to other pixels without a word, or decoded to the same pixels. Then all the whole
JPEGs are decoded with and without heeding warnings, in turn, and the processor time of the quickest of five rounds of
each is compared.

    python -m benchmarks.damaged_jpegs --data FOLDER [--copies NUMBER] [--seed NUMBER]
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import argument_parser, say, table
from facegender.data.images import Pixels, decode_image, decode_verified
from facegender.errors import FacegenderError

DAMAGED = 16
ROUNDS = 5
VERDICTS = ("unreadable", "warned of", "other pixels, not noticed", "same pixels")


def verdict(whole: bytes, damaged: bytes) -> str:
    """Say which of VERDICTS a damaged copy of a JPEG gets."""
    try:
        pixels = decode_verified(damaged, "copy")
    except FacegenderError as error:
        return VERDICTS[1] if error.what.startswith("damaged: ") else VERDICTS[0]
    expected = decode_image(whole, "whole")
    same = pixels.shape == expected.shape and np.array_equal(pixels, expected)
    return VERDICTS[3] if same else VERDICTS[2]


def seconds(decode: Callable[[bytes, str], Pixels], jpegs: list[bytes]) -> float:
    """Measure the processor time of decoding JPEGs."""
    start = time.process_time()
    for jpeg in jpegs:
        decode(jpeg, "whole")
    return time.process_time() - start


def main() -> None:
    """Print the shares of the verdicts and the cost."""
    parser = argument_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of JPEGs")
    parser.add_argument("--copies", type=int, default=1, help="damaged copies of each")
    parser.add_argument("--seed", type=int, default=0, help="of the places")
    arguments = parser.parse_args()
    jpegs = [path.read_bytes() for path in sorted(arguments.data.rglob("*.jpg"))]
    chance = random.Random(arguments.seed)
    counts: Counter[str] = Counter()
    for jpeg in jpegs * arguments.copies:
        place = chance.randrange(len(jpeg) - DAMAGED)
        damaged = jpeg[:place] + bytes(DAMAGED) + jpeg[place + DAMAGED :]
        counts[verdict(jpeg, damaged)] += 1
    rows = [[name, str(counts[name]), f"{100 * counts[name] / counts.total():.1f}%"] for name in VERDICTS]
    say(f"{counts.total()} copies of {len(jpegs)} JPEGs")
    print(table(["", "copies", "share"], rows))
    rounds = [(seconds(decode_image, jpegs), seconds(decode_verified, jpegs)) for _ in range(ROUNDS)]
    without, heeded = (min(times) for times in zip(*rounds, strict=True))
    each = (heeded - without) / len(jpegs)
    print(f"heeding warnings: {heeded / without:.3f} times the time of decoding, {each * 1e6:.0f} µs more per image")


if __name__ == "__main__":
    main()
