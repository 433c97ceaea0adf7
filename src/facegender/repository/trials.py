"""Experiments with other parameters, run one after the other in this folder or side by side on a Ray cluster."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from facegender.cluster import ADDRESS, finished
from facegender.errors import FacegenderError
from facegender.repository.commands import dvc, git
from facegender.repository.experiments import PARAMS, contents, execution_state, flat, problem

_GUARD = """\
import os, signal, subprocess, sys, threading, time
if guarded := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(guarded, 0)[1]))
os.setsid()
def watch():
    while True:
        try:
            os.kill(int(sys.argv[1]), 0)
        except ProcessLookupError:
            os.killpg(0, signal.SIGKILL)
        time.sleep(1)
threading.Thread(target=watch, daemon=True).start()
try:
    sys.exit(subprocess.call(sys.argv[2:]))
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""
"""Runs a command, and kills it with all that it started as soon as a given process has ended.

When Ray ends a worker process, it kills only the children of that process, and training would go on.
"""

_EXAMPLE = "seed-121 train.seed=121"


class Trial(NamedTuple):
    """An experiment to run.

    Attributes:
        name: of the experiment.
        settings: KEY=VALUE, as `dvc exp run --set-param` takes it.
    """

    name: str
    settings: tuple[str, ...]


def read_trials(content: bytes) -> list[Trial]:
    """Read trials from lines of the form NAME KEY=VALUE …

    Raises:
        FacegenderError: it is not UTF-8 text, a line has another form, a name is there twice, or there is no line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"not UTF-8 text at byte {error.start}"
        raise FacegenderError("standard input", what, "save the list as UTF-8") from None
    trials: dict[str, Trial] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, *settings = line.split() or [""]
        if (
            not name
            or "=" in name
            or name.startswith("-")
            or not settings
            or not all(setting.partition("=")[1] for setting in settings)
        ):
            what = f"{line.strip()!r} is not NAME KEY=VALUE …"
            raise FacegenderError(f"line {number}", what, f"write, for example: {_EXAMPLE}")
        if name in trials:
            raise FacegenderError(f"line {number}", f"{name} is listed twice", "give each trial a name of its own")
        trials[name] = Trial(name, tuple(settings))
    if not trials:
        raise FacegenderError("standard input", "has no trials", f"write, for example: {_EXAMPLE}")
    return list(trials.values())


def not_yet_run(trials: Sequence[Trial], shown: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """Return the trials that this commit has no experiment of.

    Args:
        trials: to run with the params.yaml of this commit.
        shown: as `shown_experiments` returns it.

    Raises:
        FacegenderError: an experiment has a trial's name, but has other parameters or no result; params.yaml has no
            such parameter, or has changes that are not those of a trial; or there is no commit.
    """
    if len(shown) < 2:
        raise FacegenderError("HEAD", "DVC found no commit", "commit this folder first")
    folder, commit = shown[:2]
    for where, row in (("this folder", folder), ("HEAD", commit)):
        if found := problem(row):
            raise FacegenderError(where, f"DVC cannot read it: {found}", "run: dvc status")
    here, committed = (dict(flat(contents(row, "params")[PARAMS])) for row in (folder, commit))
    wanted = {trial.name: committed | _values(trial, committed) for trial in trials}
    # `dvc exp run` leaves those of the last trial.
    if here != committed and here not in wanted.values():
        remedy = f"commit them, or put them back: git restore {PARAMS}"
        raise FacegenderError(PARAMS, "has changes that are not committed, which the trials would not have", remedy)
    experiments = {experiment["name"]: experiment for experiment in commit["experiments"] or []}
    left = []
    for trial in trials:
        if trial.name not in experiments:
            left.append(trial)
            continue
        expected, experiment = wanted[trial.name], experiments[trial.name]
        row, again = experiment["revs"][0], f"run: dvc exp remove {trial.name}"
        if (state := execution_state(experiment)) in ("queued", "running"):
            what = f"an experiment of this commit has this name and is {state}"
            raise FacegenderError(trial.name, what, "choose another name, or wait until it has ended")
        if state or problem(row):
            raise FacegenderError(trial.name, "an experiment of this commit has this name and failed", again)
        there = dict(flat(contents(row, "params")[PARAMS]))
        for key in sorted(expected.keys() | there.keys()):
            if expected.get(key) != there.get(key):
                before, now = (values.get(key, "missing") for values in (there, expected))
                what = f"an experiment of this commit has this name, but {key} is {before} there and {now} here"
                raise FacegenderError(trial.name, what, again)
    return left


def _values(trial: Trial, known: Mapping[str, Any]) -> dict[str, Any]:
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

    values = {}
    for setting in trial.settings:
        key, _, value = setting.partition("=")
        if key not in known:
            raise FacegenderError(trial.name, f"{PARAMS} has no {key}", "use a parameter that it has")
        try:
            # As DVC reads it: for PyYAML, 1e-4 is no number.
            values[key] = parse_yaml(value, PARAMS)
        except YAMLFileCorruptedError:
            raise FacegenderError(
                trial.name, f"{setting} is not valid YAML", f"write, for example: {_EXAMPLE}"
            ) from None
    return values


def run_here(trials: Iterable[Trial]) -> None:
    """Run trials of HEAD in this folder, as `dvc exp run` does; what they print goes to the terminal.

    Raises:
        FacegenderError: a trial fails; the rest is not run.
    """
    for trial in trials:
        # `dvc exp run` would keep what the trial before has set.
        restored = git("restore", "--source=HEAD", "--", PARAMS)
        if restored.returncode:
            raise FacegenderError(PARAMS, f"cannot be put back ({restored.stderr.strip()})", "run: git status")
        if subprocess.run([sys.executable, "-m", "dvc", *_experiment(trial)]).returncode:
            raise FacegenderError(trial.name, "failed", "the lines above say why; the trials after it were not run")


def run_on_cluster(trials: Sequence[Trial], address: str) -> Iterator[tuple[str, FacegenderError | None]]:
    """Run trials of HEAD on a Ray cluster, each as a task of `finished`.

    A node gets the commit from this machine and what DVC tracks from the default remote, to which it pushes the outs.
    This machine then has the experiment and, in DVC's cache, its outs, as if the trial had been run here.

    Args:
        trials: to run.
        address: of the cluster.

    Yields:
        The name of each trial as soon as it is recorded here, or has failed, with the error.

    Raises:
        FacegenderError: what Git tracks has changes, or there is no default remote; or as in `finished`.
    """
    if git("status", "--porcelain", "--untracked-files=no").stdout:
        raise FacegenderError(
            "HEAD",
            "this folder has changes, which the nodes would not get",
            "commit them, or put them aside: git stash",
        )
    if not dvc("config", "--project", "core.remote").stdout.strip():
        what = "names no default remote, through which nodes get data and give back models"
        raise FacegenderError(".dvc/config", what, "set one up (docs/remotes.md), commit it, and run: dvc push")
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        _check(["git", "bundle", "create", "--quiet", str(bundle), "HEAD"])
        for trial, result in finished(partial(run_trials, bundle=bundle.read_bytes()), trials, address):
            try:
                if isinstance(result, FacegenderError):
                    raise result
                _record(trial.name, Path(folder) / "recorded", result)
            except FacegenderError as error:
                yield trial.name, error
            else:
                yield trial.name, None


def run_trials(trials: Iterable[Trial], bundle: bytes) -> Iterator[bytes]:
    """Run trials on a node, each in a new clone.

    Args:
        trials: to run.
        bundle: a Git bundle with HEAD.

    Yields:
        For each, a Git bundle with the experiment's commit. Its outs are in the default remote.

    Raises:
        FacegenderError: a trial fails, with the last lines that it printed.
    """
    for trial in trials:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield _run_in(Path(folder), trial, bundle)
            except FacegenderError as error:
                raise error.within(f"{trial.name} on {socket.gethostname()}") from None


def _run_in(folder: Path, trial: Trial, bundle: bytes) -> bytes:
    before, clone, after = (folder / name for name in ("before", "clone", "after"))
    before.write_bytes(bundle)
    _check(["git", "clone", "--quiet", str(before), str(clone)])
    _check([sys.executable, "-m", "dvc", *_experiment(trial), "--pull"], clone)
    _check([sys.executable, "-m", "dvc", "push", "--quiet"], clone)
    reference = _check(["git", "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{trial.name}"], clone).strip()
    _check(["git", "bundle", "create", "--quiet", str(after), reference, "^HEAD"], clone)
    return after.read_bytes()


def _experiment(trial: Trial) -> list[str]:
    settings = [word for setting in trial.settings for word in ("--set-param", setting)]
    return ["exp", "run", "--name", trial.name, *settings]


def _record(name: str, path: Path, bundle: bytes) -> None:
    """Put an experiment's commit into this repository, and its outs into DVC's cache.

    Raises:
        FacegenderError: one of the two fails, as without the remote.
    """
    from dvc.repo import Repo

    path.write_bytes(bundle)
    commit = _check(["git", "bundle", "list-heads", str(path)]).split()[0]
    _check(["git", "fetch", "--quiet", str(path), "refs/exps/*:refs/exps/*"])
    try:
        with Repo() as repo:
            with repo.switch(commit):
                pushed = [out.fs_path for out in repo.index.outs if out.can_push]
            repo.fetch(pushed, revs=[commit], workspace=False)
    # A remote's library raises errors of its own.
    except Exception as error:
        what = f"the experiment is recorded, but its outs cannot be fetched ({' '.join(str(error).split())})"
        raise FacegenderError(
            name, what, f"when the remote can be read: dvc exp apply {name}, then dvc pull --allow-missing"
        ) from error


def _check(command: Sequence[str], folder: Path = Path()) -> str:
    """Run a command in a folder and return what it prints to standard output."""
    # Stages are run by this environment's Python, which a node need not have on its path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # A trial that has a whole node must not wait for other nodes.
    environment = {key: value for key, value in os.environ.items() if key != ADDRESS}
    done = subprocess.run(
        [sys.executable, "-c", _GUARD, str(os.getpid()), *command],
        cwd=folder,
        env=environment | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        shown = " ".join(word for word in command if word not in (sys.executable, "-m"))
        raise FacegenderError(shown, "failed", "the lines below say why", lines[-20:])
    return done.stdout
