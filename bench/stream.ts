/** What carrying features and tiles costs: npm run bench:stream. See bench/README.md. */
import { copyFileSync, createWriteStream, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { convertMbtiles } from "../dist/archive/convert.js";
import type { Command } from "../dist/cli/command.js";
import { main } from "../dist/cli/main.js";
import { resolveOptions } from "../dist/config/config.js";
import { openFields } from "../dist/fields/fields-file.js";
import { openPool, type Pool } from "../dist/parallel/pool.js";
import type { Context } from "../dist/pipeline/context.js";
import { FeatureStream } from "../dist/tiles/feature-stream.js";
import { tippecanoeArguments } from "../dist/tiles/tippecanoe-command.js";
import { describeMachine } from "./machine.js";
import { measure } from "./measured.js";
import { PROJECT } from "./options.js";
import { type Spread, spread } from "./statistics.js";
import { startWatch } from "./stopwatch.js";
import { openWorld } from "./world.js";

const COMMAND: Command = {
  name: "npm run bench:stream --",
  summary: "Time what carries features and tiles: the feature stream, tippecanoe's input formats, MBTiles to PMTiles.",
  options: ["quiet"],
  own: {
    fields: { type: "string", help: "fields of the made-up world [100000; 3000 with --quick]" },
    file: { type: "string", help: "a parquet file of fields of your own, for the stream, instead" },
    runs: { type: "string", help: "rounds [3; 1 with --quick]" },
    quick: { type: "boolean", help: "a small world and one round: proves that it works, its figures mean little" },
    data: { type: "string", help: "folder of the made-up worlds, kept between runs [work/bench]" },
    out: { type: "string", help: "folder of the results [bench/results; with --quick the data folder's results/]" },
    machine: { type: "string", help: "name of this machine in the results [after its CPU]" },
  },
  examples: ["npm run bench:stream", "npm run bench:stream -- --file fields_raw.parquet"],
};

/** The goals: features and megabytes for a CPU second. */
const STREAM_GOAL = 150_000;
const CONVERT_GOAL = 150;
const MAX_ZOOM = 14;
const WARM_UP = 4;

interface Line {
  readonly what: string;
  readonly values: readonly number[];
  readonly unit: string;
  readonly goal?: number;
}

await main(COMMAND, async ({ own }, ctx) => {
  const text = (flag: string) => own[flag] as string | undefined;
  const quick = own.quick === true;
  const machine = describeMachine(text("machine"));
  const data = resolve(PROJECT, text("data") ?? "work/bench");
  const out = resolve(PROJECT, text("out") ?? (quick ? join(data, "results") : "bench/results"));
  const folder = join(data, "stream-scratch");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  mkdirSync(out, { recursive: true });
  const fields = Number(text("fields") ?? (quick ? 3000 : 100_000));
  const rounds = Number(text("runs") ?? (quick ? 1 : 3));
  const path = text("file") ?? (await openWorld(data, fields, "tiled", ctx)).fieldsPath;
  // One worker: the main thread is counted with it.
  const pool = openPool(1);
  try {
    const lines = [
      ...(await timeStream(path, rounds, pool, ctx)),
      ...(await timeFormats(path, folder, rounds, pool, ctx)),
      ...(await timeConversion(folder, rounds, pool, ctx)),
    ];
    const results = { machine, date: new Date().toISOString(), quick, fields, rounds, lines };
    const stem = join(out, `stream-${machine.name}-${results.date.slice(0, 10)}`);
    const page = pageOf(results);
    writeFileSync(`${stem}.json`, `${JSON.stringify(results, null, 2)}\n`);
    writeFileSync(`${stem}.md`, page);
    process.stdout.write(page);
  } finally {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return undefined;
});

async function openStream(path: string, pool: Pool, ctx: Context): Promise<FeatureStream> {
  const fields = await openFields(path, { fieldsCrs: "EPSG:4326" });
  const area = new Float32Array(new SharedArrayBuffer(fields.rows * 4)).fill(12.34);
  const crop = new Float64Array(new SharedArrayBuffer(fields.rows * 8));
  crop.forEach((_, row) => {
    crop[row] = [1, 5, 24, 36][row % 4] ?? 1;
  });
  return new FeatureStream(
    fields,
    { area: area.buffer, crop: crop.buffer, included: undefined, choice: { fieldId: true, cropName: false } },
    resolveOptions({}),
    pool,
    ctx,
  );
}

/** From parquet to text in the main thread's hands. */
async function timeStream(path: string, rounds: number, pool: Pool, ctx: Context): Promise<Line[]> {
  const [features, megabytes]: [number[], number[]] = [[], []];
  // The first pass compiles and loads.
  for (let round = -1; round < rounds; round++) {
    const stream = await openStream(path, pool, ctx);
    const end = startWatch();
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.length;
    const { cpuS } = end();
    if (round < 0) continue;
    features.push((2 * stream.drawn) / cpuS);
    megabytes.push(bytes / 1e6 / cpuS);
  }
  return [
    { what: "feature stream (polygons and centroids)", values: features, unit: "features/CPU s", goal: STREAM_GOAL },
    { what: "feature stream, GeoJSON", values: megabytes, unit: "MB/CPU s" },
  ];
}

/** The same features to tippecanoe as GeoJSON on its standard input and as FlatGeobuf, a file a layer. */
async function timeFormats(path: string, folder: string, rounds: number, pool: Pool, ctx: Context): Promise<Line[]> {
  const geojson = join(folder, "all.geojsonl");
  await pipeline(await openStream(path, pool, ctx), createWriteStream(geojson));
  const layers = ["fields", "centroids"];
  for (const layer of layers) {
    // The feature's id as an attribute: FlatGeobuf has no ids.
    const row =
      's/^{"type":"Feature","id":\\([0-9]*\\),"tippecanoe":{[^}]*},"properties":{/{"type":"Feature","properties":{"row":\\1,/';
    const lines = join(folder, `${layer}.geojsonl`);
    await measure(
      ["sh", "-c", `grep '"layer":"${layer}"' "$1" | sed '${row}' > "$2"`, "sh", geojson, lines],
      ctx.signal,
    );
    const convert = ["ogr2ogr", "-f", "FlatGeobuf", "-lco", "SPATIAL_INDEX=NO"];
    await measure([...convert, join(folder, `${layer}.fgb`), `GeoJSONSeq:${lines}`], ctx.signal);
  }
  const options = (output: string) => {
    rmSync(join(folder, "temp"), { recursive: true, force: true });
    mkdirSync(join(folder, "temp"));
    return tippecanoeArguments({ minZoom: 4, maxZoom: MAX_ZOOM, tempDir: join(folder, "temp"), output })
      .filter((argument) => !/progress/.test(argument))
      .concat("--force", "--quiet");
  };
  const times: Record<"geojson" | "fgb", { cpu: number[]; wall: number[] }> = {
    geojson: { cpu: [], wall: [] },
    fgb: { cpu: [], wall: [] },
  };
  for (let round = 0; round < rounds; round++) {
    const text = ["sh", "-c", 'exec tippecanoe "$@" < "$0"', geojson, ...options(join(folder, "g.pmtiles"))];
    const files = layers.flatMap((layer) => ["-L", `${layer}:${join(folder, `${layer}.fgb`)}`]);
    const binary = options(join(folder, "f.pmtiles")).filter((argument) => argument !== "--read-parallel");
    for (const [name, command] of [
      ["geojson", text],
      ["fgb", ["tippecanoe", ...binary, "--use-attribute-for-id=row", ...files]],
    ] as const) {
      const { usage } = await measure(command, ctx.signal);
      times[name].cpu.push(usage.cpuS);
      times[name].wall.push(usage.wallS);
    }
  }
  return [
    { what: "tiling GeoJSON from standard input", values: times.geojson.cpu, unit: "CPU s" },
    { what: "tiling FlatGeobuf files", values: times.fgb.cpu, unit: "CPU s" },
    { what: "tiling GeoJSON from standard input", values: times.geojson.wall, unit: "s" },
    { what: "tiling FlatGeobuf files", values: times.fgb.wall, unit: "s" },
  ];
}

/** tippecanoe's own MBTiles to an archive; beside it a plain copy. */
async function timeConversion(folder: string, rounds: number, pool: Pool, ctx: Context): Promise<Line[]> {
  const source = join(folder, "a.mbtiles");
  const options = tippecanoeArguments({ minZoom: 4, maxZoom: MAX_ZOOM, tempDir: join(folder, "temp"), output: source });
  const quiet = options.filter((argument) => !/progress/.test(argument)).concat("--force", "--quiet");
  await measure(["sh", "-c", 'exec tippecanoe "$@" < "$0"', join(folder, "all.geojsonl"), ...quiet], ctx.signal);
  const megabytes = statSync(source).size / 1e6;
  const [converted, copied]: [number[], number[]] = [[], []];
  // The first passes compile: a year's file is a thousand times as large.
  for (let round = -WARM_UP; round < rounds; round++) {
    const end = startWatch();
    await convertMbtiles(source, join(folder, "a.pmtiles"), pool, ctx);
    const { cpuS } = end();
    const endCopy = startWatch();
    copyFileSync(source, join(folder, "copy"));
    const copy = endCopy();
    if (round < 0) continue;
    converted.push(megabytes / cpuS);
    copied.push(megabytes / copy.cpuS);
  }
  return [
    { what: "MBTiles to PMTiles", values: converted, unit: "MB/CPU s", goal: CONVERT_GOAL },
    { what: "the same file copied", values: copied, unit: "MB/CPU s" },
  ];
}

function pageOf(results: {
  readonly machine: ReturnType<typeof describeMachine>;
  readonly date: string;
  readonly quick: boolean;
  readonly fields: number;
  readonly lines: readonly Line[];
}): string {
  const { machine, lines } = results;
  const text = (value: number) => (value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));
  const row = ({ what, unit, goal, values }: Line) => {
    const { median, min, max }: Spread = spread(values);
    const reached = goal === undefined ? "" : `≥ ${text(goal)}: ${median >= goal ? "reached" : "**missed**"}`;
    return `| ${what} | ${text(median)} ${unit} | ${text(min)}–${text(max)} | ${reached} |`;
  };
  return [
    `# Features and tiles carried: ${machine.name}, ${results.date.slice(0, 10)}`,
    "",
    ...(results.quick ? ["**A quick run: it proves that it works. Its figures mean little.**", ""] : []),
    `${machine.cpu}, ${machine.cores} cores; commit ${machine.commit}; load before the start ${machine.load}. ${results.fields.toLocaleString("en")} fields.`,
    "",
    "| | median | range | goal |",
    "|---|---|---|---|",
    ...lines.map(row),
    "",
  ].join("\n");
}
