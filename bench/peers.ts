import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PipelineError } from "../dist/pipeline/errors.js";
import { measure } from "./measured.js";
import type { Run } from "./run.js";
import { readSubset, type Subset, writeFlatGeobuf, writeWkb } from "./subset.js";
import { type Row, readRows } from "./table.js";
import type { World } from "./world.js";

/** Another program that answers the same question, on a subset of the fields. */
export interface Peer {
  readonly name: string;
  /** What is timed, for the reader of the results. */
  readonly how: string;
  readonly fields: number;
  /** Time it once, its answers held against the rows of our table. */
  run(table: string, signal: AbortSignal): Promise<Run>;
}

const MASK = fileURLToPath(new URL("../bench/rasterio_mask.py", import.meta.url));
/** Rules differ (a covered share against a pixel's center), so the majorities of a few narrow or mixed fields do, too. */
const MIN_AGREEMENT = 0.95;

/** How mask() gets a geometry: see rasterio_mask.py. */
const FORMS = {
  geojson: { name: "rasterio.mask per field", says: "as dictionaries that are ready, the fastest way" },
  shapely: { name: "rasterio.mask per field of GeoPandas", says: "as the shapely objects that GeoPandas holds" },
} as const;

/** rasterio, with geometries in each form that this Python knows; none where it has no rasterio. */
export async function openRasterio(python: string, world: World, count: number, folder: string): Promise<Peer[]> {
  const versionOf = (name: string) => {
    const found = spawnSync(python, ["-c", `import ${name}, sys; sys.stdout.write(${name}.__version__)`]);
    return found.status === 0 ? found.stdout.toString() : undefined;
  };
  const version = versionOf("rasterio");
  if (version === undefined) return [];
  const subset = await readSubset(world, count);
  const [geometries, answers] = [join(folder, "subset.wkb"), join(folder, "subset.answers")];
  writeWkb(geometries, subset);
  const forms = versionOf("shapely") === undefined ? (["geojson"] as const) : (["geojson", "shapely"] as const);
  return forms.map((form) => ({
    name: FORMS[form].name,
    how:
      `rasterio ${version}, ${count.toLocaleString("en")} fields; timed are mask(crop=True) and numpy.bincount alone: geometries ` +
      `are read and projected beforehand, ${FORMS[form].says}, and the raster lies in GDAL's cache, all in its favor`,
    fields: count,
    async run(table, signal) {
      const { usage, stdout } = await measure(
        [python, MASK, world.rasterPath, geometries, subset.crs, answers, form],
        signal,
      );
      const { wallS, cpuS } = JSON.parse(stdout) as { wallS: number; cpuS: number };
      compareAll(subset, readAnswers(answers), await readRows(table, subset.rows));
      return { process: usage, work: { wallS, cpuS, mainS: wallS }, phases: [] };
    },
  }));
}

/** As rasterio_mask.py writes them. */
function readAnswers(path: string): Row[] {
  const bytes = readFileSync(path);
  return Array.from({ length: bytes.length / 40 }, (_, i) => {
    const [code, pixels, valid, second, secondPixels] = [0, 8, 16, 24, 32].map((at) =>
      Number(bytes.readBigInt64LE(40 * i + at)),
    ) as [number, number, number, number, number];
    return {
      code: code < 0 ? undefined : code,
      pixels,
      valid,
      second: second < 0 ? undefined : second,
      secondPixels,
    };
  });
}

function compareAll(subset: Subset, theirs: readonly Row[], ours: readonly Row[]): void {
  for (const [i, row] of subset.rows.entries()) {
    const [expected, received] = [JSON.stringify(theirs[i]), JSON.stringify(ours[i])];
    if (expected !== received) {
      throw new PipelineError("failed", "Our answer differs from rasterio's", { row, expected, received });
    }
  }
}

/**
 * @param program  exactextract's command-line program, 0.2 or newer.
 * @throws {PipelineError} tool, when it does not run.
 */
export function exactextractVersion(program: string): string {
  const { error, stdout } = spawnSync(program, ["--version"]);
  if (error) throw new PipelineError("tool", "exactextract cannot be run", { path: program }, { cause: error });
  return stdout.toString().trim();
}

export async function openExactextract(program: string, world: World, count: number, folder: string): Promise<Peer> {
  const version = exactextractVersion(program);
  const subset = await readSubset(world, count);
  const polygons = writeFlatGeobuf(folder, subset, world.rasterPath);
  const out = join(folder, "exactextract.csv");
  return {
    name: "exactextract",
    how:
      `${version}, ${count.toLocaleString("en")} fields, raster-sequential, mode; the whole process, reading ` +
      "a FlatGeobuf that is in the raster's CRS already",
    fields: count,
    async run(table, signal) {
      rmSync(out, { force: true });
      const what = ["-r", `crop:${world.rasterPath}`, "-p", polygons, "-f", "row", "-s", "code=mode(crop)", "-o", out];
      const { usage } = await measure([program, ...what, "--strategy", "raster-sequential"], signal);
      const share = agreement(readFileSync(out, "utf8"), subset.rows, await readRows(table, subset.rows));
      if (share < MIN_AGREEMENT) {
        throw new PipelineError("failed", "exactextract's majorities are not ours", {
          expected: `at least ${MIN_AGREEMENT}`,
          received: share,
        });
      }
      return {
        process: usage,
        work: { ...usage, mainS: usage.wallS },
        phases: [],
        note: `${(100 * share).toFixed(2)} % of majorities as ours`,
      };
    },
  };
}

/** Share of equal codes; background, which exactextract counts as a class, is left out. Its rows stand in any order. */
function agreement(csv: string, rows: readonly number[], ours: readonly Row[]): number {
  const [, ...lines] = csv.trim().split(/\r?\n/);
  const theirs = new Map(lines.map((line) => line.split(",").map(Number) as [number, number]));
  if (theirs.size !== rows.length) {
    throw new PipelineError("failed", "exactextract left fields out", { expected: rows.length, received: theirs.size });
  }
  let [equal, known] = [0, 0];
  for (const [i, row] of rows.entries()) {
    const { code } = ours[i] as Row;
    const their = theirs.get(row) ?? 0;
    if (code === undefined || !(their > 0)) continue;
    known++;
    if (their === code) equal++;
  }
  return equal / known;
}
