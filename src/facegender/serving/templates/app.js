"use strict";

const limits = document.body.dataset;
const find = (id) => document.getElementById(id);
const COLUMNS = ["path", "face", "left", "top", "right", "bottom", "probability", "predicted", "error"];
const queue = [];
let rows = []; // Of the results on the page, for the download: an array for each face or failed picture.
let total = 0, done = 0, failed = 0, faces = 0;
let running = null; // The current request.
let stream = null; // The camera's.

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function say(text) {
  find("status").textContent = text;
}

function add(files) {
  if (!files.length) {
    say("No picture found there.");
    return;
  }
  if (!running && !queue.length) total = done = failed = faces = 0;
  const taken = files.slice(0, limits.maxPictures);
  const group = make("div");
  for (const file of taken) {
    const place = make("article", { tabIndex: -1 }, make("h3", { textContent: file.name }), make("p", { className: "soft", textContent: "waiting" }));
    group.append(place);
    queue.push({ file, place });
  }
  if (files.length > taken.length) {
    const left = `${files.length} pictures are more than ${limits.maxPictures} at a time: the last ${files.length - taken.length} were skipped.`;
    group.append(make("article", {}, make("p", { className: "bad", textContent: left })));
  }
  find("results").prepend(group);
  find("actions").hidden = false;
  total += taken.length;
  look(group.firstChild);
  if (!running) work();
}

// Where the page has one column, the results are below what was clicked.
function look(place) {
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: place.getBoundingClientRect().top > innerHeight / 2 ? "start" : "nearest" });
}

async function work() {
  while (queue.length) {
    const { file, place } = queue.shift();
    running = new AbortController();
    say(`${file.name}: predicting picture ${done + 1} of ${total}.`);
    place.lastChild.textContent = "predicting";
    let result;
    try {
      result = await ask(file, running.signal);
    } catch {
      if (running.signal.aborted) continue;
      result = { error: "no answer from the server; check that it is still running" };
    }
    if (running.signal.aborted) continue;
    done += 1;
    place.lastChild.remove();
    if (result.error) {
      failed += 1;
      rows.push([file.name, "", "", "", "", "", "", "", result.error]);
      place.append(make("p", { className: "bad", textContent: result.error }));
    } else {
      faces += result.faces.length;
      rows.push(...result.faces.map((face) => [file.name, face.face ?? "", ...(face.box ?? ["", "", "", ""]), face.probability, face.predicted, ""]));
      await show(place, file.name, result);
      if (running.signal.aborted) continue;
    }
    if (document.activeElement === place) look(place); // It has grown.
    say(`${file.name}: ${result.error || summary(result.faces)}. ${done} of ${total} done.`);
  }
  running = null;
  if (total > 1) {
    say(`All done: ${count(total, "picture")}, ${count(faces, "face")}${failed ? `; ${failed} failed, see below` : ""}.`);
  }
}

async function ask(file, signal) {
  if (file.size > limits.maxBytes) return { error: `larger than ${limits.maxBytes / 1e6} MB; scale it down` };
  let body;
  try {
    body = await file.arrayBuffer();
  } catch {
    return { error: "cannot be read: it is a folder, or the file has changed since" };
  }
  const answer = await fetch("predict?pictures=1", { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } });
  return answer.json();
}

function summary(faces) {
  const classes = faces.map((face) => face.predicted);
  const parts = [...new Set(classes)].sort().map((name) => `${classes.filter((one) => one === name).length} ${name}`);
  return faces.length === 1 ? `1 face, ${classes[0]}` : `${faces.length} faces, ${parts.join(", ")}`;
}

async function show(place, name, result) {
  const whole = !result.faces[0].box;
  place.classList.add("result");
  place.classList.toggle("several", result.faces.length > 1);
  if (whole) place.append(make("p", { className: "soft", textContent: "Used as it is, because it has the size of CelebA's aligned faces." }));
  else if (result.faces.length > 1) place.append(make("p", { className: "soft", textContent: `${summary(result.faces)}.` }));
  const list = make("ul", { className: "faces" });
  list.setAttribute("role", "list"); // Some screen readers drop the role if there are no bullets.
  result.faces.forEach((face, index) => list.append(card(face, index + 1)));
  const alt = whole ? name : `${name} with ${count(result.faces.length, "face")} boxed and numbered from left to right`;
  const image = make("img", { src: result.picture, alt });
  await image.decode().catch(() => {}); // Until then it has no size.
  const photograph = make("div", { className: "photograph" }, image);
  if (!whole) result.faces.forEach((face, index) => photograph.append(box(face, index + 1, result)));
  place.append(list, photograph);
}

