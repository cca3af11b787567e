// The report of a run: one page that loads nothing, with the numbers of records and history.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { browserMissing, startBrowser } from "../support/browser.mjs";
import { command } from "../support/command.mjs";
import { readPng } from "../support/png.mjs";
import { makeWorld, newRoot } from "../support/sample-world.mjs";

const YEARS = [2018, 2019, 2020];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe("report", () => {
  let world;
  let root;
  let page;

  before(async () => {
    world = await makeWorld({ fields: 400, years: YEARS, seed: 3, args: ["--dirty"] });
    root = newRoot(world, "report");
    const run = await command("year", [
      "2018-2020",
      "--root",
      root,
      "--cdl-source",
      world.source,
      "--max-dirty",
      "0.1",
    ]);
    assert.equal(run.code, 0, run.stderr);
    const made = await command("report", ["--years", "2017-2020", "--root", root, "--json"]);
    assert.equal(made.code, 0, made.stderr);
    page = made.json.out;
    assert.deepEqual(made.json.years, YEARS);
  });
  after(() => world?.remove());

  const json = (...path) => JSON.parse(readFileSync(join(root, ...path), "utf8"));
  const textOf = () => readFileSync(page, "utf8");
  /** Rows of the table with a caption: cells as text. */
  const tableOf = (caption) => {
    const [, body] = new RegExp(`<caption>${caption}[^<]*</caption>([\\s\\S]*?)</table>`).exec(textOf()) ?? [];
    assert.ok(body, caption);
    return [...body.matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, row]) =>
      [...row.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, cell]) => cell.replaceAll(/<[^>]*>/g, "").trim()),
    );
  };
  const number = (text) => Number(text.replaceAll(",", ""));

  test("areas are the history's, counts and seconds are the records'", () => {
    const { crops } = json("outputs", "history", "us", "legend.json");
    const [heads, ...rows] = tableOf("Hectares of fields by majority crop");
    assert.deepEqual(heads, ["Crop", ...YEARS.map(String)]);
    for (const { name, hectares } of crops) {
      const row = rows.find(([crop]) => crop === name);
      assert.deepEqual(
        row?.slice(1).map(number),
        YEARS.map((year) => Math.round(hectares[year])),
        name,
      );
    }
    const [, ...counts] = tableOf("Rows of the fields");
    const [, ...times] = tableOf("Seconds by year and step");
    for (const [i, year] of YEARS.entries()) {
      const { facts } = json("outputs", "state", `us_${year}_zonal.json`);
      assert.deepEqual(counts[i].slice(0, 4).map(number), [year, facts.rows, facts.answered, facts.dirtyRows]);
      assert.ok(facts.dirtyRows > 0);
      const seconds = ["download", "zonal", "tiles", "publish"].map(
        (step) => json("outputs", "state", `us_${year}_${step}.json`).seconds,
      );
      assert.deepEqual(
        times[i].slice(1),
        seconds.map((s) => s.toFixed(1)),
      );
    }
  });

  test("changes of crop are the transitions, added up over the years", () => {
    const lines = readFileSync(join(root, "outputs", "history", "us", "transitions.csv"), "utf8")
      .trim()
      .split(/\r?\n/)
      .slice(1);
    const sums = new Map();
    for (const line of lines) {
      const [, , from, , to, , area] = line.split(",");
      if (from !== to) sums.set(`${from} > ${to}`, (sums.get(`${from} > ${to}`) ?? 0) + Number(area));
    }
    const [, ...rows] = tableOf("Hectares from one year to the next");
    assert.ok(rows.length > 5);
    for (const [from, to, hectares] of rows)
      assert.equal(number(hectares), Math.round(sums.get(`${from} > ${to}`)), `${from} > ${to}`);
    assert.equal(number(rows[0][2]), Math.round(Math.max(...sums.values())));
  });

  test("every step stands there with its output's fingerprint; a year without records is named", () => {
    const text = textOf();
    for (const name of readdirSync(join(root, "outputs", "state")).filter((file) =>
      /^us_\d{4}_(download|zonal|tiles|publish)\.json$/.test(file),
    )) {
      const { digest } = json("outputs", "state", name).output;
      const [, hex] = digest.split(":");
      assert.ok(text.includes((hex ?? digest).slice(0, 12)), name);
    }
    assert.match(text, /nothing is recorded of 2017/);
    assert.match(text, /fields-pipeline \d+\.\d+\.\d+; kernel sources [0-9a-f]{12}; GDAL/);
  });

  test("pictures lie next to the page and in it: maps at three scales, and the areas", () => {
    const stem = page.replace(/\.html$/, "");
    for (const name of ["map_all", "map_region", "map_close", "areas"]) {
      const path = `${stem}_${name}.png`;
      const png = readPng(path);
      assert.equal(png.width, 1200);
      assert.ok(textOf().includes(readFileSync(path).toString("base64")), name);
    }
  });

  test("the page asks for nothing, complains of nothing, and can be read by all, light and dark", {
    skip: browserMissing(),
  }, async (t) => {
    const browser = await startBrowser();
    t.after(() => browser.close());
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1200, 390]) {
        const opened = await browser.open(pathToFileURL(page).href, { colorScheme, width });
        const asked = opened.complaints.filter((text) => !text.includes(pathToFileURL(page).href));
        assert.deepEqual(asked, []);
        await opened.evaluate(AXE);
        const { violations } = await opened.evaluate(() => window.axe.run());
        assert.deepEqual(
          violations.map(({ id, nodes }) => `${id} ${nodes[0].html}`),
          [],
        );
        const overflow = await opened.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
        assert.equal(overflow, false, `${width} pixels`);
        const loaded = await opened.evaluate(() => [...document.images].every((image) => image.naturalWidth > 0));
        assert.ok(loaded);
        await opened.context().close();
      }
    }
  });

  test("a page that is not ours stays; a root without years, and a wrong name, are errors", async () => {
    const other = join(world.folder, "other.html");
    writeFileSync(other, "<p>mine");
    const refused = await command("report", ["2020", "--root", root, "--out", other]);
    assert.equal(refused.code, 2, refused.stderr);
    assert.equal(readFileSync(other, "utf8"), "<p>mine");
    const again = await command("report", ["2020", "--root", root, "--out", other, "--force"]);
    assert.equal(again.code, 0, again.stderr);
    assert.match(readFileSync(other, "utf8"), /^<!doctype html>/);
    const named = await command("report", ["2020", "--root", root, "--out", join(world.folder, "report.txt")]);
    assert.equal(named.code, 2, named.stderr);
    const empty = await command("report", ["--root", join(world.folder, "empty")]);
    assert.equal(empty.code, 4, empty.stderr);
    const none = await command("report", ["2001", "--root", root]);
    assert.equal(none.code, 4, none.stderr);
    assert.match(none.stderr, /Nothing is recorded of these years/);
  });

  test("without history and archives the page says so", async () => {
    rmSync(join(root, "outputs", "history"), { recursive: true });
    for (const year of YEARS) rmSync(join(root, "outputs", "tiles", `fields_us_${year}_full.pmtiles`));
    const out = join(world.folder, "bare.html");
    const run = await command("report", ["--root", root, "--out", out]);
    assert.equal(run.code, 0, run.stderr);
    const text = readFileSync(out, "utf8");
    assert.match(text, /There is no history of these years/);
    assert.match(text, /no maps are drawn/);
    assert.ok(!existsSync(join(world.folder, "bare_map_all.png")));
    assert.match(text, />gone</);
  });
});
