"""Good, bad and slow clients of the app, all on this machine, and a batch prediction beside them."""

import asyncio
import csv
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import cv2
import numpy as np
import psutil

from facegender.data.images import Pixels, decode_image, encode_jpeg
from facegender.serving.app import EXAMPLES, MAX_BYTES, PASSED_WITHIN, SECURITY_HEADERS, STALLED_AFTER

PROGRAM = "import sys; from facegender import cli; sys.argv[0] = 'facegender'; cli.main()"
HOST = "127.0.0.1"
CLIENTS = 3
"""Clients that send one request after the other."""
SLOW_CLIENTS = 6
PAUSE = 0.3
"""Mean pause between the requests of a client, in seconds."""
BURST = 25
"""Requests at once: more than may wait for the model."""
SAMPLES = 300
"""How often memory is measured."""


class Request(NamedTuple):
    """A request and the status that answers it, unless the server is busy."""

    status: int
    path: str
    body: bytes | Callable[[], aiohttp.FormData] | None = None
    headers: dict[str, str] = {}  # noqa: RUF012
    method: str = "POST"


class Report(NamedTuple):
    """What happened.

    Attributes:
        seconds: from sending each request of a kind to the end of its answer.
        statuses: how often each kind of request was answered with each status; a slow client may have "closed".
        memory: resident bytes of the server and of the batch prediction, one after the other.
        faults: what must not happen, in words.
    """

    seconds: dict[str, list[float]]
    statuses: dict[str, Counter[str]]
    memory: dict[str, list[int]]
    faults: list[str]


def example(number: int = 0) -> bytes:
    """Read a drawn face."""
    return (files("facegender.serving") / "examples" / EXAMPLES[number]).read_bytes()


def photograph(rows: int, columns: int, height: int, width: int) -> bytes:
    """Make a picture with drawn faces side by side on grey."""
    picture = np.full((height, width, 3), 120, np.uint8)
    for row in range(rows):
        for column in range(columns):
            face: Pixels = decode_image(example((row + column) % len(EXAMPLES)), "example")
            scale = min(height / rows / face.shape[0], width / columns / face.shape[1]) * 0.8
            face = np.asarray(cv2.resize(face, None, fx=scale, fy=scale), np.uint8)
            top, left = int((row + 0.1) * height / rows), int((column + 0.1) * width / columns)
            picture[top : top + face.shape[0], left : left + face.shape[1]] = face
    return encode_jpeg(picture)


def flat_png(height: int, width: int) -> bytes:
    """Make a picture of one colour."""
    return bytes(cv2.imencode(".png", np.zeros((height, width), np.uint8))[1].tobytes())


def form(*pictures: bytes) -> Callable[[], aiohttp.FormData]:
    """Return a function that makes a form of files."""

    def make() -> aiohttp.FormData:
        fields = aiohttp.FormData()
        for number, picture in enumerate(pictures):
            fields.add_field(f"file{number}", picture, filename=f"{number}.jpg")
        return fields

    return make


def requests() -> dict[str, Request]:
    """Make the kinds of requests that are answered as fast as the server can."""
    face, group = example(), photograph(2, 4, 1200, 1600)
    return {
        "page": Request(200, "/", method="GET"),
        "script": Request(200, "/app.js", method="GET"),
        "face": Request(200, "/predict", face),
        "face with pictures": Request(200, "/predict?pictures=1", face),
        "photograph, 1 face": Request(200, "/predict?pictures=1", photograph(1, 1, 1200, 1600)),
        "photograph, 8 faces": Request(200, "/predict?pictures=1", group),
        "photograph of 12 megapixels": Request(200, "/predict", photograph(1, 1, 3000, 4000)),
        "form": Request(200, "/predict", form(face)),
        "no face": Request(422, "/predict", flat_png(300, 200)),
        "too many faces": Request(422, "/predict", photograph(12, 12, 2000, 1600)),
        "text": Request(422, "/predict", b"not a picture"),
        "nothing": Request(422, "/predict", b""),
        "cut short": Request(422, "/predict", group[:-2000]),
        "damaged": Request(422, "/predict", face[:3000] + bytes(600) + face[3600:]),
        "PNG of 256 megapixels": Request(422, "/predict", flat_png(16_000, 16_000)),
        "more than 32 MB": Request(413, "/predict", bytes(MAX_BYTES + 1)),
        "two files": Request(400, "/predict", form(face, face)),
        "compressed": Request(415, "/predict", face, {"Content-Encoding": "gzip"}),
        "another host": Request(403, "/", headers={"Host": "evil.example"}, method="GET"),
        "another site": Request(403, "/predict", face, {"Origin": "http://evil.example"}),
        "unknown path": Request(404, "/etc/passwd", method="GET"),
        "wrong method": Request(405, "/predict", face, method="PUT"),
    }


