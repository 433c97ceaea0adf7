"""The trials that `facegender trials` reads, and those that are left to run."""

import copy
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import pytest

from facegender.errors import FacegenderError
from facegender.repository import trials as module
from facegender.repository.trials import Trial, not_yet_run, read_trials

PARAMS: dict[str, Any] = {"train": {"seed": 120, "learning_rate": 0.001}, "augment": {"mode": "copies"}}


def row(params: dict[str, Any] | None, name: str = "") -> dict[str, Any]:
    found = {"params": {"params.yaml": {"data": params}}}
    return {"name": name, "data": found if params else None, "error": None if params else {"msg": "lost"}}


def shown(**experiments: dict[str, Any] | None) -> list[dict[str, Any]]:
    revisions = [{"name": name, "revs": [row(params, name)]} for name, params in experiments.items()]
    return [row(PARAMS), row(PARAMS) | {"experiments": revisions or None}]


def with_seed(seed: int, **others: Any) -> dict[str, Any]:
    changed = copy.deepcopy(PARAMS)
    changed["train"] |= {"seed": seed, **others}
    return changed


def test_each_line_is_a_trial() -> None:
    assert read_trials(b"\xef\xbb\xbfa train.seed=1\r\n  b  train.seed=2   augment.mode=epoch\n") == [
        Trial("a", ("train.seed=1",)),
        Trial("b", ("train.seed=2", "augment.mode=epoch")),
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "standard input: has no trials; write, for example: seed-121 train.seed=121"),
        (b"a x=1\n\n", "line 2: '' is not NAME KEY=VALUE …; write, for example: seed-121 train.seed=121"),
        (b"a", "line 1: 'a' is not NAME KEY=VALUE …; write, for example: seed-121 train.seed=121"),
        (b"a x", "line 1: 'a x' is not NAME KEY=VALUE …; write, for example: seed-121 train.seed=121"),
        (b"x=1 y=2", "line 1: 'x=1 y=2' is not NAME KEY=VALUE …; write, for example: seed-121 train.seed=121"),
        (b"--force x=1", "line 1: '--force x=1' is not NAME KEY=VALUE …; write, for example: seed-121 train.seed=121"),
        (b"a x=1\na x=2", "line 2: a is listed twice; give each trial a name of its own"),
        (b"a x=1\nb\xff x=2", "standard input: not UTF-8 text at byte 7; save the list as UTF-8"),
    ],
)
def test_another_form_is_one_line(content: bytes, line: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        read_trials(content)
    assert str(caught.value) == line


def test_trials_that_this_commit_has_are_not_left() -> None:
    trials = [Trial("a", ("train.seed=1",)), Trial("b", ("train.seed=2", "train.learning_rate=1e-4"))]

    assert not_yet_run(trials, shown()) == trials
    assert not_yet_run(trials, shown(a=with_seed(1), c=with_seed(2))) == trials[1:]
    assert not_yet_run(trials, shown(b=with_seed(2, learning_rate=0.0001), a=with_seed(1))) == []


@pytest.mark.parametrize(
    ("trial", "experiments", "line"),
    [
        (
            Trial("a", ("train.seed=1",)),
            {"a": with_seed(1, learning_rate=0.002)},
            "a: an experiment of this commit has this name, but train.learning_rate is 0.002 there and 0.001 here; "
            "run: dvc exp remove a",
        ),
        (
            Trial("a", ("train.seed=1",)),
            {"a": with_seed(1, momentum=0.9)},
            "a: an experiment of this commit has this name, but train.momentum is 0.9 there and missing here; "
            "run: dvc exp remove a",
        ),
        (
            Trial("a", ("train.seed=1",)),
            {"a": None},
            "a: an experiment of this commit has this name and failed; run: dvc exp remove a",
        ),
        (Trial("a", ("train.sed=1",)), {}, "a: params.yaml has no train.sed; use a parameter that it has"),
        (
            Trial("a", ("train.seed=[1",)),
            {},
            "a: train.seed=[1 is not valid YAML; write, for example: seed-121 train.seed=121",
        ),
    ],
)
def test_a_trial_that_cannot_be_run_is_one_line(trial: Trial, experiments: dict[str, Any], line: str) -> None:
    with pytest.raises(FacegenderError) as caught:
        not_yet_run([trial], shown(**experiments))
    assert str(caught.value) == line


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_trial_that_has_not_ended_is_one_line(state: str) -> None:
    commit = shown(a=with_seed(1))
    commit[1]["experiments"][0]["executor"] = {"state": state, "name": "dvc-task"}
    with pytest.raises(FacegenderError) as caught:
        not_yet_run([Trial("a", ("train.seed=1",))], commit)
    expected = (
        f"a: an experiment of this commit has this name and is {state}; choose another name, or wait until it has ended"
    )
    assert str(caught.value) == expected


def test_trials_start_from_the_committed_parameters() -> None:
    trials = [Trial("a", ("train.learning_rate=0.1",)), Trial("b", ("train.seed=7",))]
    found = shown(a=with_seed(120, learning_rate=0.1))
    # As the last trial leaves them.
    assert not_yet_run(trials, [row(with_seed(7)), found[1]]) == trials[1:]

    with pytest.raises(FacegenderError) as caught:
        not_yet_run(trials, [row(with_seed(7, learning_rate=0.1)), found[1]])
    assert str(caught.value) == (
        "params.yaml: has changes that are not committed, which the trials would not have; "
        "commit them, or put them back: git restore params.yaml"
    )


def test_a_folder_that_dvc_cannot_read_is_one_line() -> None:
    for found, line in (
        ([row(PARAMS)], "HEAD: DVC found no commit; commit this folder first"),
        ([row(None), row(PARAMS)], "this folder: DVC cannot read it: lost; run: dvc status"),
        ([row(PARAMS), row(None)], "HEAD: DVC cannot read it: lost; run: dvc status"),
    ):
        with pytest.raises(FacegenderError) as caught:
            not_yet_run([Trial("a", ("train.seed=1",))], found)
        assert str(caught.value) == line


def test_a_trial_that_cannot_be_recorded_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Remote:
        index = SimpleNamespace(outs=[SimpleNamespace(fs_path="model", can_push=True), SimpleNamespace(can_push=False)])

        def __enter__(self) -> "Remote":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def switch(self, _: str) -> "Remote":
            return self

        def fetch(self, targets: list[str], revs: list[str], workspace: bool) -> None:
            assert targets == ["model"]
            if revs == ["b"]:
                raise ConnectionResetError("the remote\nis gone")

    def finished(*_: Any) -> Iterator[Any]:
        yield Trial("a", ("x=1",)), b"a"
        yield Trial("b", ("x=2",)), b"b"
        yield Trial("c", ("x=3",)), FacegenderError("c on node", "failed", "the lines below say why")
        yield Trial("d", ("x=4",)), b"d"

    def check(command: list[str], folder: Path = Path()) -> str:
        if command[1:3] == ["bundle", "create"]:
            Path(command[4]).write_bytes(b"")
        return Path(command[3]).read_text(encoding="utf-8") if command[1:3] == ["bundle", "list-heads"] else ""

    clean = CompletedProcess([], 0, "", "")
    monkeypatch.setattr(module, "git", lambda *_: clean)
    monkeypatch.setattr(module, "dvc", lambda *_: CompletedProcess([], 0, "store", ""))
    monkeypatch.setattr(module, "finished", finished)
    monkeypatch.setattr(module, "_check", check)
    monkeypatch.setattr("dvc.repo.Repo", Remote)

    errors = {name: error and str(error) for name, error in module.run_on_cluster([], "address")}

    assert errors == {
        "a": None,
        "b": "b: the experiment is recorded, but its outs cannot be fetched (the remote is gone); when the remote can "
        "be read: dvc exp apply b, then dvc pull --allow-missing",
        "c": "c on node: failed; the lines below say why",
        "d": None,
    }
