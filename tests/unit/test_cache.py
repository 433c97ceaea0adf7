"""The folder .cache: its size, pruning by last use, clearing, and recovery from damage."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

import stages.features
from facegender import cli
from facegender.cache import alone, clear, describe, list_entries, prune, sole_run
from facegender.data.shards import write_shards
from facegender.errors import FacegenderError
from facegender.network.features import write_features
from facegender.params import load_params
from tests.paths import ROOT
from tests.unit.network.test_features import CountingEngine, grey_record

HOUR = 3600


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return the folder `.cache`, empty."""
    (tmp_path / ".cache").mkdir()
    return tmp_path / ".cache"


@pytest.fixture
def features_of(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """Return a function that writes features of a number of images, four per shard.

    It returns which shards it computed, and the content of all.
    """
    monkeypatch.setattr("facegender.data.shards.SHARD_SIZE", 4)

    def features(count: int) -> tuple[list[bool], dict[str, bytes]]:
        images, folder = tmp_path / "images", tmp_path / "out"
        for path in (images, folder):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        write_shards(images, map(grey_record, range(count)))
        computed = list(write_features(images, folder, "trunk", CountingEngine(), cache / "features"))
        return computed, {path.name: path.read_bytes() for path in folder.iterdir()}

    return features


Features = Callable[[int], tuple[list[bool], dict[str, bytes]]]


def results(cache: Path) -> list[Path]:
    return sorted((cache / "features").glob("*/*"))


def make_older(cache: Path, seconds: int = HOUR) -> None:
    """Let time pass: set back the times of everything in `.cache`."""
    for path in cache.rglob("*"):
        status = path.stat()
        os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


def keep(path: Path, size: int, hours_ago: float) -> Path:
    """Make an entry of two files, one of them in a subfolder, that was last used some hours ago."""
    (path / "deeper").mkdir(parents=True)
    (path / "file").write_bytes(bytes(size - 1))
    (path / "deeper" / "file").write_bytes(b"1")
    used = path.stat().st_mtime - hours_ago * HOUR
    os.utime(path, (used, used))
    return path


def size_on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_parts_are_measured(cache: Path, features_of: Features) -> None:
    features_of(10)
    keep(cache / "training" / "aa", 700, 0)
    keep(cache / "training" / "bb", 30, 0)

    entries = list_entries(cache)

    assert {part: len(found) for part, found in entries.items()} == {"features": 3, "training": 2}
    memo = size_on_disk(cache / "features")
    assert [sum(entry.size for entry in found) for found in entries.values()] == [memo, 730]
    assert describe(entries["training"]) == "2 entries, 0.000 GB"


def test_sizes_are_shown_in_gigabytes_of_10_to_the_9(cache: Path) -> None:
    keep(cache / "training" / "aa", 10, 0)
    # A sparse file: no byte of it is written.
    os.truncate(cache / "training" / "aa" / "file", 1_234_500_000)

    assert describe(list_entries(cache)["training"]) == "1 entries, 1.235 GB"


def test_missing_parts_are_empty_and_are_not_created(cache: Path) -> None:
    assert list_entries(cache) == {"features": [], "training": []}
    assert prune(cache, 0) == []
    clear(cache)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("limit", "dropped"),
    [
        (2000, []),
        (1000, []),
        (999, ["oldest"]),
        (900, ["oldest"]),
        (600, ["oldest", "old"]),
        (599, ["oldest", "old", "young"]),
        (0, ["oldest", "old", "young", "youngest"]),
    ],
)
def test_the_least_recently_used_entries_of_all_parts_go_first(cache: Path, limit: int, dropped: list[str]) -> None:
    keep(cache / "features" / "one" / "youngest", 400, 1)
    keep(cache / "training" / "old", 300, 3)
    keep(cache / "training" / "young", 200, 2)
    keep(cache / "features" / "one" / "oldest", 100, 4)

    assert [entry.path.name for entry in prune(cache, limit)] == dropped

    left = [entry.path.name for found in list_entries(cache).values() for entry in found]
    assert sorted(left + dropped) == ["old", "oldest", "young", "youngest"]
    assert size_on_disk(cache) <= limit


def test_recently_used_shards_stay_and_others_are_computed_with_the_same_bytes(
    cache: Path, features_of: Features
) -> None:
    computed, first = features_of(12)
    assert computed == [True, True, True]
    make_older(cache)
    assert features_of(8)[0] == [False, False]
    # Reading by a backup does not count as use by a run.
    for result in results(cache):
        os.utime(result, (result.stat().st_atime + HOUR, result.stat().st_mtime))
    sizes = [entry.size for entry in list_entries(cache)["features"]]

    assert len(prune(cache, sum(sizes) - 1)) == 1

    computed, second = features_of(12)
    assert computed == [False, False, True]
    assert second == first


