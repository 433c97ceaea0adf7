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
    """A mutant: its group, its function and changed line in words, and whether a test failed; None if it is untried."""

    group: str
    change: str
    killed: bool | None


def found_mutants(folder: Path = MUTATED) -> list[Mutant]:
    """Read the results of mutmut."""
    found = []
    for path in sorted(folder.rglob("*.py.meta")):
        module = path.with_suffix("").relative_to(folder).as_posix()
        groups = [group for group, starts in GROUPS.items() if module.startswith(starts)]
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        changes = dict(_changes(module, path.with_suffix("").read_text(encoding="utf-8")))
        found += [
            Mutant(group, changes[name.rpartition(".")[2]], None if code is None else code not in _SURVIVED)
            for group in groups
            for name, code in codes.items()
            # The results of a module that is no longer changed stay.
            if name.rpartition(".")[2] in changes
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


class Count(NamedTuple):
    """How many mutants there are of each kind; `explained` is how many survivors have a reason."""

    untried: int
    tried: int
    killed: int
    survived: int
    explained: int

    @property
    def is_enough(self) -> bool:
        """Whether all were tried, tests kill enough of them, and each survivor has a reason."""
        return not self.untried and self.killed >= REQUIRED * self.tried > 0 and self.explained == self.survived


def count(mutants: list[Mutant], explained: dict[str, str]) -> Count:
    """Count mutants by what became of them."""
    survivors = [mutant.change for mutant in mutants if mutant.killed is False]
    killed = sum(mutant.killed is True for mutant in mutants)
    tried = killed + len(survivors)
    return Count(len(mutants) - tried, tried, killed, len(survivors), sum(change in explained for change in survivors))


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
