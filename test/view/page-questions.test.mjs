// Questions to the page, in a real browser: find, ask an area, take away.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import gdal from "gdal-async";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { browserMissing, settled, startBrowser } from "../support/browser.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { readPng } from "../support/png.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { startTestViewer } from "../support/viewer.mjs";

const YEARS = [2019, 2020];
/** Acres in a hectare. */
const ACRES = 2.4710538146717;

describe("questions to the page", { skip: browserMissing() }, () => {
  let world;
  let root;
  let browser;

  before(async () => {
    world = await makeWorld({ fields: 900, years: YEARS, seed: 7 });
    root = newRoot(world, "questions");
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source);
      assert.equal(run.code, 0, run.stderr);
    }
    const run = await command("history", ["--root", root]);
    assert.equal(run.code, 0, run.stderr);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    world?.remove();
  });

  async function openPage(t, hash = "", options = {}) {
    const viewer = await startTestViewer(
      t,
      `file:${join(root, "outputs", "web")}`,
      options.fields === false ? {} : { root },
    );
    const page = await browser.open(`${viewer.url}${hash}`, options);
    t.after(() => page.context().close());
    await settled(page, 2020);
    return page;
  }

  const placeOf = (page) => new URL(page.url()).hash.slice(1).split("/").map(Number);

  /** Type a text, and take the first that is found. */
  async function find(page, text) {
    await page.fill("#find-text", text);
    await page.waitForSelector("#found button");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#found", { state: "hidden" });
  }

  test("find: coordinates, a county by name, a field by its id; by keyboard, and a link restores it", async (t) => {
    const page = await openPage(t);
    await find(page, "39°15' N, 97°30' W");
    await page.waitForFunction(() => location.hash.startsWith("#2020/13/"));
    const [, , lat, lng] = placeOf(page);
    assert.ok(Math.abs(lat - 39.25) < 1e-4 && Math.abs(lng + 97.5) < 1e-4, page.url());
    assert.ok(await page.locator(".pin").isVisible());
    assert.match(await page.locator("#live").textContent(), /39\.2500° N, 97\.5000° W/);

    await page.fill("#find-text", "clay");
    await page.waitForFunction(() => document.querySelectorAll("#found button").length === 7);
    await page.fill("#find-text", "clay county kansas");
    await page.waitForFunction(() =>
      document.querySelector("#found button")?.textContent.startsWith("Clay County, Kansas"),
    );
    await page.keyboard.press("ArrowDown");
    assert.ok(await page.evaluate(() => document.activeElement.matches("#found button")));
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => Math.abs(Number(location.hash.split("/")[3]) + 97.166) < 0.02);
    assert.equal(await page.locator(".pin").count(), 0);

    const [{ id, row }] = await query(
      `select field_id as id, file_row_number as row from read_parquet('${root}/data/fields_raw.parquet', file_row_number = true) where file_row_number = 512`,
    );
    await find(page, String(id));
    await page.waitForSelector("#field .history");
    assert.match(await page.locator("#field h2").textContent(), new RegExp(`Field ${id}`));
    assert.equal(placeOf(page)[4], Number(row));
    const url = page.url();
    await page.reload();
    await page.waitForSelector("#field .history");
    assert.equal(page.url(), url);

    await page.fill("#find-text", "no such place");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#found .nothing");
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#found").isHidden());
    assert.deepEqual(page.complaints, []);
  });

  test("lines and names of states and counties lie over the fields, and can be left out", async (t) => {
    const page = await openPage(t, "", { names: true });
    await page.waitForSelector("#map[data-names=on]");
    const screen = async () => {
      await page.waitForTimeout(400);
      return (await page.locator("#map canvas").screenshot()).toString("base64");
    };
    const withNames = await screen();
    await page.uncheck("#names");
    const without = await screen();
    assert.notEqual(withNames, without);
    await page.reload();
    await settled(page, 2020);
    assert.equal(await page.locator("#names").isChecked(), false, "the choice is remembered");
    assert.deepEqual(page.complaints, []);
  });

  /** The chart's table: crop → acres by year. */
  const tableOf = (page) =>
    page.evaluate(() =>
      [...document.querySelectorAll("#ask-areas tr")].map((row) => [...row.children].map((cell) => cell.textContent)),
    );

  const answered = (page, name) =>
    page.waitForFunction((text) => document.querySelector("#ask-about strong")?.textContent === text, name);

  /** What the server says of the area in the page's address, in acres. */
  async function expected(page) {
    const { hash, origin } = new URL(page.url());
    const area = /&area=(.*)$/.exec(hash)[1];
    const { crops, fields } = await (await fetch(`${origin}/api/ask/${area}.json`)).json();
    return {
      fields,
      rows: crops
        .filter(({ code }) => code !== null)
        .map(({ name, hectares }) => [name, hectares.map((ha) => ha * ACRES)]),
    };
  }

  async function checkAnswer(page) {
    const { fields, rows } = await expected(page);
    assert.ok(fields > 20, `${fields} fields`);
    assert.match(await page.locator("#ask-about").textContent(), new RegExp(` ${fields.toLocaleString("en")} fields`));
    const [head, ...table] = await tableOf(page);
    assert.deepEqual(head, ["acres", "2019", "2020"]);
    for (const [i, [name, acres]] of rows.slice(0, 4).entries()) {
      assert.equal(table[i][0], name);
      for (const [j, value] of acres.entries()) {
        const shown = table[i][j + 1] === "–" ? 0 : Number(table[i][j + 1].replaceAll(",", ""));
        assert.ok(Math.abs(shown - value) <= 0.51, `${name}: ${shown} ${value}`);
      }
    }
  }

  test("ask an area: a box that is drawn, a polygon, a county by name; chart, table, CSV; a link restores it", async (t) => {
    const page = await openPage(t);
    await page.click("#tab-ask");
    const box = await page.locator("#map").boundingBox();
    const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
    await page.click("#ask-box");
    await page.waitForFunction(() => /opposite corners/.test(document.querySelector("#live").textContent));
    await page.waitForTimeout(700);
    await page.mouse.click(...at(0.3, 0.3));
    await page.mouse.move(...at(0.5, 0.5), { steps: 5 });
    await page.mouse.move(...at(0.6, 0.6), { steps: 5 });
    await page.mouse.click(...at(0.6, 0.6));
    await answered(page, "Drawn area");
    assert.ok(await page.locator("#field").isHidden(), "corners open no field");
    await checkAnswer(page);

    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#ask-csv")]);
    assert.equal(download.suggestedFilename(), "crops_Drawn_area.csv");
    const csv = readFileSync(await download.path(), "utf8").split("\r\n");
    assert.equal(csv[0], "area,year,crop_code,crop_name,fields,area_ha,area_acres");
    const { rows } = await expected(page);
    const [, year, , name, , ha, acres] = csv[1].split(",");
    assert.deepEqual([year, name], ["2019", rows[0][0]]);
    assert.ok(Math.abs(Number(acres) - rows[0][1][0]) < 0.02 && Math.abs(Number(ha) * ACRES - Number(acres)) < 0.02);

    const url = page.url();
    await page.reload();
    await answered(page, "Drawn area");
    assert.equal(page.url(), url);
    await checkAnswer(page);

    await page.click("#ask-polygon");
    assert.doesNotMatch(page.url(), /area=/);
    await page.waitForTimeout(700);
    for (const corner of [at(0.2, 0.2), at(0.7, 0.3), at(0.4, 0.7)]) {
      await page.mouse.move(...corner, { steps: 3 });
      await page.mouse.click(...corner);
    }
    await page.mouse.click(...at(0.4, 0.7));
    await answered(page, "Drawn area");
    await checkAnswer(page);

    await page.fill("#ask-name", "clay ks");
    await page.keyboard.press("Enter");
    await answered(page, "Clay County, Kansas");
    assert.match(page.url(), /&area=20027$/);
    await checkAnswer(page);
    await page.fill("#ask-name", "nowhere");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => /No state or county/.test(document.querySelector("#live").textContent));
    await page.click("#ask-clear");
    assert.doesNotMatch(page.url(), /area=/);
    assert.equal(await page.locator("#ask-areas svg").count(), 0);
    assert.deepEqual(page.complaints, []);
  });

  test("ask by keyboard and on a phone; Escape gives up a drawing", async (t) => {
    const page = await openPage(t, "", { width: 360, height: 740, hasTouch: true, isMobile: true });
    await page.focus("#tab-legend");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await page.locator("#tab-ask").getAttribute("aria-selected"), "true");
    await page.focus("#ask-view");
    await page.keyboard.press("Enter");
    await answered(page, "Drawn area");
    await checkAnswer(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.tap("#ask-box");
    await page.waitForFunction(() => /opposite corners/.test(document.querySelector("#live").textContent));
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("#ask-about").textContent === "");
    await page.tap("#ask-box");
    await page.waitForTimeout(700);
    const box = await page.locator("#map").boundingBox();
    await page.touchscreen.tap(box.x + 60, box.y + 120);
    await page.touchscreen.tap(box.x + 260, box.y + 280);
    await answered(page, "Drawn area");
    await checkAnswer(page);
    assert.deepEqual(page.complaints, []);
  });

  test("a server without the fields answers from those on the screen, of this year, and says so", async (t) => {
    const page = await openPage(t, "", { fields: false });
    await page.click("#tab-ask");
    await page.click("#ask-view");
    await answered(page, "Drawn area");
    assert.match(
      await page.locator("#ask-about").textContent(),
      /900 fields. From the fields on the screen, of this year alone/,
    );
    const [largest] = await query(`
      select crop_code as code, sum(area_ha) as hectares from '${root}/outputs/zonal/zonal_us_2020.parquet'
        join '${root}/data/fields_clean.parquet' using (field_id) where crop_code is not null group by 1 order by 2 desc`);
    const [head, [, value]] = await tableOf(page);
    assert.deepEqual(head, ["acres", "2020"]);
    assert.ok(
      Math.abs(Number(value.replaceAll(",", "")) - largest.hectares * ACRES) < 0.003 * largest.hectares * ACRES,
    );
    await page.fill("#ask-name", "kansas");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => /does not have the fields/.test(document.querySelector("#ask-about").textContent));
    assert.deepEqual(page.complaints, []);
  });

  test("take away: a field's history as CSV, its outline as GeoJSON, the view as a picture", async (t) => {
    const page = await openPage(t);
    const [{ id, area, wkb, ...years }] = await query(`
      select r.field_id as id, c.area_ha as area, hex(st_aswkb(r.geometry)) as wkb, ${YEARS.map((year) => `z${year}.crop_code as c${year}`).join(", ")}
        from read_parquet('${root}/data/fields_raw.parquet', file_row_number = true) r
        join '${root}/data/fields_clean.parquet' c using (field_id)
        ${YEARS.map((year) => `join '${root}/outputs/zonal/zonal_us_${year}.parquet' z${year} on z${year}.field_id = r.field_id`).join(" ")}
        where r.file_row_number = 512`);
    await find(page, String(id));
    await page.waitForSelector("#field .history");
    const take = async (selector) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
      return { name: download.suggestedFilename(), content: readFileSync(await download.path()) };
    };
    const csv = await take('#field [data-focus="csv"]');
    assert.equal(csv.name, `field_${id}.csv`);
    const [head, ...lines] = csv.content.toString().trim().split("\r\n");
    assert.equal(head, "field_id,area_ha,year,crop_code,crop_name,share_percent");
    assert.deepEqual(
      lines.map((line) => line.split(",").filter((_, i) => [0, 2, 3].includes(i))),
      YEARS.map((year) => [String(id), String(year), String(years[`c${year}`] ?? "")]),
    );

    // At this zoom a field may lie in several tiles.
    await page.waitForFunction(() => document.querySelector("#map[aria-busy=false]:not([data-loading])"));
    const outline = await take('#field [data-focus="geojson"]');
    assert.equal(outline.name, `field_${id}.geojson`);
    const { features } = JSON.parse(outline.content.toString());
    assert.equal(features.length, 1);
    assert.equal(features[0].properties.field_id, String(id));
    const [taken, given] = [
      gdal.Geometry.fromGeoJson(features[0].geometry),
      gdal.Geometry.fromWKB(Buffer.from(wkb, "hex")),
    ];
    const common = taken.intersection(given).getArea();
    assert.ok(
      common / given.getArea() > 0.98 && common / taken.getArea() > 0.98,
      "the same outline, as tiles round it",
    );
    assert.ok(area > 0);

    await page.click("#field .close");
    const picture = await take("#save-picture");
    assert.equal(picture.name, "crops_2020.png");
    const path = join(world.folder, "picture.png");
    writeFileSync(path, picture.content);
    const png = readPng(path);
    const { width, height } = await page.locator("#map").boundingBox();
    assert.deepEqual([png.width, png.height], [width + 250, height]);
    const seen = (from, to) => {
      const colors = new Set();
      for (let x = from; x < to; x += 3) for (let y = 0; y < height; y += 3) colors.add(png.at(x, y));
      return colors;
    };
    const colors = CDL_LEGEND.map(({ color }) => color);
    assert.ok(
      colors.some((color) => seen(0, width).has(color)),
      "the map's crops",
    );
    assert.ok(
      colors.some((color) => seen(width, width + 250).has(color)),
      "and the legend's",
    );
    assert.deepEqual(page.complaints, []);
  });
});