def test_a_limit_below_what_a_run_needs_only_costs_time(cache: Path, features_of: Features) -> None:
    first = features_of(12)
    assert len(prune(cache, 1)) == 3

    assert features_of(12) == first


def test_clearing_frees_everything_and_leaves_the_files_of_others(cache: Path, features_of: Features) -> None:
    first = features_of(12)
    keep(cache / "training" / "aa", 700, 0)
    keep(cache / "training" / "cc", 5000, 0)
    (cache / "training" / ".partial-dd").write_bytes(b"left by a killed run")
    keep(cache / "other program", 60, 0)
    target = keep(cache.parent / "elsewhere", 80, 0)
    (cache / "training" / "link").symlink_to(target)

    clear(cache)

    assert size_on_disk(cache) == 60
    assert size_on_disk(target) == 80
    assert all(found == [] for found in list_entries(cache).values())
    assert features_of(12) == first


def test_a_part_may_be_on_another_disk(cache: Path) -> None:
    (cache.parent / "large disk").mkdir()
    (cache / "training").symlink_to(cache.parent / "large disk")
    keep(cache / "training" / "aa", 700, 0)
    assert [entry.size for entry in list_entries(cache)["training"]] == [700]

    clear(cache)

    assert not list((cache.parent / "large disk").iterdir())


