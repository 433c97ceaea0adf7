"""Post a page of Markdown as a comment on the pull request (GitHub) or merge request (GitLab) of this CI job.

Usage: python scripts/post_comment.py PAGE.md

GitHub: needs GITHUB_TOKEN, with permission to write to pull requests. GitLab: needs GITLAB_TOKEN, a project access
token with the scope `api`, since a job's own token may not comment. Without permission to comment, as in a pull request
from a fork, it says so and exits with 0: the page is in the job's log and summary too.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from facegender.errors import FacegenderError, one_line_errors

LONGEST = 65_000
"""Characters; GitHub accepts 65,536."""


class Target(NamedTuple):
    """The address to post comments to, and the header that authorizes it."""

    url: str
    header: tuple[str, str]


def target_of(environment: Mapping[str, str]) -> Target | None:
    """Return where this CI job posts comments; None without a token, or outside a pull request."""
    request = re.fullmatch(r"refs/pull/(\d+)/merge", environment.get("GITHUB_REF", ""))
    if request and environment.get("GITHUB_TOKEN"):
        repository = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}"
        return Target(
            f"{repository}/issues/{request[1]}/comments", ("Authorization", f"Bearer {environment['GITHUB_TOKEN']}")
        )
    if environment.get("CI_MERGE_REQUEST_IID") and environment.get("GITLAB_TOKEN"):
        project = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
        return Target(
            f"{project}/merge_requests/{environment['CI_MERGE_REQUEST_IID']}/notes",
            ("PRIVATE-TOKEN", environment["GITLAB_TOKEN"]),
        )
    return None


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
    body = page.read_text(encoding="utf-8")
    if len(body) > LONGEST:
        body = body[:LONGEST] + "\n\n… truncated; the job has the whole page.\n"
    headers = dict([target.header, ("Content-Type", "application/json")])
    request = urllib.request.Request(target.url, json.dumps({"body": body}).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60):
            print(f"posted to {target.url}")
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise FacegenderError(target.url, f"{error.code} {error.reason}", "run the job again") from error
        print(f"not posted: the token may not comment ({error.code} {error.reason}), as in a pull request from a fork")
    except OSError as error:
        raise FacegenderError(target.url, str(error), "run the job again") from error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
