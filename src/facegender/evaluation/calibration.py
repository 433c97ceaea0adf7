"""Probabilities that mean what they say, and the threshold to judge by: both are fitted on validation images."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from facegender.files import DECIMALS

Rule = Literal["accuracy", "equal_error"]

_LOG_TEMPERATURES = (np.log(0.2), np.log(20.0))


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Find the temperature T for which the probabilities 1 / (1 + exp(-logit / T)) have the least log loss.

    Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2.

    Args:
        logits: (n,) of P(Male): log P(Male) - log P(No male).
        labels: (n,) 0 or 1.

    Returns:
        From 0.2 to 20, to 6 decimals; above 1 where the network was too sure of itself.
    """
    signed = np.where(labels == 1, logits, -logits).astype(np.float64)

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(log_loss, bounds=_LOG_TEMPERATURES, method="bounded", options={"xatol": 1e-8})
    return round(float(np.exp(found.x)), DECIMALS)


def probabilities_at(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Give P(Male), (n,), of logits (n,) at a temperature."""
    return np.asarray(expit(np.asarray(logits, np.float64) / temperature))


def choose_threshold(probabilities: NDArray[np.floating], labels: NDArray[np.integer], rule: Rule | float) -> float:
    """Choose from which P(Male) on an image is called Male.

    Args:
        probabilities: (n,) P(Male).
        labels: (n,) 0 or 1, both present.
        rule: `accuracy`: the most images are right. `equal_error`: the shares of Male and of No male that are wrong
            differ least. Or a number, which is the threshold.

    Returns:
        To 6 decimals: the middle between two neighbouring probabilities, 0 or 1, of equally good ones the nearest to
        0.5.
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
    return round(float(np.clip(chosen, 10**-DECIMALS, 1 - 10**-DECIMALS)), DECIMALS)
