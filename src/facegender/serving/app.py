"""A local web page to try a model on, and the same for programs: pictures stay in memory, nothing is written."""

import asyncio
import base64
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import cv2
import jinja2
import numpy as np
from aiohttp import web, web_response
from markdown_it import MarkdownIt

from facegender.data.celeba import CLASSES
from facegender.data.images import MAX_PIXELS, Pixels, decode_verified, encode_jpeg
from facegender.data.tables import DECIMALS
from facegender.data.text_files import read_text
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import UNSURE_WITHIN
from facegender.network.explanation import class_overlays
from facegender.serving.alignment import Face, aligned_faces, detect_faces
from facegender.serving.classifier import Classifier, load_classifier
from facegender.serving.labels import predicted_class

MAX_BYTES = 32_000_000
MAX_PICTURES = 50
"""Limit for one drop; the page enforces it."""
EXAMPLES = ("1.jpg", "2.jpg", "3.jpg", "4.jpg")
"""Drawn faces to try, made by scripts/draw_examples.py."""
MAX_FACES = 100
"""Limit for one picture, as a face takes about 0.3 s of processor time."""
STALLED_AFTER = 20.0
"""An upload is given up if nothing arrives for so many seconds, and a connection without a request is closed."""
PASSED_WITHIN = 60.0
"""A picture must have arrived after so many seconds, and an answer must have been read."""
MAX_CONNECTIONS = 100
"""Connections that may be open at the same time; browsers open up to six."""
MAX_ARRIVING = 256_000_000
"""Bytes that pictures may have that are arriving at the same time."""

_HOST = "127.0.0.1"
_DEFAULT_PORT = 80
"""Of HTTP: clients leave it out of the host's name."""
_PICTURE = "the picture"
"""Where an error is; the page shows the file's own name instead."""
_RETRY_AFTER = 2
"""Seconds."""
_MAX_WAITING = 8
"""Pictures that may have arrived and wait for the model at the same time."""
_SHOWN_SIDE = 720
"""Longer side of the picture that is sent back, in pixels: twice that of its place on the page, for sharp screens."""
_BATCH = 8
_CHUNK = 65_536
_KEPT = ("Allow", "Retry-After")
"""Headers of aiohttp's own refusals that belong to their status."""
_TYPES = {"app.css": "text/css", "app.js": "text/javascript"}
_UNUSED = (
    "accelerometer clipboard-read clipboard-write display-capture encrypted-media fullscreen gamepad geolocation "
    "gyroscope hid idle-detection magnetometer microphone midi payment picture-in-picture publickey-credentials-get "
    "screen-wake-lock serial usb web-share xr-spatial-tracking"
)
"""What the page may not ask the browser for. It may use the camera."""
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(["camera=(self)", *(f"{name}=()" for name in _UNUSED.split())]),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Permitted-Cross-Domain-Policies": "none",
}
"""Those that OWASP recommends (https://owasp.org/www-project-secure-headers/), but for those of HTTPS and of logins."""

_Part = TypeVar("_Part")
_logger = logging.getLogger(__name__)


