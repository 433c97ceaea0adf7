"""What docs/remotes.md says about a folder and S3 as DVC remotes, with moto's server for S3."""

import hashlib
import json
import logging
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import moto.settings
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from facegender.repository.lock import locked_files
from tests.functional.project import commit_all, environment, repro, run

pytestmark = pytest.mark.slow

SPLITS = ("train", "train_copies", "val", "test")
BULK = {"data/preprocessed/train_copies", *(f"data/features/{split}" for split in SPLITS)}
"""Outs that are not pushed."""
UP_TO_DATE = "Data and pipelines are up to date."
MODEL = "models/gender.onnx"


def connect(project: Path, **remote: str) -> None:
    """Commit a DVC configuration with one remote."""
    lines = ["[core]", "remote = store", "['remote \"store\"']", *(f"{key} = {value}" for key, value in remote.items())]
    (project / ".dvc" / "config").write_text("\n".join(lines) + "\n", encoding="utf-8")
    commit_all(project, "remote")


def clone_of(project: Path, folder: Path) -> Path:
    run(project, "git", "clone", "--quiet", str(project), str(folder))
    return folder


def md5_of(project: Path, path: str) -> str:
    return locked_files((project / "dvc.lock").read_text(encoding="utf-8"), "dvc.lock")[path]


def check_same(project: Path, clone: Path) -> None:
    """Check that the clone has all outs that are pushed, and that the files in Git are unchanged."""
    for name in ("data/synthetic", "data/partition", "data/preprocessed", "data/predictions.csv", "models", "metrics"):
        paths = [path for path in [project / name, *(project / name).rglob("*")] if path.is_file()]
        files = [path for path in paths if path.parent.relative_to(project).as_posix() not in BULK]
        assert files
        for file in files:
            assert (clone / file.relative_to(project)).read_bytes() == file.read_bytes()
    assert run(clone, "git", "status", "--short") == ""


def check_cache(project: Path) -> None:
    """Check that all objects in DVC's cache are whole."""
    for file in (project / ".dvc" / "cache" / "files" / "md5").glob("*/*"):
        assert hashlib.md5(file.read_bytes()).hexdigest() == (file.parent.name + file.name).removesuffix(".dir")


def test_a_folder_as_remote(finished: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished, project)
    connect(project, url=str(tmp_path / "store"))

    missing = run(project, "dvc", "data", "status", "--not-in-remote")
    assert MODEL in missing
    assert not any(name in missing for name in BULK)
    run(project, "dvc", "push")
    assert run(project, "dvc", "data", "status", "--not-in-remote") == "No changes.\n"

    clone = clone_of(project, tmp_path / "clone")
    printed = run(clone, "dvc", "pull", status=1)
    named = printed.split("Checkout failed for following targets:\n")[1].splitlines()[: len(BULK) + 1]
    assert {*named} == BULK | {"Is your cache up to date?"}
    run(clone, "dvc", "pull", "--allow-missing")
    check_same(project, clone)
    assert UP_TO_DATE in run(clone, "dvc", "repro", "--allow-missing")
    assert repro(clone) == {"check", "augment", *(f"features@{split}" for split in SPLITS)}
    check_same(project, clone)


