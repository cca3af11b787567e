// The viewer's page in a real browser, over a published sample world whose crops are known from the zonal tables.
import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import gdal from "gdal-async";
import { Archive } from "../../dist/archive/reader.js";
import { tileOf } from "../../dist/archive/tile-id.js";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { SAFE } from "../../dist/view/page/crop-colors.js";
import { browserMissing, drawn, settled, startBrowser } from "../support/browser.mjs";
import { startBucket } from "../support/bucket-server.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { readPng } from "../support/png.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";
import { archiveName, startTestViewer, writeManifest } from "../support/viewer.mjs";

const YEARS = [2017, 2018, 2020];
const MISSING = 2019;
const LIGHT = { ground: "#e4e8ec", fabric: "#cdd3da" };
/** Acres in a hectare. */
const ACRES = 2.4710538146717;
const DARK = { ground: "#20242a" };
const COLORS = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));
const NAMES = new Map(CDL_LEGEND.map(({ code, name }) => [code, name]));
/** Hatched on the map, so that a pixel of it may be dark. */
const DOUBLE = new Set(CDL_LEGEND.filter(({ name }) => name.startsWith("Dbl Crop")).map(({ code }) => code));
/** Parts of the page darken the map around them, as far as this many pixels. */
const SHADOW = 36;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe("the page", { skip: browserMissing() || noTippecanoe }, () => {
  let world;
  let root;
  let web;
  let browser;
  let fields;
  let view;

  before(async () => {
    world = await makeWorld({ fields: 600, years: YEARS, seed: 4 });
    root = newRoot(world, "viewer");
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source, ["--tiler", "native"]);
      assert.equal(run.code, 0, run.stderr);
    }
    const run = await command("history", ["2017-2020", "--root", root]);
    assert.equal(run.code, 0, run.stderr);
    web = join(root, "outputs", "web");
    fields = await fieldsOf(root);
    const centers = fields.map(({ center }) => center);
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    view = { lng: mean(centers.map(({ x }) => x)), lat: mean(centers.map(({ y }) => y)), zoom: 12 };
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    world?.remove();
  });

  const placeOf = (year, { lng, lat, zoom } = view) => `#${year}/${zoom}/${lat.toFixed(5)}/${lng.toFixed(5)}`;

  async function openPage(t, hash, options) {
    const viewer = await startTestViewer(t, `file:${web}`);
    const page = await browser.open(`${viewer.url}${hash}`, options);
    t.after(() => page.context().close());
    return page;
  }

  /** Where a place is on the screen: web mercator by its formula, from what the address bar says. */
  async function screen(page) {
    const [, zoom, lat, lng] = new URL(page.url()).hash.slice(1).split("/").map(Number);
    const box = await page.locator("#map").boundingBox();
    const scale = 512 * 2 ** zoom;
    const down = (degrees) => -Math.asinh(Math.tan((degrees * Math.PI) / 180)) / (2 * Math.PI);
    return {
      box,
      degreesAPixel: 360 / scale,
      at: (x, y) => [
        box.x + box.width / 2 + ((x - lng) / 360) * scale,
        box.y + box.height / 2 + (down(y) - down(lat)) * scale,
      ],
    };
  }

  /** Fields whose middle is surely theirs, in sight, and under nothing of the page. */
  async function visible(page) {
    const { box, degreesAPixel, at } = await screen(page);
    const covers = await page.evaluate(() =>
      [
        ...document.querySelectorAll(
          ".timeline, .loading, .maplibregl-ctrl, #field:not([hidden]), .notice:not([hidden]), .tip:not([hidden]), .ring",
        ),
      ].map((element) => {
        const { left, right, top, bottom } = element.getBoundingClientRect();
        return { left, right, top, bottom };
      }),
    );
    return fields.flatMap((field) => {
      const { x, y } = field.center;
      const [left, top] = at(x, y).map(Math.floor);
      const inside =
        left > box.x + 4 && left < box.x + box.width - 4 && top > box.y + 4 && top < box.y + box.height - 4;
      const covered = covers.some(
        (c) => left >= c.left - SHADOW && left <= c.right + SHADOW && top >= c.top - SHADOW && top <= c.bottom + SHADOW,
      );
      if (!inside || covered || !field.polygon.contains(field.center.buffer(5 * degreesAPixel, 4))) return [];
      return [{ ...field, left, top }];
    });
  }

  /** The screenshot's pixels at the fields' middles are as `color(crop, field)` says. */
  async function checkColors(page, year, color) {
    const path = join(world.folder, "page.png");
    await page.screenshot({ path });
    const png = readPng(path);
    const seen = new Set();
    let checked = 0;
    for (const { crops, left, top, row } of await visible(page)) {
      const crop = crops[year];
      if (DOUBLE.has(crop)) continue;
      assert.equal(png.at(left, top), color(crop), `field ${row}, crop ${crop}, at ${left}, ${top}`);
      seen.add(crop);
      checked++;
    }
    return { checked, crops: seen.size };
  }

  const usda = (ground) => (crop) => (crop === null ? ground : COLORS.get(crop));

  test("draws every field in its crop's color, and the years differ as the tables do", async (t) => {
    const page = await openPage(t, placeOf(2018));
    await settled(page, 2018);
    const first = await checkColors(page, 2018, usda(LIGHT.ground));
    assert.ok(first.checked > 100 && first.crops >= 6, JSON.stringify(first));
    await page.focus("#year-slider");
    await page.keyboard.press("ArrowLeft");
    await settled(page, 2017);
    const second = await checkColors(page, 2017, usda(LIGHT.ground));
    assert.ok(second.checked > 100);
    assert.ok(
      fields.filter(({ crops }) => crops[2017] !== crops[2018]).length > 100,
      "or the check could not tell the years apart",
    );
    assert.equal(await page.locator("#year").textContent(), "2017");
    assert.match(page.url(), /#2017\//);
    assert.deepEqual(page.complaints, []);
  });

  test("on a dark screen the ground is dark, the crops the same", async (t) => {
    const page = await openPage(t, placeOf(2020), { colorScheme: "dark" });
    await settled(page, 2020);
    const { checked } = await checkColors(page, 2020, usda(DARK.ground));
    assert.ok(checked > 100);
    assert.deepEqual(page.complaints, []);
  });

  test("a missing year shows the fields without crops and says so; it is no error", async (t) => {
    const page = await openPage(t, placeOf(MISSING));
    await settled(page, MISSING);
    const { checked } = await checkColors(page, 2020, () => LIGHT.fabric);
    assert.ok(checked > 100);
    assert.match(await page.locator("#notice").textContent(), /^No data for 2019$/);
    assert.equal(await page.locator("#year-slider").getAttribute("aria-valuetext"), "2019, no data");
    const [field] = await visible(page);
    await page.mouse.click(field.left, field.top);
    await page.waitForSelector("#field .history");
    const rows = await cardRows(page);
    assert.deepEqual(
      rows.map(([year]) => year),
      ["2020", "2019", "2018", "2017"],
    );
    assert.deepEqual(rows[1], ["2019", "not published", "–"]);
    await page.keyboard.press("Escape");
    await page.focus("#year-slider");
    await page.keyboard.press("ArrowRight");
    await settled(page, 2020);
    assert.ok(await page.locator("#notice").isHidden());
    await checkColors(page, 2020, usda(LIGHT.ground));
    assert.deepEqual(page.complaints, []);
  });

  /** The card's table as text: [year, crop, share]. */
  function cardRows(page) {
    return page.evaluate(() =>
      [...document.querySelectorAll("#field tbody tr")].map((row) =>
        [...row.children].map((cell) => cell.textContent.trim()),
      ),
    );
  }

  test("a click tells the field's crops of all years as the zonal tables have them, and does not move the map", async (t) => {
    const page = await openPage(t, placeOf(2018));
    await settled(page, 2018);
    const all = await visible(page);
    const chosen = [...all.filter(({ crops }) => crops[2018] === null).slice(0, 1), ...every(all, 5)];
    for (const { left, top, id, row, crops, shares, area } of chosen) {
      const before = placeText(page);
      await page.mouse.click(left, top);
      await page.waitForFunction(
        (text) =>
          document.querySelector("#field h2")?.textContent.includes(text) && document.querySelector("#field .history"),
        `Field ${id}`,
      );
      const expected = [2020, 2019, 2018, 2017].map((year) => {
        if (year === MISSING) return ["2019", "not published", "–"];
        const crop = crops[year];
        return crop === null
          ? [String(year), "no crop", "–"]
          : [String(year), NAMES.get(crop), `${percent(shares[year])} %`];
      });
      assert.deepEqual(await cardRows(page), expected, `field ${id}`);
      assert.match(
        await page.locator("#field h2 small").textContent(),
        new RegExp(`acres · ${area >= 1 ? String(Number(area.toPrecision(3))).replace(".", "\\.") : ""}.* ha$`),
      );
      assert.deepEqual(placeText(page), before);
      assert.equal(new URL(page.url()).hash.split("/")[4], String(row));
      assert.ok((await page.locator("#field .rotation").textContent()).length > 10);
      // The card would lie over the next one.
      await page.keyboard.press("Escape");
      assert.ok(await page.locator("#field").isHidden());
    }
    assert.deepEqual(page.complaints, []);
  });

  const placeText = (page) => new URL(page.url()).hash.split("/").slice(0, 4).join("/");

  test("without a history the click reads the tiles of every year", async (t) => {
    const alone = join(world.folder, "alone", "web");
    cpSync(web, alone, { recursive: true });
    const viewer = await startTestViewer(t, `file:${alone}`);
    const page = await browser.open(`${viewer.url}${placeOf(2020)}`);
    t.after(() => page.context().close());
    await settled(page, 2020);
    for (const { left, top, id, crops } of every(await visible(page), 3)) {
      await page.mouse.click(left, top);
      await page.waitForFunction(
        (text) =>
          document.querySelector("#field h2")?.textContent.includes(text) && document.querySelector("#field .history"),
        `Field ${id}`,
      );
      const expected = [...YEARS].reverse().map((year) => [String(year), NAMES.get(crops[year]) ?? "no crop"]);
      assert.deepEqual(await cardRows(page), expected, `field ${id}`);
      await page.keyboard.press("Escape");
    }
    await page.click("#tab-areas");
    assert.match(await page.locator("#areas").textContent(), /no history/);
    assert.deepEqual(page.complaints, []);
  });

  test("a link opens the same view again: year, place, field; also pasted into the open page", async (t) => {
    const page = await openPage(t, placeOf(2017));
    await settled(page, 2017);
    const [field] = every(await visible(page), 1);
    await page.mouse.click(field.left, field.top);
    await page.waitForSelector("#field .history");
    const url = page.url();
    assert.match(url, /#2017\/12\/-?[\d.]+\/-?[\d.]+\/\d+$/);
    await page.reload();
    await settled(page, 2017);
    await page.waitForSelector("#field .history");
    assert.match(await page.locator("#field h2").textContent(), new RegExp(`Field ${field.id}`));
    assert.equal(page.url(), url);
    await checkColors(page, 2017, usda(LIGHT.ground));
    const other = every(await visible(page), 3)[1];
    await page.evaluate((hash) => (location.hash = hash), `${placeOf(2020)}/${other.row}`);
    await settled(page, 2020);
    await page.waitForFunction((id) => document.querySelector("#field h2")?.textContent.includes(id), String(other.id));
    for (const broken of ["#2020", "#x/y", "#2020/99/1/1", "#2020/5/91/0/", "#%00"]) {
      await page.evaluate((hash) => (location.hash = hash), broken);
      await page.waitForFunction(() => location.hash.startsWith("#2020/12/"));
    }
    assert.deepEqual(page.complaints, []);
  });

  test("the legend: one crop alone, crops left out, search, order by area, and the safe palette", async (t) => {
    const page = await openPage(t, placeOf(2018));
    await settled(page, 2018);
    await page.waitForSelector('#crops [data-code="1"]');
    await page.click('#crops [data-code="1"]');
    await drawn(page);
    assert.equal(await page.locator('#crops [data-code="1"]').getAttribute("aria-pressed"), "true");
    const only = (crop) => (crop === null ? LIGHT.ground : crop === 1 ? COLORS.get(1) : LIGHT.fabric);
    assert.ok((await checkColors(page, 2018, only)).checked > 100);
    // The crop stays alone in another year.
    await page.focus("#year-slider");
    await page.keyboard.press("ArrowLeft");
    await settled(page, 2017);
    await checkColors(page, 2017, only);
    await page.keyboard.press("Escape");
    await drawn(page);
    await checkColors(page, 2017, usda(LIGHT.ground));

    await page.getByLabel("Show Soybeans", { exact: true }).uncheck();
    await drawn(page);
    await checkColors(page, 2017, (crop) => (crop === 5 ? LIGHT.fabric : usda(LIGHT.ground)(crop)));
    await page.click("#show-all");
    await drawn(page);

    await page.selectOption("#crop-order", "area");
    const expected = await areasOf(root, 2017);
    const listed = await page.evaluate(() =>
      [...document.querySelectorAll("#crops button")].map((button) => Number(button.dataset.code)),
    );
    assert.deepEqual(
      listed.slice(0, expected.length),
      expected.map(({ crop }) => crop),
    );
    const value = await page.locator(`#crops [data-code="${expected[0].crop}"] .value`).textContent();
    assert.equal(value, `${Number((expected[0].area * ACRES).toPrecision(3)).toLocaleString("en")} acres`);

    await page.fill("#crop-search", "WHEAT");
    const names = await page.locator("#crops .name").allTextContents();
    assert.ok(names.length >= 1 && names.every((name) => /wheat/i.test(name)), names.join());
    await page.fill("#crop-search", "zzz");
    assert.equal(await page.locator("#crops li").count(), 0);
    await page.fill("#crop-search", "");

    await page.check("#safe-colors");
    await drawn(page);
    const ranking = (await areasOf(root)).map(({ crop }) => crop).slice(0, 9);
    const safe = (crop) => (crop === null ? LIGHT.ground : (SAFE[ranking.indexOf(crop)] ?? "#9e9e9e"));
    assert.ok((await checkColors(page, 2017, safe)).crops >= 6);
    assert.deepEqual(page.complaints, []);
  });

  test("shares in view are those of the fields' areas", async (t) => {
    const bounds = extent(fields);
    const page = await openPage(t, "");
    await settled(page, 2020);
    await page.waitForFunction(() =>
      /%/.test(document.querySelector('#crops [data-code="1"] .value')?.textContent ?? ""),
    );
    const areas = await areasOf(root, 2020);
    const total = areas.reduce((sum, { area }) => sum + area, 0);
    for (const { crop, area } of areas.slice(0, 4)) {
      const text = await page.locator(`#crops [data-code="${crop}"] .value`).textContent();
      assert.ok(
        Math.abs(Number.parseFloat(text) / 100 - area / total) < 0.06,
        `${NAMES.get(crop)}: ${text}, ${area / total}`,
      );
    }
    // The first view holds all fields.
    const { at, box } = await screen(page);
    const [[left, top], [right, bottom]] = [at(bounds.west, bounds.north), at(bounds.east, bounds.south)];
    assert.ok(left >= box.x && top >= box.y && right <= box.x + box.width && bottom <= box.y + box.height);
  });

  test("areas by year: the chart's table has the fields' areas, and says that they are not official", async (t) => {
    const page = await openPage(t, placeOf(2018));
    await settled(page, 2018);
    await page.click("#tab-areas");
    const table = await page.evaluate(() =>
      [...document.querySelectorAll("#areas table tr")].map((row) => [...row.children].map((cell) => cell.textContent)),
    );
    assert.deepEqual(table[0], ["acres", "2017", "2018", "2019", "2020"]);
    const all = await areasOf(root);
    for (const [i, { crop }] of all.slice(0, 5).entries()) {
      const byYear = await Promise.all(
        YEARS.map(async (year) => (await areasOf(root, year)).find((entry) => entry.crop === crop)?.area ?? 0),
      );
      const [name, ...cells] = table[i + 1];
      assert.equal(name, NAMES.get(crop));
      const numbers = cells.map((text) => Number(text.replaceAll(",", "")));
      assert.equal(cells[2], "–");
      for (const [j, column] of [0, 1, 3].entries())
        assert.ok(Math.abs(numbers[column] - ACRES * byYear[j]) <= 1, `${name} ${cells} ${byYear}`);
    }
    assert.match(await page.locator("#areas").textContent(), /not official acreage/);
    assert.equal(await page.locator("#areas .absent").count(), 1);
    await page.locator("#areas .column").nth(3).click();
    await settled(page, 2020);
    assert.deepEqual(page.complaints, []);
  });

  test("the keyboard does all: years, play, legend, fields, escape; and it is told to screen readers", async (t) => {
    const page = await openPage(t, placeOf(2017));
    await settled(page, 2017);
    const live = () => page.locator("#live").textContent();
    const focusBy = async (selector) => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((s) => document.activeElement?.matches(s), selector)) return;
      }
      assert.fail(`Tab does not reach ${selector}`);
    };
    await focusBy('#crops button[data-code="5"]');
    await page.keyboard.press("Enter");
    assert.match(await live(), /Only Soybeans is shown/);
    await page.keyboard.press("ArrowDown");
    assert.ok(await page.evaluate(() => document.activeElement.matches('#crops button:not([data-code="5"])')));
    await page.keyboard.press("Escape");
    await focusBy(".maplibregl-canvas");
    assert.match(
      await page.locator(".maplibregl-canvas").getAttribute("aria-label"),
      /Enter opens the field in the middle/,
    );
    assert.ok(await page.locator(".crosshair").isVisible());
    await page.keyboard.press("ArrowRight");
    await page.waitForTimeout(600);
    await page.keyboard.press("Enter");
    if (await page.locator("#field").isHidden()) {
      // The middle may lie on a road.
      await page.keyboard.press("ArrowDown");
      await page.waitForTimeout(600);
      await page.keyboard.press("Enter");
    }
    await page.waitForSelector("#field .history");
    assert.match(await live(), /^Field .*in 2017$/);
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#field").isHidden());
    await page.keyboard.press(" ");
    assert.equal(await page.locator("#play").getAttribute("aria-label"), "Stop playing the years");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#play").getAttribute("aria-label"), "Play the years");
    await focusBy("#year-slider");
    await page.keyboard.press("End");
    await settled(page, 2020);
    assert.equal(await live(), "2020");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await live(), "2018", "a year without data is passed over");
    assert.deepEqual(page.complaints, []);
  });

  test("play goes through the published years, shows each, and ends at the last", async (t) => {
    const page = await openPage(t, placeOf(2017));
    await settled(page, 2017);
    await page.evaluate(() => {
      window.seen = [];
      new MutationObserver(() => window.seen.push(document.querySelector("#map").dataset.year)).observe(
        document.querySelector("#map"),
        { attributeFilter: ["data-year"] },
      );
    });
    await page.click("#play");
    await page.waitForFunction(() => document.querySelector("#play").getAttribute("aria-label") === "Play the years");
    await settled(page, 2020);
    assert.deepEqual(await page.evaluate(() => window.seen), ["2018", "2020"]);
    await checkColors(page, 2020, usda(LIGHT.ground));
    assert.deepEqual(page.complaints, []);
  });

  test("what is published while the page is open appears in it; what is replaced is drawn anew", async (t) => {
    const live = join(world.folder, "live", "web");
    mkdirSync(live, { recursive: true });
    for (const year of [2017, 2018]) copyFileSync(join(web, archiveName(year)), join(live, archiveName(year)));
    writeManifest(live, { 2017: {}, 2018: {} });
    const viewer = await startTestViewer(t, `file:${live}`);
    const page = await browser.open(`${viewer.url}${placeOf(2018)}`);
    t.after(() => page.context().close());
    await settled(page, 2018);
    copyFileSync(join(web, archiveName(2020)), join(live, "new"));
    renameSync(join(live, "new"), join(live, archiveName(2018)));
    copyFileSync(join(web, archiveName(2020)), join(live, archiveName(2020)));
    writeManifest(live, { 2017: {}, 2018: {}, 2020: {} });
    await page.waitForTimeout(1_100);
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.waitForFunction(() => document.querySelector("#year-slider").max === "2020");
    await drawn(page);
    await settled(page, 2018);
    await checkColors(page, 2020, usda(LIGHT.ground));
    assert.deepEqual(page.complaints, []);
  });

  test("one archive that holds all years is drawn by year, too", async (t) => {
    const folder = join(world.folder, "together");
    mkdirSync(folder, { recursive: true });
    const lines = fields.map(({ row, id, area, crops, polygon }) =>
      JSON.stringify({
        type: "Feature",
        id: row,
        tippecanoe: { layer: "fields" },
        properties: {
          field_id: id,
          area_ha: area,
          ...Object.fromEntries(YEARS.flatMap((year) => (crops[year] === null ? [] : [[`crop_${year}`, crops[year]]]))),
        },
        geometry: JSON.parse(polygon.toJSON()),
      }),
    );
    const tiler = await execa(
      "tippecanoe",
      ["-Z9", "-z14", "-r1", "--no-tiny-polygon-reduction-at-maximum-zoom", "-o", join(folder, "all.pmtiles"), "-q"],
      { input: lines.join("\n") },
    );
    assert.equal(tiler.exitCode, 0);
    const entry = { url: "all.pmtiles", key: "all.pmtiles" };
    writeManifest(folder, { 2017: entry, 2018: entry, 2020: entry });
    const viewer = await startTestViewer(t, `file:${folder}`);
    const page = await browser.open(`${viewer.url}${placeOf(2017)}`);
    t.after(() => page.context().close());
    await settled(page, 2017);
    assert.ok((await checkColors(page, 2017, usda(LIGHT.ground))).checked > 100);
    await page.focus("#year-slider");
    await page.keyboard.press("ArrowRight");
    await settled(page, 2018);
    await checkColors(page, 2018, usda(LIGHT.ground));
    const [field] = every(await visible(page), 1);
    await page.mouse.click(field.left, field.top);
    await page.waitForSelector("#field .history");
    const expected = [...YEARS].reverse().map((year) => [String(year), NAMES.get(field.crops[year]) ?? "no crop"]);
    assert.deepEqual(await cardRows(page), expected);
    assert.deepEqual(page.complaints, []);
  });

  test("at low zooms cells cover the ground as the fields do, and the legend has their shares", async (t) => {
    for (const zoom of [7, 8]) {
      const page = await openPage(t, placeOf(2020, { ...view, zoom }));
      await settled(page, 2020);
      const png = join(world.folder, "page.png");
      await page.screenshot({ path: png });
      const { at } = await screen(page);
      const bounds = extent(fields);
      const [left, top] = at(bounds.west, bounds.north).map(Math.ceil);
      const [right, bottom] = at(bounds.east, bounds.south).map(Math.floor);
      const picture = readPng(png);
      let covered = 0;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) if (picture.at(x, y) !== LIGHT.ground) covered++;
      }
      const share = covered / ((right - left) * (bottom - top));
      assert.ok(share > 0.6, `${share} of the ground at zoom ${zoom}`);
      assert.match(await page.locator("#crops-note").textContent(), /Share of the fields/);
      assert.match(await page.locator("#crops").textContent(), /%/);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    }
  });

  test("an archive that holds a few of the fields at low zooms gives no shares there", async (t) => {
    const folder = join(world.folder, "thinned");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, archiveName(2020));
    const lines = fields.map(({ row, crops, polygon }) =>
      JSON.stringify({
        type: "Feature",
        id: row,
        tippecanoe: { layer: "fields" },
        properties: crops[2020] === null ? {} : { crop_code: crops[2020] },
        geometry: JSON.parse(polygon.toJSON()),
      }),
    );
    await execa("tippecanoe", ["-Z6", "-z10", "-B9", "-r3", "--drop-polygons", "-o", path, "-q"], {
      input: lines.join("\n"),
    });
    writeFileSync(join(folder, "us_full_years.json"), "[2020]");
    const viewer = await startTestViewer(t, `file:${folder}`);
    const page = await browser.open(`${viewer.url}${placeOf(2020, { ...view, zoom: 8 })}`);
    t.after(() => page.context().close());
    await settled(page, 2020);
    await page.waitForFunction(() => /Zoom in to see shares/.test(document.querySelector("#crops-note").textContent));
    assert.doesNotMatch(await page.locator("#crops").textContent(), /%/);
    assert.deepEqual(page.complaints, []);
  });

  test("areas in acres or hectares: chosen once, the same everywhere, remembered", async (t) => {
    const page = await openPage(t, placeOf(2018));
    await settled(page, 2018);
    assert.equal(await page.locator("#area-unit").inputValue(), "acres", "of fields in the United States");
    assert.match(await page.locator(".maplibregl-ctrl-scale").textContent(), /(mi|ft)$/);
    await page.selectOption("#area-unit", "ha");
    await page.selectOption("#crop-order", "area");
    const [largest] = await areasOf(root, 2018);
    const shown = () => page.locator(`#crops [data-code="${largest.crop}"] .value`).textContent();
    const hectares = `${Number(largest.area.toPrecision(3)).toLocaleString("en")} ha`;
    assert.equal(await shown(), hectares);
    assert.match(await page.locator("#crops-note").textContent(), /^Hectares /);
    assert.match(await page.locator(".maplibregl-ctrl-scale").textContent(), /\bk?m$/);
    await page.click("#tab-areas");
    assert.equal(await page.locator("#areas thead th").first().textContent(), "hectares");
    const [field] = every(await visible(page), 1);
    await page.mouse.move(field.left, field.top);
    await page.waitForFunction(() => document.querySelector("#tip .value")?.textContent.endsWith(" ha"));
    await page.mouse.click(field.left, field.top);
    await page.waitForSelector("#field .history");
    assert.match(await page.locator("#field h2 small").textContent(), / ha · .* acres$/);
    await page.reload();
    await settled(page, 2018);
    assert.equal(await page.locator("#area-unit").inputValue(), "ha");
    await page.selectOption("#crop-order", "area");
    assert.equal(await shown(), hectares);
    assert.deepEqual(page.complaints, []);
  });

  test("the first view fetches the tiles that it shows, once each, of its year alone", async (t) => {
    const viewer = await startTestViewer(t, `file:${web}`);
    const { years } = await viewer.years();
    const page = await browser.open("about:blank");
    t.after(() => page.context().close());
    const asked = [];
    page.on("request", (request) => {
      const { range } = request.headers();
      if (range !== undefined) asked.push({ url: request.url(), range });
    });
    await page.goto(`${viewer.url}${placeOf(2018)}`);
    await settled(page, 2018);
    const url = new URL(years.find(({ year }) => year === 2018).archive.url, viewer.url).href;
    const tiles = tilesOf(join(web, archiveName(2018)));
    const { at, box } = await screen(page);
    const inView = [...tiles].filter(([, { z, x, y }]) => {
      if (z !== 12) return false;
      const [left, top] = at(...cornerOf(z, x, y));
      const [right, bottom] = at(...cornerOf(z, x + 1, y + 1));
      return right > box.x && left < box.x + box.width && bottom > box.y && top < box.y + box.height;
    });
    const fetched = asked.map(({ url: from, range }) => {
      assert.equal(from, url, "no other year's archive");
      return range.slice("bytes=".length);
    });
    const header = fetched.filter((range) => range.startsWith("0-"));
    assert.equal(header.length, 1);
    assert.equal(new Set(fetched).size, fetched.length, "each once");
    assert.deepEqual(
      new Set(fetched.filter((range) => !range.startsWith("0-"))),
      new Set(inView.map(([range]) => range)),
    );
    // Whoever turns to the timeline is likely to want the years beside it.
    await page.hover("#year-slider");
    const near = new URL(years.find(({ year }) => year === 2017).archive.url, viewer.url).href;
    while (asked.filter(({ url: from }) => from === near).length < 1 + inView.length) await page.waitForTimeout(50);
  });

  test("the first tiles that come are shown, while a sign says that more are loading", async (t) => {
    const viewer = await startTestViewer(t, `file:${web}`);
    const page = await browser.open("about:blank");
    t.after(() => page.context().close());
    const held = [];
    let [count, script] = [0, undefined];
    await page.route("**/main.js", (route) => {
      script = route;
    });
    // One tile comes, the others do not until they are let through.
    await page.route("**/archives/*", (route) => {
      const isTile = !route.request().headers().range?.startsWith("bytes=0-");
      if (isTile && count++ > 0) held.push(route);
      else void route.continue();
    });
    await page.goto(`${viewer.url}${placeOf(2018)}`, { waitUntil: "commit" });
    await page.waitForSelector("#loading", { state: "visible" });
    while (script === undefined) await page.waitForTimeout(20);
    await script.continue();
    const path = join(world.folder, "loading.png");
    const colored = async () => {
      await page.screenshot({ path });
      const png = readPng(path);
      return (await visible(page)).filter(
        ({ crops, left, top }) => crops[2018] !== null && png.at(left, top) === COLORS.get(crops[2018]),
      ).length;
    };
    await page.waitForFunction(() => location.hash.split("/").length >= 4 && document.querySelector("canvas"));
    while ((await colored()) < 10) await page.waitForTimeout(100);
    assert.equal(await page.locator("#map").getAttribute("aria-busy"), "true");
    assert.ok(await page.locator("#loading").isVisible());
    assert.ok(held.length > 0);
    await page.unroute("**/archives/*");
    for (const route of held) await route.continue();
    await settled(page, 2018);
    await page.waitForSelector("#loading", { state: "hidden" });
    assert.deepEqual(
      page.complaints.filter((text) => !text.startsWith("asked another server")),
      [],
    );
  });

  test("'Fit to data' shows all fields again, and the skip link leads past the panel", async (t) => {
    const bounds = extent(fields);
    const page = await openPage(t, placeOf(2018, { ...view, zoom: 16 }));
    await settled(page, 2018);
    await page.getByRole("button", { name: "Fit to data" }).click();
    await page.waitForFunction(() => Number(location.hash.split("/")[1]) < 13);
    const { at, box } = await screen(page);
    const [[left, top], [right, bottom]] = [at(bounds.west, bounds.north), at(bounds.east, bounds.south)];
    assert.ok(left >= box.x && top >= box.y && right <= box.x + box.width && bottom <= box.y + box.height);
    await page.reload();
    await settled(page, 2018);
    const hash = new URL(page.url()).hash;
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the map");
    const link = await page.locator("#skip").boundingBox();
    assert.ok(link.width > 60 && link.height > 20, "it is seen once it has the focus");
    await page.keyboard.press("Enter");
    assert.ok(await page.evaluate(() => document.activeElement.matches(".maplibregl-canvas")));
    assert.equal(new URL(page.url()).hash, hash);
    assert.deepEqual(page.complaints, []);
  });

  test("a year without data says so at once and shows no other year's colors, though its tiles do not come", async (t) => {
    const page = await openPage(t, placeOf(2018));
    await settled(page, 2018);
    await page.waitForFunction(() => /%/.test(document.querySelector("#crops").textContent));
    await page.route("**/archives/*", () => {});
    await page.evaluate((hash) => (location.hash = hash), placeOf(MISSING));
    await page.waitForSelector("#notice:not([hidden])");
    assert.equal(await page.locator("#notice").textContent(), "No data for 2019");
    assert.doesNotMatch(await page.locator("#crops").textContent(), /%/, "nor its shares");
    await page.waitForTimeout(200);
    const path = join(world.folder, "page.png");
    await page.screenshot({ path });
    const png = readPng(path);
    const places = await visible(page);
    assert.ok(places.length > 100);
    for (const { left, top } of places) {
      const color = png.at(left, top);
      const channels = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
      assert.ok(Math.max(...channels) - Math.min(...channels) < 16, `${color} is no gray`);
    }
  });

  test("over a bucket's URL the page talks to this server alone", async (t) => {
    const bucket = await startBucket(web);
    t.after(() => bucket.close());
    const viewer = await startTestViewer(t, bucket.url);
    const page = await browser.open(`${viewer.url}${placeOf(2020)}`);
    t.after(() => page.context().close());
    await settled(page, 2020);
    assert.ok((await checkColors(page, 2020, usda(LIGHT.ground))).checked > 100);
    assert.deepEqual(page.complaints, []);
  });

  test("on a phone nothing sticks out, and a tap opens the field", async (t) => {
    const page = await openPage(t, placeOf(2018), { width: 360, height: 740, hasTouch: true, isMobile: true });
    await settled(page, 2018);
    const noOverflow = () =>
      page.evaluate(
        () => document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth,
      );
    assert.ok(await noOverflow());
    for (const selector of ["#map canvas", "#play", "#year", "#year-slider", "#crop-search", "#crops li"]) {
      const box = await page.locator(selector).first().boundingBox();
      assert.ok(
        box.x >= 0 && box.x + box.width <= 360 && box.y >= 0 && box.y < 740,
        `${selector} ${JSON.stringify(box)}`,
      );
    }
    // At the very side of the screen, where there is no room for a name beside the finger.
    const field = (await visible(page)).reduce((a, b) => (b.left > a.left ? b : a));
    await page.touchscreen.tap(field.left, field.top);
    await page.waitForSelector("#field .history");
    assert.ok(await page.locator("#tip").isHidden(), "the name at the pointer goes after a tap");
    assert.match(await page.locator("#field h2").textContent(), new RegExp(`Field ${field.id}`));
    const card = await page.locator("#field").boundingBox();
    assert.ok(card.x >= 0 && card.x + card.width <= 360 && card.y + card.height <= 741);
    assert.ok(await noOverflow());
    await page.locator("#field .close").tap();
    await page.locator("#tab-areas").tap();
    assert.ok(await noOverflow());
    assert.deepEqual(page.complaints, []);
  });

  test("axe finds nothing to complain of, in both color schemes, with all parts open", async (t) => {
    for (const colorScheme of ["light", "dark"]) {
      const page = await openPage(t, placeOf(2018), { colorScheme });
      await settled(page, 2018);
      const [field] = every(await visible(page), 1);
      await page.mouse.click(field.left, field.top);
      await page.waitForSelector("#field .history");
      for (const tab of ["#tab-legend", "#tab-areas"]) {
        await page.click(tab);
        await page.evaluate(() => document.querySelector("#areas details")?.setAttribute("open", ""));
        await page.evaluate(AXE);
        const violations = await page.evaluate(async () => {
          const result = await window.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
          });
          return result.violations.map(
            ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`,
          );
        });
        assert.deepEqual(violations, [], `${colorScheme} ${tab}`);
      }
    }
  });

  test("a browser without WebGL is told what is missing", async (t) => {
    const viewer = await startTestViewer(t, `file:${web}`);
    const bare = await startBrowser(["--disable-gpu", "--disable-3d-apis"]);
    t.after(() => bare.close());
    const page = await bare.open(viewer.url);
    await page.waitForSelector("#notice:not([hidden])");
    assert.match(await page.locator("#notice").textContent(), /map cannot be shown.*WebGL/i);
  });

  test("before anything is published the page waits, and then begins", async (t) => {
    const folder = join(world.folder, "empty");
    mkdirSync(folder, { recursive: true });
    t.after(() => rmSync(folder, { recursive: true }));
    const viewer = await startTestViewer(t, `file:${folder}`);
    const page = await browser.open(viewer.url);
    t.after(() => page.context().close());
    await page.waitForSelector("#notice:not([hidden])");
    assert.match(await page.locator("#notice").textContent(), /Nothing is published here yet/);
    writeFileSync(join(folder, "us_full_years.json"), "[2018]");
    await page.waitForFunction(() =>
      document.querySelector("#notice").textContent.includes("2018: The archive is not in the folder"),
    );
    copyFileSync(join(web, archiveName(2018)), join(folder, archiveName(2018)));
    await settled(page, 2018);
    assert.ok(await page.locator("#notice").isHidden());
    assert.deepEqual(page.complaints, []);
  });
});

/** Range of bytes by which a tile is asked for, and its address. */
function tilesOf(path) {
  const archive = new Archive(path);
  const { entries, header } = archive;
  const tiles = new Map();
  for (let i = 0; i < entries.count; i++) {
    const start = header.tiles.offset + entries.offset(i);
    tiles.set(`${start}-${start + entries.length(i) - 1}`, tileOf(entries.tileId(i)));
  }
  archive.close();
  return tiles;
}

/** Longitude and latitude of a tile's north-west corner. */
function cornerOf(z, x, y) {
  return [(x / 2 ** z) * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - (2 * y) / 2 ** z))) * 180) / Math.PI];
}

/** Every field: its row, id, area, polygon, a point surely inside or its centroid, crops and shares by year. */
async function fieldsOf(root) {
  const columns = YEARS.map((year) => `z${year}.crop_code as crop_${year}, z${year}.crop_share as share_${year}`);
  const joins = YEARS.map(
    (year) => `join '${root}/outputs/zonal/zonal_us_${year}.parquet' z${year} on z${year}.field_id = r.field_id`,
  );
  const rows = await query(`
    select r.file_row_number as row, r.field_id as id, c.area_ha as area, hex(st_aswkb(r.geometry)) as wkb, ${columns.join(", ")}
      from read_parquet('${root}/data/fields_raw.parquet', file_row_number = true) r
      join '${root}/data/fields_clean.parquet' c on c.field_id = r.field_id ${joins.join(" ")} order by 1`);
  return rows.map((row) => {
    const polygon = gdal.Geometry.fromWKB(Buffer.from(row.wkb, "hex"));
    const byYear = (name) => Object.fromEntries(YEARS.map((year) => [year, row[`${name}_${year}`]]));
    return {
      row: Number(row.row),
      id: Number(row.id),
      area: row.area,
      polygon,
      center: polygon.centroid(),
      crops: byYear("crop"),
      shares: byYear("share"),
    };
  });
}

/** Crops by area, largest first: of a year, or of all. */
async function areasOf(root, year) {
  const years = year === undefined ? YEARS : [year];
  const tables = years.map((one) => `select field_id, crop_code from '${root}/outputs/zonal/zonal_us_${one}.parquet'`);
  return query(`
    select crop_code as crop, sum(area_ha) as area from (${tables.join(" union all ")})
      join '${root}/data/fields_clean.parquet' using (field_id)
      where crop_code is not null group by 1 order by 2 desc, 1`);
}

/** Whole percent as the history keeps it: 100 only where all pixels are of the crop. */
function percent(share) {
  return share === 1 ? 100 : Math.min(99, Math.round(share * 100));
}

function every(list, count) {
  return Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) / count) * list.length)]);
}

function extent(fields) {
  const boxes = fields.map(({ polygon }) => polygon.getEnvelope());
  return {
    west: Math.min(...boxes.map(({ minX }) => minX)),
    south: Math.min(...boxes.map(({ minY }) => minY)),
    east: Math.max(...boxes.map(({ maxX }) => maxX)),
    north: Math.max(...boxes.map(({ maxY }) => maxY)),
  };
}
