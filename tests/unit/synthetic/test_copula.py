import numpy as np
import pandas as pd
import pytest

from facegender.data.celeba import ATTRIBUTES
from facegender.synthetic.copula import sample_attributes
from tests.paths import SHARED

FACTS = SHARED / "facts"
needs_facts = pytest.mark.skipif(not FACTS.is_dir(), reason="CelebA's rates and correlations are not available")


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return sample_attributes(20_000, 120)


@needs_facts
def test_rates_match_celebas(sample: pd.DataFrame) -> None:
    rates = pd.read_csv(FACTS / "celeba_attribute_rates.csv", index_col="attribute")["all_rate"]
    assert (sample.mean() - rates).abs().max() < 0.02


@needs_facts
def test_large_correlations_match_celebas(sample: pd.DataFrame) -> None:
    target = pd.read_csv(FACTS / "celeba_attribute_correlation.csv", index_col=0)
    error = (sample.corr() - target).abs()
    large = target.abs() > 0.3
    assert large.to_numpy().sum() > 100
    assert error[large].max().max() < 0.05
    assert error.max().max() < 0.2


def test_columns_are_celebas_attributes_and_values_are_0_or_1(sample: pd.DataFrame) -> None:
    assert tuple(sample.columns) == ATTRIBUTES
    assert set(sample.dtypes) == {np.dtype("int8")}
    assert np.unique(sample).tolist() == [0, 1]


# In CelebA, 26.6% of the Male images and 0.02% of the others have a five o'clock shadow.
def test_attributes_that_exclude_each_other_in_celeba_are_rarely_together(sample: pd.DataFrame) -> None:
    shadow = sample["5_o_Clock_Shadow"].groupby(sample["Male"]).mean()
    assert shadow[0] < 0.01
    assert 0.22 < shadow[1] < 0.31


def test_no_single_attribute_determines_the_label(sample: pd.DataFrame) -> None:
    others = sample.drop(columns="Male")
    agreement = others.eq(sample["Male"], axis=0).mean()
    accuracy = np.maximum(agreement, 1 - agreement)
    assert 0.8 < accuracy.max() < 0.93


def test_more_rows_keep_the_first() -> None:
    pd.testing.assert_frame_equal(sample_attributes(50, 7), sample_attributes(400, 7).head(50))


def test_another_seed_gives_different_rows() -> None:
    assert not sample_attributes(50, 7).equals(sample_attributes(50, 8))
