"""Random attribute rows with CelebA's rates and correlations."""

from importlib.resources import files
from statistics import NormalDist

import numpy as np
import pandas as pd

from facegender.data.celeba import ATTRIBUTES


def sample_attributes(rows: int, seed: int) -> pd.DataFrame:
    """Sample attribute rows from a Gaussian copula: correlated normals, each thresholded at its attribute's rate.

    A row depends only on the seed and its position, so that more rows leave the first ones unchanged.

    Args:
        rows: number of rows.
        seed: 0 or more.

    Returns:
        int8 0/1, one column per attribute of celeba.ATTRIBUTES, in that order. attribute_latent.csv holds the rates
        and latent correlations, which scripts/fit_copula.py fitted to all 202,599 images.
    """
    latent = _latent()
    normals = np.random.default_rng(seed).standard_normal((rows, len(ATTRIBUTES)))
    correlated = normals @ np.linalg.cholesky(latent[list(ATTRIBUTES)].to_numpy()).T
    thresholds = [NormalDist().inv_cdf(rate) for rate in latent["rate"]]
    return pd.DataFrame((correlated < thresholds).astype(np.int8), columns=list(ATTRIBUTES))


def _latent() -> pd.DataFrame:
    with files("facegender.synthetic").joinpath("attribute_latent.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col="attribute").loc[list(ATTRIBUTES)]
