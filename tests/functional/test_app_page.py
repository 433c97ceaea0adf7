"""The page of `facegender app` in a real browser, with a network of random weights behind it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facegender.data.images import decode_image, encode_jpeg
from tests.functional.browser import BROWSER, FAKE_CAMERA, Page, open_browser
from tests.paths import ROOT

PORTRAITS = ROOT.parent / "shared" / "data" / "congress_aligned" / "img_align_celeba"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]

MAKE_MODEL = """
import keras, sys
from facegender.network.backbone import build_model
from facegender.network.model_file import read_layers, save_model
from facegender.network.onnx_file import convert, save
keras.utils.set_random_seed(3)
save_model(build_model(90, 80), sys.argv[1] + ".keras", {})
trunk = {"trainable_from": "head", "weights_md5": "", "height": 90, "width": 80}
save(convert(read_layers(sys.argv[1] + ".keras"), trunk, sidecar={"temperature": 1.0, "threshold": 0.5}), sys.argv[1])
"""
STATUS = "document.getElementById('status').textContent"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "temporary").mkdir()
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Start the server as a user does, in the project's folder, and yield the address that it prints."""
    model = folder / "gender.onnx"
    subprocess.run([sys.executable, "-c", MAKE_MODEL, str(model)], check=True)
    start = "from facegender.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", start, "app", "--port", "0", "--model", str(model)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder / "temporary")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line.split()[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    # No upload was stored.
    assert list((folder / "temporary").iterdir()) == []


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Page]:
    with open_browser(folder / "browser", *FAKE_CAMERA) as page:
        page.send("Network.enable")
        yield page


@pytest.fixture
def page(browser: Page, address: str) -> Page:
    browser.resize(1400)
    browser.send("Emulation.setEmulatedMedia", features=[])
    browser.events.clear()
    browser.open(address)
    return browser


def celeba_sized(path: Path, brightness: int = 128) -> Path:
    path.write_bytes(encode_jpeg(np.full((218, 178, 3), brightness, np.uint8)))
    return path


def bomb(path: Path) -> Path:
    Image.new("1", (10_000, 10_000)).save(path, "PNG")
    assert path.stat().st_size < 20_000
    return path


def group_photograph(path: Path) -> Path:
    """Put eight portraits side by side in two rows, with room between them."""
    if not PORTRAITS.is_dir():
        pytest.skip("needs the folder shared/ with portraits beside the repository")
    canvas = np.full((700, 1200, 3), (96, 110, 120), np.uint8)
    for number, portrait in enumerate(sorted(PORTRAITS.iterdir())[:8]):
        row, column = divmod(number, 4)
        face = cv2.resize(decode_image(portrait.read_bytes(), portrait.name), (214, 262))
        top, left = 50 + 330 * row, 40 + 295 * column
        canvas[top : top + 262, left : left + 214] = face
    path.write_bytes(encode_jpeg(canvas))
    return path


def predict(page: Page, files: list[Path]) -> list[str]:
    """Choose files and return the text of each result."""
    page.choose("#files", files)
    page.wait_for(f"document.querySelectorAll('article').length >= {len(files)}")
    page.wait_for(
        "[...document.querySelectorAll('article')].every(one => !/^(waiting|predicting)$/m.test(one.innerText))"
    )
    page.wait_for(f"/done/i.test({STATUS})")
    texts: list[str] = page.run("[...document.querySelectorAll('article')].map(one => one.innerText)")
    return texts


def test_a_group_photograph_shows_every_face_in_light_and_dark_wide_and_narrow(page: Page, folder: Path) -> None:
    [text] = predict(page, [group_photograph(folder / "group.jpg")])

    assert "8 faces" in text
    assert len(re.findall(r"^Face \d: (?:Male|No male|unsure)", text, flags=re.M)) == 8
    # Each box is where its portrait was put, from left to right, two above one another.
    boxes = page.run("""[...document.querySelectorAll('.box')].map(box => {
        const whole = box.parentElement.getBoundingClientRect(), part = box.getBoundingClientRect();
        return [(part.x + part.width / 2 - whole.x) / whole.width * 1200, part.width / whole.width * 1200];
    })""")
    assert [round((centre - 147) / 295) for centre, _ in boxes] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(60 < width < 214 for _, width in boxes)
    # The photograph, and for each face its picture and an overlay for each class.
    assert page.run("[...document.images].filter(image => image.naturalWidth && image.alt).length") == 1 + 3 * 8
    paints = []
    for scheme in ("light", "dark"):
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for width in (1400, 500, 360):
            page.resize(width)
            assert page.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
            page.screenshot(folder / f"{scheme}-{width}.png")
        paints.append(page.run("(paint => [paint.backgroundColor, paint.color])(getComputedStyle(document.body))"))
    assert paints == [["rgb(255, 255, 255)", "rgb(28, 31, 36)"], ["rgb(20, 23, 28)", "rgb(231, 234, 239)"]]