def check_answer(kind: str, request: Request, answer: aiohttp.ClientResponse, content: bytes) -> list[str]:
    """Return what is wrong with an answer."""
    faults = []
    if answer.status not in (request.status, 503):
        faults.append(f"{kind}: status {answer.status}, not {request.status}: {content[:200]!r}")
    if answer.status == 503 and not answer.headers.get("Retry-After", "").isdigit():
        faults.append(f"{kind}: 503 without Retry-After")
    full = answer.status == 503 and not content  # All connections are taken.
    if any(answer.headers.get(name) != value for name, value in SECURITY_HEADERS.items()):
        faults.append(f"{kind}: headers are missing in an answer with status {answer.status}")
    if answer.status != 200 and not full:
        reason = json.loads(content)["error"]
        if "\n" in reason or not reason:
            faults.append(f"{kind}: not one line: {reason!r}")
    return faults


async def slow_client(port: int, start: bytes, rest: bytes, pause: float, patience: float) -> str:
    """Send a request slowly, and wait for an answer.

    Args:
        port: of the server.
        start: is sent at once.
        rest: is sent byte by byte.
        pause: seconds between two bytes.
        patience: seconds after the last byte within which the server must answer or close the connection.

    Returns:
        The status of the answer; `closed` if there is none; `left open` if nothing happened.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    answer = asyncio.create_task(reader.readline())
    try:
        writer.write(start)
        for number in range(len(rest)):
            writer.write(rest[number : number + 1])
            await asyncio.wait([answer], timeout=pause)
            if answer.done():
                break
        line = await asyncio.wait_for(answer, patience)
        return line.split()[1].decode() if line else "closed"
    except asyncio.TimeoutError:
        return "left open"
    except ConnectionError:
        return "closed"
    finally:
        answer.cancel()
        writer.close()


async def deaf_client(port: int, content: bytes, patience: float) -> str:
    """Send a request, and do not read the answer."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    try:
        await loop.sock_connect(client, (HOST, port))
        await loop.sock_sendall(client, content)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            await asyncio.sleep(1)
            if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return "closed"
        return "left open"
    except ConnectionError:
        return "closed"
    finally:
        client.close()


def head(port: int, length: int, path: str = "/predict") -> bytes:
    """Return the head of a request that sends a picture."""
    return f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Length: {length}\r\n\r\n".encode()


def slow_clients(port: int) -> dict[str, tuple[Callable[[], Awaitable[str]], set[str]]]:
    """Make the kinds of clients that are slow or leave, each with what may end them."""
    picture, large = flat_png(218, 178), photograph(4, 5, 2000, 1600)
    start = head(port, len(picture))
    later = STALLED_AFTER + 15
    waits = 600.0  # For the pictures before this one.
    answers = f"GET /app.js HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode() * 3000
    return {
        "byte by byte": (
            lambda: slow_client(port, start + picture[:-50], picture[-50:], 0.1, waits),
            {"200", "503"},
        ),
        "byte by byte, too slow": (lambda: slow_client(port, start, picture, 1, later), {"408", "503"}),
        "opened and left": (lambda: slow_client(port, b"", b"", 0, later), {"closed"}),
        "half a head": (lambda: slow_client(port, start[:20], b"", 0, later), {"closed"}),
        "head byte by byte": (lambda: slow_client(port, b"", start, 1, later), {"closed"}),
        "half a picture": (lambda: slow_client(port, start + picture[:-50], b"", 0, later), {"408", "503"}),
        "sends and leaves": (lambda: slow_client(port, start + picture, b"", 0, 0), {"left open", "200", "503"}),
        "answers not read": (lambda: deaf_client(port, answers, PASSED_WITHIN + later), {"closed"}),
        "large answer not read": (
            lambda: deaf_client(port, head(port, len(large), "/predict?pictures=1") + large, 1),
            {"left open"},
        ),
        "not HTTP": (lambda: slow_client(port, b"\x16\x03\x01 hello\r\n\r\n", b"", 0, later), {"400"}),
    }


