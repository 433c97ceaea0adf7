import logging.config

import pytest

from facegender.errors import FacegenderError
from facegender.repository.registry import _logging_unchanged, fetch_model


def test_logging_is_left_alone_during_an_import_and_can_be_configured_afterwards() -> None:
    configure = logging.config.dictConfig
    with _logging_unchanged():
        logging.config.dictConfig({"not": "valid"})
    assert logging.config.dictConfig is configure
    with pytest.raises(ImportError), _logging_unchanged():
        raise ImportError
    assert logging.config.dictConfig is configure


def test_an_empty_revision_is_a_one_line_error() -> None:
    with pytest.raises(
        FacegenderError, match=r"^revision: must not be empty; use one such as gender@v1\.0\.0 or a Git"
    ):
        fetch_model("")
