/** What a year's tiles cost from precompressed tiles and by tiling in full: npm run bench:tiles. See bench/README.md. */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { Archive } from "../dist/archive/reader.js";
import { tileOf } from "../dist/archive/tile-id.js";
import type { Arguments, Command } from "../dist/cli/command.js";
import { main } from "../dist/cli/main.js";
import type { Context } from "../dist/pipeline/context.js";
import { PipelineError } from "../dist/pipeline/errors.js";
import { describeMachine, type Machine } from "./machine.js";
import { measure, type Usage } from "./measured.js";
import { PROJECT } from "./options.js";
import { onCores } from "./run.js";
import { ratios, type Spread, spread } from "./statistics.js";
import type { MakeReport, MakeTask, TileReport, TileTask, YearsReport, YearsTask } from "./tiles-stage.js";
import { openWorld } from "./world.js";

const YEAR = 2020;
const STAGE = fileURLToPath(new URL("./tiles-stage.js", import.meta.url));
/** Years made in one pass, to see what the shared decompression spares. */
const TOGETHER = 3;

const COMMAND: Command = {
  name: "npm run bench:tiles --",
  summary: "Time a year's tiles: crops put into precompressed tiles against tippecanoe tiling the year in full.",
  options: ["quiet"],
  own: {
    fields: { type: "string", help: "fields of the made-up world [200000; 3000 with --quick]" },
    runs: { type: "string", help: "rounds of a year; tippecanoe tiles once [3; 1 with --quick]" },
    quick: { type: "boolean", help: "a small world and one round: proves that it works, its figures mean little" },
    root: {
      type: "string",
      help: "a root of your own that has fields and a zonal table of 2020, instead of a made-up one",
    },
    data: { type: "string", help: "folder of the made-up worlds, kept between runs [work/bench]" },
    out: { type: "string", help: "folder of the results [bench/results; with --quick the data folder's results/]" },
    machine: { type: "string", help: "name of this machine in the results [after its CPU]" },
  },
  examples: ["npm run bench:tiles", "npm run bench:tiles -- --quick"],
};

export interface TilesResults {
  readonly machine: Machine;
  readonly date: string;
  readonly quick: boolean;
  readonly fields: number;
  /** Fields of the user, with more vertices than made-up ones and borders that they share. */
  readonly ownFields?: boolean;
  /** The year tiled in full: the whole command, and tippecanoe alone. */
  readonly full: Usage;
  readonly tippecanoeCpuS: number;
  /** The native tiler alone, by one thread, and by two. */
  readonly tiler?: readonly TileReport[];
  readonly tilerByTwo?: readonly TileReport[];
  /** The base made: the whole command. */
  readonly base: Usage;
  /** Of it, precompressing; beside gzip 6 of the same tiles. */
  readonly make: readonly MakeReport[];
  readonly years: readonly { readonly threads: number; readonly outputs: number; readonly runs: readonly YearsRun[] }[];
  /** Of tiles: records filled; every tile rewritten, at zlib's gzip 6; tiled in full. */
  readonly bytes: { readonly filled: number; readonly rewrittenGzip6: number; readonly full: number };
  /** Of tiles of zoom 10 and up: a year's, and those of tippecanoe. */
  readonly highZooms?: { readonly filled: number; readonly full: number };
}

type YearsRun = YearsReport & { readonly process: Usage };
/** Archives that a field set gets. */
const ALL_YEARS = 15;
/** Lower zooms show cells, where tippecanoe drops most fields. */
const ALL_FIELDS_ZOOM = 10;

await main(COMMAND, async (args, ctx) => {
  const results = await run(args, ctx);
  const quick = results.quick;
  const data = folderOf(args, "data", "work/bench");
  const out = folderOf(args, "out", quick ? join(data, "results") : "bench/results");
  mkdirSync(out, { recursive: true });
  const stem = join(out, `tiles-${results.machine.name}-${results.date.slice(0, 10)}`);
  writeFileSync(`${stem}.json`, `${JSON.stringify(results, null, 2)}\n`);
  const page = pageOf(results);
  writeFileSync(`${stem}.md`, `${page}\n`);
  process.stdout.write(`${page}\n`);
  return undefined;
});

function folderOf({ own }: Arguments, flag: string, standard: string): string {
  return resolve(PROJECT, (own[flag] as string | undefined) ?? standard);
}

