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
    "GITHUB_GRAPHQL_URL": "https://api.example/graphql",
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
    assert target_of(GITHUB) == Target(
        f"{ISSUES}/7/comments",
        f"{ISSUES}/comments/",
        "PATCH",
        header,
        "https://api.example/graphql",
        {"query": "{viewer{login}}"},
    )


def test_gitlab_takes_notes() -> None:
    header = ("PRIVATE-TOKEN", "secret")
    assert target_of(GITLAB) == Target(NOTES, f"{NOTES}/", "PUT", header, "https://forge.example/api/v4/user", None)


@pytest.mark.parametrize(
    "environment",
    [{}, GITHUB | {"GITHUB_REF": "refs/heads/main"}, GITHUB | {"GITHUB_TOKEN": ""}, {"CI_PROJECT_ID": "42"}],
)
def test_without_a_token_or_pull_request_there_is_no_target(environment: dict[str, str]) -> None:
    assert target_of(environment) is None


BOT = "github-actions[bot]"
Comment = tuple[str | None, str | None]
"""Author and text."""


class Forge:
    """A forge with comments, in the place of urllib.request.urlopen; the token is that of BOT."""

    def __init__(self, comments: list[Comment]) -> None:
        self.comments = dict(enumerate(comments, start=1000))
        self.requests: list[urllib.request.Request] = []

    def __call__(self, request: urllib.request.Request, timeout: int) -> BytesIO:
        self.requests.append(request)
        content = json.loads(request.data) if isinstance(request.data, bytes) else None
        return BytesIO(json.dumps(self.answer(request.get_method(), request.full_url, content)).encode())

    def answer(self, method: str, url: str, content: Any) -> Any:
        if url == GITHUB["GITHUB_GRAPHQL_URL"]:
            assert (method, content) == ("POST", {"query": "{viewer{login}}"})
            return {"data": {"viewer": {"login": BOT}}}
        if url == f"{GITLAB['CI_API_V4_URL']}/user":
            assert method == "GET"
            return {"id": 3, "username": BOT}
        address, _, page = url.partition(f"?per_page={PER_PAGE}&page=")
        if method == "GET":
            assert address in (f"{ISSUES}/7/comments", NOTES)
            first = (int(page) - 1) * PER_PAGE
            place, name = ("author", "username") if address == NOTES else ("user", "login")
            listed = [
                {"id": number, "body": body, place: author and {name: author}}
                for number, (author, body) in self.comments.items()
            ]
            return listed[first : first + PER_PAGE]
        number = max(self.comments, default=0) + 1 if method == "POST" else int(address.split("/")[-1])
        self.comments[number] = (BOT, content["body"])
        return {}


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
    others: list[Comment] = [("someone", "a review"), (BOT, f"> {MARK}\n> quoted")] * before
    answer = ("someone", "an answer")
    forge = Forge([*others, (BOT, f"{MARK}\nold page"), answer])

    post(forge, environment, page, monkeypatch)

    assert list(forge.comments.values()) == [*others, (BOT, f"{MARK}\nnew page"), answer]
    address = f"{ISSUES}/comments/" if environment == GITHUB else f"{NOTES}/"
    last = forge.requests[-1]
    assert (last.get_method(), last.full_url) == (method, f"{address}{1000 + len(others)}")


@pytest.mark.parametrize("environment", [GITHUB, GITLAB])
@pytest.mark.parametrize("others", [0, 5, 100])
def test_the_first_run_posts_a_comment(
    environment: dict[str, str], others: int, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews: list[Comment] = [("someone", "a review")] * others
    forge = Forge(reviews)

    post(forge, environment, page, monkeypatch)

    assert list(forge.comments.values()) == [*reviews, (BOT, f"{MARK}\nnew page")]
    names = {"Authorization": "Bearer secret"} if environment == GITHUB else {"Private-token": "secret"}
    for request in forge.requests:
        assert names.items() <= dict(request.header_items()).items()


@pytest.mark.parametrize("environment", [GITHUB, GITLAB])
@pytest.mark.parametrize(
    "other",
    [
        ("someone", f"{MARK}\nmine"),
        # An account that a person can have, beside the bot's.
        ("github-actions", f"{MARK}\nmine"),
        # An account that was deleted, and comments without a text.
        (None, f"{MARK}\nmine"),
        ("someone", None),
        (BOT, None),
        (BOT, ""),
    ],
)
def test_what_others_wrote_stays(
    environment: dict[str, str], other: Comment, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = Forge([other])

    post(forge, environment, page, monkeypatch)

    assert list(forge.comments.values()) == [other, (BOT, f"{MARK}\nnew page")]


def test_a_long_page_is_truncated() -> None:
    body = body_of("x" * (LONGEST + 1000))
    assert LONGEST < len(body) < 65_536
    assert body.startswith(f"{MARK}\nxxx")
    assert body.endswith("x\n\n</details>\n\n… truncated; the job has the whole page.\n")
    assert body_of("y" * LONGEST) == f"{MARK}\n{'y' * LONGEST}"


def run(environment: dict[str, str], answer: Any, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Post the page to a forge that answers every request with bytes or with an HTTP status."""

    def open_url(request: urllib.request.Request, timeout: int) -> BytesIO:
        if isinstance(answer, bytes):
            return BytesIO(answer)
        raise urllib.error.HTTPError(request.full_url, answer, "no", Message(), None)

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(urllib.request, "urlopen", open_url)
    main(page)


def one_line(caught: pytest.ExceptionInfo[SystemExit]) -> str:
    line = str(caught.value.code)
    assert "\n" not in line
    assert "secret" not in line
    return line


@pytest.mark.parametrize("environment", [GITHUB, GITLAB])
@pytest.mark.parametrize("status", [403, 404])
def test_a_token_that_may_not_comment_is_not_an_error(
    environment: dict[str, str],
    status: int,
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(environment, status, page, monkeypatch)
    printed = capsys.readouterr()
    assert printed.out == f"not posted: the token may not comment ({status} no), as in a pull request from a fork\n"
    assert printed.err == ""


@pytest.mark.parametrize(("environment", "address"), [(GITHUB, f"{ISSUES}/7/comments"), (GITLAB, NOTES)])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "the token is wrong or has expired (401 no); replace GITHUB_TOKEN or GITLAB_TOKEN"),
        (422, "422 no; run the job again"),
        (500, "500 no; run the job again"),
    ],
)
def test_a_token_that_is_not_accepted_and_every_other_refusal_is_one_line(
    environment: dict[str, str], address: str, status: int, reason: str, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(environment, status, page, monkeypatch)
    assert one_line(caught) == f"error: {address}: {reason}"


@pytest.mark.parametrize("environment", [GITHUB, GITLAB])
@pytest.mark.parametrize("answer", [b"<html>", b"{}", b"[]", b"null", b'{"data": null, "errors": []}'])
def test_an_answer_of_another_form_is_one_line(
    environment: dict[str, str], answer: bytes, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(environment, answer, page, monkeypatch)
    assert one_line(caught).endswith("; run the job again")


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_page_that_cannot_be_read_is_one_line(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    if content:
        page.write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        run(GITHUB, 500, page, monkeypatch)
    assert one_line(caught).startswith(f"error: {page}: ")
