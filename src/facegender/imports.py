"""Find the files of the project that a Python file imports, from source alone: its results depend on them."""

import ast
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

PLUMBING = frozenset(
    PACKAGE / name
    for name in (
        "cache.py",
        "cluster.py",
        "errors.py",
        "imports.py",
        "params.py",
        "reporting/costs.py",
    )
)
"""Modules that cannot change what a stage writes: error messages, the validation of params.yaml (DVC compares the
values itself), the management of .cache, the choice of machines, and the cost meter. Changing them re-runs nothing."""


def imported_files(files: Iterable[Path]) -> set[Path]:
    """Return files and everything that they import from this package and from `stages`, directly or indirectly.

    Args:
        files: Python files of the package, or scripts in a folder `stages`.

    Returns:
        Absolute paths, without PLUMBING and the modules that only PLUMBING imports.
    """
    found: set[Path] = set()
    waiting = [file.resolve() for file in files]
    while waiting:
        file = waiting.pop()
        if file not in found and file not in PLUMBING:
            found.add(file)
            waiting += _imports(file)
    return found


def _imports(file: Path) -> list[Path]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{file}: line {node.lineno}: relative imports are not supported")
            # A name that is imported from a package may be a module.
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    places = {PACKAGE.name: PACKAGE.parent, "stages": file.parent.parent}
    paths = [
        places[module.split(".")[0]].joinpath(*module.split(".")).with_suffix(".py")
        for module in modules
        if module.split(".")[0] in places
    ]
    return [path for path in paths if path.is_file()]
