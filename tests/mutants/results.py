"""What mutmut found, from the files that it writes to `mutants/`, and the survivors that survivors.txt explains."""

import ast
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.paths import ROOT

GROUPS = {
    "partition": ("preparation/partition.py",),
    "metrics": ("evaluation/",),
    "augmentation": ("preparation/augment.py",),
    "readers": ("data/",),
    "gate": ("repository/gate", "repository/changes.py"),
}
"""How the paths of a group's modules begin, below src/facegender. pyproject.toml has them for mutmut."""

REQUIRED = 0.9
"""The lowest score of a group: the share of its mutants that a test kills."""

MUTATED = ROOT / "mutants" / "src" / "facegender"
SURVIVORS = Path(__file__).with_name("survivors.txt")

_SURVIVED = (0, 5, 33)
"""mutmut's exit codes of mutants that no test kills: all tests pass, and no test calls the function."""


class Mutant(NamedTuple):
    """A mutant that was tried: its group, its function and changed line in words, and whether a test failed with it."""

    group: str
    change: str
    killed: bool


def found_mutants(folder: Path = MUTATED) -> list[Mutant]:
    """Read the results of mutmut, without those of mutants that were not tried."""
    found = []
    for path in sorted(folder.rglob("*.py.meta")):
        module = path.with_suffix("").relative_to(folder).as_posix()
        groups = [group for group, starts in GROUPS.items() if module.startswith(starts)]
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        changes = dict(_changes(module, path.with_suffix("").read_text(encoding="utf-8")))
        found += [
            Mutant(group, changes[name.rpartition(".")[2]], code not in _SURVIVED)
            for group in groups
            for name, code in codes.items()
            # The results of a module that is no longer changed stay.
            if code is not None and name.rpartition(".")[2] in changes
        ]
    return found


def explanations(path: Path = SURVIVORS) -> dict[str, str]:
    """Read why each survivor survives, by its change: indented lines below the reason that they share."""
    found: dict[str, str] = {}
    reason = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            found[line.strip()] = reason
        elif line:
            reason = line
    return found


def count(mutants: list[Mutant], explained: dict[str, str]) -> tuple[int, int, int, int]:
    """Return how many mutants there are, how many were killed and survived, and how many survivors have a reason."""
    survivors = [mutant for mutant in mutants if not mutant.killed]
    with_reason = sum(mutant.change in explained for mutant in survivors)
    return len(mutants), len(mutants) - len(survivors), len(survivors), with_reason


def _changes(module: str, source: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each mutant's function and its change: module, function, old lines => new lines."""
    functions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    lines = source.splitlines()
    bodies = {name: lines[node.body[0].lineno - 1 : node.end_lineno] for name, node in functions.items()}
    for name, body in bodies.items():
        original, is_mutant, number = name.rpartition("__mutmut_")
        if is_mutant and number.isdigit():
            difference = list(difflib.ndiff(bodies[f"{original}__mutmut_orig"], body))
            old, new = (
                " ".join(line[2:].strip() for line in difference if line.startswith(sign)) for sign in ("- ", "+ ")
            )
            function = original.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
            yield name, f"{module} {function}: {old or 'nothing'} => {new or 'nothing'}"
