import pytest

from scripts.post_comment import target_of

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


def test_github_takes_comments_on_the_issue_that_a_pull_request_is() -> None:
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
def test_elsewhere_there_is_nothing_to_comment_on(environment: dict[str, str]) -> None:
    assert target_of(environment) is None