function box(face, number, { width, height }) {
  const share = (side, whole) => 100 * Math.min(1, Math.max(0, side / whole));
  const [left, top, right, bottom] = face.box.map((side, index) => share(side, index % 2 ? height : width));
  const element = make("div", { className: `box ${face.predicted === "unsure" ? "unsure" : ""}` }, make("span", { textContent: number }));
  element.setAttribute("aria-hidden", "true");
  Object.assign(element.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  return element;
}

function card(face, number) {
  const heading = make("h4", {}, `Face ${number}: ${face.predicted} `, make("span", { textContent: `P(Male) = ${face.probability.toFixed(3)}` }));
  const views = make("div", { className: "views" }, view(face.image, `Face ${number}, aligned`, "what the model sees"));
  for (const [name, picture] of Object.entries(face.evidence || {})) {
    views.append(view(picture, `Face ${number}, red where the evidence for ${name} is strongest`, `evidence for ${name}`));
  }
  const meaning = face.evidence
    ? "The model looks at the aligned face. Its regions are coloured by how strongly they are evidence for each class: red most, blue least (Grad-CAM)."
    : "The model looks at the aligned face. Only .onnx models show which regions of it are evidence for each class.";
  const why = make("details", {}, make("summary", { textContent: "Why? What the model sees" }), make("p", { className: "soft small", textContent: meaning }), views);
  return make("li", {}, heading, scale(face.probability), why);
}

function view(picture, alt, caption) {
  return make("figure", {}, make("img", { src: picture, alt }), make("figcaption", { textContent: caption }));
}

function scale(probability) {
  const band = make("div", { className: "band" });
  const low = Math.max(0, limits.threshold - limits.unsure), high = Math.min(1, Number(limits.threshold) + Number(limits.unsure));
  Object.assign(band.style, { left: `${100 * low}%`, width: `${100 * (high - low)}%` });
  const value = make("div", { className: "value" });
  value.style.left = `${100 * probability}%`;
  const bar = make("div", { className: "scale" }, band, value);
  const ends = make("p", { className: "ends soft small" }, make("span", { textContent: "No male" }), make("span", { textContent: "unsure where shaded" }), make("span", { textContent: "Male" }));
  const element = make("div", {}, bar, ends);
  element.setAttribute("aria-hidden", "true");
  return element;
}

function csv(table) {
  // In a spreadsheet, a name that starts like a formula would be one; with ./ before it, it is the same file's name.
  const safe = (value) => (typeof value === "string" && /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(value) ? `./${value}` : String(value));
  const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return table.map((row) => row.map((value) => quoted(safe(value))).join(",") + "\r\n").join("");
}

find("choose").addEventListener("click", () => find("files").click());
find("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = ""; // So that the same file can be chosen again.
});

addEventListener("paste", (event) => add([...event.clipboardData.files]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  add([...event.dataTransfer.files]);
});

for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", async () => {
    const answer = await fetch(`examples/${example.dataset.file}`).catch(() => null);
    if (!answer?.ok) return say("No answer from the server; check that it is still running.");
    add([new File([await answer.blob()], example.firstChild.alt)]);
  });
}

find("download").addEventListener("click", () => {
  // Spreadsheets recognise UTF-8 by the mark at its start.
  const url = URL.createObjectURL(new Blob(["\ufeff", csv([COLUMNS, ...rows])], { type: "text/csv" }));
  make("a", { href: url, download: "facegender.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
});

find("clear").addEventListener("click", () => {
  queue.length = total = done = failed = faces = 0;
  rows = [];
  if (running) running.abort();
  find("results").replaceChildren();
  find("actions").hidden = true;
  find("choose").focus();
  say("Cleared.");
});

find("open-camera").addEventListener("click", async () => {
  if (stream) return closeCamera();
  find("open-camera").disabled = true; // While the browser asks the user.
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
  } catch (error) {
    say(`The camera cannot be used: ${error.message}.`);
    return;
  } finally {
    find("open-camera").disabled = false;
  }
  find("video").srcObject = stream;
  find("camera").hidden = false;
  find("open-camera").setAttribute("aria-expanded", "true");
  await find("video").play();
  find("take").focus();
});

function closeCamera() {
  stream.getTracks().forEach((track) => track.stop());
  stream = null;
  find("video").srcObject = null;
  find("take").disabled = true;
  find("camera").hidden = true;
  find("open-camera").setAttribute("aria-expanded", "false");
  find("open-camera").focus();
}

find("close-camera").addEventListener("click", closeCamera);
// Until then, the video has no size, and a picture of it would be empty.
find("video").addEventListener("loadedmetadata", () => {
  find("take").disabled = false;
});
find("take").addEventListener("click", () => {
  const video = find("video");
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => add([new File([blob], `Camera, ${new Date().toLocaleTimeString()}`)]), "image/jpeg", 0.95);
});
