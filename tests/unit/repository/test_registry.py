import errno
import logging.config
import os
from pathlib import Path

import pytest

from facegender.errors import FacegenderError
from facegender.repository.registry import _fetch, _logging_unchanged, fetch_model


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_or_read_only_cache_is_no_damage(number: int, tmp_path: Path) -> None:
    class Files:
        def get_file(self, path: str, target: str) -> None:
            raise OSError(number, os.strerror(number), path, None, target)

    with pytest.raises(FacegenderError) as raised:
        _fetch(Files(), "models/gender.onnx", tmp_path / "models" / "a.onnx", "0", "HEAD")
    assert str(raised.value) == (
        f"{tmp_path}/models: a model cannot be written there ({os.strerror(number)}); free space, or set "
        "XDG_CACHE_HOME to another folder"
    )
    assert list((tmp_path / "models").iterdir()) == []