def predict_picture(data: bytes, classifier: Classifier, with_pictures: bool = False) -> dict[str, Any]:
    """Classify every face of a picture.

    Args:
        data: the file's bytes.
        classifier: the model.
        with_pictures: whether to add the pictures that the page shows, as `data:` URLs of JPEGs.

    Returns:
        For JSON: `width` and `height` of the picture in pixels, and `faces`, from left to right, each with its number
        (`face`) and its `box` (left, top, right, bottom in pixels), both None if the picture was taken whole,
        `probability` of Male and `predicted`. Pictures are `picture`, at most 720 pixels on its longer side, and for
        each face `image`, the aligned face, and `evidence`, an overlay for each class or None.

    Raises:
        FacegenderError: as `decode_verified`, or the picture shows no face or too many.
    """
    image = decode_verified(data, _PICTURE)
    height, width = image.shape[:2]
    faces = aligned_faces(image, "auto", classifier.height, classifier.width, MAX_FACES)
    if not faces:
        raise FacegenderError(_PICTURE, "no face found", "use a larger or clearer picture")
    answer: dict[str, Any] = {"width": width, "height": height, "faces": []}
    for start in range(0, len(faces), _BATCH):
        batch = faces[start : start + _BATCH]
        images = np.stack([aligned for _, aligned in batch])
        overlays: Sequence[tuple[Pixels, Pixels] | None] = [None] * len(batch)
        if with_pictures and classifier.explain is not None:
            probabilities, evidence = classifier.explain(images)
            overlays = class_overlays(images, evidence)
        else:
            probabilities = classifier.predict(images)
        rows = zip(batch, probabilities.tolist(), overlays, strict=True)
        for number, ((face, aligned), probability, pair) in enumerate(rows, start=start + 1):
            answer["faces"].append(_describe(face, number, round(probability, DECIMALS), classifier.threshold))
            if with_pictures:
                evidence_urls = pair and dict(zip(CLASSES, map(_data_url, pair), strict=True))
                answer["faces"][-1] |= {"image": _data_url(aligned), "evidence": evidence_urls}
    if with_pictures:
        answer["picture"] = _data_url(_shrunk(image))
    return answer


def _describe(face: Face | None, number: int, probability: float, threshold: float) -> dict[str, Any]:
    return {
        "face": None if face is None else number,
        "box": None if face is None else [round(side) for side in face.box],
        "probability": probability,
        "predicted": predicted_class(probability, threshold, UNSURE_WITHIN),
    }


def _shrunk(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    scale = _SHOWN_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _data_url(image: Pixels) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image)).decode("ascii")


def make_app(classifier: Classifier, name: str, model_card: str, port: int) -> web.Application:
    """Make the server's application.

    Args:
        classifier: used for one picture at a time, in a thread of its own.
        name: of the model, for the page.
        model_card: Markdown that begins with a first-level heading.
        port: of the server; requests to another host name or port are rejected.
    """
    page = _render_page(classifier, name, model_card)
    folder = files("facegender.serving")
    contents: dict[str, bytes | str] = {
        file: (folder / "templates" / file).read_text(encoding="utf-8") for file in _TYPES
    }
    contents |= {f"examples/{file}": (folder / "examples" / file).read_bytes() for file in EXAMPLES}
    worker = ThreadPoolExecutor(max_workers=1)
    places = asyncio.Semaphore(_MAX_WAITING)
    arriving = _Arriving()

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def show_file(request: web.Request) -> web.Response:
        file = request.path.removeprefix("/")
        return web.Response(body=contents[file], content_type=_TYPES.get(file, "image/jpeg"), charset=None)

    async def predict_upload(request: web.Request) -> web.Response:
        if not places.locked():
            # Only a picture that has arrived takes a place.
            data = await _read_picture(request, arriving)
            if not places.locked():
                async with places:
                    return await _answer(worker, data, classifier, request.query.get("pictures") == "1")
        raise _busy(f"{_MAX_WAITING} pictures are already waiting")

    async def end(_: web.Application) -> None:
        worker.shutdown(wait=False, cancel_futures=True)

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(SECURITY_HEADERS)

    # aiohttp names itself, Python and both versions, also in its answers to what is not HTTP.
    web_response.SERVER_SOFTWARE = "facegender"
    app = web.Application(middlewares=[_guard(port)])
    app.router.add_get("/", show_page)
    for file in contents:
        app.router.add_get(f"/{file}", show_file)
    app.router.add_post("/predict", predict_upload)
    # These are also sent with answers that the guard does not see, such as 417.
    app.on_response_prepare.append(add_headers)
    app.on_cleanup.append(end)
    return app


