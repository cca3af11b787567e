// The native tiler's base is ended by kill -9 in each of its phases. Where exactly it strikes is the machine's choice;
// a half-made base is never at its place, and what a rerun makes must be, byte for byte, what an undisturbed run makes.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { command } from "../support/command.mjs";
import { Random } from "../support/random.mjs";
import { makeWorld, newRoot, processesAt, sha256, snapshot } from "../support/sample-world.mjs";

let world;
let expected;
before(async () => {
  world = await makeWorld({ fields: 2000, years: [2020], seed: 5, args: ["--shapes", "csb", "--dirty"] });
  const root = newRoot(world, "reference");
  const run = await prepare(root);
  assert.equal(run.code, 0, run.stderr);
  expected = baseOf(root);
  assert.equal(expected.length, 1);
});
after(() => world?.remove());

const prepare = (root, options) => command("prepare", ["--base", "--root", root], options);
const folderOf = (root) => join(root, "data/base");
const listed = (path) => (existsSync(path) ? readdirSync(path) : []);

/** Finished bases: names and digests. */
function baseOf(root) {
  const names = listed(folderOf(root)).filter((name) => name.endsWith(".precompressed") && !name.startsWith("."));
  return names.map((name) => [name, sha256(readFileSync(join(folderOf(root), name)))]);
}

/** What lies in the step's scratch, by name; names in the tiler's own folder begin with `tiler/`. */
function scratchOf(root) {
  return listed(folderOf(root))
    .filter((name) => name.endsWith(".scratch"))
    .flatMap((name) => {
      const folder = join(folderOf(root), name);
      return [...listed(folder), ...listed(join(folder, "tiler")).map((inner) => `tiler/${inner}`)];
    });
}

/** A moment begins once something lies in scratch, or no longer does. */
const MOMENTS = [
  { name: "start", when: () => true, withinMs: 120 },
  { name: "fields projected", when: (root) => scratchOf(root).includes("tiler/fields"), withinMs: 40 },
  { name: "regions tiled", when: (root) => scratchOf(root).includes("tiler/z14"), withinMs: 600 },
  { name: "archive written", when: (root) => scratchOf(root).includes("tiled.pmtiles"), withinMs: 60 },
  { name: "archive compared", when: isWritten, withinMs: 20 },
  { name: "renamed", when: (root) => baseOf(root).length > 0, withinMs: 5 },
];

function isWritten(root) {
  const names = scratchOf(root);
  return names.includes("tiled.pmtiles") && !names.includes("tiler/z14");
}

test("kill -9 in every phase of the native base: no half base, and the rerun's bytes are the same", async (t) => {
  const random = new Random(41);
  const struck = [];
  for (const { name, when, withinMs } of MOMENTS) {
    const root = newRoot(world, `killed-${struck.length}`);
    let child;
    let ended = false;
    const running = prepare(root, { onStart: (started) => (child = started) });
    void running.finally(() => {
      ended = true;
    });
    while (!ended && !when(root)) await sleep(1);
    if (!ended) await sleep(random.next() * withinMs);
    if (!ended) child.kill("SIGKILL");
    const { signal, code, stderr } = await running;
    struck.push({ name, signal });
    if (signal === null) assert.equal(code, 0, stderr);
    // Another process would find this: a whole base, or none.
    for (const base of baseOf(root)) assert.deepEqual(base, expected[0], name);
    for (let i = 0; i < 1500 && processesAt(root).length > 0; i++) await sleep(20);
    const again = await prepare(root);
    assert.equal(again.code, 0, `${name}: ${again.stderr}`);
    assert.deepEqual(baseOf(root), expected, name);
    const left = readdirSync(root, { recursive: true }).filter((path) => /\.scratch|\.partial|\.tmp$/.test(path));
    assert.deepEqual(left, [], name);
    const before = snapshot(root);
    assert.equal((await prepare(root)).code, 0);
    assert.deepEqual(snapshot(root), before, `${name}: a third run makes nothing`);
  }
  t.diagnostic(JSON.stringify(struck));
  assert.ok(struck.filter(({ signal }) => signal === "SIGKILL").length >= MOMENTS.length / 2, "too few were struck");
});