async function run({ own }: Arguments, ctx: Context): Promise<TilesResults> {
  const quick = own.quick === true;
  const machine = describeMachine(own.machine as string | undefined);
  const data = (own.data as string | undefined) ?? join(PROJECT, "work/bench");
  const scratch = join(data, "tiles-scratch");
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  const root =
    (own.root as string | undefined) ??
    (await madeUpRoot(data, scratch, Number(own.fields ?? (quick ? 3000 : 200_000)), ctx));
  const threads = machine.cores;
  const command = (name: string, ...args: string[]) => [
    process.execPath,
    join(PROJECT, "dist", `${name}.js`),
    ...args,
    "--quiet",
  ];

  ctx.log.info("tiles the year in full");
  const timed = timedTippecanoe(scratch);
  const fullArgs = [String(YEAR), "--tiles=full", "--force", "--root", root, "--tippecanoe", timed.program];
  const full = await measure(command("tiles", ...fullArgs), ctx.signal);
  const tippecanoeCpuS = timed.seconds();
  const fullArchive = join(root, `outputs/tiles/fields_us_${YEAR}_full.pmtiles`);
  const fullBytes = tileBytes(fullArchive);
  ctx.log.info("makes the base");
  rmSync(join(root, "data/base"), { recursive: true, force: true });
  const archive = join(scratch, "base.pmtiles");
  const base = await measure(command("prepare", "--base", "--root", root), ctx.signal);
  await measure(command("prepare", "--base", "--root", root, "--pmtiles", archive), ctx.signal);
  const fields = countRows(root);

  const stage = async <R>(threads: number, task: YearsTask | MakeTask | TileTask): Promise<R & { process: Usage }> => {
    const { usage, stdout } = await measure(
      [...onCores(threads), process.execPath, STAGE, JSON.stringify(task)],
      ctx.signal,
    );
    return { ...(JSON.parse(stdout) as R), process: usage };
  };
  const yearsTask = { kind: "years", root, year: YEAR, out: scratch } as const;
  const counts = [...new Set([1, 2, threads])].filter((n) => n <= Math.max(2, threads));
  const kinds = [...counts.map((n) => ({ threads: n, outputs: 1 })), { threads: 1, outputs: TOGETHER }];
  const runs = kinds.map((): YearsRun[] => []);
  const make: MakeReport[] = [];
  const tiler: TileReport[] = [];
  const tilerByTwo: TileReport[] = [];
  for (let round = 0; round < Number(own.runs ?? (quick ? 1 : 3)); round++) {
    ctx.log.info("tiles the fields", { round });
    tiler.push(await stage<TileReport>(1, { kind: "tile", root, threads: 1, out: scratch }));
    tilerByTwo.push(await stage<TileReport>(2, { kind: "tile", root, threads: 2, out: scratch }));
    ctx.log.info("precompresses", { round });
    make.push(await stage<MakeReport>(1, { kind: "make", archive, rows: fields, out: scratch }));
    for (const [i, kind] of kinds.entries()) {
      ctx.log.info("makes a year", { round, ...kind });
      runs[i]?.push(await stage<YearsReport>(kind.threads, { ...yearsTask, ...kind, passes: 2 }));
    }
  }
  const filled = tileBytes(join(scratch, "year-0.pmtiles"));
  ctx.log.info("rewrites every tile, for the size");
  await stage<YearsReport>(threads, { ...yearsTask, threads, outputs: 1, passes: 1, archive });
  const { gzip6 } = tileBytes(join(scratch, "year-0.pmtiles"), true);
  rmSync(scratch, { recursive: true, force: true });
  return {
    machine,
    date: new Date().toISOString(),
    quick,
    fields,
    ownFields: own.root !== undefined,
    full: full.usage,
    tippecanoeCpuS,
    tiler,
    tilerByTwo,
    base: base.usage,
    make,
    years: kinds.map((kind, i) => ({ ...kind, runs: runs[i] as YearsRun[] })),
    bytes: { filled: filled.stored, rewrittenGzip6: gzip6, full: fullBytes.stored },
    highZooms: { filled: filled.highZooms, full: fullBytes.highZooms },
  };
}

/** A root with made-up fields and the year's zonal table. */
async function madeUpRoot(data: string, scratch: string, fields: number, ctx: Context): Promise<string> {
  const world = await openWorld(data, fields, "tiled", ctx);
  const root = join(scratch, "root");
  mkdirSync(join(root, "data"), { recursive: true });
  mkdirSync(join(root, "outputs/zonal"), { recursive: true });
  for (const name of ["fields_raw.parquet", "fields_clean.parquet"]) {
    copyFileSync(join(world.fieldsPath, "..", name), join(root, "data", name));
  }
  const out = join(root, `outputs/zonal/zonal_us_${YEAR}.parquet`);
  const program = [process.execPath, join(PROJECT, "dist/zonal.js"), "--quiet"];
  await measure([...program, "--fields", world.fieldsPath, "--raster", world.rasterPath, "--out", out], ctx.signal);
  return root;
}

