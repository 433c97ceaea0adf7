"""A local web page to try a model on, and the same for programs: pictures stay in memory, nothing is written."""

import asyncio
import base64
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import jinja2
import numpy as np
from aiohttp import web
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
STALLED_AFTER = 20.0
"""An upload is given up if nothing arrives for so many seconds."""

_HOST = "127.0.0.1"
_DEFAULT_PORT = 80
"""Of HTTP: clients leave it out of the host's name."""
_PICTURE = "the picture"
"""Where an error is; the page shows the file's own name instead."""
_MAX_WAITING = 8
"""Pictures that may have arrived and wait for the model at the same time."""
_SHOWN_SIDE = 720
"""Longer side of the picture that is sent back, in pixels: twice that of its place on the page, for sharp screens."""
_BATCH = 8
_CHUNK = 65_536
_TYPES = {"app.css": "text/css", "app.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

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
        FacegenderError: as `decode_verified`, or the picture shows no face.
    """
    image = decode_verified(data, _PICTURE)
    height, width = image.shape[:2]
    faces = aligned_faces(image, "auto", classifier.height, classifier.width)
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

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def show_file(request: web.Request) -> web.Response:
        file = request.path.removeprefix("/")
        return web.Response(body=contents[file], content_type=_TYPES.get(file, "image/jpeg"), charset=None)

    async def predict_upload(request: web.Request) -> web.Response:
        if not places.locked():
            # Only a picture that has arrived takes a place.
            data = await _read_picture(request)
            if not places.locked():
                async with places:
                    return await _answer(worker, data, classifier, request.query.get("pictures") == "1")
        response = _refusal(503, f"{_MAX_WAITING} pictures are already waiting; try again soon")
        response.headers["Retry-After"] = "2"
        return response

    async def end(_: web.Application) -> None:
        worker.shutdown(wait=False, cancel_futures=True)

    app = web.Application(middlewares=[_guard(port)])
    app.router.add_get("/", show_page)
    for file in contents:
        app.router.add_get(f"/{file}", show_file)
    app.router.add_post("/predict", predict_upload)
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


async def _read_picture(request: web.Request) -> bytes:
    """Read the picture that a request sends as its body or as the one file of a form, as `curl -F` does.

    Raises:
        web.HTTPException: there is not one picture, it is too large, or it does not arrive.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise web.HTTPUnsupportedMediaType(reason="send the picture as it is, without Content-Encoding")
    try:
        if request.content_type != "multipart/form-data":
            return await _read_all(request.content.read)
        # Not request.post(), which writes files to a temporary folder.
        pictures = []
        async for part in await request.multipart():
            if isinstance(part, aiohttp.BodyPartReader) and part.filename is not None:
                pictures.append(await _read_all(part.read_chunk))
            if len(pictures) > 1:
                break
    except asyncio.TimeoutError as error:
        raise web.HTTPRequestTimeout(reason=f"nothing arrived for {STALLED_AFTER:g} seconds") from error
    except (ConnectionError, aiohttp.ClientError, ValueError, AssertionError) as error:
        # The client has gone, or the form is not one; aiohttp checks some of its syntax with assert.
        raise web.HTTPBadRequest(reason="the upload is broken off or not a form") from error
    if len(pictures) != 1:
        raise web.HTTPBadRequest(reason="send one picture at a time, as a file: curl -F picture=@face.jpg")
    return pictures[0]


async def _read_all(read: Callable[[int], Awaitable[bytes]]) -> bytes:
    data = bytearray()
    while chunk := await asyncio.wait_for(read(_CHUNK), STALLED_AFTER):
        data += chunk
        if len(data) > MAX_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BYTES, len(data))
    return bytes(data)


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
            except (Exception, MemoryError):
                _logger.exception("a picture failed")
                response = _refusal(500, "internal error; the terminal shows it")
        response.headers.update(_HEADERS)
        if not request.content.is_eof():
            response.force_close()  # What is left of the upload is not read.
        return response

    return guard


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
        web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=1, auto_decompress=False)
