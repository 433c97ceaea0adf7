"""A user without a name or a home directory, as in a container that runs as a number."""

import pwd
from collections.abc import Callable
from typing import Any

import pytest

from facegender.errors import FacegenderError
from facegender.repository.commands import check_user, dvc
from facegender.repository.registry import fetch_model
from facegender.repository.revisions import current_predictions, predictions_of
from facegender.repository.status import missing_files


@pytest.fixture
def unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def getpwuid(number: int) -> Any:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "use",
    [
        lambda: dvc("status"),
        lambda: fetch_model("HEAD"),
        lambda: predictions_of("HEAD"),
        current_predictions,
        missing_files,
    ],
)
def test_what_needs_dvc_says_what_to_set(use: Callable[[], object], unknown_user: None) -> None:
    with pytest.raises(FacegenderError) as raised:
        use()
    assert str(raised.value).startswith("HOME and USER: this user has no home directory or no name, which DVC needs; ")


@pytest.mark.parametrize(("home", "user"), [(True, True), (True, False), (False, True)])
def test_both_are_needed(home: bool, user: bool, unknown_user: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if home:
        monkeypatch.setenv("HOME", "/tmp")
    if user:
        monkeypatch.setenv("USER", "me")
    if home and user:
        check_user()
        return
    with pytest.raises(FacegenderError):
        check_user()
