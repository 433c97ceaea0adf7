"""The temperature and the threshold, both fitted on validation images, and how the threshold is applied.

The command line imports `is_male` for every prediction, so scipy, which takes a while to load, is imported where it is
used.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facegender.data.tables import DECIMALS

Rule = Literal["accuracy", "equal_error"]

UNSURE_WITHIN = 0.1
"""A face whose P(Male) is nearer to the threshold than this is called unsure, unless the user sets another distance."""

_LOG_TEMPERATURES = (np.log(0.2), np.log(20.0))

_LAST_DECIMAL = 10.0**-DECIMALS


def is_male(probabilities: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Return whether P(Male) is predicted Male: at the threshold and above it.

    Args:
        probabilities: P(Male), one number or an array of any shape.
        threshold: from 0 to 1.

    Returns:
        bool, of the same shape.
    """
    return np.asarray(probabilities, np.float64) >= threshold


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Find the temperature T for which the probabilities 1 / (1 + exp(-logit / T)) have the lowest log loss.

    Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2.

    Args:
        logits: (n,) of P(Male): log P(Male) - log P(No male).
        labels: (n,) 0 or 1.

    Returns:
        From 0.2 to 20, to 6 decimals; above 1 where the network was overconfident.
    """
    from scipy.optimize import minimize_scalar

    signed = np.where(labels == 1, logits, -logits).astype(np.float64)

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(log_loss, bounds=_LOG_TEMPERATURES, method="bounded", options={"xatol": 1e-8})
    return round(float(np.exp(found.x)), DECIMALS)


def probabilities_at(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return P(Male), (n,), of logits (n,) at a temperature."""
    from scipy.special import expit

    return np.asarray(expit(np.asarray(logits, np.float64) / temperature))


def undo_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Return what P(Male) would be at temperature 1: the inverse of `probabilities_at`.

    Args:
        probabilities: P(Male) at `temperature`, any shape. They are clipped to [1e-6, 1 - 1e-6]: probabilities are
            written to 6 decimals, so one that is nearer to 0 or 1 has lost its logit.
        temperature: by which the logits were divided.

    Returns:
        float64, of the same shape.
    """
    from scipy.special import expit, logit

    clipped = np.clip(np.asarray(probabilities, np.float64), _LAST_DECIMAL, 1 - _LAST_DECIMAL)
    return np.asarray(expit(temperature * logit(clipped)))


def choose_threshold(probabilities: NDArray[np.floating], labels: NDArray[np.integer], rule: Rule | float) -> float:
    """Choose the P(Male) from which an image is predicted Male.

    Args:
        probabilities: (n,) P(Male).
        labels: (n,) 0 or 1, both present.
        rule: `accuracy`: the most predictions are right. `equal_error`: the error rates of Male and of No male differ
            least. Or a number, which is the threshold.

    Returns:
        To 6 decimals: the midpoint of two neighbouring probabilities, 0 or 1; in a tie, the one nearest to 0.5.
    """
    if isinstance(rule, float):
        return rule
    values = np.unique(probabilities)
    bounded = np.concatenate([[0], values, [1]])
    candidates = (bounded[1:] + bounded[:-1]) / 2
    males, others = np.sort(probabilities[labels == 1]), np.sort(probabilities[labels == 0])
    missed = np.searchsorted(males, candidates)
    mistaken = len(others) - np.searchsorted(others, candidates)
    cost = (missed + mistaken) if rule == "accuracy" else np.abs(missed / len(males) - mistaken / len(others))
    best = candidates[np.isclose(cost, cost.min(), atol=1e-12)]
    chosen = best[np.argmin(np.abs(best - 0.5))]
    return round(float(np.clip(chosen, _LAST_DECIMAL, 1 - _LAST_DECIMAL)), DECIMALS)