def _render_page(classifier: Classifier, name: str, model_card: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.serving"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("app.html").render(
        name=name,
        notices=classifier.notices,
        model_card=MarkdownIt("commonmark", {"html": False}).render(model_card.replace("# ", "## ", 1)),
        threshold=classifier.threshold,
        unsure=UNSURE_WITHIN,
        examples=EXAMPLES,
        max_bytes=MAX_BYTES,
        max_pixels=MAX_PIXELS,
        max_pictures=MAX_PICTURES,
    )


async def _answer(worker: ThreadPoolExecutor, data: bytes, classifier: Classifier, with_pictures: bool) -> web.Response:
    loop = asyncio.get_running_loop()
    return web.json_response(await loop.run_in_executor(worker, predict_picture, data, classifier, with_pictures))


class _Arriving:
    """Counts the bytes of the pictures that are arriving, of all requests."""

    bytes = 0


async def _read_picture(request: web.Request, arriving: _Arriving) -> bytes:
    """Read the picture that a request sends as its body or as the one file of a form, as `curl -F` does.

    Raises:
        web.HTTPException: there is not one picture, it is too large, or it does not arrive.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise web.HTTPUnsupportedMediaType(reason="send the picture as it is, without Content-Encoding")
    end = time.monotonic() + PASSED_WITHIN
    picture = bytearray()
    try:
        if request.content_type != "multipart/form-data":
            await _read_all(request.content.read, end, picture, arriving)
            return bytes(picture)
        # Not request.post(), which writes files to a temporary folder.
        number = 0
        form = await request.multipart()
        while (part := await _arrived(form.next(), end)) is not None:
            if isinstance(part, aiohttp.BodyPartReader) and part.filename is not None:
                number += 1
                if number > 1:
                    break
                await _read_all(part.read_chunk, end, picture, arriving)
        if number != 1:
            raise web.HTTPBadRequest(reason="send one picture at a time, as a file: curl -F picture=@face.jpg")
        return bytes(picture)
    except (ConnectionError, aiohttp.ClientError, ValueError, AssertionError) as error:
        # The client has gone, or the form is not one; aiohttp checks some of its syntax with assert.
        raise web.HTTPBadRequest(reason="the upload is broken off or not a form") from error
    finally:
        arriving.bytes -= len(picture)


async def _read_all(
    read: Callable[[int], Awaitable[bytes]], end: float, picture: bytearray, arriving: _Arriving
) -> None:
    while chunk := await _arrived(read(_CHUNK), end):
        picture += chunk
        arriving.bytes += len(chunk)
        if len(picture) > MAX_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BYTES, len(picture))
        if arriving.bytes > MAX_ARRIVING:
            raise _busy("too many pictures are arriving")


async def _arrived(part: Awaitable[_Part], end: float) -> _Part:
    """Wait for the next part of a picture, until it stalls or the picture's time is up."""
    # One time-out, as one within another loses exceptions before Python 3.12 if the client goes at the same moment.
    left = end - time.monotonic()
    try:
        return await asyncio.wait_for(part, min(STALLED_AFTER, left))
    except asyncio.TimeoutError as error:
        late = f"the picture did not arrive within {PASSED_WITHIN:g} seconds"
        reason = late if left < STALLED_AFTER else f"nothing arrived for {STALLED_AFTER:g} seconds"
        raise web.HTTPRequestTimeout(reason=reason) from error


