import { type MemoryPoint, type Outcome, outcomeOf, processCpu, type Results, workCpu, workWall } from "./results.js";
import { ratios, type Spread, spread } from "./statistics.js";

/** One thing that the zonal step must reach, and what was measured. */
export interface Bar {
  readonly name: string;
  /** Undefined where it was not measured. */
  readonly measured: Spread | undefined;
  readonly unit: string;
  readonly wanted: string;
  readonly reached: boolean | undefined;
}

const RASTERIO = "rasterio.mask per field";
const GEOPANDAS = "rasterio.mask per field of GeoPandas";

/** The goals of the step, judged by the median. CPU times are those of the work; start-up has a line of its own. */
export function barsOf(results: Results): Bar[] {
  const at = (key: string) => outcomeOf(results, key);
  return [
    ...["large", "tiled", "strips"].flatMap((world) => {
      const [scan, decode] = [at(`scan ${world} 1`), at(`decode ${world} 1`)];
      return [
        atMost(`table from the index, ${world}: CPU of the floor`, quotient(scan, decode, workCpu), "x", 1.5),
        shown("the same, start-up of both included", quotient(scan, decode, processCpu), "x"),
      ];
    }),
    shown(
      "the same, tiled, second pass in one process",
      quotient(at("scan tiled 1 again"), at("decode tiled 1"), workCpu),
      "x",
    ),
    ...["tiled", "strips"].map((world) =>
      shown(
        `raster decoded by the kernel, ${world}: CPU of the floor`,
        quotient(at(`read ${world} 1`), at(`decode ${world} 1`), workCpu),
        "x",
      ),
    ),
    atLeast(
      "end to end without an index: fields per CPU second of rasterio",
      gain(at("direct tiled 1"), at(RASTERIO)),
      "x",
      250,
    ),
    shown("the same, our start-up included", gain(at("direct tiled 1"), at(RASTERIO), processCpu), "x"),
    shown("the same, rasterio given GeoPandas' geometries", gain(at("direct tiled 1"), at(GEOPANDAS)), "x"),
    atLeast(
      "end to end without an index: fields per CPU second of exactextract",
      gain(at("direct tiled 1"), at("exactextract")),
      "x",
      18,
    ),
    atLeast("index built: fields per CPU second", rate(at("build tiled 1")), "fields/s", 150_000),
    shown("the same, second pass in one process", rate(at("build tiled 1 again")), "fields/s"),
    atLeast("index built: fields per CPU second of rasterio", gain(at("build tiled 1"), at(RASTERIO)), "x", 250),
    shown("the same, rasterio given GeoPandas' geometries", gain(at("build tiled 1"), at(GEOPANDAS)), "x"),
    ...["scan large", "scan tiled", "scan strips", "build tiled", "direct tiled"].map((name) =>
      atLeast(`${name}: 2 threads, speed-up`, quotient(at(`${name} 1`), at(`${name} 2`), workWall), "x", 1.8),
    ),
    ...memoryBars(results),
    atMost("table: bytes a row", exactly(results.tableBytes / (results.worlds[0]?.fields ?? 1)), "bytes", 24),
  ];
}

function memoryBars({ memory, worlds }: Results): Bar[] {
  const [small, large] = ["tiled", "many"].map((name) => worlds.find((world) => world.name === name));
  return (["scan", "direct"] as const).flatMap((stage) => {
    const of = (fields: number | undefined) =>
      memory.filter((point) => point.stage === stage && point.fields === fields);
    const largest = of((large ?? small)?.fields);
    const withTwo = (points: readonly MemoryPoint[]) => points.find(({ threads }) => threads === 2)?.peakRssMiB;
    const [first, last] = [largest[0], largest.at(-1)];
    const [few, many, most] = [withTwo(of(small?.fields)), withTwo(of(large?.fields)), withTwo(largest)];
    const growth = first && last && (last.peakRssMiB - first.peakRssMiB) / (last.threads - first.threads);
    const names = [large, small].map((world) => world?.fields.toLocaleString("en") ?? "more");
    return [
      atMost(`${stage}: peak memory with 2 threads`, exactly(most), "MiB", 1536),
      atMost(`${stage}: memory of each further worker`, exactly(growth), "MiB", 150),
      atMost(
        `${stage}: peak memory of ${names.join(" fields by that of ")}`,
        exactly(many && few && many / few),
        "x",
        1.2,
      ),
    ];
  });
}

function quotient(
  a: Outcome | undefined,
  b: Outcome | undefined,
  of: (outcome: Outcome) => number[],
): Spread | undefined {
  return a && b && ratios(of(a), of(b));
}

/** How many times more fields a CPU second does than a peer's. */
function gain(ours: Outcome | undefined, peer: Outcome | undefined, of = workCpu): Spread | undefined {
  if (ours === undefined || peer === undefined) return undefined;
  const perField = (outcome: Outcome, seconds: number[]) => seconds.map((value) => value / outcome.fields);
  return ratios(perField(peer, workCpu(peer)), perField(ours, of(ours)));
}

function rate(outcome: Outcome | undefined): Spread | undefined {
  return outcome && spread(workCpu(outcome).map((seconds) => outcome.fields / seconds));
}

function exactly(value: number | undefined): Spread | undefined {
  return value === undefined ? undefined : { median: value, min: value, max: value };
}

function atMost(name: string, measured: Spread | undefined, unit: string, limit: number): Bar {
  const reached = measured && measured.median <= limit;
  return { name, measured, unit, wanted: `≤ ${limit.toLocaleString("en")}`, reached };
}

function atLeast(name: string, measured: Spread | undefined, unit: string, limit: number): Bar {
  const reached = measured && measured.median >= limit;
  return { name, measured, unit, wanted: `≥ ${limit.toLocaleString("en")}`, reached };
}

function shown(name: string, measured: Spread | undefined, unit: string): Bar {
  return { name, measured, unit, wanted: "", reached: undefined };
}
