// The package that `npm pack` makes: unpacked in a folder of its own it runs a year and serves a TypeScript consumer.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const MODULE = "native/build/Release/fields.node";

function run(program, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", ...options });
  return { status, stdout, stderr };
}

describe("the packed package", () => {
  const undo = [];
  let app;
  let unpacked;

  before(() => {
    app = tempFolder({ after: (remove) => undo.push(remove) });
    // Not built anew: the tests run on dist/ as it is.
    const flags = ["--ignore-scripts", "--json", "--pack-destination", app, "--cache", join(app, "npm-cache")];
    const packed = run("npm", ["pack", ...flags, "--no-update-notifier"], { cwd: PROJECT });
    assert.equal(packed.status, 0, packed.stderr);
    const [{ filename, files }] = JSON.parse(packed.stdout);
    const paths = new Set(files.map(({ path }) => path));
    for (const path of ["dist/index.d.ts", "dist/view/page/index.html", "native/binding.gyp", "README.md", "LICENSE"])
      assert.ok(paths.has(path), path);
    for (const path of paths) assert.doesNotMatch(path, /^(src|test|bench|native\/(build|fuzz))\//);

    const modules = join(app, "node_modules");
    unpacked = join(modules, "fields-pipeline");
    mkdirSync(unpacked, { recursive: true });
    assert.equal(run("tar", ["-xzf", join(app, filename), "-C", unpacked, "--strip-components=1"]).status, 0);
    // Its dependencies as they are installed here.
    for (const name of readdirSync(join(PROJECT, "node_modules"))) {
      if (!name.startsWith(".") && name !== "fields-pipeline")
        symlinkSync(join(PROJECT, "node_modules", name), join(modules, name));
    }
  });
  after(() => {
    for (const remove of undo) remove();
  });

  const install = (options) => run("bash", ["containers/build-native.sh"], { cwd: unpacked, ...options });
  const program = (...args) =>
    run(process.execPath, [join(unpacked, "dist/fields-pipeline.js"), ...args], { cwd: app });

  test("without a compiler the install step says what is missing", () => {
    const bin = join(app, "bin");
    mkdirSync(bin);
    for (const name of ["bash", "dirname", "node"])
      symlinkSync(run("sh", ["-c", `command -v ${name}`]).stdout.trim(), join(bin, name));
    assert.equal(basename(readlinkSync(join(bin, "node"))), "node");
    const { status, stderr } = install({ env: { PATH: bin, HOME: app } });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /needs a C\+\+17 compiler, make and Python; missing: g\+\+ make python3/);
  });

  test("a module built from the same sources is taken as it is", () => {
    mkdirSync(join(unpacked, "native/build/Release"), { recursive: true });
    for (const path of [MODULE, `${MODULE}.origin`]) {
      assert.ok(existsSync(join(PROJECT, path)), `${path}: npm run build:native`);
      copyFileSync(join(PROJECT, path), join(unpacked, path));
    }
    const { status, stdout, stderr } = install();
    assert.equal(status, 0, stderr);
    assert.match(stdout, /up to date/);
  });

  test("it makes a year", () => {
    const sample = program("sample", "--root", "world", "--fields", "200", "--years", "2020", "--quiet", "--json");
    assert.equal(sample.status, 0, sample.stderr);
    const { files } = JSON.parse(sample.stdout);
    const stages = noTippecanoe ? ["--until", "zonal"] : [];
    const year = program("year", "2020", "--root", "world", "--cdl-source", files.cdlSource, "--quiet", ...stages);
    assert.equal(year.status, 0, year.stderr);
    assert.ok(existsSync(join(app, "world/outputs/zonal/zonal_us_2020.parquet")));
  });

  test("a TypeScript consumer compiles", () => {
    writeFileSync(join(app, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(
      join(app, "main.ts"),
      `import { openFields, openRaster, PipelineError, ZonalEngine, type ZonalOptions } from "fields-pipeline";
       const options: ZonalOptions = { nodata: [0], ties: "highest" };
       const engine = new ZonalEngine({ threads: 2 });
       try {
         const fields = await openFields("fields.parquet", { fieldsCrs: "EPSG:4326" });
         for await (const batch of engine.zonal(fields, openRaster("cdl.tif"), options)) console.log(batch.numRows);
       } catch (error) {
         if (error instanceof PipelineError) console.error(error.kind, error.where.path);
       } finally {
         await engine.close();
       }
      `,
    );
    const flags = [
      "--noEmit",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--skipLibCheck",
      "--types",
      "node",
    ];
    const { status, stdout } = run(join(PROJECT, "node_modules/.bin/tsc"), [...flags, "main.ts"], { cwd: app });
    assert.equal(status, 0, stdout);
  });
});