def _guard(port: int) -> Any:
    names = (_HOST, "localhost")
    hosts = {f"{name}:{port}" for name in names} | (set(names) if port == _DEFAULT_PORT else set())

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Reject requests from pages of other sites, and turn any failure into one line."""
        if request.host not in hosts:  # DNS rebinding: another site's name that points to this machine.
            response: web.StreamResponse = _refusal(403, f"open {_address(port)}")
        elif request.headers.get("Origin", f"http://{request.host}") != f"http://{request.host}":
            response = _refusal(403, "only this server's own page may send pictures")
        else:
            try:
                response = await handler(request)
            except FacegenderError as error:
                response = _refusal(422, error.reason)
            except web.HTTPRequestEntityTooLarge:
                response = _refusal(413, f"larger than {MAX_BYTES // 1_000_000} MB; scale it down")
            except web.HTTPException as error:
                response = _refusal(error.status, error.reason)
                response.headers.update((name, error.headers[name]) for name in _KEPT if name in error.headers)
            except (Exception, MemoryError):
                _logger.exception("a picture failed")
                response = _refusal(500, "internal error; the terminal shows it")
        if not request.content.is_eof():
            response.force_close()  # What is left of the upload is not read.
        await _send(request, response)
        return response

    return guard


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    """Send a response, and drop a client that does not read it."""

    async def send() -> None:
        await response.prepare(request)
        await response.write_eof()
        await request.writer.drain()  # aiohttp does not wait for small bodies, so a client could fill the memory.

    transport = request.transport
    if transport is None:
        return  # The client has gone.
    transport.set_write_buffer_limits(0)  # All of it counts, not only what is left over 64 KiB.
    try:
        await asyncio.wait_for(send(), PASSED_WITHIN)
    except asyncio.TimeoutError:
        # Otherwise the system goes on trying to send what it has taken.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    except ConnectionError:
        pass  # The client has gone.


def _busy(what: str) -> web.HTTPException:
    return web.HTTPServiceUnavailable(reason=f"{what}; try again soon", headers={"Retry-After": str(_RETRY_AFTER)})


def _refusal(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)


def _address(port: int) -> str:
    return f"http://{_HOST}" if port == _DEFAULT_PORT else f"http://{_HOST}:{port}"


def serve(path: str | Path, model_card: str | Path, port: int) -> None:
    """Serve the page on 127.0.0.1 until interrupted, and print its address.

    Args:
        path: model file, `.onnx` or `.keras`.
        model_card: Markdown file.
        port: to listen on; 0 picks a free one.

    Raises:
        FacegenderError: as `load_classifier`, or the card cannot be read, or the port is taken.
    """
    card = read_text(model_card, f"run this in the project's folder, or: git restore {model_card}")
    try:
        listener = socket.create_server((_HOST, port))
    except OSError as error:
        raise FacegenderError(
            f"--port {port}", os.strerror(error.errno or 0), "use another port, or 0 for any free one"
        ) from error
    with listener:
        print(f"loading {path}", file=sys.stderr)
        classifier = load_classifier(path)
        # What is loaded and prepared at the first use is ready before the first picture comes.
        classifier.predict(np.zeros((1, classifier.height, classifier.width, 3), np.uint8))
        detect_faces(np.zeros((64, 64, 3), np.uint8))
        port = listener.getsockname()[1]
        print(f"{_address(port)} (press Ctrl+C to stop)", flush=True)
        app = make_app(classifier, str(path), card, port)
        # aiohttp answers what is not HTTP with status 400, but also logs a traceback. What fails here has its own log.
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        with suppress(web.GracefulExit, KeyboardInterrupt):
            asyncio.run(_run(app, listener))


async def _run(app: web.Application, listener: socket.socket) -> None:
    # Not web.run_app, which accepts connections until no file can be opened any more.
    runner = web.AppRunner(
        app,
        handle_signals=True,
        handler_cancellation=True,  # Nothing is computed for a client that has gone while its picture waited.
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=STALLED_AFTER,  # Also until the first request.
        shutdown_timeout=1,
    )
    await runner.setup()

    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(partial(_Door, runner.server), sock=listener)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        await runner.cleanup()


class _Door(asyncio.Protocol):
    """Lets in a connection, or tells it to come back if there are too many."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer at once, whatever the client wants."""
        assert isinstance(transport, asyncio.Transport)
        if len(self._server.connections) < MAX_CONNECTIONS:
            protocol = self._server()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            return
        lines = (
            "HTTP/1.1 503 Service Unavailable",
            f"Retry-After: {_RETRY_AFTER}",
            "Content-Length: 0",
            "Connection: close",
            *(f"{name}: {value}" for name, value in SECURITY_HEADERS.items()),
        )
        transport.write("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
        transport.close()
