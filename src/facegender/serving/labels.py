"""What a probability is called: `Male`, `No male` or `unsure`."""

from facegender.data.celeba import CLASSES
from facegender.evaluation.calibration import is_male

UNSURE = "unsure"


def predicted_class(probability: float, threshold: float, unsure: float) -> str:
    """Name the class that a P(Male) stands for.

    Args:
        probability: P(Male).
        threshold: `Male` from this P(Male) on.
        unsure: `unsure` if the probability is closer to the threshold than this.
    """
    return UNSURE if abs(probability - threshold) < unsure else CLASSES[int(is_male(probability, threshold))]
