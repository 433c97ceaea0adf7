"""Post a page of Markdown as a comment on the pull request (GitHub) or merge request (GitLab) of this CI job.

Usage: python scripts/post_comment.py PAGE.md

A pull request has one such comment: a later run replaces its text, if the comment is by the account of the token.
GitHub: needs GITHUB_TOKEN, with permission to write to pull requests. GitLab: needs GITLAB_TOKEN, a project access
token with the scope `api`, since a job's own token may not comment. Without permission to comment, as in a pull request
from a fork, it says so and exits with 0: the page is in the job's log and summary too. A token that is not accepted is
an error.
"""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from facegender.errors import FacegenderError, OneLineParser, existing_file, one_line_errors

LONGEST = 65_000
"""Characters; GitHub accepts 65,536."""

MARK = "<!-- facegender validate-model -->"
"""The start of the comment, which nobody sees, by which a later run finds it among those of its account: anyone can
write it."""

PER_PAGE = 100
"""Comments in an answer; both forges give no more."""


class Target(NamedTuple):
    """Where the comments of a pull request are.

    Attributes:
        comments: address that lists the comments, and takes new ones by POST.
        comment: address of one comment, without its id.
        method: that replaces a comment.
        header: that authorizes a request.
        account: address that says whose the token is.
        query: what to POST there; None for GET.
    """

    comments: str
    comment: str
    method: str
    header: tuple[str, str]
    account: str
    query: Mapping[str, str] | None


def target_of(environment: Mapping[str, str]) -> Target | None:
    """Return where this CI job posts comments; None without a token, or outside a pull request."""
    request = re.fullmatch(r"refs/pull/(\d+)/merge", environment.get("GITHUB_REF", ""))
    if request and environment.get("GITHUB_TOKEN"):
        issues = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}/issues"
        header = ("Authorization", f"Bearer {environment['GITHUB_TOKEN']}")
        # REST's /user refuses the token of a job.
        account, query = environment["GITHUB_GRAPHQL_URL"], {"query": "{viewer{login}}"}
        return Target(f"{issues}/{request[1]}/comments", f"{issues}/comments/", "PATCH", header, account, query)
    if environment.get("CI_MERGE_REQUEST_IID") and environment.get("GITLAB_TOKEN"):
        project = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
        notes = f"{project}/merge_requests/{environment['CI_MERGE_REQUEST_IID']}/notes"
        header = ("PRIVATE-TOKEN", environment["GITLAB_TOKEN"])
        return Target(notes, f"{notes}/", "PUT", header, f"{environment['CI_API_V4_URL']}/user", None)
    return None


def body_of(page: str) -> str:
    """Return the text of the comment: the mark and the page, truncated if it is too long."""
    if len(page) > LONGEST:
        # The end is folded, and what follows must not be.
        page = page[:LONGEST] + "\n\n</details>\n\n… truncated; the job has the whole page.\n"
    return f"{MARK}\n{page}"


def post(target: Target, body: str) -> str:
    """Replace the comment of an earlier run, or post the first one.

    Returns:
        The address that took it.

    Raises:
        FacegenderError: the forge does not say whose the token is.
        HTTPError: the forge refuses.
        OSError: it cannot be reached.
    """
    account = account_of(target)
    for page in count(1):
        found = _answer(target, "GET", f"{target.comments}?per_page={PER_PAGE}&page={page}")
        for comment in found:
            if author_of(comment) == account and (comment["body"] or "").startswith(MARK):
                address = f"{target.comment}{comment['id']}"
                _answer(target, target.method, address, {"body": body})
                return address
        if len(found) < PER_PAGE:
            break
    _answer(target, "POST", target.comments, {"body": body})
    return target.comments


def account_of(target: Target) -> str:
    """Return the name of the account that the token belongs to.

    Raises:
        FacegenderError: the forge does not say it.
        HTTPError: the forge refuses.
        OSError: it cannot be reached.
    """
    content = _answer(target, "GET" if target.query is None else "POST", target.account, target.query)
    try:
        return str(content["username"] if target.query is None else content["data"]["viewer"]["login"])
    except (KeyError, TypeError) as error:
        raise FacegenderError(target.account, "does not say whose the token is", "run the job again") from error


def author_of(comment: Mapping[str, Any]) -> str | None:
    """Return the name of a comment's author on GitHub or GitLab; None if the account has been deleted."""
    author = comment.get("user") or comment.get("author") or {}
    return author.get("login") or author.get("username")


def _answer(target: Target, method: str, address: str, content: Any = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    headers = dict([target.header, ("Content-Type", "application/json")])
    request = urllib.request.Request(address, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@one_line_errors()
def main(page: Path) -> None:
    """Post the page.

    Raises:
        FacegenderError: the page cannot be read or posted, though the token may comment, or the token is not accepted.
    """
    try:
        body = body_of(page.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise FacegenderError(page, "not UTF-8 text", "write it again with scripts/write_page.py") from error
    target = target_of(os.environ)
    if target is None:
        print("not posted: this job does not belong to a pull request, or has no GITHUB_TOKEN or GITLAB_TOKEN")
        return
    try:
        print(f"posted to {post(target, body)}")
    except urllib.error.HTTPError as error:
        answer = f"{error.code} {error.reason}"
        if error.code == 401:
            what = f"the token is wrong or has expired ({answer})"
            raise FacegenderError(target.comments, what, "replace GITHUB_TOKEN or GITLAB_TOKEN") from error
        if error.code not in (403, 404):
            raise FacegenderError(target.comments, answer, "run the job again") from error
        print(f"not posted: the token may not comment ({answer}), as in a pull request from a fork")
    except (OSError, ValueError) as error:
        raise FacegenderError(target.comments, str(error), "run the job again") from error


if __name__ == "__main__":
    parser = OneLineParser(prog="python scripts/post_comment.py", description=__doc__)
    parser.add_argument("page", metavar="PAGE.md", type=existing_file)
    main(**vars(parser.parse_args()))
