// A command ends as its caller expects: on closed pipes, on signals, and on paths that no file can have.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { leftovers, makeWorld, newRoot } from "../support/sample-world.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const program = (name) => fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));

let world;
before(async () => {
  world = await makeWorld({ fields: 60, years: [2020] });
});
after(() => world?.remove());

/** A command whose stdout and stderr nobody reads. @returns its exit code. */
async function unread(name, args) {
  const child = spawn(process.execPath, [program(name), ...args], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  child.stderr.destroy();
  const [code] = await once(child, "exit");
  return code;
}

test("a reader that goes away ends no work: the year is done, and no lock is left", async () => {
  const root = newRoot(world, "unread");
  const code = await unread("year", ["2020", "--root", root, "--cdl-source", world.source, "--until", "zonal"]);
  assert.equal(code, 0);
  assert.ok(existsSync(join(root, "outputs", "zonal", "zonal_us_2020.parquet")));
  assert.deepEqual(leftovers(root, 2020), []);
});

test("an error that nobody reads keeps its exit code", async () => {
  assert.equal(await unread("zonal", ["--fields", "none", "--raster", "none", "--out", "none.parquet"]), 4);
});

test("status --watch ends when its reader does", async (t) => {
  const child = spawn(process.execPath, [program("status"), "--root", tempFolder(t), "--watch", "--interval", "1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.stdout.destroy();
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
});

for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 0],
]) {
  test(`${signal} ends a command that runs until it is stopped with ${code}`, async (t) => {
    const root = tempFolder(t);
    const serve = (child) => child.stdout.once("data", () => child.kill(signal));
    const ended = await command("serve", ["--root", root, "--port", "0"], { onStart: serve });
    assert.deepEqual([ended.code, ended.signal], [code, null], ended.stderr);
    const watched = await command("status", ["--root", root, "--watch"], { onStart: serve });
    assert.deepEqual([watched.code, watched.signal], [code, null], watched.stderr);
  });
}

test("an output where no folder can be made is refused at once", async (t) => {
  const [fields, raster] = [world.files.raw, await unzipped(t)];
  const zonal = (out) => command("zonal", ["--fields", fields, "--raster", raster, "--out", out]);
  const proc = await zonal("/proc/x.parquet");
  assert.ok(proc.code === 1 || proc.code === 2, proc.stderr);
  assert.match(proc.stderr, /^ERROR .*\/proc\/.*ENOENT/m);
  const below = await zonal(join(fields, "x.parquet"));
  assert.equal(below.code, 2, below.stderr);
  assert.match(below.stderr, /Not a folder: a file with this name exists \(path=.*fields_raw\.parquet\)/);
  for (const { stderr } of [proc, below]) assert.doesNotMatch(stderr, /\n +at /, "no stack trace");
});

test("a path that is no file is one sentence and bad input, whatever it is given for", async (t) => {
  const folder = tempFolder(t);
  const raster = await unzipped(t);
  const [file, below] = [join(folder, "file"), join(folder, "file", "below")];
  writeFileSync(file, "a user's");
  const out = join(folder, "out.parquet");
  const bad = [folder, below, join(folder, "missing")];
  const places = [
    ["zonal", (path) => ["--fields", path, "--raster", raster, "--out", out]],
    ["zonal", (path) => ["--fields", world.files.raw, "--raster", path, "--out", out]],
    ["zonal", (path) => ["--fields", world.files.raw, "--raster", raster, "--out", out, "--index", path]],
    ["columns", (path) => ["show", path]],
    ["archive", (path) => ["show", path]],
    ["preview", (path) => ["--archive", path, "--out", `${out}.png`]],
    ["clean", (path) => ["--root", path], folder],
    ["status", (path) => ["--root", path], folder],
    ["cluster", (path) => ["check", "2020", "--root", path], folder],
  ];
  for (const [name, args, isFine] of places) {
    for (const path of bad.filter((one) => one !== isFine)) {
      const { code, stderr } = await command(name, args(path));
      const told = `${name} ${args(path).join(" ")}: ${code} ${stderr}`;
      assert.ok(code === 2 || code === 4, told);
      assert.equal(stderr.match(/ERROR /g)?.length, 1, told);
      assert.doesNotMatch(stderr, /^ +at |Unexpected error/m, told);
    }
  }
  assert.deepEqual(readdirSync(folder), ["file"]);
  assert.equal(readFileSync(file, "utf8"), "a user's");
});

test("a pipe in the place of a file is refused, not waited for", async (t) => {
  const pipe = join(tempFolder(t), "pipe");
  execFileSync("mkfifo", [pipe]);
  const raster = await unzipped(t);
  const out = join(tempFolder(t), "z.parquet");
  for (const [name, args] of [
    ["zonal", ["--fields", pipe, "--raster", raster, "--out", out]],
    ["zonal", ["--fields", world.files.raw, "--raster", pipe, "--out", out]],
    ["archive", ["show", pipe]],
    ["archive", ["convert", pipe, `${out}.pmtiles`]],
    ["batch", ["run", "--items", pipe, "--out", join(tempFolder(t), "batch"), "--", "true"]],
  ]) {
    const run = await command(name, args);
    assert.equal(run.code, 4, `${name} ${args[0]}: ${run.stderr}`);
  }
});

test("a pipe in the place of a file of the root, or of an output, holds nothing up", async () => {
  const root = newRoot(world, "pipes");
  const out = join(root, "out");
  mkdirSync(out);
  const year = ["2020", "--root", root, "--cdl-source", world.source];
  const made = await command("year", [...year, "--until", "zonal"]);
  assert.equal(made.code, 0, made.stderr);
  const web = join(root, "outputs", "web");
  mkdirSync(web);
  mkdirSync(join(root, "outputs", "history", "us"), { recursive: true });
  for (const [path, name, args, sentence] of [
    [join(web, "us_full_years.json"), "year", year, /us_full_years\.json.*not a regular file/],
    [
      join(root, "outputs", "history", "us", "legend.json"),
      "preview",
      ["--chart", "--root", root, "--out", `${out}/c.png`],
      /legend\.json.*not a regular file/,
    ],
    [join(out, "p.png"), "preview", ["2020", "--root", root, "--out", `${out}/p.png`], /p\.png/],
    [join(root, "fields.json"), "status", ["--root", root], /fields\.json.*not a regular file/],
  ]) {
    rmSync(path, { force: true });
    execFileSync("mkfifo", [path]);
    const run = await command(name, args, { signal: AbortSignal.timeout(60_000) });
    assert.ok(run.code > 0, `${path}: ${run.code} ${run.stderr}`);
    assert.match(run.stderr, sentence, path);
    assert.ok(lstatSync(path).isFIFO());
    rmSync(path);
  }
});

async function unzipped(t) {
  const folder = tempFolder(t);
  const made = await command("sample", ["--root", folder, "--fields", "60", "--years", "2020", "--unzipped"]);
  assert.equal(made.code, 0, made.stderr);
  const source = join(folder, "cdl-source");
  return join(source, readdirSync(source)[0]);
}
