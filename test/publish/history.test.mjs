// The history beside the archives: sent once, named in the manifest, kept by years that come later.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runStep } from "../../dist/pipeline/step.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeContext, makeRoot, makeYear, readJson, sha256 } from "../support/published-year.mjs";

async function writeZonal(root, year, rows = 100) {
  const folder = join(root, "outputs", "zonal");
  mkdirSync(folder, { recursive: true });
  await query(`copy (select i::bigint field_id, (1 + (i + ${year}) % 3)::int crop_code, 0.5::float crop_share, 10::uinteger valid_pixels
    from range(${rows}) t(i)) to '${join(folder, `zonal_us_${year}.parquet`)}' (format parquet)`);
}

test("legend and table are published and named; a rerun sends nothing; years and history keep each other", async (t) => {
  const root = makeRoot(t);
  await runStep(makeYear(root, 2019).step, makeContext());
  await writeZonal(root, 2019);
  const web = join(root, "outputs", "web");
  const publish = () => command("history", ["--root", root, "--publish", "--json"]);
  const first = await publish();
  assert.equal(first.code, 0, first.stderr);
  const manifest = readJson(join(web, "us_full_years.json"));
  assert.deepEqual(manifest.years, [2019]);
  assert.deepEqual(manifest.history.years, [2019]);
  for (const [name, made] of [
    ["legend", first.json.legend],
    ["table", first.json.history],
  ]) {
    const { url, key, bytes, checksum } = manifest.history[name];
    assert.equal(url, key);
    assert.equal(bytes, statSync(join(web, key)).size);
    assert.equal(checksum, `sha256:${sha256(readFileSync(made))}`);
    assert.deepEqual(readFileSync(join(web, key)), readFileSync(made));
  }
  const text = readFileSync(join(web, "us_full_years.json"), "utf8");
  const again = await publish();
  assert.match(again.stderr, /already has this file/);
  assert.equal(readFileSync(join(web, "us_full_years.json"), "utf8"), text);
  // A year that is published later leaves the history there, and the other way round.
  await runStep(makeYear(root, 2020).step, makeContext());
  assert.deepEqual(readJson(join(web, "us_full_years.json")).history, manifest.history);
  await writeZonal(root, 2020);
  assert.equal((await publish()).code, 0);
  const last = readJson(join(web, "us_full_years.json"));
  assert.deepEqual(
    [last.years, last.history.years, Object.keys(last.archives)],
    [
      [2019, 2020],
      [2019, 2020],
      ["2019", "2020"],
    ],
  );
  assert.notEqual(last.history.table.checksum, manifest.history.table.checksum);
  assert.equal(last.history.table.checksum, `sha256:${sha256(readFileSync(join(web, "us_history.parquet")))}`);
  assert.ok(!readdirSync(join(root, "outputs", "state")).some((name) => name.includes("upload")));
});

test("a foreign manifest is left as it is", async (t) => {
  const root = makeRoot(t);
  await writeZonal(root, 2019);
  mkdirSync(join(root, "outputs", "web"), { recursive: true });
  writeFileSync(join(root, "outputs", "web", "us_full_years.json"), '{"hello": 1}');
  const { code, stderr } = await command("history", ["--root", root, "--publish"]);
  assert.equal(code, 10, stderr);
  assert.equal(readFileSync(join(root, "outputs", "web", "us_full_years.json"), "utf8"), '{"hello": 1}');
});
