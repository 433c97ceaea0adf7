"""A local web page to try a model on: pictures stay in memory, nothing is written."""

import asyncio
import base64
import io
import logging
import os
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from aiohttp import web
from markdown_it import MarkdownIt
from PIL import Image

from facegender.data.celeba import CLASSES
from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.data.tables import DECIMALS
from facegender.errors import FacegenderError
from facegender.evaluation.calibration import UNSURE_WITHIN
from facegender.network.explanation import class_overlays
from facegender.serving.alignment import Face, aligned_faces
from facegender.serving.classifier import Classifier, load_classifier
from facegender.serving.labels import predicted_class

MAX_BYTES = 32_000_000
MAX_PIXELS = 50_000_000
MAX_TRANSPARENT_PIXELS = 20_000_000
"""Limit for a picture with alpha: putting it on white takes about 80 bytes per pixel."""
MAX_PICTURES = 50
"""Limit for one drop; the page enforces it."""

_HOST = "127.0.0.1"
_PICTURE = "the picture"
"""Where an error is; the page shows the file's own name instead."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_MAX_WAITING = 8
"""Requests whose pictures may be in memory at the same time."""
_SHOWN_SIDE = 1280
"""Longer side of the picture that is sent back, in pixels."""
_BATCH = 8
_FILES = {"app.css": "text/css", "app.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; media-src blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_logger = logging.getLogger(__name__)


def check_header(data: bytes) -> None:
    """Reject a picture by its header, before any pixel is decoded.

    Raises:
        FacegenderError: it is not one of the formats that the page accepts, or it has more than MAX_PIXELS pixels, or
            MAX_TRANSPARENT_PIXELS with alpha.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The limit below and the decoder decide.
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                (width, height), transparent = picture.size, picture.has_transparency_data
    except Image.DecompressionBombError as error:
        raise FacegenderError(_PICTURE, f"more than {MAX_PIXELS // 1_000_000} megapixels", "scale it down") from error
    except Exception as error:  # Pillow's readers raise almost anything for a damaged header.
        raise FacegenderError(_PICTURE, "not a picture", f"use one of {', '.join(_FORMATS)}") from error
    limit, kind = (MAX_TRANSPARENT_PIXELS, "with transparency ") if transparent else (MAX_PIXELS, "")
    if width * height > limit:
        what = f"{width} x {height} pixels {kind}are more than {limit // 1_000_000} megapixels"
        raise FacegenderError(_PICTURE, what, "scale it down")


def predict_picture(data: bytes, classifier: Classifier) -> dict[str, Any]:
    """Classify every face of a picture.

    Args:
        data: the file's bytes.
        classifier: the model.

    Returns:
        For JSON: `picture`, a JPEG of at most 1280 pixels per side; `faces`, from left to right, each with `box` (left,
        top, right, bottom as shares of the picture; None if it was taken whole), `probability` of Male, `predicted`,
        `image`, the aligned face, and `speaks_for`, an overlay for each class or None. Pictures are `data:` URLs.

    Raises:
        FacegenderError: as `check_header` or `decode_image`, or the picture shows no face.
    """
    check_header(data)
    image = decode_image(data, _PICTURE)
    faces = aligned_faces(image, "auto", classifier.height, classifier.width)
    if not faces:
        raise FacegenderError(_PICTURE, "no face found", "use a larger or clearer picture")
    predictions = []
    for start in range(0, len(faces), _BATCH):
        batch = faces[start : start + _BATCH]
        images = np.stack([aligned for _, aligned in batch])
        overlays: Sequence[tuple[Pixels, Pixels] | None] = [None] * len(batch)
        if classifier.explain is None:
            probabilities = classifier.predict(images)
        else:
            probabilities, evidence = classifier.explain(images)
            overlays = class_overlays(images, evidence)
        predictions += [
            {
                "box": _shares(face, image),
                "probability": round(probability, DECIMALS),
                "predicted": predicted_class(probability, classifier.threshold, UNSURE_WITHIN),
                "image": _data_url(aligned),
                "speaks_for": pair and dict(zip(CLASSES, map(_data_url, pair), strict=True)),
            }
            for (face, aligned), probability, pair in zip(batch, probabilities.tolist(), overlays, strict=True)
        ]
    return {"picture": _data_url(_shrunk(image)), "faces": predictions}


