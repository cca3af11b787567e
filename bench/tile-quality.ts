/**
 * What both tilers make of the same real fields: node dist-bench/tile-quality.js [--copies 9] [--pictures docs].
 * Judged by @mapbox/vector-tile and GEOS (test/support/tile-judge.mjs). See bench/README.md.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "./machine.js";
import { measure, type Usage } from "./measured.js";
import { PROJECT } from "./options.js";

const TILERS = ["native", "tippecanoe"] as const;
type Tiler = (typeof TILERS)[number];

interface Zoom {
  readonly tiles: number;
  readonly bytes: number;
  readonly fields: number;
  readonly rows: number;
  readonly largest: { readonly stored: number; readonly bytes: number };
  readonly faults: Readonly<Record<string, number>>;
}

interface Judged {
  readonly zooms: Readonly<Record<string, Zoom>>;
  readonly low: Readonly<Record<string, { readonly drawn: number; readonly wrong: number }>>;
  readonly borders?: Readonly<Record<string, { readonly gaps: number; readonly overlaps: number }>>;
}

const { values } = parseArgs({
  options: {
    copies: { type: "string", default: "9" },
    data: { type: "string", default: join(PROJECT, "work/bench") },
    out: { type: "string", default: join(PROJECT, "bench/results") },
    /** Zooms whose gaps and overlaps are measured, as 9-9; minutes each. */
    borders: { type: "string" },
    /** Folder for the picture of both. */
    pictures: { type: "string" },
    machine: { type: "string" },
  },
});
const { signal } = new AbortController();
const script = (name: string) => [process.execPath, join(PROJECT, "test/support", name)];
const root = resolve(values.data, `kansas-${values.copies}`);
rmSync(root, { recursive: true, force: true });
mkdirSync(root, { recursive: true });
const { stdout } = await measure([...script("kansas81.mjs"), root, values.copies], signal);
const { fields, files } = JSON.parse(stdout) as { fields: number; files: { raw: string; zonal: string } };
const source = ["--fields", files.raw, "--crops", files.zonal];

const archives = {} as Record<Tiler, string>;
const usage = {} as Record<Tiler, Usage>;
const judged = {} as Record<Tiler, Judged>;
for (const tiler of TILERS) {
  archives[tiler] = join(root, `${tiler}.pmtiles`);
  const prepare = [process.execPath, join(PROJECT, "dist/prepare.js"), "--base", "--root", root, "--quiet"];
  usage[tiler] = (await measure([...prepare, "--tiler", tiler, "--pmtiles", archives[tiler]], signal)).usage;
  const borders = values.borders === undefined ? [] : ["--borders", values.borders];
  const judge = [...script("tile-judge.mjs"), archives[tiler], "--zooms", "4-14", ...source, ...borders];
  judged[tiler] = JSON.parse((await measure(judge, signal)).stdout) as Judged;
}
if (values.pictures !== undefined) {
  const named = TILERS.map((tiler) => `${tiler}=${archives[tiler]}`).reverse();
  const picture = join(resolve(values.pictures), "tilers.png");
  await measure([...script("tile-pictures.mjs"), picture, ...source, "--at=-95.65,40.4", ...named], signal);
}

const machine = describeMachine(values.machine);
const results = { machine, date: new Date().toISOString(), fields, usage, judged };
mkdirSync(values.out, { recursive: true });
const stem = join(values.out, `tile-quality-${machine.name}-${results.date.slice(0, 10)}`);
writeFileSync(`${stem}.json`, `${JSON.stringify(results, null, 2)}\n`);
writeFileSync(`${stem}.md`, `${page()}\n`);
process.stdout.write(`${page()}\n`);

function page(): string {
  const { native, tippecanoe } = judged;
  const both = (take: (judged: Judged) => string) => `${take(native)} | ${take(tippecanoe)}`;
  const faults = (zoom: Zoom | undefined) => Object.values(zoom?.faults ?? {}).reduce((sum, n) => sum + n, 0);
  const low = Object.keys(native.low).map((z) => {
    const cell = ({ low: by }: Judged) => `${by[z]?.drawn.toFixed(3)} / ${by[z]?.wrong.toFixed(3)}`;
    return `| ${z} | ${both(cell)} |`;
  });
  const zooms = Object.keys(native.zooms).map((z) => {
    const cell = ({ zooms: by }: Judged) => {
      const zoom = by[z];
      const megabytes = ((zoom?.bytes ?? 0) / 1e6).toFixed(2);
      return `${zoom?.rows ?? 0} | ${megabytes} | ${zoom?.largest.stored ?? 0} | ${faults(zoom)}`;
    };
    return `| ${z} | ${both(cell)} |`;
  });
  const borders = Object.keys(native.borders ?? {}).map((z) => {
    const percent = (share: number | undefined) => (100 * (share ?? 0)).toPrecision(2);
    const cell = ({ borders: by }: Judged) => `${percent(by?.[z]?.gaps)} / ${percent(by?.[z]?.overlaps)}`;
    return `| ${z} | ${both(cell)} |`;
  });
  return [
    `# Tiles of ${fields.toLocaleString("en")} real fields: ${machine.name}, ${results.date.slice(0, 10)}`,
    "",
    `${machine.cpu}, ${machine.cores} cores; commit ${machine.commit}. From fields to the checked, precompressed base: native ${usage.native.cpuS.toFixed(0)} CPU s, tippecanoe ${usage.tippecanoe.cpuS.toFixed(0)}.`,
    "",
    "Drawn area by true area / share of a block of 32 x 32 CSS pixels with the wrong crop, or none, or one where there is none:",
    "",
    "| zoom | native | tippecanoe |",
    "|---|---|---|",
    ...low,
    "",
    "Fields with a polygon, MB, bytes of the largest tile, polygons with a fault:",
    "",
    "| zoom | native: fields | MB | largest | faults | tippecanoe: fields | MB | largest | faults |",
    "|---|---|---|---|---|---|---|---|---|",
    ...zooms,
    ...(borders.length === 0
      ? []
      : [
          "",
          "Inner gaps / overlaps, % of the covered area:",
          "",
          "| zoom | native | tippecanoe |",
          "|---|---|---|",
          ...borders,
        ]),
  ].join("\n");
}
