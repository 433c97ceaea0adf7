"""Post a page of Markdown as a comment on the pull request (GitHub) or merge request (GitLab) of this CI job.

Usage: python scripts/post_comment.py PAGE.md

A pull request has one such comment: a later run replaces its text. GitHub: needs GITHUB_TOKEN, with permission to
write to pull requests. GitLab: needs GITLAB_TOKEN, a project access token with the scope `api`, since a job's own token
may not comment. Without permission to comment, as in a pull request from a fork, it says so and exits with 0: the page
is in the job's log and summary too.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from facegender.errors import FacegenderError, one_line_errors

LONGEST = 65_000
"""Characters; GitHub accepts 65,536."""

MARK = "<!-- facegender validate-model -->"
"""The start of the comment, which nobody sees, by which a later run finds it."""

PER_PAGE = 100
"""Comments in an answer; both forges give no more."""


class Target(NamedTuple):
    """Where the comments of a pull request are.

    Attributes:
        comments: address that lists the comments, and takes new ones by POST.
        comment: address of one comment, without its id.
        method: that replaces a comment.
        header: that authorizes a request.
    """

    comments: str
    comment: str
    method: str
    header: tuple[str, str]


def target_of(environment: Mapping[str, str]) -> Target | None:
    """Return where this CI job posts comments; None without a token, or outside a pull request."""
    request = re.fullmatch(r"refs/pull/(\d+)/merge", environment.get("GITHUB_REF", ""))
    if request and environment.get("GITHUB_TOKEN"):
        issues = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}/issues"
        header = ("Authorization", f"Bearer {environment['GITHUB_TOKEN']}")
        return Target(f"{issues}/{request[1]}/comments", f"{issues}/comments/", "PATCH", header)
    if environment.get("CI_MERGE_REQUEST_IID") and environment.get("GITLAB_TOKEN"):
        project = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
        notes = f"{project}/merge_requests/{environment['CI_MERGE_REQUEST_IID']}/notes"
        return Target(notes, f"{notes}/", "PUT", ("PRIVATE-TOKEN", environment["GITLAB_TOKEN"]))
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
        HTTPError: the forge refuses.
        OSError: it cannot be reached.
    """
    for page in count(1):
        found = _answer(target, "GET", f"{target.comments}?per_page={PER_PAGE}&page={page}")
        for comment in found:
            if comment["body"].startswith(MARK):
                address = f"{target.comment}{comment['id']}"
                _answer(target, target.method, address, {"body": body})
                return address
        if len(found) < PER_PAGE:
            break
    _answer(target, "POST", target.comments, {"body": body})
    return target.comments


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
        FacegenderError: the page cannot be posted, though the token may comment.
    """
    target = target_of(os.environ)
    if target is None:
        print("not posted: this job does not belong to a pull request, or has no GITHUB_TOKEN or GITLAB_TOKEN")
        return
    try:
        print(f"posted to {post(target, body_of(page.read_text(encoding='utf-8')))}")
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise FacegenderError(target.comments, f"{error.code} {error.reason}", "run the job again") from error
        print(f"not posted: the token may not comment ({error.code} {error.reason}), as in a pull request from a fork")
    except (OSError, ValueError) as error:
        raise FacegenderError(target.comments, str(error), "run the job again") from error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
