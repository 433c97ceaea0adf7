"""The page's server without a browser; a stand-in for the classifier uses brightness as P(Male)."""

import asyncio
import base64
import io
import socket
import struct
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegender import cli
from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.errors import FacegenderError
from facegender.serving import app as module
from facegender.serving.app import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_TRANSPARENT_PIXELS,
    check_header,
    make_app,
    predict_picture,
)
from facegender.serving.classifier import Classifier

HEIGHT, WIDTH = 218, 178
# The size of CelebA's pictures, so that each is taken whole, as one face.
CLASSIFIER = Classifier(lambda images: images.mean(axis=(1, 2, 3)).astype(np.float32) / 255, HEIGHT, WIDTH, 0.5)
# The left half is evidence for Male, the right half is evidence against it.
EVIDENCE = np.array([[[1, -1]]], np.float32)
MODEL = CLASSIFIER._replace(
    explain=lambda images: (CLASSIFIER.predict(images), np.repeat(EVIDENCE, len(images), axis=0))
)
CARD = "# Model card\n\n**What it is.** A stand-in <script>alert(1)</script>\n"


def picture(brightness: int) -> bytes:
    return encode_jpeg(np.full((HEIGHT, WIDTH, 3), brightness, np.uint8))


def png(width: int, height: int, mode: str = "1") -> bytes:
    """Return a picture of one colour: a few kilobytes for any size."""
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(url: str) -> Pixels:
    kind, _, content = url.partition(",")
    assert kind == "data:image/jpeg;base64"
    return decode_image(base64.b64decode(content), "picture")


def refusal(data: bytes) -> str:
    with pytest.raises(FacegenderError) as caught:
        predict_picture(data, MODEL)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(("brightness", "predicted"), [(0, "No male"), (120, "unsure"), (140, "unsure"), (255, "Male")])
def test_a_face_has_a_probability_a_class_and_pictures_for_both_classes(brightness: int, predicted: str) -> None:
    [face] = predict_picture(picture(brightness), MODEL)["faces"]

    assert face["box"] is None
    assert face["predicted"] == predicted
    assert face["probability"] == pytest.approx(brightness / 255, abs=0.005)
    assert pixels(face["image"]).mean() == pytest.approx(brightness, abs=1)
    assert list(face["speaks_for"]) == ["No male", "Male"]
    no_male, male = (pixels(url).astype(int) for url in face["speaks_for"].values())
    # Red on the side of the evidence.
    assert (male[:, 0, 0] > male[:, 0, 2]).all()
    assert (male[:, -1, 0] < male[:, -1, 2]).all()
    assert (no_male[:, -1, 0] > no_male[:, -1, 2]).all()


def test_a_model_that_does_not_explain_gives_no_overlays() -> None:
    [face] = predict_picture(picture(9), CLASSIFIER)["faces"]
    assert face["speaks_for"] is None


def test_faces_are_boxed_in_shares_of_the_picture_and_a_large_one_is_sent_back_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = np.zeros((1000, 2000, 3), np.uint8)
    found = [module.Face((499.5, -40, 999.5, 499.5), 0.9, (600.0, 200.0), (700.0, 200.0))] * 11
    monkeypatch.setattr("facegender.serving.alignment.detect_faces", lambda image: found)

    result = predict_picture(encode_jpeg(wide), MODEL)

    assert [face["box"] for face in result["faces"]] == [[0.25, 0, 0.5, 0.5]] * 11
    assert pixels(result["picture"]).shape == (640, 1280, 3)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "decode_image", lambda *_: pytest.fail("decoded"))
    assert len(png(10_000, 10_000)) < 20_000
    assert refusal(png(10_000, 10_000)) == "10000 x 10000 pixels are more than 50 megapixels; scale it down"
    # Pillow itself refuses more than twice its own limit.
    claim = png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 30_000, 30_000))
    claim = claim[:29] + struct.pack(">I", zlib.crc32(claim[12:29])) + claim[33:]
    assert refusal(claim) == "more than 50 megapixels; scale it down"


