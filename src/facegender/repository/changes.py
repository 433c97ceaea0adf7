"""What a pull request changes of that by which it is judged: dvc.yaml, dvc.lock, the tests and the gate's own code."""

import ast
import importlib.machinery
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from facegender.errors import FacegenderError
from facegender.repository.gate import Finding, first_of
from facegender.repository.lock import LockedStage

OWN_REQUEST = "merge it in a pull request of its own, with the same results as before"

_COMMAND = re.compile(r"python -m stages\.(\w+)( \$\{key\})?")
_KEYS = {"cmd", "deps", "params", "outs", "metrics", "plots", "desc", "meta"}
"""What a stage may have. Others hide changes from DVC (`frozen`) or run other code (`wdir`)."""

_WRITTEN = ("outs", "metrics", "plots")

_SKIPS = {"skip", "skipif", "xfail", "importorskip", "skipTest", "SkipTest", "skipUnless", "skipIf"}
"""Names in pytest and unittest that skip a test or let it fail."""

_HIDING = {
    "collect_ignore",
    "collect_ignore_glob",
    "__test__",
    "pytest_ignore_collect",
    "pytest_collection_modifyitems",
}
"""Names by which a file of tests hides tests from pytest."""


def read_stages(text: str, name: str) -> dict[str, dict[str, Any]]:
    """Parse the stages of a dvc.yaml.

    Args:
        text: its content.
        name: its name in errors.

    Raises:
        FacegenderError: it is not valid.
    """
    try:
        stages = yaml.safe_load(text)["stages"]
        if not all(isinstance(_body(stage)["cmd"], str) for stage in stages.values()):
            raise TypeError
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FacegenderError(name, "missing or not valid", "run: git restore dvc.yaml") from error
    return dict(stages)


