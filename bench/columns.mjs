/**
 * A change of the year on a map, from columns and from archives, in a real browser:
 * node bench/columns.mjs ROOT [ZOOM ...], where `year.js --publish-as both` has published several years into
 * ROOT/outputs/web.
 *
 * A page with MapLibre and the module (test/support/module-server.mjs), 1280 x 720, over the place with most fields. Each
 * zoom: bytes that the server sends for a change to a year that was not there yet, milliseconds until the map is idle,
 * and how many years a second pass by once all of them were there.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { startBrowser } from "../test/support/browser.mjs";
import { startModuleServer } from "../test/support/module-server.mjs";

const ZOOMS = process.argv.length > 3 ? process.argv.slice(3).map(Number) : [4, 6, 8, 9, 10, 11, 12, 13, 14];
/** Changes to a year that was not there yet; the median counts. */
const CHANGES = 5;
const SIZE = { width: 1280, height: 720 };

const web = join(resolve(process.argv[2] ?? "work/demo"), "outputs", "web");
const manifest = JSON.parse(readFileSync(join(web, "us_full_years.json"), "utf8"));
const years = Object.keys(manifest.columns?.years ?? {}).map(Number);
if (years.length < 3) throw new Error(`${web}: publish three years or more with --publish-as both`);
const [base] = Object.values(manifest.columns.bases);
const [west, south, east, north] = base.archive.bounds;
const center = [(west + east) / 2, (south + north) / 2];
const { rows } = JSON.parse(readFileSync(stateOf("column"), "utf8")).facts;
const sizes = (names) => names.map((name) => statSync(join(web, name)).size).reduce((a, b) => a + b, 0) / names.length;
const perField = (bytes) => (bytes / rows).toFixed(3);
process.stdout.write(`${rows} fields, ${years.length} years
bytes a field: column ${perField(sizes(years.map((year) => `crops_us_${year}.column`)))}, blocks ${perField(statSync(join(web, base.blocks.key)).size)}, base ${perField(statSync(join(web, base.archive.key)).size)}, archive of a year ${perField(sizes(years.map((year) => `fields_us_${year}_full.pmtiles`)))}

      the module's layer           its tiles in a MapLibre layer  archives
zoom  KB          ms    years/s   KB          ms    years/s   KB          ms    years/s
`);

const server = await startModuleServer(web);
const browser = await startBrowser();
try {
  for (const zoom of ZOOMS) {
    const sides = [];
    for (const as of ["layer", "columns", "archives"]) sides.push(await measure(as, zoom));
    const cells = sides.map(({ bytes, ms, rate }) =>
      [(bytes / 1000).toFixed(1).padEnd(11), String(Math.round(ms)).padEnd(5), rate.toFixed(1).padEnd(9)].join(" "),
    );
    process.stdout.write(`${String(zoom).padEnd(5)} ${cells.join(" ")}\n`);
  }
} finally {
  await browser.close();
  await server.close();
}

async function measure(as, zoom) {
  const place = new URLSearchParams({
    manifest: "/data/us_full_years.json",
    center: center.join(","),
    zoom,
    year: years[0],
    as,
  });
  const page = await browser.open(`${server.url}?${place}`, SIZE);
  await page.waitForFunction(() => window.ready && window.map.loaded() && window.map.areTilesLoaded());
  const change = (year) =>
    page.evaluate(async (to) => {
      const began = performance.now();
      await window.show(to);
      return performance.now() - began;
    }, year);
  const sent = () => server.requests.reduce((sum, { bytes }) => sum + bytes, 0);
  const [bytes, times] = [[], []];
  for (const year of years.slice(1, 1 + CHANGES)) {
    const before = sent();
    times.push(await change(year));
    bytes.push(sent() - before);
  }
  // Once to have them all, once for the clock.
  for (const year of as !== "archives" ? years.slice(1 + CHANGES) : []) await change(year);
  const began = performance.now();
  for (const year of years) await change(year);
  const rate = years.length / ((performance.now() - began) / 1000);
  await page.context().close();
  return { bytes: median(bytes), ms: median(times), rate };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function stateOf(step) {
  const folder = join(web, "..", "state");
  const name = readdirSync(folder).find((file) => file.endsWith(`_${step}.json`) && /^us_\d{4}_/.test(file));
  return join(folder, name);
}
