// A small made-up world on disk, and roots of their own over its fields.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { tempDirName } from "../../dist/tiles/temp-dir.js";
import { command } from "./command.mjs";
import { tempDirsIn } from "./temp-folder.mjs";

/** Make a world in a folder of the test's own; `remove` it at the end. */
export async function makeWorld({ fields, years, seed = 1, args = [] }) {
  const folder = mkdtempSync(join(tmpdir(), "fields-world-"));
  const root = join(folder, "world");
  const sample = [
    "--root",
    root,
    "--fields",
    String(fields),
    "--years",
    years.join(","),
    "--seed",
    String(seed),
    ...args,
  ];
  const run = await command("sample", [...sample, "--json"]);
  assert.equal(run.code, 0, run.stderr);
  return {
    ...run.json,
    folder,
    root,
    source: join(root, "cdl-source"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Another root in the world's folder with the world's fields, nothing made yet. */
export function newRoot(world, name) {
  const root = join(world.folder, name);
  mkdirSync(join(root, "data"), { recursive: true });
  for (const path of [world.files.raw, world.files.clean]) copyFileSync(path, join(root, "data", basename(path)));
  return root;
}

/** `node dist/year.js YEAR --root R --cdl-source S ...` */
export function runYear(root, year, source, args = [], options = {}) {
  return command("year", [String(year), "--root", root, "--cdl-source", source, ...args], options);
}

const BUILT_AT = /"builtAt": "[^"]*",\s*/g;

/** A year's outputs by name, as SHA-256 of their bytes; those that are not there are left out. */
export function outputsOf(root, year, region = "us") {
  const files = {
    zonal: join(root, "outputs", "zonal", `zonal_${region}_${year}.parquet`),
    dirty: join(root, "outputs", "zonal", `zonal_${region}_${year}.dirty.csv`),
    archive: join(root, "outputs", "tiles", `fields_${region}_${year}_full.pmtiles`),
    published: join(root, "outputs", "web", `fields_${region}_${year}_full.pmtiles`),
    manifest: join(root, "outputs", "web", `${region}_full_years.json`),
  };
  const present = Object.entries(files).filter(([, path]) => existsSync(path));
  return Object.fromEntries(
    present.map(([name, path]) => {
      // The one thing in any output that tells when it was made.
      const bytes = name === "manifest" ? readFileSync(path, "utf8").replaceAll(BUILT_AT, "") : readFileSync(path);
      return [name, sha256(bytes)];
    }),
  );
}

export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Every file under a folder but the logs: path → inode, size and time of change. */
export function snapshot(root) {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => !path.includes("/logs/"));
  return Object.fromEntries(
    paths.sort().map((path) => {
      const { ino, size, mtimeMs } = statSync(path);
      return [path.slice(root.length + 1), { ino, size, mtimeMs }];
    }),
  );
}

/** What a run should have taken away: scratch, locks, partial files, tippecanoe's folders and processes. */
export function leftovers(root, year, region = "us") {
  const inRoot = readdirSync(root, { recursive: true }).filter((path) =>
    /\.scratch|\.lock|\.partial|\.part$|\.tmp$|-journal$/.test(path),
  );
  const shm = [year, "base"].flatMap((what) => tempDirsIn("/dev/shm", tempDirName(root, region, what)));
  return [...inRoot, ...shm, ...processesAt(root).map(({ pid, line }) => `process ${pid}: ${line}`)];
}

/** The job's processes, and their children, that work on a root. */
export function processesAt(folder) {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      const ours = line.includes(`${folder}/`) || line.includes(`${folder} `);
      return ours && !line.includes("/test/support/") ? [{ pid: Number(name), line }] : [];
    } catch {
      return [];
    }
  });
}

/** The year's log, line by line; a last line that is still being written is left out. */
export function logLines(root, year) {
  const path = join(root, "logs", `year_${year}.log`);
  if (!existsSync(path)) return [];
  const text = readFileSync(path, "utf8");
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Stages that a run did, from its lines on stderr: {done: [...], skipped: [...]}. */
export function stagesOf({ stderr }) {
  const named = (pattern) => [...stderr.matchAll(pattern)].map((match) => match[1]);
  return { done: named(/^\[\d+ (\w+)\] done in/gm), skipped: named(/^\[\d+ (\w+)\] valid, skipped/gm) };
}
