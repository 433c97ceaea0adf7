import json
import urllib.error
import urllib.request
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from scripts.post_comment import LONGEST, main, target_of

GITHUB = {
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_TOKEN": "secret",
    "GITHUB_API_URL": "https://api.example",
    "GITHUB_REPOSITORY": "owner/name",
}
GITLAB = {
    "CI_MERGE_REQUEST_IID": "7",
    "CI_PROJECT_ID": "42",
    "CI_API_V4_URL": "https://forge.example/api/v4",
    "GITLAB_TOKEN": "secret",
}


def test_github_takes_comments_on_the_issue_of_a_pull_request() -> None:
    assert target_of(GITHUB) == (
        "https://api.example/repos/owner/name/issues/7/comments",
        ("Authorization", "Bearer secret"),
    )


def test_gitlab_takes_notes() -> None:
    assert target_of(GITLAB) == (
        "https://forge.example/api/v4/projects/42/merge_requests/7/notes",
        ("PRIVATE-TOKEN", "secret"),
    )


@pytest.mark.parametrize(
    "environment",
    [{}, GITHUB | {"GITHUB_REF": "refs/heads/main"}, GITHUB | {"GITHUB_TOKEN": ""}, {"CI_PROJECT_ID": "42"}],
)
def test_without_a_token_or_pull_request_there_is_no_target(environment: dict[str, str]) -> None:
    assert target_of(environment) is None


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "page.md").write_text("x" * (LONGEST + 1000), encoding="utf-8")
    return tmp_path / "page.md"


def test_a_page_is_posted_and_a_long_one_truncated(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def answer(request: urllib.request.Request, timeout: int) -> BytesIO:
        sent.append(request)
        return BytesIO()

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    main(page)
    assert sent[0].full_url.endswith("/issues/7/comments")
    assert sent[0].get_header("Authorization") == "Bearer secret"
    body = json.loads(sent[0].data)["body"]
    assert LONGEST < len(body) < 65_536
    assert body.endswith("the job has the whole page.\n")


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_token_that_may_not_comment_is_not_an_error_but_another_failure_is(
    status: int, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(request: urllib.request.Request, timeout: int) -> BytesIO:
        raise urllib.error.HTTPError(request.full_url, status, "no", Message(), None)

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    if status == 500:
        with pytest.raises(SystemExit, match=r"error: .*500 no; run the job again"):
            main(page)
        return
    main(page)
    printed = capsys.readouterr()
    assert "the token may not comment" in printed.out
    assert "secret" not in printed.out + printed.err