def test_bad_files_are_one_line_each_and_the_others_are_predicted(page: Page, folder: Path) -> None:
    (folder / "notes <b>.txt").write_text("not a picture")
    files = [
        folder / "notes <b>.txt",
        bomb(folder / "bomb.png"),
        celeba_sized(folder / "face.jpg"),
    ]

    notes, bombed, face = predict(page, files)

    assert notes.split("\n", 1)[0] == "notes <b>.txt"
    assert "not a picture; use one of JPEG" in notes
    assert bombed.split("\n\n") == ["bomb.png", "10000 x 10000 pixels are more than 50 megapixels; scale it down"]
    assert "1 face" in face
    assert page.run(STATUS) == "All done: 3 pictures, 1 face; 2 failed, see below."


def test_twenty_at_once(page: Page, folder: Path) -> None:
    files = [celeba_sized(folder / f"{number}.jpg", number) for number in range(20)]

    texts = predict(page, files)

    assert [text.split("\n", 1)[0] for text in texts] == [file.name for file in files]
    assert all("1 face" in text for text in texts)
    assert page.run(STATUS) == "All done: 20 pictures, 20 faces."


def test_more_than_fifty_are_cut_off_with_a_message_and_clear_stops_them(page: Page, folder: Path) -> None:
    page.choose("#files", [celeba_sized(folder / "face.jpg")])
    page.run("""(() => {
        const files = new DataTransfer();
        for (let number = 0; number < 52; number++) files.items.add(new File(['x'], `${number}.jpg`));
        dispatchEvent(new DragEvent('drop', {dataTransfer: files, cancelable: true, bubbles: true}));
    })()""")
    assert page.run("document.querySelectorAll('article').length") == 52
    assert "the last 2 were skipped" in page.run("document.getElementById('results').innerText")

    page.run("document.getElementById('clear').click()")

    assert page.run("document.getElementById('results').innerText") == ""
    assert page.run(STATUS) == "Cleared."
    assert page.run("document.activeElement.id") == "choose"


def test_the_keyboard_alone_chooses_pictures_and_opens_the_model_card(page: Page, folder: Path) -> None:
    page.send("Page.enable")
    page.send("Page.setInterceptFileChooserDialog", enabled=True)
    order = []
    for _ in range(3):
        page.press("Tab", 9)
        order.append(page.run("document.activeElement.id || document.activeElement.tagName"))
        if order[-1] == "SUMMARY":
            page.press("Enter", 13, "\r")
            assert page.run("document.getElementById('card').innerText.includes('What it must not be used for')")
        if order[-1] == "choose":
            page.press("Enter", 13, "\r")
    assert order == ["SUMMARY", "choose", "open-camera"]
    chooser = page.wait_for_event("Page.fileChooserOpened")
    assert chooser["mode"] == "selectMultiple"
    face = celeba_sized(folder / "face.jpg")
    page.send("DOM.setFileInputFiles", backendNodeId=chooser["backendNodeId"], files=[str(face)])
    page.wait_for(f"{STATUS}.endsWith('1 of 1 done.')")
    page.send("Page.setInterceptFileChooserDialog", enabled=False)


def test_a_screen_reader_finds_names_and_hears_results(page: Page, folder: Path) -> None:
    predict(page, [celeba_sized(folder / "face.jpg")])

    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    seen = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    named = {(role, name) for role, name in seen if role in ("button", "image", "img", "heading", "status", "region")}
    assert all(name for role, name in named if role != "status")
    assert {("button", "Choose pictures"), ("button", "Use the camera"), ("region", "Results")} <= named
    assert any(role == "heading" and name.startswith("Face 1: ") for role, name in named)
    [status] = [node for node in nodes if node["role"]["value"] == "status"]
    live = {item["name"]: item["value"]["value"] for item in status["properties"]}
    assert live["live"] == "polite"
    pictures = [name for role, name in seen if role in ("image", "img")]
    assert pictures == [
        "Face 1, aligned",
        "Face 1, red where the evidence for No male is strongest",
        "Face 1, red where the evidence for Male is strongest",
    ]


def test_a_pasted_picture_and_one_from_the_camera_are_predicted(page: Page, folder: Path) -> None:
    data = json.dumps(list(celeba_sized(folder / "face.jpg").read_bytes()))
    page.run(f"""(() => {{
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([new Uint8Array({data})], 'image.png', {{type: 'image/png'}}));
        document.body.dispatchEvent(new ClipboardEvent('paste', {{clipboardData, bubbles: true}}));
    }})()""")
    page.wait_for(f"{STATUS}.startsWith('image.png: 1 face')")

    page.run("document.getElementById('open-camera').click()")
    page.wait_for("document.activeElement.id === 'take'")
    page.run("document.activeElement.click()")
    # The fake camera shows no face.
    page.wait_for(f"/^Camera, .*no face found/.test({STATUS})")
    page.run("document.getElementById('close-camera').click()")
    assert page.run("document.getElementById('video').srcObject") is None
    assert page.run("document.activeElement.id") == "open-camera"


def test_the_page_asks_for_nothing_but_the_server_itself(page: Page, address: str, folder: Path) -> None:
    predict(page, [celeba_sized(folder / "face.jpg")])

    asked = [
        event["params"]["request"]["url"] for event in page.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert f"{address}/predict" in asked
    assert all(url.startswith((f"{address}/", "data:image/jpeg;base64,", "data:,")) for url in asked)
