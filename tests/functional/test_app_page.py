"""The page of `facegender app` in a real browser, with a network of random weights behind it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facegender.data.images import decode_image, encode_jpeg
from tests.functional.accessibility import problems
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
    for width in (1400, 500):
        page.resize(width)
        boxes = page.run("""[...document.querySelectorAll('.box')].map(box => {
            const whole = box.parentElement.querySelector('img').getBoundingClientRect();
            const part = box.getBoundingClientRect();
            return [
                (part.x + part.width / 2 - whole.x) / whole.width * 1200,
                (part.y + part.height / 2 - whole.y) / whole.height * 700,
                part.width / whole.width * 1200,
            ];
        })""")
        assert [round((centre - 147) / 295) for centre, _, _ in boxes] == [0, 0, 1, 1, 2, 2, 3, 3]
        assert sorted(round((centre - 181) / 330) for _, centre, _ in boxes) == [0] * 4 + [1] * 4
        assert all(60 < size < 214 for _, _, size in boxes)
    # The photograph, and for each face its picture and an overlay for each class, folded.
    shown = "[...document.querySelectorAll('#results img')].filter(image => image.naturalWidth && image.alt)"
    assert page.run(f"{shown}.length") == 1 + 3 * 8
    assert page.run(f"{shown}.filter(image => image.checkVisibility()).length") == 1
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
    assert "not a readable image: unsupported, damaged or over the size limit" in notes
    assert bombed.split("\n\n") == ["bomb.png", "10000 x 10000 pixels are more than 70 megapixels; scale it down"]
    assert "Face 1: " in face
    assert page.run(STATUS) == "All done: 3 pictures, 1 face; 2 failed, see below."


def test_twenty_at_once(page: Page, folder: Path) -> None:
    files = [celeba_sized(folder / f"{number}.jpg", number) for number in range(20)]

    texts = predict(page, files)

    assert [text.split("\n", 1)[0] for text in texts] == [file.name for file in files]
    assert all("Face 1: " in text for text in texts)
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


IN_VIEW = """(selector => {
    const place = document.querySelector(selector).getBoundingClientRect();
    return place.top >= 0 && place.bottom <= innerHeight && place.left >= 0 && place.right <= innerWidth;
})"""


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (800, 900), (390, 844)])
def test_the_verdict_is_in_view_beside_a_small_picture(page: Page, folder: Path, width: int, height: int) -> None:
    page.resize(width, height)
    predict(page, [group_photograph(folder / "group.jpg"), celeba_sized(folder / "face.jpg")])
    page.run("scrollTo(0, 0)")
    predict(page, [celeba_sized(folder / "first.jpg"), celeba_sized(folder / "second.jpg")])

    # The newest result is the first one, and all of it is in view.
    assert page.run("document.querySelector('#results h3').textContent") == "first.jpg"
    assert page.run(f"{IN_VIEW}('article')")
    assert page.run("document.activeElement === document.querySelector('article')")
    sizes = page.run("[...document.querySelectorAll('.photograph')].map(one => one.getBoundingClientRect().width)")
    assert all(0 < size <= 360 for size in sizes)
    verdict, picture = page.run(
        "['.faces', '.photograph'].map(one => document.querySelector(one).getBoundingClientRect().toJSON())"
    )
    if width < 704:
        assert verdict["bottom"] <= picture["top"]
    else:
        assert picture["right"] <= verdict["left"]
        assert picture["top"] == pytest.approx(verdict["top"], abs=20)


def test_an_example_is_predicted_with_a_click(page: Page) -> None:
    page.wait_for("[...document.querySelectorAll('.example img')].every(image => image.naturalWidth === 178)")
    page.run("document.querySelectorAll('.example')[1].click()")
    page.wait_for(f"/done/.test({STATUS})")
    assert re.match(r"Drawn face 2: 1 face, (Male|No male|unsure)\. 1 of 1 done\.$", page.run(STATUS))


def test_the_results_are_downloaded_as_csv(page: Page, folder: Path) -> None:
    downloads = folder / "downloads"
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    (folder / '=1, "x".txt').write_text("not a picture")
    predict(page, [group_photograph(folder / "group.jpg"), folder / '=1, "x".txt', celeba_sized(folder / "\u00fc.jpg")])

    page.run("document.getElementById('download').click()")

    end = time.monotonic() + 60
    while not (file := downloads / "facegender.csv").is_file():
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.1)
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    # The columns and cells of `facegender predict --csv`.
    assert ",".join(rows[0]) == "path,face,left,top,right,bottom,probability,predicted,error"
    assert [row["path"] for row in rows] == ["group.jpg"] * 8 + ['./=1, "x".txt', "\u00fc.jpg"]
    assert [row["face"] for row in rows] == [*"12345678", "", ""]
    assert all(0 <= int(row["left"]) < int(row["right"]) <= 1200 for row in rows[:8])
    assert rows[8]["error"].startswith("not a readable image")
    assert 0 <= float(rows[9]["probability"]) <= 1
    assert {row["predicted"] for row in rows[:8]} <= {"Male", "No male", "unsure"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_keeps_people_from_using_the_page(page: Page, folder: Path, width: int, scheme: str) -> None:
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.resize(width)
    assert problems(page) == []
    (folder / "notes.txt").write_text("not a picture")
    predict(page, [celeba_sized(folder / "face.jpg"), folder / "notes.txt"])
    assert problems(page) == []


def test_the_keyboard_alone_does_everything(page: Page, folder: Path) -> None:
    page.send("Page.enable")
    page.send("Page.setInterceptFileChooserDialog", enabled=True)

    def tab_to(expression: str) -> None:
        """Press the tab key until an element matches."""
        for _ in range(40):
            page.press("Tab", 9)
            if page.run(f"document.activeElement.matches({json.dumps(expression)})"):
                return
        pytest.fail(f"not reached: {expression}")

    tab_to("#choose")
    page.press("Enter", 13, "\r")
    chooser = page.wait_for_event("Page.fileChooserOpened")
    assert chooser["mode"] == "selectMultiple"
    face = celeba_sized(folder / "face.jpg")
    page.send("DOM.setFileInputFiles", backendNodeId=chooser["backendNodeId"], files=[str(face)])
    page.wait_for(f"{STATUS}.endsWith('1 of 1 done.')")
    page.send("Page.setInterceptFileChooserDialog", enabled=False)
    # The focus is on the result, and the explanation is the next stop.
    assert page.run("document.activeElement.tagName") == "ARTICLE"
    assert not page.run("document.querySelector('.views').checkVisibility()")
    page.press("Tab", 9)
    page.press("Enter", 13, "\r")
    assert page.run("document.querySelector('.views').checkVisibility()")

    page.run("document.activeElement.blur()")
    tab_to(".example")
    page.press("Enter", 13, "\r")
    page.wait_for(f"{STATUS}.startsWith('Drawn face 1: 1 face')")
    page.run("document.activeElement.blur()")
    tab_to("#card summary")
    page.press("Enter", 13, "\r")
    assert page.run("document.getElementById('card').innerText.includes('What it must not be used for')")
    tab_to("#download")
    tab_to("#clear")
    page.press("Enter", 13, "\r")
    assert page.run(STATUS) == "Cleared."


def test_a_screen_reader_finds_names_and_hears_results(page: Page, folder: Path) -> None:
    predict(page, [celeba_sized(folder / "face.jpg")])
    page.run("document.querySelector('article details').open = true")

    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    seen = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    named = {(role, name) for role, name in seen if role in ("button", "image", "img", "heading", "status", "region")}
    assert all(name for role, name in named if role != "status")
    assert {("button", "Choose pictures"), ("button", "Use camera"), ("region", "Results")} <= named
    assert any(role == "heading" and name.startswith("Face 1: ") for role, name in named)
    [status] = [node for node in nodes if node["role"]["value"] == "status"]
    live = {item["name"]: item["value"]["value"] for item in status["properties"]}
    assert live["live"] == "polite"
    pictures = [name for role, name in seen if role in ("image", "img") and not name.startswith("Drawn face")]
    assert sorted(pictures) == [
        "Face 1, aligned",
        "Face 1, red where the evidence for Male is strongest",
        "Face 1, red where the evidence for No male is strongest",
        "face.jpg",
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


def test_no_picture_is_taken_before_the_camera_shows_one(page: Page) -> None:
    # A camera that is allowed and sends nothing yet.
    page.run("""(() => {
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        let first = true;
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = first ? new MediaStream() : await real(wanted);
            first = false;
            return stream;
        };
    })()""")
    page.run("document.getElementById('open-camera').click()")
    page.wait_for("document.getElementById('camera').checkVisibility()")

    page.run("document.getElementById('take').click()")
    assert page.run("document.getElementById('take').disabled")
    assert page.run("document.querySelectorAll('article').length") == 0
    assert page.run(STATUS) == "No picture yet."

    # Once it sends something, the button works; when it is closed, no longer.
    page.run("document.getElementById('close-camera').click()")
    page.run("document.getElementById('open-camera').click()")
    page.wait_for("!document.getElementById('take').disabled")
    assert page.run("document.getElementById('video').videoWidth > 0")
    page.run("document.getElementById('take').click()")
    page.wait_for(f"/^Camera, .*no face found/.test({STATUS})")
    page.run("document.getElementById('close-camera').click()")
    assert page.run("document.getElementById('take').disabled")


def test_the_page_asks_for_nothing_but_the_server_itself(page: Page, address: str, folder: Path) -> None:
    predict(page, [celeba_sized(folder / "face.jpg")])

    asked = [
        event["params"]["request"]["url"] for event in page.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert f"{address}/predict?pictures=1" in asked
    assert all(url.startswith((f"{address}/", "data:image/jpeg;base64,", "data:,")) for url in asked)
