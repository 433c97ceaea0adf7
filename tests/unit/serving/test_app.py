"""The page's server without a browser; a stand-in for the classifier uses brightness as P(Male)."""

import asyncio
import base64
import http.client
import io
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientResponse, FormData
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegender import cli
from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.errors import FacegenderError
from facegender.serving import app as module
from facegender.serving.app import EXAMPLES, MAX_BYTES, make_app, predict_picture
from facegender.serving.classifier import Classifier
from tests.onnx_model import save_mean_network

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
    answer = predict_picture(picture(brightness), MODEL, with_pictures=True)

    assert (answer["width"], answer["height"]) == (WIDTH, HEIGHT)
    [face] = answer["faces"]
    assert (face["face"], face["box"]) == (None, None)
    assert face["predicted"] == predicted
    assert face["probability"] == pytest.approx(brightness / 255, abs=0.005)
    assert pixels(face["image"]).mean() == pytest.approx(brightness, abs=1)
    assert list(face["evidence"]) == ["No male", "Male"]
    no_male, male = (pixels(url).astype(int) for url in face["evidence"].values())
    # Red on the side of the evidence.
    assert (male[:, 0, 0] > male[:, 0, 2]).all()
    assert (male[:, -1, 0] < male[:, -1, 2]).all()
    assert (no_male[:, -1, 0] > no_male[:, -1, 2]).all()


def test_programs_get_numbers_alone() -> None:
    assert predict_picture(picture(255), MODEL) == {
        "width": WIDTH,
        "height": HEIGHT,
        "faces": [{"face": None, "box": None, "probability": 1.0, "predicted": "Male"}],
    }


def test_a_model_that_does_not_explain_gives_no_overlays() -> None:
    [face] = predict_picture(picture(9), CLASSIFIER, with_pictures=True)["faces"]
    assert face["evidence"] is None


def test_faces_are_numbered_and_boxed_in_pixels_and_a_large_picture_is_sent_back_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = np.zeros((1000, 2000, 3), np.uint8)
    found = [module.Face((499.6, -40, 999.5, 499.5), 0.9, (600.0, 200.0), (700.0, 200.0))] * 11
    monkeypatch.setattr("facegender.serving.alignment.detect_faces", lambda image, most: found)

    result = predict_picture(encode_jpeg(wide), MODEL, with_pictures=True)

    assert [face["face"] for face in result["faces"]] == list(range(1, 12))
    assert [face["box"] for face in result["faces"]] == [[500, -40, 1000, 500]] * 11
    assert (result["width"], result["height"]) == (2000, 1000)
    assert pixels(result["picture"]).shape == (360, 720, 3)


