// Columns through kills and full disks: what was there stays whole, and the next run ends with the same bytes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BlocksFile, ColumnFile } from "../../dist/columns/stored-file.js";
import { command } from "../support/command.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";

const YEAR = 2020;
const COLUMNS = fileURLToPath(new URL("../../dist/columns.js", import.meta.url));

describe("columns through faults", () => {
  let world;
  /** Zonal table and base are made, columns are not. */
  let prepared;
  /** The same with columns: what every other run must come to. */
  let wanted;

  before(async () => {
    world = await makeWorld({ fields: 2500, years: [YEAR], seed: 9 });
    prepared = newRoot(world, "prepared");
    const run = await runYear(prepared, YEAR, world.source, ["--until", "tiles"]);
    assert.equal(run.code, 0, run.stderr);
    const root = copyOf("whole");
    const made = await command("columns", ["make", String(YEAR), "--root", root]);
    assert.equal(made.code, 0, made.stderr);
    wanted = filesOf(root);
    assert.equal(wanted.size, 3);
  });
  after(() => world?.remove());

  function copyOf(name, folder = world.folder) {
    const root = join(folder, name);
    cpSync(prepared, root, { recursive: true });
    return root;
  }

  const folderOf = (root) => join(root, "outputs", "tiles");
  /** Files of columns by name; whole ones, under their own names. */
  const filesOf = (root) =>
    new Map(
      readdirSync(folderOf(root))
        .filter((name) => /^(crops_.*\.column|fields_.*\.blocks|fields_.*_base\.pmtiles)$/.test(name))
        .map((name) => [name, readFileSync(join(folderOf(root), name))]),
    );

  function assertWhole(root) {
    for (const [name, bytes] of filesOf(root)) assert.deepEqual(bytes, wanted.get(name), name);
    assert.deepEqual(
      readdirSync(folderOf(root)).filter((name) => name.endsWith(".scratch")),
      [],
    );
  }

  test("killed at any moment, the files are whole or not there, and the next run ends with the same bytes", async () => {
    const root = copyOf("killed");
    let kills = 0;
    for (const ms of [450, 550, 650, 750, 850, 950, 1100, 1300, 1600, 2000]) {
      const child = spawn(process.execPath, [COLUMNS, "make", String(YEAR), "--root", root], { stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
      await sleep(ms);
      child.kill("SIGKILL");
      if ((await ended) === "SIGKILL") kills++;
      for (const [name, bytes] of filesOf(root)) assert.deepEqual(bytes, wanted.get(name), `${name} after ${ms} ms`);
    }
    assert.ok(kills > 0);
    const run = await command("columns", ["make", String(YEAR), "--root", root]);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(filesOf(root), wanted);
    assertWhole(root);
  });

  test("a disk that is full at any point is reported as that; with room again the same bytes come", async (t) => {
    const disk = tinyDisk(t, "64m");
    if (disk === undefined) return t.skip("mount is not permitted here");
    const root = copyOf("full", disk);
    const sizes = [...wanted.values()].map(({ length }) => length);
    const total = sizes.reduce((a, b) => a + b, 0);
    let full = 0;
    for (const share of [0, 0.02, 0.3, 0.7, 0.95]) {
      for (const name of filesOf(root).keys()) rmSync(join(folderOf(root), name));
      leaveFree(disk, total * share);
      const run = await command("columns", ["make", String(YEAR), "--root", root]);
      assert.equal(run.code, 7, `${share}: ${run.stderr}`);
      assert.match(run.stderr, /[Nn]o space|full/);
      full++;
      for (const [name, bytes] of filesOf(root)) assert.deepEqual(bytes, wanted.get(name), name);
    }
    assert.equal(full, 5);
    leaveFree(disk, 40 * 2 ** 20);
    const run = await command("columns", ["make", String(YEAR), "--root", root]);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(filesOf(root).size, 3);
    assertWhole(root);
  });

  test("mutants of both files are read or refused, never crash, and claim no memory", () => {
    const root = copyOf("mutants");
    const [column] = [...wanted].filter(([name]) => name.endsWith(".column")).map(([, bytes]) => bytes);
    const [blocks] = [...wanted].filter(([name]) => name.endsWith(".blocks")).map(([, bytes]) => bytes);
    let state = 12345;
    const random = (below) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state % below;
    };
    let refused = 0;
    for (let i = 0; i < 600; i++) {
      const File = i % 2 === 0 ? ColumnFile : BlocksFile;
      const copy = Buffer.from(i % 2 === 0 ? column : blocks);
      for (let flips = 1 + random(4); flips > 0; flips--) copy[random(i % 3 === 0 ? 80 : copy.length)] = random(256);
      const bytes = i % 5 === 0 ? copy.subarray(0, random(copy.length)) : copy;
      const path = join(root, "mutant");
      writeFileSync(path, bytes);
      try {
        const file = new File(path);
        try {
          for (let block = 0; block < file.index.count; block++) {
            if (File === BlocksFile) file.ids(block);
            else file.places(block, 2048);
          }
        } finally {
          file.close();
        }
      } catch (error) {
        assert.equal(error.name, "PipelineError", error.stack);
        assert.equal(error.kind, "input");
        assert.match(error.message, /mutant/);
        refused++;
      }
    }
    assert.ok(refused > 500, `${refused} refused`);
  });

  test("two commands that make columns of one root at once make one set of files", async () => {
    const root = copyOf("both");
    const runs = await Promise.all([0, 1].map(() => command("columns", ["make", String(YEAR), "--root", root])));
    const codes = runs.map(({ code }) => code).sort((a, b) => a - b);
    // The year's lock lets one of them do it.
    assert.ok(codes[0] === 0 && (codes[1] === 0 || codes[1] === 6), JSON.stringify(codes));
    assertWhole(root);
    assert.equal(filesOf(root).size, 3);
  });
});
