// rasterio, as Debian packages it (python3-rasterio), for answers that are not ours.
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const PYTHON = "/usr/bin/python3";
const ORACLE = fileURLToPath(new URL("rasterio-oracle.py", import.meta.url));
const HISTOGRAMS = fileURLToPath(new URL("rasterio-histograms.py", import.meta.url));

/** False when it is there, else why a test skips. */
export function rasterioMissing() {
  const { status } = spawnSync(PYTHON, ["-c", "import rasterio"]);
  return status === 0 ? false : `${PYTHON} has no rasterio (Debian: python3-rasterio)`;
}

/** Pixels (row × width + col, ascending) of each polygon, null where it lies outside the raster. */
export async function rasterioPixels(wkbs, grid, { touched = false } = {}) {
  const words = [grid.a, grid.c, grid.e, grid.f, grid.width, grid.height].join(" ");
  const child = spawn(PYTHON, [ORACLE, words, ...(touched ? ["touched"] : [])], { stdio: ["pipe", "pipe", "inherit"] });
  const pieces = [];
  child.stdout.on("data", (piece) => pieces.push(piece));
  const ended = new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
  child.stdin.end(Buffer.concat(wkbs.flatMap((wkb) => [Buffer.from(Uint32Array.of(wkb.length).buffer), wkb])));
  const code = await ended;
  if (code !== 0) throw new Error(`rasterio-oracle.py ended with ${code}`);
  const out = Buffer.concat(pieces);
  const numbers = new Uint32Array(out.buffer, out.byteOffset, out.length / 4);
  const answers = [];
  for (let at = 0; at < numbers.length; ) {
    const count = numbers[at++];
    answers.push(count === 2 ** 32 - 1 ? null : numbers.subarray(at, at + count));
    if (count !== 2 ** 32 - 1) at += count;
  }
  return answers;
}

/** Histogram of each geometry ([ring, ...] or [[ring, ...], ...]) as {class: pixels}, null where it lies outside. */
export function rasterioHistograms(geometries, rasterPath, allTouched = false) {
  const lines = geometries.map((coordinates) => {
    const type = Array.isArray(coordinates[0][0][0]) ? "MultiPolygon" : "Polygon";
    return JSON.stringify({ type, coordinates });
  });
  const { status, stdout } = spawnSync(PYTHON, [HISTOGRAMS, rasterPath, allTouched ? "1" : "0"], {
    input: `${lines.join("\n")}\n`,
    stdio: ["pipe", "pipe", "inherit"],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`rasterio-histograms.py ended with ${status}`);
  return stdout
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
