"""Which package of the library may import which: every arrow points down. docs/design.md has the diagram."""

import ast

import pytest

from tests.paths import ROOT

PACKAGE = ROOT / "src" / "facegender"
# Every package may also import SHARED_MODULES, which import no package.
MAY_IMPORT = {
    "data": set(),
    "synthetic": {"data"},
    "preparation": {"data"},
    "evaluation": {"data"},
    "network": {"data", "evaluation"},
    "reporting": {"data", "evaluation"},
    "serving": {"data", "evaluation", "network"},
    "importing": {"data", "preparation", "serving"},
    "repository": {"data", "evaluation", "network", "params"},
    "params": set(),
    **{module: set() for module in ("cache", "cluster", "errors", "files", "imports", "processor")},
}
SHARED_MODULES = {"cache", "cluster", "errors", "files", "imports", "processor"}


def imported_by(name: str) -> set[str]:
    """Return the packages and modules directly below facegender that a package or module imports."""
    folder = PACKAGE / name
    found: set[str] = set()
    for path in folder.rglob("*.py") if folder.is_dir() else [PACKAGE / f"{name}.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "facegender":
                modules = [f"facegender.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [str(node.module)]
            found |= {module.split(".")[1] for module in modules if module.startswith("facegender.")}
    return found - {name}


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_package_imports_exactly_what_is_below_it(name: str) -> None:
    assert imported_by(name) - SHARED_MODULES == MAY_IMPORT[name]


@pytest.mark.parametrize("name", sorted(SHARED_MODULES | {"params"}))
def test_the_modules_that_all_packages_use_import_no_package(name: str) -> None:
    assert imported_by(name) <= SHARED_MODULES


def test_every_package_and_module_has_its_place() -> None:
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}

    # The command line is above all of them.
    assert packages | modules == MAY_IMPORT.keys() | {"cli"}


def test_no_arrow_points_up() -> None:
    below: set[str] = set()
    for name, allowed in MAY_IMPORT.items():
        if name in SHARED_MODULES | {"params"}:
            continue
        assert allowed - {"params"} <= below, name
        below.add(name)


def test_only_the_repository_package_knows_dvc() -> None:
    knowing = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if any(_imports_dvc(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }

    assert knowing == {"repository"}


def _imports_dvc(node: ast.AST) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
    return any(name.split(".")[0] in ("dvc", "gto") for name in names)
