"""Post a page of Markdown as a comment on the pull request, or merge request, whose CI job this is.

Usage: python scripts/post_comment.py PAGE.md

GitHub: needs GITHUB_TOKEN, with permission to write to pull requests. GitLab: needs GITLAB_TOKEN, a project access
token with the scope `api`, as a job's own token may not comment. Without the right to comment, as in a fork's pull
request, it says so and ends well: the page is in the job's log and summary too.
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

LONGEST = 65_000
"""Characters; GitHub takes 65,536."""


class Target(NamedTuple):
    """Where comments go, and the header that says who posts."""

    url: str
    header: tuple[str, str]


def target_of(environment: Mapping[str, str]) -> Target | None:
    """Find out whose CI this is; None where there is no token or no pull request."""
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


def main(page: Path) -> None:
    """Post the page."""
    target = target_of(os.environ)
    if target is None:
        print("not posted: this is no pull request's job, or it has no GITHUB_TOKEN or GITLAB_TOKEN")
        return
    body = page.read_text(encoding="utf-8")
    if len(body) > LONGEST:
        body = body[:LONGEST] + "\n\n… cut short; the job has the whole page.\n"
    headers = dict([target.header, ("Content-Type", "application/json")])
    request = urllib.request.Request(target.url, json.dumps({"body": body}).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60):
            print(f"posted to {target.url}")
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            sys.exit(f"error: {target.url}: {error.code} {error.reason}; run the job again")
        print(f"not posted: the token may not comment ({error.code} {error.reason}), as in a fork's pull request")
    except OSError as error:
        sys.exit(f"error: {target.url}: {error}; run the job again")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