def _shares(face: Face | None, image: Pixels) -> list[float] | None:
    if face is None:
        return None
    height, width = image.shape[:2]
    # (0, 0) is the centre of the first pixel; its corner is half a pixel before it.
    shares = (np.array(face.box) + 0.5) / [width, height, width, height]
    return [round(share, 4) for share in np.clip(shares, 0, 1).tolist()]


def _shrunk(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    scale = _SHOWN_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _data_url(image: Pixels) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image)).decode("ascii")


def make_app(classifier: Classifier, model_card: str, port: int) -> web.Application:
    """Make the server's application.

    Args:
        classifier: used for one picture at a time, in a thread of its own.
        model_card: Markdown that begins with a first-level heading.
        port: of the server; requests to another host name or port are rejected.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facegender.serving"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("app.html").render(
        model_card=MarkdownIt("commonmark", {"html": False}).render(model_card.replace("# ", "## ", 1)),
        threshold=classifier.threshold,
        unsure=UNSURE_WITHIN,
        explains=classifier.explain is not None,
        max_bytes=MAX_BYTES,
        max_pixels=MAX_PIXELS,
        max_transparent_pixels=MAX_TRANSPARENT_PIXELS,
        max_pictures=MAX_PICTURES,
    )
    templates = files("facegender.serving") / "templates"
    contents = {name: (templates / name).read_text(encoding="utf-8") for name in _FILES}
    worker = ThreadPoolExecutor(max_workers=1)
    places = asyncio.Semaphore(_MAX_WAITING)

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def show_file(request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        return web.Response(text=contents[name], content_type=_FILES[name])

    async def predict_upload(request: web.Request) -> web.Response:
        if places.locked():
            return _refusal(503, f"{_MAX_WAITING} pictures are already waiting; try again soon")
        async with places:
            data = await request.read()
            loop = asyncio.get_running_loop()
            return web.json_response(await loop.run_in_executor(worker, predict_picture, data, classifier))

    async def end(_: web.Application) -> None:
        worker.shutdown(wait=False, cancel_futures=True)

    app = web.Application(middlewares=[_guard(port)], client_max_size=MAX_BYTES)
    app.router.add_get("/", show_page)
    for name in _FILES:
        app.router.add_get(f"/{name}", show_file)
    app.router.add_post("/predict", predict_upload)
    app.on_cleanup.append(end)
    return app


def _guard(port: int) -> Any:
    hosts = {f"{name}:{port}" for name in (_HOST, "localhost")}

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Reject requests from pages of other sites, and turn any failure into one line."""
        if request.host not in hosts:  # DNS rebinding: another site's name that points to this machine.
            response: web.StreamResponse = _refusal(403, f"open http://{_HOST}:{port}")
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
        return response

    return guard


def _refusal(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)


def serve(path: str | Path, model_card: str | Path, port: int) -> None:
    """Serve the page on 127.0.0.1 until interrupted, and print its address.

    Args:
        path: model file, `.onnx` or `.keras`.
        model_card: Markdown file.
        port: to listen on; 0 picks a free one.

    Raises:
        FacegenderError: as `load_classifier`, or the card cannot be read, or the port is taken.
    """
    try:
        card = Path(model_card).read_text(encoding="utf-8")
    except OSError as error:
        raise FacegenderError(model_card, error.strerror or str(error), "run this in the project's folder") from error
    try:
        listener = socket.create_server((_HOST, port))
    except OSError as error:
        raise FacegenderError(
            f"--port {port}", os.strerror(error.errno or 0), "use another port, or 0 for any free one"
        ) from error
    with listener:
        print(f"loading {path}", file=sys.stderr)
        classifier = load_classifier(path)
        port = listener.getsockname()[1]
        print(f"http://{_HOST}:{port} (press Ctrl+C to stop)", flush=True)
        app = make_app(classifier, card, port)
        web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=1)
