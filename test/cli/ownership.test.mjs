// No command replaces a file that it did not make.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { command } from "../support/command.mjs";
import { makeWorld, newRoot, sha256 } from "../support/sample-world.mjs";
import { writeSquareFields } from "../support/square-fields.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const REFUSED = /File exists and was not made by this program; move it away, or use --force \(.*path=/;

let world;
let raster;
/** A parquet file of another program's making. */
let foreign;
before(async () => {
  world = await makeWorld({ fields: 60, years: [2020], args: ["--unzipped"] });
  raster = join(world.source, "2020_30m_cdls.tif");
  // Nothing but the name of its writer differs.
  const bytes = readFileSync(world.files.raw);
  const at = bytes.lastIndexOf("fields-pipeline sample");
  bytes.write("parquet-cpp-arrow     ", at, "latin1");
  foreign = join(world.folder, "foreign.parquet");
  writeFileSync(foreign, bytes);
});
after(() => world?.remove());

const zonal = (out, args = []) =>
  command("zonal", ["--fields", world.files.raw, "--raster", raster, "--out", out, ...args]);

/** Run a command whose output's place is taken by a user's file: refused, then done by force. */
async function keepsForeign(path, bytes, run) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  const refused = await run([]);
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, REFUSED);
  assert.ok(readFileSync(path).equals(Buffer.from(bytes)), "the user's file stands as it was");
  const forced = await run(["--force"]);
  assert.equal(forced.code, 0, forced.stderr);
  assert.ok(!readFileSync(path).equals(Buffer.from(bytes)));
  const again = await run([]);
  assert.equal(again.code, 0, `its own file it does replace: ${again.stderr}`);
}

for (const name of ["fields_raw.parquet", "fields_clean.parquet", "truth.parquet"]) {
  test(`sample keeps a user's ${name}, and writes nothing else`, async (t) => {
    const root = tempFolder(t);
    mkdirSync(join(root, "data"));
    copyFileSync(foreign, join(root, "data", name));
    const run = await command("sample", ["--root", root, "--fields", "60", "--years", "2020"]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, REFUSED);
    assert.deepEqual(readdirSync(join(root, "data")), [name]);
    assert.ok(readFileSync(join(root, "data", name)).equals(readFileSync(foreign)));
  });
}

for (const [format, file, args] of [
  ["zip", "2020_30m_cdls.zip", []],
  ["tif", "2020_30m_cdls.tif", ["--unzipped"]],
  ["img", "2020_30m_cdls.img", ["--unzipped", "--format", "img"]],
]) {
  test(`sample keeps a user's raster (${format}), and replaces its own`, async (t) => {
    const root = tempFolder(t);
    const sample = (more) =>
      command("sample", ["--root", root, "--fields", "60", "--years", "2020"].concat(args, more));
    await keepsForeign(join(root, "cdl-source", file), "not a sample's", sample);
  });
}

test("demo keeps a user's fields under its root", async (t) => {
  const root = tempFolder(t);
  mkdirSync(join(root, "data"), { recursive: true });
  const raw = join(root, "data", "fields_raw.parquet");
  copyFileSync(foreign, raw);
  const run = await command("demo", ["--root", root, "--fields", "60", "--years", "2020"]);
  assert.equal(run.code, 2, run.stderr);
  assert.ok(readFileSync(raw).equals(readFileSync(foreign)));
});

test("sample's default root is not that of real jobs", async () => {
  const help = await command("sample", ["--help"]);
  assert.match(help.stdout, /--root [^[]*\[\.\/work\/sample\]/);
});

test("zonal --out keeps another program's parquet", async (t) => {
  const out = join(tempFolder(t), "z.parquet");
  await keepsForeign(out, readFileSync(foreign), (more) => zonal(out, more));
});

test("an output never replaces an input, not even by force", async () => {
  const before = sha256(readFileSync(world.files.raw));
  const run = await zonal(world.files.raw, ["--force"]);
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /The output would replace an input/);
  assert.equal(sha256(readFileSync(world.files.raw)), before);
});

test("a folder or a device is no output", async (t) => {
  const folder = join(tempFolder(t), "z.parquet");
  mkdirSync(folder);
  for (const [out, problem] of [
    [folder, /The output path is not a file/],
    ["/dev/null", /must end in/],
  ]) {
    const run = await zonal(out, ["--force"]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, problem);
  }
});

test("a link whose file is missing stays", async (t) => {
  const out = join(tempFolder(t), "z.parquet");
  symlinkSync("/nowhere/z.parquet", out);
  const run = await zonal(out);
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /link to a file that is missing.*path=/);
  assert.equal(readlinkSync(out), "/nowhere/z.parquet");
});

test("a list that happens to be named as that of dirty rows stays", async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "z.dirty.csv"), "my,own,list\n");
  const run = await zonal(join(folder, "z.parquet"));
  assert.equal(run.code, 2, run.stderr);
  assert.equal(readFileSync(join(folder, "z.dirty.csv"), "utf8"), "my,own,list\n");
});

test("prepare --out keeps a file that is no zone index", async (t) => {
  const out = join(tempFolder(t), "fields.zones");
  await keepsForeign(out, "notes", (more) =>
    command("prepare", ["--fields", world.files.raw, "--raster", raster, "--out", out, ...more]),
  );
});

test("preview --out keeps another program's picture", async (t) => {
  const folder = tempFolder(t);
  const archive = join(folder, "a.pmtiles");
  writeSquareFields(archive, [{ box: [0, 0, 4096, 4096], properties: { crop_code: 1 } }]);
  const logo = readFileSync(new URL("../../docs/demo.png", import.meta.url));
  const out = join(folder, "map.png");
  await keepsForeign(out, logo, (more) => command("preview", ["--archive", archive, "--out", out, ...more]));
});

test("archive convert keeps an archive that is there", async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "a.pmtiles"), "tiles");
  writeFileSync(join(folder, "a.mbtiles"), "not a database");
  const run = await command("archive", ["convert", join(folder, "a.mbtiles")]);
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, REFUSED);
});

test("a year keeps the tables and archives of an older pipeline, until it is told otherwise", async () => {
  const root = newRoot(world, "older");
  const table = join(root, "outputs", "zonal", "zonal_us_2020.parquet");
  const year = (more) =>
    command("year", ["2020", "--root", root, "--cdl-source", world.source, "--until", "zonal", ...more]);
  mkdirSync(dirname(table), { recursive: true });
  copyFileSync(foreign, table);
  const refused = await year([]);
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, REFUSED);
  assert.ok(readFileSync(table).equals(readFileSync(foreign)));
  const forced = await year(["--force", "zonal"]);
  assert.equal(forced.code, 0, forced.stderr);
  // Its own table without a record, as a kill leaves it, is made again.
  for (const name of readdirSync(join(root, "outputs", "state"))) {
    if (name.endsWith("_zonal.json")) rmSync(join(root, "outputs", "state", name));
  }
  const again = await year([]);
  assert.equal(again.code, 0, again.stderr);
  // With a record, another program's table in its place is a user's too.
  copyFileSync(foreign, table);
  const replaced = await year([]);
  assert.equal(replaced.code, 2, replaced.stderr);
  assert.ok(readFileSync(table).equals(readFileSync(foreign)));
});

for (const region of ["../up", "a/b", "a b", "", "ä", "."]) {
  test(`--region ${JSON.stringify(region)} is refused`, async (t) => {
    const root = join(tempFolder(t), "root");
    const run = await command("year", ["2020", "--root", root, "--region", region]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, /Option --region must be /);
    assert.ok(!existsSync(root), "nothing was made");
  });
}
