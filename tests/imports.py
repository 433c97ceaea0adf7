"""Which files of this repository a script imports, found from its source alone."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def imported_files(script: Path) -> set[Path]:
    """Give `script` and every module of the repository that it imports, directly or through others."""
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imports(file)
    return found


def _imports(file: Path) -> list[Path]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    paths = [_path(module) for module in modules if module.split(".")[0] in ("facegender", "stages")]
    return [path for path in paths if path.is_file()]


def _path(module: str) -> Path:
    base = ROOT / "src" if module.startswith("facegender") else ROOT
    return base.joinpath(*module.split(".")).with_suffix(".py")