def flip(whole: bytes, place: int) -> bytes:
    """Change a bit."""
    changed = bytearray(whole)
    changed[place] ^= 1 << place % 8
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: bytes(len(whole)),
        # Of the digest, of zstd's magic number, frame header and block, and of the last bytes.
        *(partial(flip, place=place) for place in (0, 32, *range(36, 60), 200, -1)),
    ],
)
def test_a_damaged_result_is_silently_computed_again(
    cache: Path,
    features_of: Features,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    _, first = features_of(12)
    damaged = results(cache)[1]
    damaged.write_bytes(damage(damaged.read_bytes()))
    caplog.set_level(logging.DEBUG)

    computed, second = features_of(12)

    assert sorted(computed) == [False, False, True]
    assert second == first
    assert features_of(12)[0] == [False, False, False]
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_what_cannot_be_deleted_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = keep(cache / "training" / "aa", 700, 0)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", "file")

    monkeypatch.setattr("facegender.cache.shutil.rmtree", refuse)

    for drop in (lambda: prune(cache, 0), lambda: clear(cache)):
        with pytest.raises(FacegenderError) as caught:
            drop()
        assert str(caught.value) == f"{entry}: cannot be deleted: Permission denied; delete it by hand"


@pytest.mark.parametrize("value", [0, -1, "20", None, True, float("nan"), float("inf")])
def test_the_limit_must_be_a_positive_number(tmp_path: Path, value: Any) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["cache"]["gigabytes"] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")

    with pytest.raises(FacegenderError, match=r"params\.yaml: cache\.gigabytes is "):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("gigabytes", "reported"),
    [
        (1, []),
        (1e-9, ["features val: dropped 4 entries, 0.000 GB from .cache, least recently used, to fit cache.gigabytes"]),
    ],
)
def test_the_stage_prunes_after_writing_its_out(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gigabytes: float,
    reported: list[str],
) -> None:
    monkeypatch.chdir(cache.parent)
    monkeypatch.setattr("facegender.data.shards.SHARD_SIZE", 4)
    monkeypatch.setattr(stages.features, "choose_engine", lambda: "OpenVINO")
    monkeypatch.setattr(stages.features, "read_layers", lambda path: [])
    monkeypatch.setattr(stages.features, "convert", lambda layers, spec: onnx.ModelProto())
    monkeypatch.setattr(stages.features, "part", lambda network, start, end: network)
    monkeypatch.setattr(stages.features, "make_engine", lambda *arguments: CountingEngine())
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["cache"]["gigabytes"] = gigabytes
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    Path("data/preprocessed/val").mkdir(parents=True)
    Path("models").mkdir()
    Path("models/backbone.keras").write_bytes(b"weights")
    write_shards(Path("data/preprocessed/val"), map(grey_record, range(12)))
    keep(cache / "features" / "other" / "entry", 500, 9)

    stages.features.main("val")

    assert len(list(Path("data/features/val").glob("*.npz.zst"))) == 3
    assert json.loads(Path("data/features/val/trunk.json").read_text()) == {
        "trainable_from": "mixed5",
        # Of b"weights", by md5sum.
        "weights_md5": "63f4f1e9b725370f459720575cd5f953",
        "height": 109,
        "width": 89,
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "features val: OpenVINO computes in float32"
    assert lines[-1 - len(reported) :] == ["features val: 3 shards computed, 0 taken from .cache", *reported]
    assert (cache / "features" / "other" / "entry").exists() is not bool(reported)


@pytest.fixture
def command(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a function that runs `facegender` in the folder of `.cache` and returns its status and output."""
    monkeypatch.chdir(cache.parent)

    def run(*arguments: str) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", ["facegender", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().out

    return run


Command = Callable[..., tuple[Any, str]]


def test_the_installed_command_is_this_one() -> None:
    (installed,) = entry_points(group="console_scripts", name="facegender")

    assert installed.load() is cli.main


def test_the_command_shows_each_part(cache: Path, command: Command) -> None:
    keep(cache / "training" / "aa", 40_000_000, 2)
    keep(cache / "training" / "bb", 2_000_000, 1)

    shown = [".cache/features: 0 entries, 0.000 GB", ".cache/training: 2 entries, 0.042 GB"]
    assert command("cache") == (0, "\n".join(shown) + "\n")


def test_the_command_prunes_to_gigabytes(cache: Path, command: Command) -> None:
    keep(cache / "training" / "aa", 40_000_000, 2)
    keep(cache / "training" / "bb", 2_000_000, 1)

    status, printed = command("cache", "--limit", "0.0415")

    assert status == 0
    assert printed.splitlines()[0] == "deleted: 1 entries, 0.040 GB"
    assert printed.splitlines()[2] == ".cache/training: 1 entries, 0.002 GB"
    assert (cache / "training" / "bb").is_dir()


def test_the_command_clears(cache: Path, command: Command) -> None:
    keep(cache / "training" / "aa", 700, 2)

    assert command("cache", "--clear")[0] == 0

    assert size_on_disk(cache) == 0


@pytest.mark.parametrize("arguments", [[], ["--limit", "1"], ["--clear"]])
def test_the_command_says_if_there_is_no_cache(cache: Path, command: Command, arguments: list[str]) -> None:
    cache.rmdir()

    assert command("cache", *arguments) == (0, "there is no .cache in this folder\n")
    assert not cache.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit", "-1"],
        ["--limit", "nan"],
        ["--limit", "0", "--clear"],
        ["--verify", "--clear"],
        ["--verify", "--limit", "0"],
    ],
    ids=" ".join,
)
def test_a_mistake_drops_nothing_and_is_one_line(cache: Path, command: Command, arguments: list[str]) -> None:
    keep(cache / "training" / "aa", 700, 2)

    status, printed = command("cache", *arguments)

    assert status.startswith(f"error: {arguments[0]}")
    assert "\n" not in status
    assert printed == ""
    assert size_on_disk(cache) == 700


def test_the_command_line_loads_no_network_library(cache: Path) -> None:
    program = (
        "import sys; from facegender import cli\n"
        "sys.argv = ['facegender', 'cache']\n"
        "try: cli.main()\n"
        "finally: print(sorted({'tensorflow', 'keras', 'openvino'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=cache.parent, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"


HOLD = """
import sys
from pathlib import Path
from facegender.cache import sole_run
with sole_run(Path(sys.argv[1]), "train"):
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_stage_that_is_still_running_is_not_started_again(cache: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "at work\n"
        with (
            pytest.raises(FacegenderError, match="stage train: an earlier run is still active"),
            sole_run(cache, "train"),
        ):
            raise AssertionError("ran")
        with sole_run(cache, "features@val"):
            pass
        other.kill()
    # Even if the other process was killed.
    with sole_run(cache, "train"):
        pass
    with pytest.raises(ValueError, match="failed"), sole_run(cache, "train"):
        raise ValueError("failed")
    with sole_run(cache, "train"):
        pass


def test_every_stage_runs_alone_and_its_arguments_are_part_of_its_name(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cache.parent)

    @alone
    def main(split: str, again: str = "") -> str:
        return main(again) if again else split

    assert main("val", "test") == "test"
    with pytest.raises(FacegenderError, match="stage test_cache@val: an earlier run is still active"):
        main("val", "val")
    assert main("val") == "val"
    for script in (ROOT / "stages").glob("[!_]*.py"):
        assert "@alone\ndef main(" in script.read_text(encoding="utf-8"), script
