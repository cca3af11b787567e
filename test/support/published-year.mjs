import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { fileDigest } from "../../dist/pipeline/fingerprint.js";
import { publishStep } from "../../dist/publish/step.js";

export const BUILT_AT = "2026-01-02T03:04:05.000Z";
export const BOUNDS = [-98.5, 38.25, -97.5, 39.75];

/** A root folder that is removed after the test. */
export function makeRoot(t) {
  const root = mkdtempSync(join(tmpdir(), "publish-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/** A year with a finished archive of about `bytes` bytes, the same for the same seed; ready to publish. */
export function makeYear(root, year, { bytes = 20_000, seed = year, options: given = {}, tuning } = {}) {
  const options = resolveOptions({ root, retries: 2, ...given });
  const layout = layoutOf(options, year);
  mkdirSync(dirname(layout.archive), { recursive: true });
  writeFileSync(layout.archive, pmtiles(bytes, seed));
  return readyYear(root, year, { options, tuning });
}

/** The same for an archive that lies there already. */
export function readyYear(root, year, { options: given = {}, tuning } = {}) {
  const options = resolveOptions({ root, retries: 2, ...given });
  const layout = layoutOf(options, year);
  const facts = { featureCounts: { fields: 7, centroids: 7 } };
  const archive = { path: layout.archive, digest: fileDigest(layout.archive), facts, builtAt: BUILT_AT };
  return { year, options, layout, archive, step: publishStep(year, options, layout, archive, tuning) };
}

export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

export function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** A context whose log lines are kept in `lines`. */
export function makeContext() {
  const lines = [];
  const note =
    (level) =>
    (message, fields = {}) =>
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error"), with: () => log };
  const controller = new AbortController();
  const progress = { start: () => ({ update() {}, end() {} }) };
  return { signal: controller.signal, log, progress, lines, abort: (reason) => controller.abort(reason) };
}

/** PMTiles v3 by the specification: one tile of noise at zoom 4, so nothing shrinks. */
function pmtiles(bytes, seed) {
  const metadata = gzipSync(JSON.stringify({ vector_layers: [{ id: "fields" }, { id: "centroids" }] }));
  const tile = noise(bytes, seed);
  const tileId = 85;
  const directory = gzipSync(Buffer.concat([1, tileId, 1, tile.length, 1].map(varint)));
  const header = Buffer.alloc(127);
  header.write("PMTiles", "latin1");
  header[7] = 3;
  let offset = 127;
  const sections = [directory.length, metadata.length, 0, tile.length];
  for (const [i, length] of sections.entries()) {
    header.writeBigUInt64LE(BigInt(offset), 8 + 16 * i);
    header.writeBigUInt64LE(BigInt(length), 16 + 16 * i);
    offset += length;
  }
  for (const at of [72, 80, 88]) header.writeBigUInt64LE(1n, at);
  header.set([1, 2, 2, 1, 4, 14], 96);
  for (const [i, degrees] of BOUNDS.entries()) header.writeInt32LE(Math.round(degrees * 1e7), 102 + 4 * i);
  header[118] = 9;
  header.writeInt32LE(-98e7, 119);
  header.writeInt32LE(39e7, 123);
  return Buffer.concat([header, directory, metadata, tile]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}

/** Seeded noise: a chain of hashes. */
function noise(bytes, seed) {
  const block = 2 ** 16;
  const tile = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += block) {
    const part = createHash("shake256", { outputLength: Math.min(block, bytes - at) }).update(`${seed}:${at}`);
    part.digest().copy(tile, at);
  }
  return tile;
}
