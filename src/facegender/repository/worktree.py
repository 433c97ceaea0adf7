"""Changes of files that Git keeps, made for the user only where nothing is lost."""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from facegender.errors import FacegenderError
from facegender.files import whole_file
from facegender.repository.commands import git

PICTURES_OF_FACES = (
    "metrics/plots/augment.png",
    "metrics/plots/mistakes.png",
    "metrics/plots/eda/examples.png",
)
"""What the pipeline writes that shows faces, and that Git keeps by default."""

_GITIGNORE = Path(".gitignore")


def replace_committed(path: Path, text: str) -> bool:
    """Write a file, unless it has this text already.

    Returns:
        Whether it was written.

    Raises:
        FacegenderError: as `check_committed`.
    """
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return False
    check_committed(path)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return True


def check_committed(path: Path) -> None:
    """Check that a file may be replaced: it is as Git has it, or there is none.

    Raises:
        FacegenderError: its content would be lost, or it cannot be written.
    """
    _check_folder(path.absolute().parent)
    if not path.exists():
        return
    if path.is_dir():
        raise FacegenderError(path, "a folder, not a file", "name a file, such as params.yaml")
    name = shlex.quote(path.as_posix())
    if git("rev-parse", "--git-dir").returncode:
        what = "exists, and would be lost, as this folder is not a Git repository"
        raise FacegenderError(path, what, "move the file away, or run this in the project's folder")
    # Without a commit, or for a path outside the repository, Git prints nothing.
    if not git("--literal-pathspecs", "ls-tree", "HEAD", "--", path.as_posix()).stdout:
        what = "exists, and would be lost, as no commit has it"
        raise FacegenderError(path, what, "move it away, or add it to Git and commit it")
    if git("--literal-pathspecs", "diff", "--quiet", "HEAD", "--", path.as_posix()).returncode:
        what = "has changes that are not committed and would be lost"
        # `git restore` alone would keep what was added to the index.
        raise FacegenderError(path, what, f"commit them, or discard them: git checkout HEAD -- {name}")


def _check_folder(folder: Path) -> None:
    """Check that a file can be created in a folder, or the folder itself."""
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise FacegenderError(folder, "not a folder", "name a file in a folder")
    if not os.access(folder, os.W_OK):
        raise FacegenderError(folder, "may not be written to", "use another folder, or change its permissions")


def keep_out_of_git(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Add files and folders to .gitignore, and remove them from Git's index. They stay on the disk.

    Args:
        paths: relative to this folder.

    Returns:
        What was added to .gitignore, and the files that were removed from the index. Both are empty the second time.

    Raises:
        FacegenderError: this is not a Git repository, or Git fails.
    """
    # 1: not ignored; 128: behind a link, and so never added.
    ignored = {path: git("check-ignore", "--quiet", "--no-index", "--", path).returncode for path in paths}
    listed = git("--literal-pathspecs", "ls-files", "-z", "--", *paths)
    if listed.returncode:
        raise FacegenderError(Path.cwd(), "not a Git repository", "run this in the project's folder")
    added = [path for path, status in ignored.items() if status == 1]
    if added:
        lines = ["# They show faces, or are raw data.", *(f"/{_as_pattern(path)}" for path in added)]
        begun = _GITIGNORE.exists() and not _GITIGNORE.read_bytes().endswith(b"\n")
        with _GITIGNORE.open("a", encoding="utf-8", newline="\n") as file:
            file.write("\n" * begun + "\n".join(lines) + "\n")
    removed = listed.stdout.split("\0")[:-1]
    if removed:
        # Without --force, Git refuses to remove what was added but not committed.
        done = git("--literal-pathspecs", "rm", "--cached", "--force", "--quiet", "--", *removed)
        if done.returncode:
            raise FacegenderError("git rm --cached", " ".join(done.stderr.split()), "fix that and try again")
    return added, removed


def seen_by_git(paths: Iterable[Path]) -> list[str]:
    """List the paths that `git add` would take: in this repository and not ignored."""
    asked = {path.as_posix(): git("check-ignore", "--quiet", "--no-index", "--", path.as_posix()) for path in paths}
    return [path for path, done in asked.items() if done.returncode == 1]


def _as_pattern(path: str) -> str:
    return re.sub(r"([\\*?\[\] ])", r"\\\1", path)
