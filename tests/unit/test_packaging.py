"""Requirements: of the base package, of its extras, and the exact versions for a checkout."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from facegender import cli
from facegender.data.images import encode_jpeg
from facegender.errors import FacegenderError
from scripts.audit import LOCKS, pinned
from tests.onnx_model import save_mean_network
from tests.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT_FILE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PROJECT_FILE["project"]


def requirements(lines: list[str]) -> dict[str, Requirement]:
    """Parse requirements and name each by its normalised name, without references to this package's own extras."""
    parsed = map(Requirement, lines)
    return {canonicalize_name(one.name): one for one in parsed if one.name != "facegender"}


def pins(name: str) -> dict[str, str]:
    """Read the exact versions of a requirements file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = requirements([line for line in lines if not line.startswith("-r ")])
    versions = {}
    for package, requirement in found.items():
        [specifier] = requirement.specifier
        assert specifier.operator == "==", requirement
        versions[package] = specifier.version
    return versions


BASE = requirements(PROJECT["dependencies"])
EXTRAS = {name: requirements(lines) for name, lines in PROJECT["optional-dependencies"].items()}


def with_dependencies(packages: set[str]) -> set[str]:
    """Return packages and all that are installed with them."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            needed = map(Requirement, metadata.requires(package) or ())
            waiting += [
                canonicalize_name(one.name) for one in needed if not one.marker or one.marker.evaluate({"extra": ""})
            ]
    return found


def modules_of(packages: set[str]) -> list[str]:
    """List the modules that installed packages contain."""
    # Not packages_distributions, which sees few of them before Python 3.11.
    owned = [one for one in metadata.distributions() if canonicalize_name(one.metadata["Name"]) in packages]
    files = [file for one in owned for file in one.files or () if file.suffix in (".py", ".so", ".pyd")]
    return sorted({file.parts[0].split(".")[0] for file in files} - {""})


def test_the_package_and_the_requirements_files_name_the_same_packages() -> None:
    assert set(BASE) | set(EXTRAS["serve"]) | set(EXTRAS["train"]) == set(pins("requirements.txt"))
    assert set(EXTRAS["s3"]) == set(pins("requirements-s3.txt"))
    # Only Ray needs msgpack, which is not in requirements.lock either.
    assert set(EXTRAS["ray"]) | {"msgpack"} == set(pins("requirements-ray.txt"))
    assert set(EXTRAS["gpu"]) == {"tensorflow"}
    # An extra need not repeat another one.
    assert not set(BASE) & (set(EXTRAS["serve"]) | set(EXTRAS["train"]))
    assert not set(EXTRAS["serve"]) & set(EXTRAS["train"])
    assert "facegender[serve]" in PROJECT["optional-dependencies"]["train"]
    assert "facegender[train]" in PROJECT["optional-dependencies"]["gpu"]


def locked_in(name: str) -> dict[str, str]:
    """Return the packages of a lock file that have one version; those with several are indirect requirements."""
    return {str(name): str(*versions) for name, versions in pinned(ROOT / name).items() if len(versions) == 1}


def test_the_lock_has_the_versions_of_the_requirements_files_and_suits_the_package() -> None:
    locked = locked_in("requirements.lock")
    for name in ("requirements.txt", "requirements-s3.txt", "requirements-dev.txt"):
        for package, version in pins(name).items():
            assert locked[package] == version, package
    separate = pins("requirements-ray.txt")
    for name in ("requirements-ray", "requirements-mutants"):
        others = pins(f"{name}.txt")
        assert not others.keys() & locked.keys()
        assert locked_in(f"{name}.lock") == others
    assert PROJECT_FILE["build-system"]["requires"] == [f"setuptools=={locked['setuptools']}"]
    for group in (BASE, *EXTRAS.values()):
        for package, requirement in group.items():
            assert requirement.specifier.contains((locked | separate)[package]), requirement


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_every_locked_package_has_hashes(lock: Path) -> None:
    packages = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "").splitlines()

    assert packages
    for line in packages:
        assert re.search(r"==\S+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+$", line), line[:60]


def test_make_installs_only_what_the_hashes_allow() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = re.findall(r"-m pip install (.*)$", makefile, flags=re.MULTILINE)

    assert len(installs) == 4
    # The package itself is here, and is built with the setuptools of the lock file.
    own = [line for line in installs if {"--no-deps", "--no-build-isolation", "--editable"} <= set(line.split())]
    assert len(own) == 1
    assert all("--require-hashes" in line for line in installs if line not in own)
    assert "--generate-hashes" in makefile


def test_the_requirements_name_what_the_project_is_built_on() -> None:
    built_on = {"dvc", "tensorflow", "pandas", "numpy", "opencv-python-headless", "scikit-learn", "pyyaml"}
    assert built_on <= set(pins("requirements.txt"))


# Without those that the base package installs indirectly, such as pydantic through typer.
OPTIONAL = {package for extra in EXTRAS.values() for package in extra} - with_dependencies(set(BASE))


def run(folder: Path, missing: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where modules are not installed."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
        f"sys.argv = {['facegender', *arguments]!r}\n"
        "from facegender.cli import main; main()\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=str)
def test_the_base_package_predicts_with_an_onnx_model(tmp_path: Path, form: list[str]) -> None:
    save_mean_network(tmp_path / "model.onnx", 218, 178, 0.5)
    (tmp_path / "bright.jpg").write_bytes(encode_jpeg(np.full((218, 178, 3), 255, np.uint8)))
    (tmp_path / "faceless.png").write_bytes(encode_jpeg(np.full((300, 300, 3), 255, np.uint8)))
    missing = modules_of(OPTIONAL)
    assert {"tensorflow", "keras", "dvc", "openvino", "sklearn", "pandas", "matplotlib", "scipy"} <= set(missing)

    done = run(tmp_path, missing, "predict", ".", "--model", "model.onnx", *form)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: facegender predict: 1 of the files failed")
    assert "no face found" in done.stdout
    assert "Male" in done.stdout
    if form == ["--json"]:
        assert [row["predicted"] for row in json.loads(done.stdout)] == ["Male", None]


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["predict", "--help"], ["app", "--help"]], ids=str)
def test_the_base_package_explains_itself(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, modules_of(OPTIONAL), *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    if arguments == ["--version"]:
        assert done.stdout == f"facegender {PROJECT['version']}\n"


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("aiohttp", ["app"], "serve"),
        ("markdown_it", ["app"], "serve"),
        ("tensorflow", ["export", "--format", "tflite"], "train"),
        ("filelock", ["cache"], "train"),
        ("dvc", ["predict", "face.jpg", "--rev", "main"], "train"),
    ],
)
def test_a_command_names_the_extra_that_it_needs(
    tmp_path: Path, missing: str, arguments: list[str], extra: str
) -> None:
    done = run(tmp_path, [missing], *arguments)

    remedy = f'run: pip install "facegender[{extra}]"'
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: facegender {arguments[0]}: needs {missing}, which is not installed; {remedy}\n"


def test_the_extra_that_is_named_installs_the_module() -> None:
    assert set(cli.APP_MODULES) <= set(modules_of(set(EXTRAS["serve"])))
    assert set(EXTRAS["serve"]) == {
        package for package in EXTRAS["serve"] if set(modules_of({package})) & set(cli.APP_MODULES)
    }


def test_a_missing_module_of_the_package_itself_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError), cli.missing_packages_named():
        import facegender.nowhere  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(FacegenderError), cli.missing_packages_named():
        raise ModuleNotFoundError("No module named 'dvc.api'", name="dvc.api")
