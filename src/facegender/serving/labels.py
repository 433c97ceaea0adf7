"""What a probability is called: `Male`, `No male` or `unsure`."""

from facegender.data.celeba import CLASSES

UNSURE = "unsure"
UNSURE_WITHIN = 0.1
"""A face is unsure if its P(Male) is closer to the threshold than this, unless the user says otherwise."""


def predicted_class(probability: float, threshold: float, unsure: float) -> str:
    """Name the class that a P(Male) stands for.

    Args:
        probability: P(Male).
        threshold: `Male` from this P(Male) on.
        unsure: `unsure` if the probability is closer to the threshold than this.
    """
    return UNSURE if abs(probability - threshold) < unsure else CLASSES[int(probability >= threshold)]
