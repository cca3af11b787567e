// push.sh and pull.sh between folders of this machine, by the real rsync and scp.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { randomBytes } from "../support/random-bytes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SLURM = fileURLToPath(new URL("../../slurm/", import.meta.url));
const missing = ["rsync", "scp"].filter((program) => spawnSync("which", [program]).status !== 0);

function transfer(script, ...args) {
  const run = spawnSync("bash", [join(SLURM, script), ...args], { encoding: "utf8" });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}
function write(root, files) {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}
const filesOf = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
        .sort()
    : [];

describe("transfer", { skip: missing.length > 0 && `${missing.join(" and ")} missing` }, () => {
  for (const mode of [[], ["--scp"]]) {
    const how = mode[0] ?? "rsync";
    test(`push data, ${how}: nothing without --go; then tables and rasters, and nothing is deleted`, (t) => {
      const [from, to] = [tempFolder(t), join(tempFolder(t), "far", "fields")];
      const raw = randomBytes(300_000, 1);
      write(from, {
        "store/raw.parquet": raw,
        "data/fields_clean.parquet": "clean",
        "data/cdl/2020_30m_cdls.zip": "zip",
      });
      // As where project and work space are joined by links.
      symlinkSync(join(from, "store/raw.parquet"), join(from, "data/fields_raw.parquet"));
      write(to, { "data/of_theirs.parquet": "theirs", "data/fields_clean.parquet": "old" });
      const dry = transfer("push.sh", ...mode, "data", from, to);
      assert.equal(dry.code, 0, dry.stderr);
      assert.match(dry.stdout, /fields_raw\.parquet/);
      assert.deepEqual(filesOf(to), ["data/fields_clean.parquet", "data/of_theirs.parquet"]);
      assert.equal(readFileSync(join(to, "data/fields_clean.parquet"), "utf8"), "old");
      const done = transfer("push.sh", ...mode, "--go", "data", from, to);
      assert.equal(done.code, 0, done.stderr);
      assert.deepEqual(filesOf(to), [
        "data/cdl/2020_30m_cdls.zip",
        "data/fields_clean.parquet",
        "data/fields_raw.parquet",
        "data/of_theirs.parquet",
      ]);
      assert.ok(readFileSync(join(to, "data/fields_raw.parquet")).equals(raw));
      assert.equal(readFileSync(join(to, "data/fields_clean.parquet"), "utf8"), "clean");
    });

    test(`pull all, ${how}: results by their folders; what is here and not there stays`, (t) => {
      const [from, to] = [tempFolder(t), join(tempFolder(t), "root")];
      const files = {
        "outputs/zonal/zonal_us_2020.parquet": "z",
        "outputs/tiles/fields_us_2020_full.pmtiles": "t",
        "outputs/web/us_full_years.json": "{}",
        "outputs/state/us_2020_zonal.json": "{}",
        "logs/year_2020.log": "l",
      };
      write(from, files);
      write(to, { "outputs/zonal/zonal_us_2008.parquet": "mine" });
      assert.equal(transfer("pull.sh", ...mode, "all", from, to).code, 0);
      assert.deepEqual(filesOf(to), ["outputs/zonal/zonal_us_2008.parquet"]);
      const done = transfer("pull.sh", ...mode, "all", from, to, "--go");
      assert.equal(done.code, 0, done.stderr);
      assert.deepEqual(filesOf(to), [...Object.keys(files), "outputs/zonal/zonal_us_2008.parquet"].sort());
    });
  }

  test("push code: the sources, no build, no node_modules", (t) => {
    const to = join(tempFolder(t), "code");
    const done = transfer("push.sh", "--go", "code", to);
    assert.equal(done.code, 0, done.stderr);
    const files = filesOf(to);
    assert.ok(files.includes("package.json") && files.includes("slurm/years.sh"));
    assert.ok(!files.some((path) => /^(dist|node_modules|native\/build|work)\//.test(path)));
  });

  test("a second push sends nothing again; a container goes as it is", (t) => {
    const [from, to] = [tempFolder(t), join(tempFolder(t), "images")];
    write(from, { "fields.sif": randomBytes(100_000, 2) });
    const push = () => transfer("push.sh", "--go", "container", join(from, "fields.sif"), to);
    assert.match(push().stdout, /^fields\.sif$/m);
    assert.doesNotMatch(push().stdout, /^fields\.sif$/m);
    assert.ok(readFileSync(join(to, "fields.sif")).equals(readFileSync(join(from, "fields.sif"))));
  });

  const refused = {
    "an unknown option": ["push.sh", "--delete", "data", "/a", "/b"],
    "no place": ["push.sh", "data"],
    "a folder without data": ["push.sh", "data", "/", "/b"],
    "no such thing": ["pull.sh", "everything", "/a", "/b"],
    "an image that is not there": ["push.sh", "container", "/nowhere.sif", "/b"],
  };
  for (const [what, args] of Object.entries(refused)) {
    test(`refused: ${what}`, () => {
      const { code, stderr } = transfer(...args);
      assert.equal(code, 2);
      assert.match(stderr, /^(push|pull)\.sh: /);
    });
  }
});
