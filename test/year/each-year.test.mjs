import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { command } from "../support/command.mjs";
import { makeYear } from "../support/published-year.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

test("a year that fails does not end the others: exit code 3, naming both", async (t) => {
  const root = tempFolder(t);
  for (const year of [2018, 2020]) makeYear(root, year);
  const run = await command("publish", ["2018-2020", "--root", root]);
  assert.equal(run.code, 3, run.stderr);
  assert.match(run.stderr, /ERROR .*Archive to publish not found.*2019/);
  assert.match(run.stderr, /ERROR Some years failed \(failed=2019, done=2018 2020\)/);
  assert.deepEqual(JSON.parse(readFileSync(join(root, "outputs/web/us_full_years.json"), "utf8")).years, [2018, 2020]);
});

test("where all fail, or there is but one, the exit code is the error's own", async (t) => {
  const root = tempFolder(t);
  assert.equal((await command("publish", ["2018-2019", "--root", root])).code, 4);
  assert.equal((await command("publish", ["2018", "--root", root])).code, 4);
  assert.equal((await command("publish", ["--root", root])).code, 2);
});

test("download goes on, too", async (t) => {
  const root = tempFolder(t);
  writeFileSync(join(root, "2018_30m_cdls.zip"), "no zip");
  const raster = join(root, "2019_30m_cdls.tif");
  writeFileSync(raster, Buffer.from("II*\0 and so on, enough for the magic number", "latin1"));
  copyFileSync(raster, join(root, "2020_30m_cdls.tif"));
  const run = await command("download", ["2018-2020", "--root", join(root, "work"), "--cdl-source", root, "--json"]);
  assert.equal(run.code, 3, run.stderr);
  assert.deepEqual([run.json.failed, run.json.done], ["2018", "2019 2020"]);
});
