// What reaches the disk in which order: every output is flushed before it is renamed, its folder's entry after it, and
// its record comes last; read from the system calls of the real commands.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeWorld, newRoot } from "../support/sample-world.mjs";

const noStrace =
  spawnSync("strace", ["-f", "-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0
    ? false
    : "strace is not installed, or tracing is not permitted here";

const CALLS =
  "write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,ftruncate,fsync,fdatasync,rename,renameat,renameat2";

/** System calls of a command in their order: [{call, path, to}], path being the file that is written, flushed or renamed. */
function trace(folder, name, args) {
  const out = join(folder, `${name}.strace`);
  const program = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));
  const run = spawnSync(
    "strace",
    ["-f", "-y", "-s", "4096", "-e", `trace=${CALLS}`, "-o", out, process.execPath, program, ...args],
    { encoding: "utf8", env: { ...process.env, UV_USE_IO_URING: "0" } },
  );
  assert.equal(run.status, 0, run.stderr);
  const events = [];
  const waiting = new Map();
  for (const line of readFileSync(out, "latin1").split("\n")) {
    const [, pid, text] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (text === undefined) continue;
    const resumed = /^<\.\.\. (\w+) resumed>.*= (-?\d+)/.exec(text);
    const whole = /^(\w+)\((.*)\)\s+= (-?\d+)/.exec(text);
    const begun = /^(\w+)\((.*) <unfinished \.\.\.>$/.exec(text);
    if (begun !== null) {
      const event = eventOf(begun[1], begun[2]);
      // A write may be done as soon as it has begun; a flush is done once it has ended.
      if (/sync/.test(event.call)) waiting.set(pid, event);
      else events.push(event);
    } else if (whole !== null) {
      if (Number(whole[3]) >= 0) events.push(eventOf(whole[1], whole[2]));
    } else if (resumed !== null && waiting.has(pid)) {
      events.push(waiting.get(pid));
      waiting.delete(pid);
    }
  }
  return events;
}

function eventOf(call, args) {
  if (call.startsWith("rename")) {
    const [path, to] = [...args.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]);
    return { call: "rename", path, to };
  }
  // Where the data go to: the second file of copies.
  const paths = [...args.matchAll(/\d+<(\/[^>]*)>/g)].map((match) => match[1]);
  const path = call === "copy_file_range" ? paths[1] : paths[0];
  return { call: /sync/.test(call) ? "flush" : "write", path };
}

/** Names that nobody relies on after a crash: scratch, locks, notes, logs. */
function isPassing(path) {
  return path.split("/").some((part) => part.startsWith(".")) || /\.lock$|_live\.json$|\/digests\.json$/.test(path);
}

/** Renames to names that last, held against what was written and flushed before and after. */
function check(events, root) {
  const lasting = [];
  for (const [i, { call, path, to }] of events.entries()) {
    if (call !== "rename" || !to.startsWith(`${root}/`) || isPassing(to)) continue;
    lasting.push(to.slice(root.length + 1));
    const of = (event) => event.path === path || event.path?.startsWith(`${path}/`);
    const written = new Set(
      events.slice(0, i).flatMap((event) => (event.call === "write" && of(event) ? [event.path] : [])),
    );
    for (const file of written) {
      const last = events.slice(0, i).findLast((event) => event.path === file && event.call !== "rename");
      assert.equal(last?.call, "flush", `${file} was written after it was flushed, or never flushed, before ${to}`);
    }
    const next = events.slice(i + 1).findIndex((event) => event.call === "flush" && event.path === dirname(to));
    assert.ok(next >= 0, `${dirname(to)} was not flushed after the rename of ${basename(to)}`);
    const between = events.slice(i + 1, i + 1 + next);
    const hasty = between.find((event) => event.call === "rename" && /outputs\/state\/.*\.json$/.test(event.to));
    assert.equal(hasty, undefined, `${hasty?.to} came before the folder of ${to} was flushed`);
  }
  return lasting;
}

describe("data, name, folder, record: in this order", { skip: noStrace }, () => {
  let world;
  before(async () => {
    world = await makeWorld({ fields: 60, years: [2019] });
  });
  after(() => world?.remove());

  test("a whole year, with base, zone index, publication", () => {
    const root = newRoot(world, "year");
    const events = trace(world.folder, "year", ["2019", "--root", root, "--cdl-source", world.source, "--quiet"]);
    const lasting = check(events, root);
    for (const name of [
      /^data\/cdl\/us_2019$/,
      /^data\/zones\/.*\.zones$/,
      /^data\/base\/.*\.precompressed$/,
      /^outputs\/zonal\/zonal_us_2019\.parquet$/,
      /^outputs\/tiles\/.*\.pmtiles$/,
      /^outputs\/web\/.*\.pmtiles$/,
      /^outputs\/web\/us_full_years\.json$/,
      /^outputs\/state\/us_2019_(download|zonal|tiles|publish)\.json$/,
      /^fields\.json$/,
    ])
      assert.ok(
        lasting.some((path) => name.test(path)),
        `${name}: ${lasting.join(" ")}`,
      );
    for (const stage of ["zonal", "tiles"]) {
      const at = (pattern) => lasting.findIndex((path) => pattern.test(path));
      const output = at(stage === "zonal" ? /zonal_us_2019\.parquet$/ : /tiles\/.*\.pmtiles$/);
      assert.ok(output < at(new RegExp(`us_2019_${stage}\\.json$`)), stage);
    }
  });

  test("history, lookup, export", () => {
    const root = newRoot(world, "more");
    const year = ["2019", "--root", root, "--cdl-source", world.source, "--quiet", "--until", "zonal"];
    trace(world.folder, "year", year);
    const history = check(trace(world.folder, "history", ["--csv", "--root", root, "--quiet"]), root);
    for (const name of ["history_us.parquet", "history_us.csv", "legend.json"])
      assert.ok(
        history.some((path) => path.endsWith(name)),
        history.join(" "),
      );
    mkdirSync(join(root, "out"));
    const out = join(root, "out", "e.parquet");
    const exported = check(
      trace(world.folder, "export", ["--years", "2019", "--root", root, "--out", out, "--quiet"]),
      root,
    );
    assert.ok(exported.includes("out/e.parquet"), exported.join(" "));
  });
});