/** tippecanoe behind a shell that notes its CPU time: the streaming of features beside it is not counted. */
function timedTippecanoe(folder: string) {
  const [program, note] = [join(folder, "tippecanoe"), join(folder, "tippecanoe-stat")];
  writeFileSync(
    program,
    `#!/bin/sh\ntippecanoe "$@"; code=$?; read -r stat < /proc/$$/stat; echo "$stat" >> '${note}'; exit $code\n`,
    {
      mode: 0o755,
    },
  );
  appendFileSync(note, "");
  const ticks = (stat: string) => {
    const values = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(values[13]) + Number(values[14]);
  };
  const seconds = () => {
    const lines = readFileSync(note, "utf8").split("\n").filter(Boolean);
    return lines.reduce((sum, line) => sum + ticks(line), 0) / 100;
  };
  return { program, seconds };
}

/** Bytes of all tiles as stored, of them those of high zooms, and all as zlib's gzip 6 would have them. */
function tileBytes(path: string, compress = false): { stored: number; highZooms: number; gzip6: number } {
  if (!existsSync(path)) throw new PipelineError("failed", "An archive that was to be measured is not there", { path });
  const archive = new Archive(path);
  try {
    let [stored, highZooms, gzip6] = [0, 0, 0];
    for (let i = 0; i < archive.entries.count; i++) {
      const tile = archive.storedTile(i);
      stored += tile.length;
      if (tileOf(archive.entries.tileId(i)).z >= ALL_FIELDS_ZOOM) highZooms += tile.length;
      if (compress) gzip6 += gzipSync(gunzipSync(tile), { level: 6 }).length;
    }
    return { stored, highZooms, gzip6 };
  } finally {
    archive.close();
  }
}

function countRows(root: string): number {
  const record = JSON.parse(readFileSync(join(root, `outputs/state/us_${YEAR}_tiles.json`), "utf8"));
  return record.facts.rows as number;
}

