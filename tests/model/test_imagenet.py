"""Where Keras takes ImageNet's weights from, and where it keeps them."""

from pathlib import Path

import pytest
from keras.src.applications import inception_v3
from keras.src.backend.config import keras_home

from facegender.repository.check import IMAGENET

pytestmark = pytest.mark.slow


def test_the_check_of_params_looks_where_keras_does() -> None:
    assert inception_v3.WEIGHTS_PATH_NO_TOP == IMAGENET
    # Without the variable KERAS_HOME, which Keras reads when it is imported.
    assert Path(keras_home()) == Path.home() / ".keras"
