"""The predicted class of a probability: `Male`, `No male` or `unsure`."""

from facegender.data.celeba import CLASSES
from facegender.evaluation.calibration import is_male

UNSURE = "unsure"


def predicted_class(probability: float, threshold: float, unsure: float) -> str:
    """Return the predicted class for a P(Male).

    Args:
        probability: P(Male).
        threshold: `Male` if the probability is at least this.
        unsure: `unsure` if the probability is closer to the threshold than this.
    """
    return UNSURE if abs(probability - threshold) < unsure else CLASSES[int(is_male(probability, threshold))]