function pageOf(results: TilesResults): string {
  const { machine, bytes, full, base, make, tippecanoeCpuS, years } = results;
  const of = (threads: number, outputs = 1) =>
    years.find((kind) => kind.threads === threads && kind.outputs === outputs)?.runs ?? [];
  const one = of(1);
  const values = (runs: readonly YearsRun[], take: (run: YearsRun) => number) => runs.map(take);
  const writeCpu = values(one, ({ write }) => write.cpuS);
  const workCpu = values(one, ({ work }) => work.cpuS);
  const makeCpu = make.map(({ precompress }) => precompress.cpuS);
  const constant = (value: number) => one.map(() => value);
  const share = one.map(({ kernel, write }) => (100 * kernel.reduce((sum, s) => sum + s, 0)) / write.cpuS);
  const rewritten = one.map((run) => (100 * run.rewritten) / run.tiles);
  const tilerCpu = (results.tiler ?? []).map(({ tile }) => tile.cpuS);
  const { tilerByTwo = [], highZooms } = results;
  const peaks = [base, ...one.map(({ process }) => process)].map(({ peakRssMiB }) => peakRssMiB);
  const bars: [string, Spread, string, number | undefined, boolean][] = [
    ...(tilerCpu.length === 0
      ? []
      : [
          [
            "tippecanoe's CPU by the native tiler's (fields to tiles)",
            ratios(
              tilerCpu.map(() => tippecanoeCpuS),
              tilerCpu,
            ),
            "x",
            10,
            true,
          ] satisfies [string, Spread, string, number, boolean],
        ]),
    ...(tilerByTwo.length === 0
      ? []
      : [
          [
            "2 threads, speed-up of the native tiler",
            ratios(
              (results.tiler ?? []).map(({ tile }) => tile.wallS),
              tilerByTwo.map(({ tile }) => tile.wallS),
            ),
            "x",
            1.8,
            true,
          ] satisfies [string, Spread, string, number, boolean],
        ]),
    [
      "tippecanoe's CPU by the whole base's (precompressing, audit, and start too)",
      spread([tippecanoeCpuS / base.cpuS]),
      "x",
      10,
      true,
    ],
    [
      `the whole base and the work of ${ALL_YEARS} years, CPU s per 200,000 fields`,
      spread(workCpu.map((s) => ((base.cpuS + ALL_YEARS * s) * 200_000) / results.fields)),
      "s",
      results.ownFields ? 40 : 15,
      false,
    ],
    ["peak memory of the base and of a year, MiB", spread([Math.max(...peaks)]), "MiB", 1024, false],
    ...(highZooms === undefined
      ? []
      : [
          [
            `tiles from zoom ${ALL_FIELDS_ZOOM} on by tippecanoe's, bytes`,
            spread([highZooms.filled / highZooms.full]),
            "x",
            1,
            false,
          ] satisfies [string, Spread, string, number, boolean],
        ]),
    ["tippecanoe's CPU by a year's (base in, archive out)", ratios(constant(tippecanoeCpuS), writeCpu), "x", 40, true],
    [
      "tippecanoe's CPU by all of the year's work (join and comparison too)",
      ratios(constant(tippecanoeCpuS), workCpu),
      "x",
      undefined,
      true,
    ],
    [
      "precompressing by gzip 6 of the same tiles (both decompress them first)",
      ratios(
        makeCpu,
        make.map(({ gzip6 }) => gzip6.cpuS),
      ),
      "x",
      2,
      false,
    ],
    [
      `precompressing and ${ALL_YEARS} years, CPU s`,
      spread(makeCpu.map((s, i) => s + ALL_YEARS * (writeCpu[i] as number))),
      "s",
      undefined,
      false,
    ],
    [
      "2 threads, speed-up of a year",
      ratios(
        values(one, ({ write }) => write.wallS),
        values(of(2), ({ write }) => write.wallS),
      ),
      "x",
      1.8,
      true,
    ],
    ["share of a year's CPU in the kernel, not in reading and writing", spread(share), "%", undefined, true],
    ["tiles whose records could not be filled", spread(rewritten), "%", 0.3, false],
    [
      "precompressed tiles by the base's gzip tiles, bytes",
      spread(make.map(({ precompressedBytes, gzip6Bytes }) => precompressedBytes / gzip6Bytes)),
      "x",
      1.77,
      false,
    ],
    [
      "a year's tiles by the same rewritten at gzip 6, bytes",
      spread([bytes.filled / bytes.rewrittenGzip6]),
      "x",
      1.01,
      false,
    ],
    [
      `${TOGETHER} years in one pass by ${TOGETHER} times one`,
      ratios(
        values(of(1, TOGETHER), ({ write }) => write.cpuS),
        writeCpu.map((s) => s * TOGETHER),
      ),
      "x",
      undefined,
      false,
    ],
  ];
  const text = (value: number) => value.toPrecision(3);
  const rows = years.flatMap(({ threads, outputs, runs }) => {
    const middle = (take: (run: YearsRun) => number) => text(spread(values(runs, take)).median);
    return [
      `| ${outputs === 1 ? "a year" : `${outputs} years`} | ${threads} | ${middle((r) => r.write.cpuS)} | ${middle((r) => r.write.wallS)} | ${middle((r) => r.kernel[0])} | ${middle((r) => r.kernel[1])} | ${middle((r) => r.kernel[2])} | ${middle((r) => r.kernel[3])} | ${middle((r) => r.process.cpuS)} | ${middle((r) => r.peakRssMiB)} |`,
    ];
  });
  return [
    `# A year's tiles: ${machine.name}, ${results.date.slice(0, 10)}`,
    "",
    ...(results.quick ? ["**A quick run: it proves that it works. Its figures mean little.**", ""] : []),
    `${machine.cpu}, ${machine.cores} cores; commit ${machine.commit}; load before the start ${machine.load}. ${results.fields.toLocaleString("en")} fields, a polygon and a centroid each, zooms 4 to 14; ${one[0]?.tiles.toLocaleString("en")} tiles, ${(bytes.filled / 1e6).toFixed(1)} MB (full: ${(bytes.full / 1e6).toFixed(1)} MB).`,
    "",
    "| | measured | range | goal | |",
    "|---|---|---|---|---|",
    ...bars.map(([name, { median, min, max }, unit, goal, atLeast]) => {
      const reached = goal === undefined ? "" : (atLeast ? median >= goal : median <= goal) ? "reached" : "**missed**";
      const wanted = goal === undefined ? "" : `${atLeast ? "≥" : "≤"} ${goal}`;
      return `| ${name} | ${text(median)} ${unit} | ${text(min)}–${text(max)} | ${wanted} | ${reached} |`;
    }),
    "",
    `tippecanoe alone ${text(tippecanoeCpuS)} CPU s; the year in full, streaming and audit included, ${text(full.cpuS)}; the base, once per field set, ${text(base.cpuS)}, of which precompressing ${text(spread(makeCpu).median)} (gzip 6 of the same tiles: ${text(spread(make.map(({ gzip6 }) => gzip6.cpuS)).median)}).`,
    "",
    "| second pass in one process | threads | CPU s | wall s | read base tiles | rewrite | compress | fill | whole process, two passes: CPU s | peak MiB |",
    "|---|---|---|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}