def test_a_picture_of_too_many_pixels_and_a_file_that_is_not_a_picture_are_one_line() -> None:
    assert refusal(png(10_000, 10_000)) == "10000 x 10000 pixels are more than 70 megapixels; scale it down"
    assert refusal(b"") == "the file is empty; get the file again"
    assert refusal(b"%PDF-1.7").startswith("a PDF file, which cannot be read as an image; convert it to JPEG")
    for data in (b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>"):
        assert refusal(data).startswith("not a readable image: unsupported, damaged or over the size limit; ")
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
            application = make_app(model, "models/<gender>.onnx", CARD, port)
            server = TestServer(application, socket_factory=lambda *_: listener)
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
        assert "models/&lt;gender&gt;.onnx" in page
        for path in ("/elsewhere", "/examples/", "/examples/..%2fapp.py", "/app.html"):
            assert (await client.get(path)).status == 404

    with_server(use)


def test_the_examples_are_faces_in_the_form_that_the_model_takes() -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        page = await (await client.get("/")).text()
        assert re.findall(r'src="examples/([^"]*)"', page) == list(EXAMPLES)
        for name in EXAMPLES:
            response = await client.get(f"/examples/{name}")
            assert response.content_type == "image/jpeg"
            assert decode_image(await response.read(), name).shape == (HEIGHT, WIDTH, 3)

    with_server(use)


@pytest.mark.parametrize("notices", [(), ("Demo model: <b>drawn</b> faces.", "Do not use it.")])
def test_notices_of_the_model_are_a_banner_above_everything_else(notices: tuple[str, ...]) -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        page = await (await client.get("/")).text()
        assert ('role="note"' in page) == bool(notices)
        if notices:
            banner = page[page.index('role="note"') : page.index("</div>", page.index('role="note"'))]
            assert re.findall(r"<p>(.*?)</p>", banner) == [
                "Demo model: &lt;b&gt;drawn&lt;/b&gt; faces.",
                "Do not use it.",
            ]
            assert page.index(banner) < page.index("<h2")

    with_server(use, MODEL._replace(notices=notices))


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


@pytest.mark.parametrize(
    ("port", "host", "reached"),
    [
        (80, "127.0.0.1", True),
        (80, "localhost", True),
        (80, "127.0.0.1:80", True),
        (80, "127.0.0.1:8765", False),
        (80, "evil.example", False),
        (8765, "127.0.0.1", False),
        (8765, "127.0.0.1:8765", True),
    ],
)
def test_the_port_of_http_may_be_left_out_of_the_host(port: int, host: str, reached: bool) -> None:
    async def main() -> None:
        application = make_app(MODEL, "model", CARD, port)  # Only root may listen on port 80.
        async with TestClient(TestServer(application)) as client:
            own = {"Host": host, "Origin": f"http://{host}"}
            response = await client.post("/predict", data=picture(255), headers=own)
            if reached:
                assert (await response.json())["faces"][0]["predicted"] == "Male"
            else:
                address = "http://127.0.0.1" if port == 80 else f"http://127.0.0.1:{port}"
                assert await error(response) == (403, f"open {address}")

    asyncio.run(main())


def form(*parts: tuple[str, bytes | str, str | None]) -> FormData:
    """Make a form of fields: name, content, and the file's name if it is a file."""
    fields = FormData(default_to_multipart=True)
    for name, content, file in parts:
        fields.add_field(name, content, filename=file)
    return fields


def test_a_form_with_one_file_is_predicted_as_its_body_alone() -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        expected = await (await client.post("/predict", data=picture(200))).json()
        for fields in (
            form(("picture", picture(200), "face.jpg")),
            form(("note", "hello", None), ("anything", picture(200), "\u00fc.jpg"), ("more", "x" * 99, None)),
        ):
            response = await client.post("/predict", data=fields)
            assert (response.status, await response.json()) == (200, expected)
        large = form(("picture", bytes(MAX_BYTES + 1), "big.jpg"))
        assert await error(await client.post("/predict", data=large)) == (413, "larger than 32 MB; scale it down")

        one = "send one picture at a time, as a file: curl -F picture=@face.jpg"
        two = form(("a", picture(1), "a.jpg"), ("b", picture(2), "b.jpg"))
        for fields in (two, form(("picture", "face.jpg", None)), form()):
            assert await error(await client.post("/predict", data=fields)) == (400, one)

    with_server(use)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary="]
)
@pytest.mark.parametrize(
    "body", [b"", b"text", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; filename=a\r\n\r\nabc"]
)
def test_what_is_not_a_form_is_one_line(kind: str, body: bytes) -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        status, reason = await error(await client.post("/predict", data=body, headers={"Content-Type": kind}))
        assert status in (400, 422)
        assert "\n" not in reason

    with_server(use)


def test_stalled_uploads_keep_no_place_and_end_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        async def stall() -> Any:
            yield picture(255)[:50]
            await asyncio.sleep(60)

        monkeypatch.setattr(module, "STALLED_AFTER", 60.0)
        stalled = [asyncio.create_task(client.post("/predict", data=stall())) for _ in range(20)]
        await asyncio.sleep(0.2)
        assert (await client.post("/predict", data=picture(255))).status == 200
        for task in stalled:
            task.cancel()

        monkeypatch.setattr(module, "STALLED_AFTER", 0.2)
        assert await error(await client.post("/predict", data=stall())) == (408, "nothing arrived for 0.2 seconds")

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
        assert {task.result().headers.get("Retry-After") for task in asked if task.result().status == 503} == {"2"}
        assert (await client.post("/predict", data=picture(255))).status == 200

    with_server(use, CLASSIFIER._replace(predict=predict))
    assert max(most) == 1


def test_a_port_that_is_taken_a_missing_model_and_a_missing_or_damaged_card_are_one_line(
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
    (tmp_path / "docs" / "model-card.md").write_bytes(b"# Model card \xff")
    assert run() == (
        "error: docs/model-card.md: not UTF-8 text; run this in the project's folder, or: git restore "
        "docs/model-card.md"
    )
    (tmp_path / "docs" / "model-card.md").write_text(CARD, encoding="utf-8")
    assert run("--port", "0").startswith("error: models/gender.onnx: no such file; run this in the project's folder")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        assert run("--port", taken).startswith(f"error: --port {taken}: Address already in use; ")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Start the server as a user does."""
    folder = tmp_path_factory.mktemp("project")
    save_mean_network(folder / "model.onnx", HEIGHT, WIDTH, 0.5)
    (folder / "docs").mkdir()
    (folder / "docs" / "model-card.md").write_text(CARD, encoding="utf-8")
    program = "import sys; from facegender import cli; sys.argv[0] = 'facegender'; cli.main()"
    arguments = [sys.executable, "-c", program, "app", "--port", "0", "--model", "model.onnx"]
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(re.findall(r":(\d+) ", process.stdout.readline())[0])


def ask(port: int, request: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
    """Send a request as text, and return the status and the headers of its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(request.replace("HOST", f"127.0.0.1:{port}").encode() + body)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        return answer.status, dict(answer.getheaders())


def test_every_answer_has_owasp_s_headers_and_none_names_a_version(port: int) -> None:
    # https://owasp.org/www-project-secure-headers/, less those of HTTPS and of logins.
    expected = {
        "Cache-Control": "no-store",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Permitted-Cross-Domain-Policies": "none",
    }
    host, upload = "HTTP/1.1\r\nHost: HOST\r\n", f"Content-Length: {len(picture(1))}\r\n"
    for request, body, status in (
        (f"GET / {host}\r\n", b"", 200),
        (f"GET /examples/1.jpg {host}\r\n", b"", 200),
        (f"HEAD /app.js {host}\r\n", b"", 200),
        (f"POST /predict {host}{upload}\r\n", picture(1), 200),
        (f"POST /predict {host}Content-Length: 4\r\n\r\ntext", b"", 422),
        (f"GET /nowhere {host}\r\n", b"", 404),
        (f"DELETE /predict {host}\r\n", b"", 405),
        ("GET / HTTP/1.0\r\n\r\n", b"", 403),
        (f"POST /predict {host}Expect: a-miracle\r\n{upload}\r\n", picture(1), 417),
        ("not HTTP\r\n\r\n", b"", 400),
    ):
        answered, headers = ask(port, request, body)
        assert answered == status, request
        assert headers["Server"] == "facegender"
        assert headers.get("Allow") == ("POST" if status == 405 else None)
        if status != 400:  # No browser sends what is not HTTP.
            assert expected.items() <= headers.items(), request
            policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
            assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
            assert {"camera=(self)", "geolocation=()", "microphone=()"} <= {*headers["Permissions-Policy"].split(", ")}


def test_connections_are_limited_and_one_too_many_is_told_when_to_come_back(port: int) -> None:
    page = "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(module.MAX_CONNECTIONS)]
    try:
        status, headers = ask(port, page)
        assert (status, headers["Retry-After"]) == (503, "2")
        assert module.SECURITY_HEADERS.items() <= headers.items()
    finally:
        for client in opened:
            client.close()
    while ask(port, page)[0] == 503:
        time.sleep(0.1)
    assert ask(port, page)[0] == 200


def test_a_picture_of_too_many_faces_is_refused_before_they_are_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Any = np.zeros((module.MAX_FACES + 1, 15))
    rows[:, :4] = [[20 * number, 0, 10, 10] for number in range(len(rows))]  # Boxes that do not overlap.
    rows[:, 4:8] = 10, 10, 20, 10  # Eyes.
    monkeypatch.setattr("facegender.serving.alignment._search", lambda image, scale: rows)
    assert refusal(png(300, 200)) == f"{module.MAX_FACES + 1} faces are more than {module.MAX_FACES}; cut it into parts"
    rows = rows[:-1]
    assert len(predict_picture(png(300, 200), CLASSIFIER)["faces"]) == module.MAX_FACES


def test_pictures_that_arrive_byte_by_byte_have_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PASSED_WITHIN", 0.3)

    async def drip() -> Any:
        while True:
            yield b"\xff"
            await asyncio.sleep(0.02)

    async def note() -> Any:
        yield b"--x\r\nContent-Disposition: form-data; name=note\r\n\r\n"
        async for byte in drip():
            yield byte

    async def use(client: TestClient[Any, Any]) -> None:
        late = (408, "the picture did not arrive within 0.3 seconds")
        assert await error(await client.post("/predict", data=drip())) == late
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        assert await error(await client.post("/predict", data=note(), headers=kind)) == late
        assert (await client.post("/predict", data=picture(255))).status == 200

    with_server(use)


@pytest.mark.parametrize("in_form", [False, True])
def test_pictures_that_arrive_together_are_limited_in_memory(in_form: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    start = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n' if in_form else b""
    # A file that has arrived, while its form has not.
    end = b"\r\n--x\r\nContent-Disposition: form-data; name=c\r\n\r\n" if in_form else b""
    kind = {"Content-Type": "multipart/form-data; boundary=x" if in_form else "image/jpeg"}
    monkeypatch.setattr(module, "MAX_ARRIVING", 100_000)

    async def use(client: TestClient[Any, Any]) -> None:
        async def stall() -> Any:
            yield start + bytes(90_000) + end
            await asyncio.sleep(60)

        stalled = asyncio.create_task(client.post("/predict", data=stall(), headers=kind))
        await asyncio.sleep(0.2)
        response = await client.post("/predict", data=bytes(20_000))
        assert await error(response) == (503, "too many pictures are arriving; try again soon")
        assert response.headers["Retry-After"] == "2"
        assert (await client.post("/predict", data=picture(255))).status == 200
        stalled.cancel()
        await asyncio.sleep(0.2)
        # What did not arrive does not count any more.
        assert (await client.post("/predict", data=bytes(20_000))).status == 422

    with_server(use)


@pytest.mark.parametrize("many", [False, True], ids=["a large answer", "many small answers"])
def test_a_client_that_does_not_read_its_answers_is_dropped(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PASSED_WITHIN", 0.5)
    monkeypatch.setattr(module, "predict_picture", lambda *_: {"faces": "x" * 30_000_000})

    async def use(client: TestClient[Any, Any]) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", client.port or 0))
            host = f"HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
            requests = f"GET /app.js {host}\r\n" * 1000 if many else f"POST /predict {host}Content-Length: 1\r\n\r\nx"
            await loop.sock_sendall(deaf, requests.encode())
            for _ in range(100):
                await asyncio.sleep(0.1)
                if deaf.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return
            pytest.fail("the connection is still open")

    with_server(use)


def test_nothing_is_computed_for_a_client_that_left_while_its_picture_waited(port: int) -> None:
    # A thousand that leave at once would otherwise keep the model busy; the eight that wait are answered.
    head = f"POST /predict HTTP/1.1\r\nHost: HOST\r\nContent-Length: {len(picture(1))}\r\n\r\n"
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head.replace("HOST", f"127.0.0.1:{port}").encode() + picture(1))
    for _ in range(50):
        if ask(port, head, picture(1))[0] == 200:
            return
        time.sleep(0.1)
    pytest.fail("places are still taken")


# The last test of the process, which it ends.
def test_rude_clients_leave_no_traceback_and_the_server_goes_on(process: subprocess.Popen[str], port: int) -> None:
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    form_data = "Content-Type: multipart/form-data; boundary=x\r\n"
    file = '--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nabc'
    for request in (
        # Broken off within the body, within a form, before the headers end.
        f"{head}Content-Length: 1000\r\n\r\nabc",
        f"{head}Content-Length: 1000\r\n{form_data}\r\n{file}",
        head,
        # Not gzip, not deflate, not a chunk, not HTTP.
        f"{head}Content-Length: 9\r\nContent-Encoding: gzip\r\n\r\nnot gzip!",
        f"{head}Content-Length: 9\r\nContent-Encoding: deflate\r\n\r\nnot zlib!",
        f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        "\x16\x03\x01 hello\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request.encode())
            time.sleep(0.1)  # So that the server reads it before the end.

    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/predict", body=picture(255), headers={"Content-Encoding": "gzip"})
    answer = connection.getresponse()
    assert (answer.status, b"without Content-Encoding" in answer.read()) == (415, True)
    for _ in range(9):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/predict", body=picture(255))
        answer = connection.getresponse()
        assert (answer.status, b'"Male"' in answer.read()) == (200, True)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert shown == "loading model.onnx\n"
    assert process.returncode == 0
