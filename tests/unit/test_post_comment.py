import json
import urllib.error
import urllib.request
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from scripts.post_comment import LONGEST, MARK, PER_PAGE, Target, body_of, main, target_of

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
ISSUES, NOTES = (
    "https://api.example/repos/owner/name/issues",
    "https://forge.example/api/v4/projects/42/merge_requests/7/notes",
)


def test_github_takes_comments_on_the_issue_of_a_pull_request() -> None:
    header = ("Authorization", "Bearer secret")
    assert target_of(GITHUB) == Target(f"{ISSUES}/7/comments", f"{ISSUES}/comments/", "PATCH", header)


def test_gitlab_takes_notes() -> None:
    assert target_of(GITLAB) == Target(NOTES, f"{NOTES}/", "PUT", ("PRIVATE-TOKEN", "secret"))


@pytest.mark.parametrize(
    "environment",
    [{}, GITHUB | {"GITHUB_REF": "refs/heads/main"}, GITHUB | {"GITHUB_TOKEN": ""}, {"CI_PROJECT_ID": "42"}],
)
def test_without_a_token_or_pull_request_there_is_no_target(environment: dict[str, str]) -> None:
    assert target_of(environment) is None


class Forge:
    """A forge with comments, in the place of urllib.request.urlopen."""

    def __init__(self, comments: list[str]) -> None:
        self.comments = dict(enumerate(comments, start=1000))
        self.requests: list[urllib.request.Request] = []

    def __call__(self, request: urllib.request.Request, timeout: int) -> BytesIO:
        self.requests.append(request)
        address, _, page = request.full_url.partition(f"?per_page={PER_PAGE}&page=")
        if request.get_method() == "GET":
            assert address in (f"{ISSUES}/7/comments", NOTES)
            first = (int(page) - 1) * PER_PAGE
            listed = [{"id": number, "body": body} for number, body in self.comments.items()]
            return BytesIO(json.dumps(listed[first : first + PER_PAGE]).encode())
        assert isinstance(request.data, bytes)
        number = max(self.comments, default=0) + 1 if request.get_method() == "POST" else int(address.split("/")[-1])
        self.comments[number] = json.loads(request.data)["body"]
        return BytesIO(b"{}")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "page.md").write_text("new page", encoding="utf-8")
    return tmp_path / "page.md"


def post(forge: Forge, environment: dict[str, str], page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(urllib.request, "urlopen", forge)
    main(page)


@pytest.mark.parametrize(("environment", "method"), [(GITHUB, "PATCH"), (GITLAB, "PUT")])
# The comment of an earlier run is the first, or on the second page.
@pytest.mark.parametrize("before", [0, 130])
def test_a_later_run_replaces_the_comment(
    environment: dict[str, str], method: str, before: int, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["a review", f"> {MARK}\n> quoted"] * before
    forge = Forge([*others, f"{MARK}\nold page", "an answer"])

    post(forge, environment, page, monkeypatch)

    assert list(forge.comments.values()) == [*others, f"{MARK}\nnew page", "an answer"]
    address = f"{ISSUES}/comments/" if environment == GITHUB else f"{NOTES}/"
    last = forge.requests[-1]
    assert (last.get_method(), last.full_url) == (method, f"{address}{1000 + len(others)}")


@pytest.mark.parametrize("environment", [GITHUB, GITLAB])
@pytest.mark.parametrize("others", [0, 5, 100])
def test_the_first_run_posts_a_comment(
    environment: dict[str, str], others: int, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = Forge(["a review"] * others)

    post(forge, environment, page, monkeypatch)

    assert list(forge.comments.values()) == [*["a review"] * others, f"{MARK}\nnew page"]
    names = {"Authorization": "Bearer secret"} if environment == GITHUB else {"Private-token": "secret"}
    for request in forge.requests:
        assert names.items() <= dict(request.header_items()).items()


def test_a_long_page_is_truncated() -> None:
    body = body_of("x" * (LONGEST + 1000))
    assert LONGEST < len(body) < 65_536
    assert body.startswith(f"{MARK}\nxxx")
    assert body.endswith("x\n\n</details>\n\n… truncated; the job has the whole page.\n")
    assert body_of("y" * LONGEST) == f"{MARK}\n{'y' * LONGEST}"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_token_that_may_not_comment_is_not_an_error_but_another_failure_is(
    status: int, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(request: urllib.request.Request, timeout: int) -> Any:
        raise urllib.error.HTTPError(request.full_url, status, "no", Message(), None)

    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    if status == 500:
        with pytest.raises(SystemExit, match=r"error: .*500 no; run the job again"):
            main(page)
        return
    main(page)
    printed = capsys.readouterr()
    assert "the token may not comment" in printed.out
    assert "secret" not in printed.out + printed.err


def test_an_answer_that_is_not_json_is_one_line(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, timeout: BytesIO(b"<html>"))
    with pytest.raises(SystemExit, match=r"error: https://api\.example/.*; run the job again"):
        main(page)