def test_the_limit_itself_is_allowed() -> None:
    check_header(png(MAX_PIXELS // 5000, 5000))
    with pytest.raises(FacegenderError, match="10001 x 5000 pixels are more than 50 megapixels"):
        check_header(png(MAX_PIXELS // 5000 + 1, 5000))
    check_header(png(MAX_TRANSPARENT_PIXELS // 5000, 5000, "LA"))
    with pytest.raises(FacegenderError, match="4001 x 5000 pixels with transparency are more than 20 megapixels"):
        check_header(png(MAX_TRANSPARENT_PIXELS // 5000 + 1, 5000, "LA"))


def test_a_file_that_is_not_a_picture_is_one_line() -> None:
    for data in (b"", b"not a picture", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>"):
        assert refusal(data).startswith("not a picture; use one of JPEG, ")
    assert "cut short" in refusal(picture(90)[:-600])
    assert "no face found" in refusal(png(300, 200))


@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1)])
def test_extreme_shapes_are_one_line(size: tuple[int, int]) -> None:
    assert "no face found" in refusal(png(*size))


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"GIF89a"])
)
def test_any_bytes_are_one_line(data: bytes, signature: bytes) -> None:
    assert refusal(signature + data)


def with_server(use: Callable[[TestClient[Any, Any]], Awaitable[None]], model: Classifier = MODEL) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            server = TestServer(make_app(model, CARD, port), socket_factory=lambda *_: listener)
            async with TestClient(server) as client:
                await use(client)

    asyncio.run(main())


async def error(response: ClientResponse) -> tuple[int, str]:
    content = await response.json()
    return response.status, content["error"]


def test_the_page_needs_nothing_from_elsewhere_and_says_so_to_the_browser() -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        for path in ("/", "/app.css", "/app.js"):
            response = await client.get(path)
            text = await response.text()
            assert response.status == 200
            assert not {"http://", "https://", "//cdn"} & set(text.split('"'))
            assert "://" not in text
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "http" not in policy
            assert response.headers["Cache-Control"] == "no-store"
            assert not any(name.startswith("Access-Control") for name in response.headers)
        page = await (await client.get("/")).text()
        assert "<h2>Model card</h2>" in page
        assert "<script>alert" not in page
        assert (await client.get("/elsewhere")).status == 404

    with_server(use)


def test_other_sites_cannot_use_the_server() -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        port = client.port
        for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1:{port}.evil.example", "127.0.0.1"):
            for response in (
                await client.get("/", headers={"Host": host}),
                await client.post("/predict", data=picture(255), headers={"Host": host}),
            ):
                assert await error(response) == (403, f"open http://127.0.0.1:{port}")
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", "http://127.0.0.1:1"):
            response = await client.post("/predict", data=picture(255), headers={"Origin": origin})
            assert (await error(response))[0] == 403
        for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
            own = {"Host": host, "Origin": f"http://{host}"}
            response = await client.post("/predict", data=picture(255), headers=own)
            assert (await response.json())["faces"][0]["predicted"] == "Male"

    with_server(use)


def test_every_failure_is_one_line_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def predict(images: Pixels) -> Any:
        raise RuntimeError("secret detail")

    async def use(client: TestClient[Any, Any]) -> None:
        assert (await error(await client.post("/predict", data=b"text")))[0] == 422
        assert (await error(await client.post("/predict", data=png(10_000, 10_000))))[0] == 422
        status, reason = await error(await client.post("/predict", data=bytes(MAX_BYTES + 1)))
        assert (status, reason) == (413, "larger than 32 MB; scale it down")
        status, reason = await error(await client.post("/predict", data=picture(9)))
        assert status == 500
        assert "secret" not in reason
        assert (await client.get("/")).status == 200

    with_server(use, CLASSIFIER._replace(predict=predict))
    assert "secret detail" in caplog.text


def test_pictures_are_processed_one_at_a_time_and_the_page_answers_meanwhile() -> None:
    at_work: list[int] = []
    most: list[int] = []

    def predict(images: Pixels) -> Any:
        at_work.append(1)
        most.append(len(at_work))
        asyncio.run(asyncio.sleep(0.05))
        at_work.pop()
        return CLASSIFIER.predict(images)

    async def use(client: TestClient[Any, Any]) -> None:
        asked = [asyncio.create_task(client.post("/predict", data=picture(255))) for _ in range(12)]
        await asyncio.sleep(0.02)
        assert (await client.get("/")).status == 200
        assert not all(task.done() for task in asked)
        statuses = sorted([(await task).status for task in asked])
        # Eight may wait; the others must try again.
        assert statuses == [200] * 8 + [503] * 4
        assert (await client.post("/predict", data=picture(255))).status == 200

    with_server(use, CLASSIFIER._replace(predict=predict))
    assert max(most) == 1


def test_a_port_that_is_taken_a_missing_model_and_a_missing_card_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["facegender", "app", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert "\n" not in str(ended.value)
        return str(ended.value)

    assert run().startswith("error: docs/model-card.md: No such file")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "model-card.md").write_text(CARD, encoding="utf-8")
    assert run("--port", "0").startswith("error: models/gender.onnx: no such file; run: dvc repro")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        assert run("--port", taken).startswith(f"error: --port {taken}: Address already in use; ")