def _body(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a stage with `foreach` does for each item; another stage itself."""
    return stage.get("do", stage)


def _entries(stage: Mapping[str, Any], *kinds: str) -> list[Any]:
    """Return the entries of some kinds, such as `deps`; a key without a value has none."""
    return [entry for kind in kinds for entry in _body(stage).get(kind) or []]


def _path(entry: Any) -> str:
    """Return an entry of `deps`, `outs`, `metrics` or `plots` without its settings."""
    return str(next(iter(entry))) if isinstance(entry, Mapping) else str(entry)


def pipeline_mistakes(
    stages: Mapping[str, Mapping[str, Any]], imported: Callable[[str], Iterable[str]], judged: Iterable[str]
) -> Iterator[str]:
    """Yield what dvc.yaml may not have in any revision, because DVC would not notice that results are wrong.

    Args:
        stages: of dvc.yaml.
        imported: returns the files of this project that a stage's script, by its path, imports, with the script itself.
        judged: the files that the gate judges.
    """
    for name, stage in stages.items():
        body = _body(stage)
        for key in sorted(body.keys() - _KEYS - {"foreach", "do"}):
            yield f"{name} has {key}, which hides or moves what it does"
        command = _COMMAND.fullmatch(body["cmd"])
        if not command:
            yield f"{name} runs {body['cmd']!r}, not python -m stages.NAME"
            continue
        deps = [_path(entry) for entry in _entries(stage, "deps")]
        for path in sorted(imported(f"stages/{command[1]}.py")):
            if not any(path == dep or path.startswith(f"{dep}/") for dep in deps):
                yield f"{name} imports {path}, which is not in its deps"
    written = {path for stage in stages.values() for path in _written(stage)}
    yield from (f"no stage writes {path}" for path in judged if path not in written)


def _written(stage: Mapping[str, Any]) -> Iterator[str]:
    paths = [_path(entry) for entry in _entries(stage, *_WRITTEN)]
    # A text names a group of params.yaml.
    items = stage.get("foreach", [""])
    for item in [] if isinstance(items, str) else items:
        yield from (path.replace("${key}", str(item)) for path in paths)


class Weakened(NamedTuple):
    """A way in which dvc.yaml makes a stage run less often than at the base, or run something else."""

    script: str
    what: str


def weakened_stages(base: Mapping[str, Mapping[str, Any]], here: Mapping[str, Mapping[str, Any]]) -> Iterator[Weakened]:
    """Yield what dvc.yaml no longer says of a stage. Additions are stricter, and `pipeline_mistakes` knows the code.

    Args:
        base: the stages of the base's dvc.yaml.
        here: those of this one.
    """
    for name, before in base.items():
        old = _body(before)["cmd"]
        command = _COMMAND.fullmatch(old)
        script = f"stages/{command[1]}.py" if command else ""
        if name not in here:
            yield Weakened(script, f"the stage {name} is gone")
            continue
        now = here[name]
        new = _body(now)["cmd"]
        if old != new:
            yield Weakened(script, f"{name} runs {new!r}, not {old!r}")
        kept = set(_named_in(now))
        yield from (Weakened(script, f"{name} {' '.join(one)}") for one in _named_in(before) if one not in kept)


def _named_in(stage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in _entries(stage, "deps"):
        if not _path(entry).endswith(".py"):
            yield "no longer depends on", _path(entry)
    yield from (("no longer depends on the parameters", str(entry)) for entry in _entries(stage, "params"))
    yield from (("no longer writes", _path(entry)) for entry in _entries(stage, *_WRITTEN))
    items = stage.get("foreach", [])
    yield from (("no longer runs for", str(item)) for item in ([items] if isinstance(items, str) else items))


def check_pipeline(
    mistakes: Sequence[str],
    weakened: Sequence[Weakened],
    changed: Collection[str],
    results: Sequence[str],
    revision: str,
) -> Finding:
    """Check that dvc.yaml runs every stage when it has to.

    A stage may lose an input only together with the code that read it, and while no result changes.

    Args:
        mistakes: as `pipeline_mistakes` yields them.
        weakened: as `weakened_stages` yields them.
        changed: the files that differ from the base's.
        results: the judged files that differ from the base's.
        revision: the base.
    """
    if mistakes:
        return Finding("pipeline", "fail", f"dvc.yaml: {first_of(mistakes)}", "fix dvc.yaml, then run: dvc repro")
    whats = [one.what for one in weakened]
    unexplained = [one.what for one in weakened if one.script not in changed]
    if weakened and results:
        found = f"dvc.yaml: {first_of(whats)}, unlike at {revision}, while results change ({first_of(results)})"
        return Finding("pipeline", "fail", found, f"restore dvc.yaml and run dvc repro, or {OWN_REQUEST}")
    if unexplained:
        found = f"dvc.yaml: {first_of(unexplained)}, unlike at {revision}, but the script is the same"
        return Finding("pipeline", "fail", found, "restore dvc.yaml, then run: dvc repro")
    if weakened:
        found = f"dvc.yaml: {first_of(whats)}, unlike at {revision}; no result changes"
        return Finding("pipeline", "pass", found, "read the changes of dvc.yaml")
    return Finding("pipeline", "pass", "dvc.yaml names all code of each stage, and takes nothing away")


def other_outs(base: Mapping[str, LockedStage], here: Mapping[str, LockedStage]) -> Iterator[str]:
    """Yield each stage that wrote something else than at the base, from the same command, inputs and parameters."""
    for stage, locked in here.items():
        before = base.get(stage)
        if before and before.inputs == locked.inputs and before.outs != locked.outs:
            paths = sorted(before.outs.keys() | locked.outs.keys())
            yield f"{stage} ({', '.join(path for path in paths if before.outs.get(path) != locked.outs.get(path))})"


def check_outs(others: Sequence[str], reasons: Sequence[str], revision: str) -> Finding:
    """Check that a stage to which nothing happened has the base's outs: every stage writes the same bytes again.

    Args:
        others: as `other_outs` yields them.
        reasons: files that differ from the base's and that may explain other bytes.
        revision: the base.
    """
    if not others:
        return Finding("outs", "pass", f"stages with the inputs of {revision} have its outs")
    found = f"other outs than at {revision} from the same command, inputs and parameters: {first_of(others)}"
    if reasons:
        again = "run dvc repro --force on a machine that you trust, and compare dvc.lock"
        return Finding("outs", "pass", f"{found}; {first_of(reasons)} may explain it", again)
    restore = (
        f"run: git checkout {revision} -- dvc.lock metrics, dvc checkout, dvc repro; trust none of them until then"
    )
    return Finding("outs", "fail", found, restore)


def removed_tests(base: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """List what files of tests no longer test: tests that are gone, and more ways to skip them.

    Args:
        base: the text of each changed file of tests, by its path, as it was at the base; without new files.
        here: the same of this folder; without deleted files.
    """
    names = [Counter(name for text in texts.values() for name in _tests(text)) for texts in (base, here)]
    found = [f"{name} is gone" for name in sorted((names[0] - names[1]).elements())]
    for path, text in here.items():
        more = _skips(text) - _skips(base.get(path, ""))
        found += [f"{path} has more {name}" for name in sorted(more)]
    return found


def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        # Pytest fails at such a file.
        return ast.Module([], [])


def _tests(text: str) -> Iterator[str]:
    """Yield the names of the tests that pytest collects: those inside an `if` are not among them."""
    waiting: list[ast.stmt] = list(_tree(text).body)
    for node in waiting:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            waiting += node.body


def _skips(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for node in ast.walk(_tree(text)):
        names = [
            getattr(node, field) for field in ("attr", "id", "name") if isinstance(getattr(node, field, None), str)
        ]
        found.update(name for name in names if name in _SKIPS or name in _HIDING)
    return found


GROUPS = {
    "tests": ("tests/", "pytest.", ".pytest.", "tox.ini", "setup.cfg"),
    "CI and its commands": (".github/", ".gitlab-ci.yml", ".ci/", ".pre-commit-config.yaml", "scripts/", "Makefile"),
    "what is installed": ("pyproject.toml", "requirements"),
    "what DVC does": ("dvc.yaml", ".dvc/", ".dvcignore", ".gitattributes"),
}
"""Beginnings of the paths of what no check judges, besides the gate's own code."""

_CODE = ("src/facegender/", "stages/", "tests/", "scripts/", "benchmarks/")
"""Where code is. A module elsewhere, such as numpy.py in this folder, is imported instead of a package of that name."""

_MODULES = tuple(importlib.machinery.all_suffixes())
"""How the name of a file ends that Python can import: `.py`, and those of compiled modules."""


def unjudged(changed: Iterable[str], gate_code: Collection[str], plumbing: Collection[str]) -> dict[str, list[str]]:
    """Sort changed files that no check judges into groups.

    Args:
        changed: the files that differ from the base.
        gate_code: the files that the gate imports.
        plumbing: files that stages import, but that are not in their deps.
    """
    groups: dict[str, list[str]] = {}
    code = dict.fromkeys(plumbing, "code whose changes run no stage") | dict.fromkeys(gate_code, "the gate's own code")
    for path in sorted(changed):
        named = (group for group, beginnings in GROUPS.items() if path.startswith(beginnings))
        group = code.get(path) or next(named, None)
        if path.endswith(_MODULES) and not path.startswith(_CODE):
            group = "modules that may hide packages"
        if group:
            groups.setdefault(group, []).append(path)
    return groups


def check_review(
    groups: Mapping[str, Sequence[str]], removed: Sequence[str], results: Sequence[str], revision: str
) -> Finding:
    """Name what only a reviewer can judge, and check that tests do not go while results change.

    Args:
        groups: as `unjudged` returns them.
        removed: as `removed_tests` lists them.
        results: the judged files that differ from the base's.
        revision: the base.
    """
    named = "; ".join(f"{group}: {first_of(paths)}" for group, paths in groups.items())
    if removed and results:
        found = f"fewer tests than at {revision} while results change ({first_of(results)}): {first_of(removed)}"
        return Finding("review", "fail", f"{found}. Changed: {named}", f"restore them, or {OWN_REQUEST}")
    if groups:
        gone = f"; fewer tests: {first_of(removed)}" if removed else ""
        return Finding(
            "review",
            "pass",
            f"no check judges these changes: {named}{gone}",
            "read all of them; only dvc repro --force shows that results are those of the code",
        )
    return Finding("review", "pass", "nothing changes by which a pull request is judged")