def failing(folder: Path, *command: str) -> str:
    """Run a command that must fail with 1, or 255 if DVC does not expect the error; return its standard error."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode in (1, 255), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


class Bucket:
    """An S3 server that requires credentials, has one bucket, and can stop answering halfway."""

    def __init__(self) -> None:
        self.application = DomainDispatcherApplication(create_backend_app)
        self.dies: Callable[[dict[str, Any]], bool] = lambda request: False
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        rights = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        iam = self.client("iam", "any", "any")
        iam.create_user(UserName="user")
        iam.put_user_policy(
            UserName="user",
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [rights]}),
        )
        key = iam.create_access_key(UserName="user")["AccessKey"]
        self.credentials = key["AccessKeyId"], key["SecretAccessKey"]
        self.s3 = self.client("s3", *self.credentials)
        self.s3.create_bucket(Bucket="bucket")

    def client(self, service: str, key: str, secret: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def answer(self, request: dict[str, Any], start: Any) -> Any:
        if self.dies(request):
            request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError
        return self.application(request, start)

    @contextmanager
    def dying(self, method: str, requests: int) -> Iterator[None]:
        """Answer only this many requests for objects with a method, and no request after that."""
        lock, left = threading.Lock(), [requests]

        def dies(request: dict[str, Any]) -> bool:
            with lock:
                left[0] -= request["REQUEST_METHOD"] == method and "/files/md5/" in request["PATH_INFO"]
                return left[0] < 0

        self.dies = dies
        yield
        self.dies = lambda request: False

    def upload(self, project: Path, path: str) -> str:
        """Upload an out to where `dvc push` would, and return the object's key."""
        md5 = md5_of(project, path)
        key = f"store/files/md5/{md5[:2]}/{md5[2:]}"
        self.s3.put_object(Bucket="bucket", Key=key, Body=(project / path).read_bytes())
        return key

    def objects(self) -> set[str]:
        return {item["Key"] for item in self.s3.list_objects_v2(Bucket="bucket").get("Contents", [])}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch:
        made = Bucket()
        # From here on moto requires credentials.
        patch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        yield made
        made.server.shutdown()


@pytest.fixture(autouse=True)
def credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": bucket.credentials[0],
        "AWS_SECRET_ACCESS_KEY": bucket.credentials[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def project(bucket: Bucket, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s3") / "project"
    shutil.copytree(finished, folder)
    connect(folder, url="s3://bucket/store", endpointurl=bucket.url)
    return folder


def test_s3_that_fails_halfway(bucket: Bucket, project: Path, tmp_path: Path) -> None:
    with bucket.dying("PUT", 5):
        assert "ERROR: failed to " in failing(project, "dvc", "push")
    assert 0 < len(bucket.objects()) <= 5
    run(project, "dvc", "push")

    clone = clone_of(project, tmp_path / "clone")
    with bucket.dying("GET", 3):
        assert "ERROR: failed to " in failing(clone, "dvc", "pull", "synthetic_data", "partition")
    check_cache(clone)
    assert run(clone, "git", "status", "--short") == ""
    run(clone, "dvc", "pull", "--allow-missing")
    check_cache(clone)
    check_same(project, clone)
    assert UP_TO_DATE in run(clone, "dvc", "repro", "--allow-missing")


def test_s3_and_wrong_credentials(
    bucket: Bucket, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket.upload(project, MODEL)
    before = bucket.objects()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    clone = clone_of(project, tmp_path / "clone")

    assert "Forbidden" in failing(clone, "dvc", "pull", MODEL)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.credentials[1])
    assert bucket.objects() == before
    run(clone, "dvc", "pull", MODEL)
    assert (clone / MODEL).read_bytes() == (project / MODEL).read_bytes()


def test_a_damaged_object_on_s3(bucket: Bucket, project: Path, tmp_path: Path) -> None:
    key = bucket.upload(project, MODEL)
    bucket.s3.put_object(Bucket="bucket", Key=key, Body=b"damaged")

    # By default, DVC trusts what the remote sends.
    trusting = clone_of(project, tmp_path / "trusting")
    run(trusting, "dvc", "pull", MODEL)
    assert (trusting / MODEL).read_bytes() == b"damaged"

    clone = clone_of(project, tmp_path / "clone")
    (clone / ".dvc" / "config.local").write_text("['remote \"store\"']\nverify = true\n", encoding="utf-8")
    assert f"Checkout failed for following targets:\n{MODEL}" in run(clone, "dvc", "pull", MODEL, status=1)
    assert not (clone / MODEL).exists()
    check_cache(clone)

    bucket.s3.delete_object(Bucket="bucket", Key=key)
    run(project, "dvc", "push", MODEL)
    run(clone, "dvc", "pull", MODEL)
    assert (clone / MODEL).read_bytes() == (project / MODEL).read_bytes()
