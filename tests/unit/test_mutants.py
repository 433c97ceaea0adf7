"""How the results of `make mutants` are read and counted."""

import json
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.mutants.results import GROUPS, Mutant, count, explanations, found_mutants
from tests.paths import ROOT
from tests.unit.test_packaging import tomllib

MUTATED = '''
def x_half__mutmut_orig(number: float) -> float:
    """Halve it."""
    doubled = 2 * number
    return doubled / 4

def x_half__mutmut_1(number: float) -> float:
    """Halve it."""
    doubled = None
    return doubled / 4

def x_half__mutmut_2(number: float) -> float:
    """Halve it."""
    doubled = 2 * number
    return doubled * 4

def x_half__mutmut_3(number: float) -> float:
    """Halve it."""
    doubled = 3 * number
    return doubled / 4

class Shape:
    def xǁShapeǁarea__mutmut_orig(self) -> int:
        return 1
    def xǁShapeǁarea__mutmut_1(self) -> int:
        return 2
'''


def test_mutants_are_read_with_their_change_and_what_became_of_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.py").write_text(MUTATED, encoding="utf-8")
    codes = {"x_half__mutmut_1": 1, "x_half__mutmut_2": 0, "x_half__mutmut_3": None, "xǁShapeǁarea__mutmut_1": 33}
    codes["x_gone__mutmut_1"] = 0
    content = {"exit_code_by_key": {f"facegender.data.a.{name}": code for name, code in codes.items()}}
    (tmp_path / "data" / "a.py.meta").write_text(json.dumps(content), encoding="utf-8")

    assert found_mutants(tmp_path) == [
        Mutant("readers", "data/a.py half: doubled = 2 * number => doubled = None", True),
        Mutant("readers", "data/a.py half: return doubled / 4 => return doubled * 4", False),
        Mutant("readers", "data/a.py half: doubled = 2 * number => doubled = 3 * number", None),
        Mutant("readers", "data/a.py Shape.area: return 1 => return 2", False),
    ]


def test_survivors_are_counted_with_and_without_a_reason(tmp_path: Path) -> None:
    (tmp_path / "survivors.txt").write_text("Both are the same.\n    a => b\n\nIt is text.\n    c => d\n")
    explained = explanations(tmp_path / "survivors.txt")
    mutants = [Mutant("gate", change, killed) for change, killed in (("a => b", False), ("e => f", False), ("g", True))]

    assert explained == {"a => b": "Both are the same.", "c => d": "It is text."}
    assert count(mutants, explained) == (0, 3, 1, 2, 1)


@pytest.mark.parametrize(
    ("killed", "survived", "untried", "explained", "enough"),
    [
        (9, 1, 0, True, True),
        (9, 1, 0, False, False),
        (9, 1, 1, True, False),
        (8, 1, 0, True, False),
        (0, 0, 0, True, False),
    ],
)
def test_all_must_be_tried_nine_in_ten_killed_and_the_rest_explained(
    killed: int, survived: int, untried: int, explained: bool, enough: bool
) -> None:
    results = [True] * killed + [False] * survived + [None] * untried
    mutants = [Mutant("gate", "a => b", result) for result in results]

    assert count(mutants, {"a => b": "Both are the same."} if explained else {}).is_enough is enough


def test_every_module_that_is_mutated_is_in_one_group() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.py")]
    mutated = {name for name in modules if any(fnmatch(name, pattern) for pattern in config["only_mutate"])}
    assert mutated

    for group, starts in GROUPS.items():
        of_group = {name for name in mutated if name.removeprefix("src/facegender/").startswith(starts)}
        assert of_group, group
        mutated -= of_group
    assert not mutated
