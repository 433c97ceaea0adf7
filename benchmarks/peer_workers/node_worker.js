// Answer images with the npm packages @vladmandic/human or @vladmandic/face-api, on TensorFlow.js's WebAssembly backend:
//     node node_worker.js FOLDER human|face-api        FOLDER holds node_modules
// The lines of standard input and output are those of age_and_gender_worker.py. There is one way, the packages' own
// detectors. human reports its probability in steps of 0.005, from 0.005 to 0.995.

const fs = require("fs");
const path = require("path");
const readline = require("readline");

const [folder, name] = process.argv.slice(2);
const modules = path.resolve(folder, "node_modules");
const wasm = path.join(modules, "@tensorflow/tfjs-backend-wasm/dist/");

// The WebAssembly builds load their weights with fetch, which does not read files.
globalThis.fetch = async (url) => new Response(fs.readFileSync(String(url).replace("file://", "")));

const largest = (faces, area) => faces.reduce((best, face) => (!best || area(face) > area(best) ? face : best), null);

async function loadHuman() {
  const root = path.join(modules, "@vladmandic/human");
  const { Human } = require(path.join(root, "dist/human.node-wasm.js"));
  const off = { enabled: false };
  const human = new Human({
    backend: "wasm",
    wasmPath: wasm,
    modelBasePath: `file://${root}/models/`,
    cacheSensitivity: 0, // Otherwise an image that resembles the one before gets its answer.
    filter: off,
    // Every face gets an answer, however unsure.
    face: { emotion: off, iris: off, description: { minConfidence: -1 } },
    body: off,
    hand: off,
    object: off,
    gesture: off,
    segmentation: off,
  });
  await human.load();
  return async (pixels, shape) => {
    const tensor = human.tf.tensor3d(pixels, shape, "int32");
    const result = await human.detect(tensor);
    human.tf.dispose(tensor);
    if (result.error) throw new Error(result.error);
    const face = largest(result.face, ({ box }) => box[2] * box[3]);
    if (!face) return { male: null, probability: null };
    const male = face.gender === "male";
    const score = face.genderScore ?? 0;
    return { male, probability: 0.5 + (male ? score : -score) / 2 };
  };
}

async function loadFaceApi() {
  const root = path.join(modules, "@vladmandic/face-api");
  require(path.join(modules, "@tensorflow/tfjs-backend-wasm")).setWasmPaths(wasm);
  const faceapi = require(path.join(root, "dist/face-api.node-wasm.js"));
  await faceapi.tf.setBackend("wasm");
  await faceapi.tf.ready();
  for (const net of [faceapi.nets.ssdMobilenetv1, faceapi.nets.ageGenderNet]) {
    await net.loadFromDisk(path.join(root, "model"));
  }
  return async (pixels, shape) => {
    const tensor = faceapi.tf.tensor3d(pixels, shape, "int32");
    const faces = await faceapi.detectAllFaces(tensor).withAgeAndGender();
    faceapi.tf.dispose(tensor);
    const face = largest(faces, ({ detection }) => detection.box.width * detection.box.height);
    if (!face) return { male: null, probability: null };
    const male = face.gender === "male";
    return { male, probability: male ? face.genderProbability : 1 - face.genderProbability };
  };
}

async function main() {
  // Standard output is for the answers; the packages log with console.log.
  console.log = console.error;
  const answer = await (name === "human" ? loadHuman() : loadFaceApi());
  let way = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (way === null) {
      [way] = Object.keys(request);
      continue;
    }
    const pixels = new Uint8Array(Buffer.from(request.pixels, "base64"));
    const start = performance.now();
    const face = await answer(pixels, [request.height, request.width, 3]);
    const seconds = (performance.now() - start) / 1000;
    process.stdout.write(`${JSON.stringify({ [way]: { ...face, seconds } })}\n`);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
