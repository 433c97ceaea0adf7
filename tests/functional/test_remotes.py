"""What docs/remotes.md says about a folder and S3 as DVC remotes, with moto's server for S3."""

import hashlib
import io
import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import moto.settings
import numpy as np
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from facegender.data import buckets
from facegender.data.image_sources import open_images
from facegender.data.images import encode_jpeg
from facegender.errors import FacegenderError
from facegender.repository.lock import locked_files
from tests.functional.project import change_params, commit_all, environment, keep_stages, make_project, repro, run

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
        self.application: Callable[..., Any] = DomainDispatcherApplication(create_backend_app)
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

    @contextmanager
    def counted(self) -> Iterator[list[int]]:
        """Count the bytes of each answer."""
        sent: list[int] = []
        answer = self.application

        def counting(request: dict[str, Any], start: Any) -> Any:
            content = b"".join(answer(request, start))
            sent.append(len(content))
            return [content]

        self.application = counting
        yield sent
        self.application = answer

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


@pytest.mark.long
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


@pytest.fixture(scope="module")
def raw(bucket: Bucket) -> dict[str, bytes]:
    """Upload images as a folder and as a zip file, and return them by name."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 218, 178, 3), np.uint8)
    images = {f"{number}.jpg": encode_jpeg(one) for number, one in enumerate(pixels)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, image in images.items():
            bucket.s3.put_object(Bucket="bucket", Key=f"raw/faces/{name}", Body=image)
            archive.writestr(f"faces/{name}", image)
    bucket.s3.put_object(Bucket="bucket", Key="raw/readme.txt", Body=b"hello")
    bucket.s3.put_object(Bucket="bucket", Key="raw/.hidden/100.jpg", Body=b"junk")
    bucket.s3.put_object(Bucket="bucket", Key="faces.zip", Body=content.getvalue())
    bucket.s3.put_object(Bucket="bucket", Key="text.zip", Body=b"<html>")
    bucket.s3.put_object(Bucket="bucket", Key="empty/readme.txt", Body=b"hello")
    return images


@pytest.mark.parametrize("path", ["s3://bucket/raw", "s3://bucket/raw/", "s3://bucket/faces.zip"])
def test_raw_images_in_a_bucket_are_read_by_range(
    path: str, bucket: Bucket, raw: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    monkeypatch.setattr(buckets, "_BLOCK", 1000)
    name, image = next(iter(raw.items()))

    with bucket.counted() as sent, open_images(path) as images:
        assert images.read(name) == image
        assert images.find("100.jpg") is None
        assert images.find("none.jpg") is None
    assert sum(sent) < sum(map(len, raw.values())) / 3

    with open_images(path) as images:
        assert {name: images.read(name) for name in raw} == raw


@pytest.mark.parametrize(
    ("path", "start", "end"),
    [
        ("s3://bucket/none.zip", "no such file or folder in the bucket", "or change dataset.images"),
        ("s3://none/raw", "no such file or folder in the bucket", "or change dataset.images"),
        ("s3://bucket/text.zip", "not a zip file, or a damaged one (", "; download it again, or zip the images again"),
        ("s3://bucket/empty", "has no images (", "but 1 .txt; unpack archives, convert pictures to JPEG, or check "
         "dataset.images"),
    ],
)  # fmt: skip
def test_what_a_bucket_does_not_have_is_one_line(
    path: str, start: str, end: str, bucket: Bucket, raw: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    with pytest.raises(FacegenderError) as raised, open_images(path):
        pass
    assert str(raised.value).startswith(f"{path}: {start}")
    assert str(raised.value).endswith(end)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("way", ["wrong key", "no key", "nobody answers", "goes away", "not installed"])
def test_a_bucket_that_cannot_be_read_is_one_line(
    way: str, bucket: Bucket, raw: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setattr(buckets, "_BLOCK", 1000)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    if way == "wrong key":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    elif way == "no key":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    elif way == "nobody answers":
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{reserved.getsockname()[1]}")
    elif way == "not installed":
        monkeypatch.setitem(sys.modules, "s3fs", None)

    def read_all() -> None:
        with open_images("s3://bucket/faces.zip") as images:
            assert way == "goes away"
            monkeypatch.setattr(bucket, "dies", lambda request: True)
            for name in raw:
                images.read(name)

    with pytest.raises(FacegenderError) as raised:
        read_all()

    line = str(raised.value)
    assert line.startswith("s3://bucket/faces.zip: ")
    if way == "not installed":
        assert line.endswith("needs the package s3fs, which is not installed; run: pip install -r requirements-s3.txt")
    else:
        assert "cannot be read (" in line
        assert line.endswith("; check the network, AWS_ENDPOINT_URL and your credentials for S3")
    assert "\n" not in line


def test_the_pipeline_takes_raw_images_from_a_bucket(
    bucket: Bucket, raw: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    splits = {"partition.train": 20, "partition.val": 10, "partition.test": 10}
    lists = {f"dataset.{name}": f"{name}.csv" for name in ("attributes", "partitions")}
    none = {"dataset.identities": "params/no_identities.txt"}
    project = make_project(tmp_path / "project", {**splits, **lists, **none, "dataset.images": "faces"})
    for place, (name, key) in enumerate([("attributes", "Male"), ("partitions", "partition")]):
        values = ([-1, 1], [0, 1, 2])[place]
        rows = "".join(f"{image},{values[number // 2**place % len(values)]}\n" for number, image in enumerate(raw))
        (project / f"{name}.csv").write_text(f"image_id,{key}\n{rows}", encoding="utf-8")
    (project / "faces").mkdir()
    for name, image in raw.items():
        (project / "faces" / name).write_bytes(image)
    keep_stages(project, ["check", "partition", "preprocess"])
    run(project, "dvc", "repro", "preprocess@val")
    here = {path.name: path.read_bytes() for path in (project / "data/preprocessed/val").iterdir()}

    shutil.rmtree(project / "faces")
    change_params(project, {"dataset.images": "s3://bucket/faces.zip"})
    assert repro(project) == {"check", "partition", "preprocess@train", "preprocess@val", "preprocess@test"}

    assert {path.name: path.read_bytes() for path in (project / "data/preprocessed/val").iterdir()} == here
    assert repro(project) == set()
    bucket.s3.put_object(Bucket="bucket", Key="faces.zip", Body=b"<html>")
    assert "error: s3://bucket/faces.zip: not a zip file" in run(project, "dvc", "repro", status=255)


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


@pytest.mark.long
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
