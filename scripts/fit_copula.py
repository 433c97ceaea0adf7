"""Fit src/facegender/synthetic/attribute_latent.csv to CelebA's attribute rates and correlations.

Usage: python scripts/fit_copula.py RATES.csv CORRELATION.csv OUTPUT.csv

RATES.csv has the columns `attribute` and `all_rate` (share of images that have the attribute). CORRELATION.csv has the
attributes as header and first column, and Pearson's correlations of the 0/1 values as cells.

Solving for each pair alone (tetrachoric correlation) gives a matrix that is far from positive definite, and its nearest
correlation matrix misses large correlations by 0.08. So all pairs are fitted together, over matrices that are positive
definite by construction.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from facegender.data.celeba import ATTRIBUTES
from facegender.data.tables import write_csv
from facegender.errors import FacegenderError, OneLineParser, existing_file, one_line_errors

LARGE = 0.3
"""Correlations above this absolute value get WEIGHT_OF_LARGE."""

WEIGHT_OF_LARGE = 40.0
OWN_VARIANCE = 0.005
"""Variance of each latent variable that it shares with no other; keeps the matrix positive definite after rounding."""

DECIMALS = 4
ITERATIONS = 300


def share_of_both(latent: float, threshold_a: float, threshold_b: float) -> float:
    """Return P(a and b), where each attribute is a standard normal variable below its threshold."""
    return float(multivariate_normal.cdf([threshold_a, threshold_b], cov=[[1.0, latent], [latent, 1.0]]))


def density(latent: np.ndarray, threshold_a: np.ndarray, threshold_b: np.ndarray) -> np.ndarray:
    """Return the bivariate normal density at the thresholds, which is d share_of_both / d latent (Plackett 1954)."""
    rest = 1 - latent**2
    square = threshold_a**2 - 2 * latent * threshold_a * threshold_b + threshold_b**2
    return np.exp(-square / (2 * rest)) / (2 * np.pi * np.sqrt(rest))


def correlation_matrix(factors: np.ndarray) -> np.ndarray:
    """Return a positive definite matrix with a unit diagonal, from any square matrix without a zero row."""
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    return (1 - OWN_VARIANCE) * unit @ unit.T + OWN_VARIANCE * np.eye(len(factors))


def fit(rates: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the latent matrix whose binary correlations are closest to `target` by weighted least squares.

    Args:
        rates: float (attributes,), in (0, 1).
        target: float (attributes, attributes), Pearson correlations of the 0/1 values.
    """
    count = len(rates)
    first, second = np.triu_indices(count, 1)
    thresholds = np.array([NormalDist().inv_cdf(rate) for rate in rates])
    spread = np.sqrt(rates * (1 - rates))
    wanted = target[first, second]
    weight = np.where(np.abs(wanted) > LARGE, WEIGHT_OF_LARGE, 1.0)
    scale = spread[first] * spread[second]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        factors = flat.reshape(count, count)
        latent = correlation_matrix(factors)[first, second]
        both = np.array(list(map(share_of_both, latent, thresholds[first], thresholds[second])))
        error = (both - rates[first] * rates[second]) / scale - wanted
        slopes = 2 * weight * error * density(latent, thresholds[first], thresholds[second]) / scale
        slope = np.zeros((count, count))
        slope[first, second] = slope[second, first] = (1 - OWN_VARIANCE) * slopes
        length = np.linalg.norm(factors, axis=1, keepdims=True)
        unit = factors / length
        gradient = slope @ unit
        gradient -= unit * (gradient * unit).sum(axis=1, keepdims=True)
        return float((weight * error**2).sum()), (gradient / length).ravel()

    values, vectors = np.linalg.eigh(target)
    start = vectors * np.sqrt(np.maximum(values, 1e-6))
    result = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    latent = correlation_matrix(result.x.reshape(count, count))
    reached = np.array(list(map(share_of_both, latent[first, second], thresholds[first], thresholds[second])))
    error = np.abs((reached - rates[first] * rates[second]) / scale - wanted)
    print(f"largest error {error.max():.4f}, where |r| > {LARGE} {error[np.abs(wanted) > LARGE].max():.4f}")
    return latent


def read_values(path: Path, columns: Sequence[str], index: str | None = None) -> npt.NDArray[np.float64]:
    """Read a table, float (attributes, columns), with its rows in the order of ATTRIBUTES.

    Args:
        path: of the CSV file.
        columns: to read.
        index: the column of the attributes' names; by default the first.

    Raises:
        FacegenderError: it is not such a table.
    """
    try:
        table = pd.read_csv(path)
        rows = table.set_index(index or table.columns[0]).loc[list(ATTRIBUTES), list(columns)]
        return rows.to_numpy(np.float64)
    except (ValueError, KeyError, IndexError) as error:
        what = f"not a CSV file of the {len(ATTRIBUTES)} attributes ({' '.join(str(error).split())})"
        raise FacegenderError(path, what, "the head of scripts/fit_copula.py says what it must have") from error


@one_line_errors()
def main(rates_path: Path, correlation_path: Path, output_path: Path) -> None:
    """Read the two tables, fit, and write the result."""
    names = list(ATTRIBUTES)
    rates = read_values(rates_path, ["all_rate"], "attribute").ravel()
    target = read_values(correlation_path, names)
    latent = fit(rates, target).round(DECIMALS)
    print(f"smallest eigenvalue after rounding {np.linalg.eigvalsh(latent).min():.5f}")
    table = pd.DataFrame(latent, columns=names)
    table.insert(0, "attribute", names)
    table.insert(1, "rate", rates.round(DECIMALS).tolist())
    write_csv(output_path, table)


if __name__ == "__main__":
    parser = OneLineParser(prog="python scripts/fit_copula.py", description=__doc__)
    parser.add_argument("rates_path", metavar="RATES.csv", type=existing_file)
    parser.add_argument("correlation_path", metavar="CORRELATION.csv", type=existing_file)
    parser.add_argument("output_path", metavar="OUTPUT.csv", type=Path)
    main(**vars(parser.parse_args()))
