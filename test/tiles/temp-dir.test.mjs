import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openTempDir, sweepTempDirs, tempDirName } from "../../dist/tiles/temp-dir.js";
import { tempFolder } from "../support/temp-folder.mjs";

const MODULE = new URL("../../dist/tiles/temp-dir.js", import.meta.url).href;

/** A process that opens the folder, says so, and lives until it is killed. */
function ownerOf(path) {
  const code = `const { openTempDir } = await import(${JSON.stringify(MODULE)});
    openTempDir(${JSON.stringify(path)}); console.log("open"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve) => child.stdout.once("data", () => resolve(child)));
}

test("folders of dead processes are swept, whatever year they were of; those of live ones stay", async (t) => {
  const parent = tempFolder(t);
  const [dead, live, own] = ["/a", "/b", "/c"].map((root) => join(parent, tempDirName(root, "us", 2019)));
  const killed = await ownerOf(dead);
  const alive = await ownerOf(live);
  t.after(() => alive.kill("SIGKILL"));
  openTempDir(own);
  writeFileSync(join(dead, "sorted"), "x".repeat(1000));
  const gone = new Promise((resolve) => killed.once("exit", resolve));
  killed.kill("SIGKILL");
  await gone;
  assert.deepEqual(sweepTempDirs([parent, parent]), [dead]);
  assert.deepEqual([dead, live, own].map(existsSync), [false, true, true]);
});

test("what nobody can say anything of is left alone; a folder from before a restart of the machine goes", (t) => {
  const parent = tempFolder(t);
  const folder = (root, owner) => {
    const path = join(parent, tempDirName(root, "us", 2020));
    mkdirSync(path);
    if (owner !== undefined) writeFileSync(join(path, "owner.json"), owner);
    return path;
  };
  const sample = join(parent, tempDirName("/mine", "us", 2020));
  openTempDir(sample);
  const mine = JSON.parse(readFileSync(join(sample, "owner.json"), "utf8"));
  const [boot, namespace] = mine.namespace.split(" ");
  folder("/none");
  folder("/cut", '{"tok');
  folder("/elsewhere", JSON.stringify({ ...mine, host: `not-${hostname()}`, pid: 1, startTicks: "0" }));
  folder("/container", JSON.stringify({ ...mine, namespace: `${boot} pid:[1]`, startTicks: "0" }));
  mkdirSync(join(parent, "of-another-program"));
  const restarted = folder("/boot", JSON.stringify({ ...mine, namespace: `other-boot ${namespace}` }));
  const reused = folder("/reused", JSON.stringify({ ...mine, startTicks: "1" }));
  const before = readdirSync(parent).length;
  assert.deepEqual(sweepTempDirs([parent, join(parent, "not there")]).sort(), [restarted, reused].sort());
  assert.equal(readdirSync(parent).length, before - 2);
});
