"""A real Chromium, driven through its DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
)
# A moving test picture without a face, and permission to use it.
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


class Page:
    """A page in a browser; each method waits until it is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._loop, self._socket, self._number = loop, socket, 0
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that arrive first are kept in `events`."""
        self._number += 1
        return self._loop.run_until_complete(self._send(self._number, method, params))

    async def _send(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=120)
            if message.get("id") != number:
                self.events.append(message)
            else:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result

    def run(self, expression: str) -> Any:
        """Evaluate a JavaScript expression, await it and return its value; it counts as a user's gesture."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 300) -> Any:
        """Wait until an expression is true and return its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(expression)):
            assert time.monotonic() < end, (
                f"not within {seconds} s: {expression}; {self.run('document.body.innerText')}"
            )
            time.sleep(0.1)
        return value

    def wait_for_event(self, method: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for the first event of a kind and return its parameters."""
        end = time.monotonic() + seconds
        while not (found := [event["params"] for event in self.events if event["method"] == method]):
            assert time.monotonic() < end, f"no {method} within {seconds} s"
            self.run("0")
            time.sleep(0.1)
        params: dict[str, Any] = found[0]
        return params

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self.send("Page.navigate", url=url)
        self.wait_for(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key, given by its name, its Windows code and the character that it types, if any."""
        for kind in ("keyDown", "keyUp"):
            given = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **given)

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in a file input, as in its dialog."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def resize(self, width: int, height: int = 900) -> None:
        """Resize the window, in pixels, without a scroll bar."""
        self.send("Emulation.setScrollbarsHidden", hidden=True)
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """Save the whole page as a PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def open_browser(folder: Path, *flags: str) -> Iterator[Page]:
    """Start a browser that keeps its profile in a folder."""
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, *flags, f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    try:
        session, socket = loop.run_until_complete(_connect(folder / "DevToolsActivePort", process))
        try:
            yield Page(loop, socket)
        finally:
            loop.run_until_complete(session.close())
    finally:
        process.terminate()
        process.wait(timeout=60)
        loop.close()


async def _connect(
    port_file: Path, process: subprocess.Popen[bytes]
) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    # The browser writes the port into this file once it is ready.
    for _ in range(1200):
        assert process.poll() is None, "the browser has ended"
        if port_file.is_file() and "\n" in port_file.read_text():
            break
        await asyncio.sleep(0.1)
    address = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json/list"
    session = aiohttp.ClientSession()
    while True:
        async with session.get(address) as response:
            pages = [target for target in await response.json() if target["type"] == "page"]
        if pages:
            return session, await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        await asyncio.sleep(0.1)