async def put_under_load(port: int, seconds: float, seed: int, report: Report) -> None:
    """Run all clients for a while."""
    asked, slow = requests(), slow_clients(port)  # This takes seconds.
    end = time.monotonic() + seconds
    first: dict[str, Any] = {}

    async with aiohttp.ClientSession(f"http://{HOST}:{port}", connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(kind: str) -> None:
            request = asked[kind]
            body = request.body() if callable(request.body) else request.body
            start = time.monotonic()
            try:
                async with session.request(request.method, request.path, data=body, headers=request.headers) as answer:
                    content = await answer.read()
            except aiohttp.ClientError:
                # The server closes the connection without reading the rest of what it refuses.
                report.statuses[kind]["closed"] += 1
                if request.status == 200:
                    report.faults.append(f"{kind}: no answer")
                return
            report.statuses[kind][str(answer.status)] += 1
            if answer.status != 503:
                report.seconds[kind].append(time.monotonic() - start)
            report.faults.extend(check_answer(kind, request, answer, content))
            if answer.status == 200 and first.setdefault(kind, content) != content:
                report.faults.append(f"{kind}: another answer than at first")

        async def client(number: int) -> None:
            chance = random.Random(f"{seed} {number}")
            while time.monotonic() < end:
                await ask(chance.choice([*asked]))
                await asyncio.sleep(min(chance.expovariate(1 / PAUSE), end - time.monotonic()))

        async def burst() -> None:
            while (left := end - time.monotonic()) > 0:
                await asyncio.gather(*(ask("face") for _ in range(BURST)))
                await asyncio.sleep(min(60, left))

        async def slow_one(number: int) -> None:
            chance = random.Random(f"{seed} slow {number}")
            kinds = [*slow]
            while (left := end - time.monotonic()) > 0:
                kind = chance.choice(kinds)
                use, expected = slow[kind]
                try:
                    outcome = await asyncio.wait_for(use(), left)
                except asyncio.TimeoutError:
                    return
                report.statuses[kind][outcome] += 1
                if outcome not in expected:
                    report.faults.append(f"{kind}: {outcome}")

        await asyncio.gather(burst(), *map(client, range(CLIENTS)), *map(slow_one, range(SLOW_CLIENTS)))


def write_pictures(folder: Path) -> None:
    """Write pictures to predict in a batch, some of them bad."""
    folder.mkdir()
    contents = {f"face{number}.jpg": example(number) for number in range(len(EXAMPLES))}
    contents |= {
        "photograph.jpg": photograph(1, 2, 900, 1200),
        "large.jpg": photograph(1, 1, 3000, 4000),
        "no face.png": flat_png(300, 200),
        "too large.png": flat_png(16_000, 16_000),
        "text.jpg": b"not a picture",
        "empty.jpg": b"",
        "cut.jpg": example()[:-900],
        "damaged.jpg": example()[:3000] + bytes(600) + example()[3600:],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


async def predict_batch(process: asyncio.subprocess.Process, report: Report) -> None:
    """Read the lines of a batch prediction; a file must get the same lines every time."""
    assert process.stdout is not None
    rows: dict[str, set[str]] = defaultdict(set)
    await process.stdout.readline()
    async for line in process.stdout:
        text = line.decode()
        if not text.endswith("\n"):
            break  # Interrupted.
        [(path, face, *_, error)] = csv.reader([text])
        found = rows[f"{path} {face}"]
        found.add(text)
        if len(found) == 2:
            report.faults.append(f"predict: {sorted(found)}")
        report.statuses["predict"]["error" if error else "prediction"] += 1


async def run(model: Path, folder: Path, seconds: float, seed: int) -> Report:
    """Start the app and a batch prediction, put both under load, and stop them.

    Args:
        model: the file.
        folder: empty, for pictures and what the processes print.
        seconds: how long.
        seed: of the order of requests.
    """
    report = Report(defaultdict(list), defaultdict(Counter), defaultdict(list), [])
    write_pictures(folder / "pictures")
    names = sorted(str(path) for path in (folder / "pictures").iterdir())
    # More than can be predicted, so that the process runs until it is ended.
    (folder / "list").write_text("\n".join(names * (10 + int(seconds * 200 / len(names)))), encoding="utf-8")
    command = (sys.executable, "-c", PROGRAM)
    with (folder / "app.err").open("wb") as app_err, (folder / "predict.err").open("wb") as predict_err:
        app = await asyncio.create_subprocess_exec(
            *(*command, "app", "--port", "0", "--model", str(model)), stdout=subprocess.PIPE, stderr=app_err
        )
        assert app.stdout is not None
        port = int(re.findall(rb":(\d+) ", await app.stdout.readline())[0])
        with (folder / "list").open("rb") as listed:
            predict = await asyncio.create_subprocess_exec(
                *(*command, "predict", "-", "--csv", "--model", str(model)),
                stdin=listed,
                stdout=subprocess.PIPE,
                stderr=predict_err,
            )

        async def measure() -> None:
            while True:
                for name, process in (("app", app), ("predict", predict)):
                    if process.returncode is None:
                        report.memory[name].append(psutil.Process(process.pid).memory_info().rss)
                await asyncio.sleep(seconds / SAMPLES)

        measuring = asyncio.create_task(measure())
        reading = asyncio.create_task(predict_batch(predict, report))
        await put_under_load(port, seconds, seed, report)
        measuring.cancel()
        for name, process in (("app", app), ("predict", predict)):
            if process.returncode is not None:
                report.faults.append(f"{name}: ended by itself with {process.returncode}")
            else:
                process.terminate()
        await asyncio.gather(app.wait(), predict.wait(), reading)
    for name in ("app.err", "predict.err"):
        written = (folder / name).read_text(encoding="utf-8")
        if "Traceback" in written or len(written.splitlines()) > 3:
            report.faults.append(f"{name}: {written[:2000]}")
    return report


def growth(memory: Sequence[int]) -> tuple[float, float, float]:
    """Return the medians of the first and the last third, and the largest value, in MB."""
    third = max(1, len(memory) // 3)
    return statistics.median(memory[:third]) / 1e6, statistics.median(memory[-third:]) / 1e6, max(memory) / 1e6
