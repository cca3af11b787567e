// Years as columns in a real browser: the project's page, and a page of somebody else's that uses the module.
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PutBucketCorsCommand, PutBucketPolicyCommand } from "@aws-sdk/client-s3";
import { browserMissing, settled, startBrowser } from "../support/browser.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { CLOUDFRONT, startModuleServer } from "../support/module-server.mjs";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { readPng } from "../support/png.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { startTestViewer } from "../support/viewer.mjs";

const YEARS = [2019, 2020];

describe("columns in a browser", { skip: browserMissing() }, () => {
  let world;
  let root;
  /** The same years as archives alone, and as columns alone. */
  let archives;
  let columns;
  let browser;
  let center;

  before(async () => {
    world = await makeWorld({ fields: 600, years: YEARS, seed: 5, args: ["--shapes", "csb"] });
    root = newRoot(world, "browser");
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source, ["--publish-as", "both"]);
      assert.equal(run.code, 0, run.stderr);
    }
    const web = join(root, "outputs", "web");
    [archives, columns] = ["archives", "columns"].map((name) => {
      const folder = join(world.folder, name);
      cpSync(web, folder, { recursive: true });
      return folder;
    });
    const path = join(archives, "us_full_years.json");
    const { columns: listed, ...others } = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify(others));
    writeFileSync(
      join(columns, "us_full_years.json"),
      JSON.stringify({ ...others, years: [], archives: {}, columns: listed }),
    );
    const [base] = Object.values(listed.bases);
    const [west, south, east, north] = base.archive.bounds;
    center = [(west + east) / 2, (south + north) / 2];
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    world?.remove();
  });

  async function openPage(t, folder, hash) {
    const viewer = await startTestViewer(t, `file:${folder}`);
    const page = await browser.open(`${viewer.url}${hash}`);
    t.after(() => page.context().close());
    return { page, viewer };
  }

  async function pixels(page, name) {
    const path = join(world.folder, `${name}.png`);
    await page.locator("#map canvas").first().screenshot({ path });
    return readPng(path);
  }

  const difference = (a, b) => {
    assert.deepEqual([a.width, a.height], [b.width, b.height]);
    let different = 0;
    for (let x = 0; x < a.width; x += 3)
      for (let y = 0; y < a.height; y += 3) if (a.at(x, y) !== b.at(x, y)) different++;
    return different;
  };

  const compared = ({ width, height }) => Math.ceil(width / 3) * Math.ceil(height / 3);

  test("the page draws the same map from columns as from archives, and years change without the base", async (t) => {
    for (const zoom of [6, 9, 12]) {
      const hash = (year) => `#${year}/${zoom}/${center[1]}/${center[0]}`;
      const shown = {};
      for (const [name, folder] of Object.entries({ archives, columns })) {
        const { page } = await openPage(t, folder, hash(2019));
        await settled(page, 2019);
        const asked = [];
        page.on("request", (request) => asked.push(request.url()));
        const first = await pixels(page, name);
        await page.evaluate((to) => (location.hash = to), hash(2020));
        await settled(page, 2020);
        shown[name] = [first, await pixels(page, name)];
        assert.deepEqual(page.complaints, []);
        if (name === "columns")
          assert.deepEqual(
            asked.filter((url) => /\.(pmtiles|blocks)/.test(url)),
            [],
          );
      }
      for (const i of [0, 1]) {
        // The layer of columns simplifies outlines by a part of a pixel, and its hatching begins elsewhere.
        const share = difference(shown.archives[i], shown.columns[i]) / compared(shown.columns[i]);
        assert.ok(share < 0.02, `zoom ${zoom}, ${YEARS[i]}: ${(100 * share).toFixed(2)} % of the pixels differ`);
      }
      assert.ok(difference(...shown.columns) > 0, `zoom ${zoom}: years differ`);
    }
  });

  test("a click tells a field's crops from columns", async (t) => {
    const { page } = await openPage(t, columns, `#2020/12/${center[1]}/${center[0]}`);
    await settled(page, 2020);
    await page.locator("#map canvas").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#field:not([hidden], [aria-busy])");
    const text = await page.locator("#field").textContent();
    for (const year of YEARS) assert.match(text, new RegExp(`${year}`));
    assert.deepEqual(page.complaints, []);
  });

  test("a damaged column, and one of another base, are told by the server and the page", async (t) => {
    const folder = join(world.folder, "damaged");
    cpSync(columns, folder, { recursive: true });
    const path = join(folder, "crops_us_2019.column");
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 255;
    bytes[68] ^= 255;
    writeFileSync(path, bytes);
    const other = join(folder, "crops_us_2020.column");
    const foreign = readFileSync(other);
    foreign[40] ^= 255;
    writeFileSync(other, foreign);
    const viewer = await startTestViewer(t, `file:${folder}`);
    const { years } = await viewer.years();
    assert.match(years[0].missing, /column is damaged|cannot be inflated/);
    assert.match(years[1].missing, /another base/);
    assert.ok(
      viewer.lines.some((line) => line.startsWith("warn ") && line.includes("crops_us_2019.column")),
      viewer.lines.join("\n"),
    );
    const page = await browser.open(viewer.url);
    t.after(() => page.context().close());
    await page.waitForSelector(".notice:not([hidden])");
    assert.match(await page.locator("#notice").textContent(), /2019/);
    // Where there is an archive too, it is shown instead.
    const both = join(world.folder, "fallback");
    cpSync(join(root, "outputs", "web"), both, { recursive: true });
    writeFileSync(join(both, "crops_us_2019.column"), bytes);
    const second = await startTestViewer(t, `file:${both}`);
    const [first] = (await second.years()).years;
    assert.match(first.archive.url, /\.pmtiles$/);
  });

  async function openModule(t, server, manifest, { zoom = 12, year = 2020 } = {}) {
    const place = new URLSearchParams({ manifest, center: center.join(","), zoom, year });
    const page = await browser.open(`${server.url}?${place}`);
    t.after(() => page.context().close());
    await page.waitForFunction(() => window.ready && (window.errors.length > 0 || window.map.areTilesLoaded()));
    return page;
  }

  const cropsDrawn = (page) =>
    page.evaluate(
      () =>
        new Promise((resolve) => {
          const read = () => {
            const features = window.map.querySourceFeatures("fields", { sourceLayer: "fields" });
            resolve(Object.fromEntries(features.map(({ id, properties }) => [id, properties.crop_code ?? null])));
          };
          if (window.map.loaded()) read();
          else window.map.once("idle", read);
        }),
    );

  const cropsOf = async (year) => {
    const table = join(root, "outputs", "zonal", `zonal_us_${year}.parquet`);
    const rows = await query(
      `select crop_code from read_parquet('${table}', file_row_number = true) order by file_row_number`,
    );
    return rows.map(({ crop_code: code }) => (code === null ? null : Number(code)));
  };

  async function checkModule(page) {
    for (const year of [2020, 2019]) {
      await page.evaluate(async (to) => {
        window.map.getSource("fields").setTiles(window.crops.source(to).tiles);
        await window.map.once("idle");
      }, year);
      const [drawn, wanted] = [await cropsDrawn(page), await cropsOf(year)];
      assert.ok(Object.keys(drawn).length > 100);
      for (const [row, code] of Object.entries(drawn)) assert.equal(code, wanted[row], `${year}, row ${row}`);
    }
    const path = join(world.folder, "module.png");
    await page.screenshot({ path });
    const png = readPng(path);
    const seen = new Set();
    for (let x = 2; x < png.width; x += 5) for (let y = 2; y < png.height; y += 5) seen.add(png.at(x, y));
    // Filters and styles see the codes as in any tile.
    assert.ok(seen.has("#ff0000") && seen.has("#0000ff"), [...seen].join(" "));
  }

  test("a page of its own draws columns from a plain static server, with CloudFront's headers too", async (t) => {
    for (const headers of [{}, CLOUDFRONT]) {
      const server = await startModuleServer(columns, headers);
      t.after(server.close);
      const page = await openModule(t, server, "/data/us_full_years.json");
      assert.deepEqual(await page.evaluate(() => window.errors), []);
      assert.deepEqual(await page.evaluate(() => window.crops.years), YEARS);
      await checkModule(page);
      assert.deepEqual(page.complaints, []);
      const once = server.requests.filter(({ name }) => !name.endsWith(".json"));
      assert.ok(once.every(({ status }) => status === 206));
      assert.equal(
        new Set(once.map(({ name, range }) => `${name} ${range}`)).size,
        once.length,
        "nothing is fetched twice",
      );
    }
  });

  test("the module's layer shows years, changes and numbers of crops, and two views side by side", async (t) => {
    const server = await startModuleServer(columns);
    t.after(server.close);
    const place = { manifest: "/data/us_full_years.json", center: center.join(","), zoom: 12, year: 2020, as: "layer" };
    const page = await browser.open(`${server.url}?${new URLSearchParams(place)}`);
    t.after(() => page.context().close());
    await page.waitForFunction(() => window.ready);
    const wanted = await Promise.all(YEARS.map(cropsOf));
    await page.evaluate(() => window.show(2019));
    const seen = await page.evaluate(
      (years) =>
        window.layer.featuresOnScreen().map(({ row, lng, lat, codeOf }) => {
          const { x, y } = window.map.project([lng, lat]);
          return { row, codes: years.map((year) => codeOf(year) ?? null), x, y };
        }),
      YEARS,
    );
    assert.ok(seen.length > 20, `${seen.length} fields`);
    for (const { row, codes } of seen)
      assert.deepEqual(
        codes,
        wanted.map((year) => year[row]),
        `row ${row}`,
      );
    // A field whose crop changed, and one whose crop did not, both with their centroid inside.
    const inside = await page.evaluate(
      (fields) => fields.filter(({ row, x, y }) => window.layer.featureAt([x, y])?.row === row),
      seen.filter(({ codes, x, y }) => !codes.includes(null) && x > 20 && y > 20 && x < 1000 && y < 640),
    );
    const changed = inside.find(({ codes: [from, to] }) => from !== to);
    const same = inside.find(({ codes: [from, to] }) => from === to);
    assert.ok(changed !== undefined && same !== undefined, JSON.stringify(inside));
    const colorsAt = async (view) => {
      await page.evaluate(async (views) => {
        // By value: 1 red, 2 blue, all others green.
        window.layer.setStyle({ color: (value) => ({ 1: "#ff0000", 2: "#0000ff" })[value] ?? "#00ff00" });
        await window.layer.show(...views);
      }, view);
      const path = join(world.folder, "layer.png");
      await page.screenshot({ path });
      const png = readPng(path);
      return [changed, same].map(({ x, y }) => png.at(Math.round(x), Math.round(y)));
    };
    assert.deepEqual(await colorsAt([{ kind: "fields" }]), ["#ff0000", "#ff0000"]);
    assert.deepEqual(await colorsAt([{ kind: "change", from: 2019, to: 2020 }]), ["#0000ff", "#ff0000"]);
    assert.deepEqual(await colorsAt([{ kind: "variety", years: YEARS }]), ["#0000ff", "#ff0000"]);
    // Left of the split the fields alone, right of it their changes.
    const views = [{ kind: "fields" }, { kind: "change", from: 2019, to: 2020 }];
    for (const [share, expected] of [
      [0, "#0000ff"],
      [1, "#ff0000"],
    ]) {
      await page.evaluate((at) => window.layer.setSplit(at), share);
      assert.equal((await colorsAt(views))[0], expected, `split at ${share}`);
    }
    assert.deepEqual(page.complaints, []);
    assert.deepEqual(await page.evaluate(() => window.errors), []);
  });

  test("a page of its own draws columns from an S3 server of another origin", { skip: motoMissing() }, async (t) => {
    const moto = await startMoto();
    t.after(moto.stop);
    const client = clientOf(moto);
    await makeBucket(client, "maps");
    // As a bucket of a public map is set up: anybody reads, from pages of any origin.
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::maps/*" }],
    });
    await client.send(new PutBucketPolicyCommand({ Bucket: "maps", Policy }));
    const rule = { AllowedMethods: ["GET", "HEAD"], AllowedOrigins: ["*"], AllowedHeaders: ["range"] };
    await client.send(new PutBucketCorsCommand({ Bucket: "maps", CORSConfiguration: { CORSRules: [rule] } }));
    const run = await command(
      "publish",
      [
        "2019-2020",
        "--root",
        root,
        "--publish-as",
        "columns",
        "--target",
        "s3://maps/fields",
        "--endpoint",
        moto.endpoint,
      ],
      { env: credentialEnvironment(moto.credentials) },
    );
    assert.equal(run.code, 0, run.stderr);
    const server = await startModuleServer(columns);
    t.after(server.close);
    const page = await openModule(t, server, `${moto.endpoint}/maps/fields/us_full_years.json`);
    assert.deepEqual(await page.evaluate(() => window.errors), []);
    await checkModule(page);
    assert.deepEqual(
      page.complaints.filter((text) => !text.startsWith(`asked another server: ${moto.endpoint}`)),
      [],
    );
  });

  test("what is damaged or of another base fails with an error that names the file", async (t) => {
    const folder = join(world.folder, "broken");
    cpSync(columns, folder, { recursive: true });
    const server = await startModuleServer(folder);
    t.after(server.close);
    const errorsOf = async () => {
      const page = await openModule(t, server, "/data/us_full_years.json");
      await page.waitForFunction(() => window.errors.length > 0);
      return (await page.evaluate(() => window.errors)).join("\n");
    };
    const [blocks] = readdirSync(folder).filter((name) => name.endsWith(".blocks"));
    const changes = [
      [
        "crops_us_2020.column",
        (bytes) => (bytes[bytes.length - 1] ^= 1),
        /crops_us_2020\.column.* is damaged in block \d+: checksum/,
      ],
      ["crops_us_2020.column", (bytes) => (bytes[40] ^= 1), /crops_us_2020\.column.* is of another base/],
      [blocks, (bytes) => (bytes[66] ^= 1), /\.blocks.* is damaged/],
      [blocks, (bytes) => (bytes[40] ^= 1), /\.blocks.* is of another base/],
    ];
    for (const [name, change, expected] of changes) {
      const right = readFileSync(join(columns, name));
      const bytes = Buffer.from(right);
      change(bytes);
      writeFileSync(join(folder, name), bytes);
      assert.match(await errorsOf(), expected);
      writeFileSync(join(folder, name), right);
    }
    const path = join(folder, "us_full_years.json");
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    manifest.columns.years[2020].base = "f".repeat(64);
    writeFileSync(path, JSON.stringify(manifest));
    assert.match(await errorsOf(), /column of 2020 is of a base that the manifest does not list/);
  });
});
