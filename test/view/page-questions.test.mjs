// Questions to the page, in a real browser: find, ask an area, take away.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { browserMissing, settled, startBrowser } from "../support/browser.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { startTestViewer } from "../support/viewer.mjs";

const YEARS = [2019, 2020];

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
});
