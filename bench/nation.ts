/** A nation's fields through the whole pipeline, killed and resumed on the way: npm run bench:nation. See bench/README.md. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Arguments, Command } from "../dist/cli/command.js";
import { main } from "../dist/cli/main.js";
import { layoutOf, resolveOptions } from "../dist/config/config.js";
import { parseYears } from "../dist/config/years.js";
import type { Context } from "../dist/pipeline/context.js";
import { PipelineError } from "../dist/pipeline/errors.js";
import type { SampleResult } from "../dist/sample/make-sample.js";
import { DiskWatch } from "./disk-watch.js";
import { describeMachine } from "./machine.js";
import { measure } from "./measured.js";
import type { NationResults, StageRun } from "./nation-results.js";
import { PROJECT } from "./options.js";
import { openRasterio } from "./peers.js";
import { compareWithTruth, type TruthReport } from "./truth.js";
import type { World } from "./world.js";

const COMMAND: Command = {
  name: "npm run bench:nation --",
  summary:
    "Run all years of a nation's made-up fields from parquet and zips to published tiles; kill and resume it on the way.",
  options: ["quiet"],
  own: {
    fields: { type: "string", help: "number of fields [29100000]" },
    years: { type: "string", help: "years [2008-2022]" },
    like: { type: "string", help: "where fields lie: even or us [us]" },
    national: { type: "boolean", help: "rasters of the national size, however few the fields" },
    seed: { type: "string", help: "of the world, and of when the run is killed [1]" },
    kills: { type: "string", help: "how often the run is killed [3]" },
    subset: { type: "string", help: "fields compared with rasterio; 0: none [2000]" },
    data: { type: "string", help: "folder of the world, which is kept, and of the run [work/bench]" },
    out: { type: "string", help: "folder of the results [bench/results]" },
    machine: { type: "string", help: "name of this machine in the results [after its CPU]" },
  },
  examples: ["npm run bench:nation -- --fields 50000 --years 2018-2020", "npm run bench:nation"],
};

function text({ own }: Arguments, name: string, standard: string): string {
  return (own[name] as string | undefined) ?? standard;
}

async function run(args: Arguments, ctx: Context): Promise<NationResults> {
  const machine = describeMachine(args.own.machine as string | undefined);
  const fields = Number(text(args, "fields", "29100000"));
  const years = parseYears(text(args, "years", "2008-2022"));
  const like = text(args, "like", "us");
  const [seed, kills, subset] = [
    Number(text(args, "seed", "1")),
    Number(text(args, "kills", "3")),
    Number(text(args, "subset", "2000")),
  ];
  const data = resolve(PROJECT, text(args, "data", "work/bench"));
  const national = args.own.national === true;
  const world = await openNation(join(data, `nation-${fields}-${like}${national ? "-national" : ""}`), ctx, [
    `--fields=${fields}`,
    `--years=${years.join(",")}`,
    `--seed=${seed}`,
    "--shapes=csb",
    `--like=${like}`,
    ...(national ? ["--national"] : []),
  ]);
  const nation = new Nation(join(data, `nation-run-${fields}`), world, ctx);
  rmSync(nation.root, { recursive: true, force: true });
  mkdirSync(nation.root, { recursive: true });
  const disk = new DiskWatch(nation.root);
  try {
    const stages = await nation.runAll(planKills(years, kills, seed));
    const { peak } = disk;
    const checks = await nation.compareUndisturbed(years);
    const truth: TruthReport[] = [];
    for (const year of years) truth.push(await compareWithTruth(world.files.truth, nation.zonal(year), year));
    if (subset > 0) checks.push(await nation.compareWithRasterio(years.at(-1) as number, subset));
    const total = {
      wallS: sum(stages, "wallS"),
      cpuS: sum(stages, "cpuS"),
      peakRssMiB: Math.max(...stages.map((stage) => stage.peakRssMiB)),
    };
    const { width, height } = world.raster;
    const date = new Date().toISOString();
    const size = { run: peak, world: DiskWatch.bytesOf(world.root) };
    return { machine, date, fields, years, like, raster: { width, height }, stages, total, disk: size, checks, truth };
  } finally {
    disk.stop();
  }
}

/** The world's files; made where they are missing. */
async function openNation(root: string, ctx: Context, options: readonly string[]): Promise<SampleResult> {
  const note = join(root, "world.json");
  const asked = options.join(" ");
  if (existsSync(note)) {
    const known = JSON.parse(readFileSync(note, "utf8")) as { asked: string; made: SampleResult };
    if (known.asked === asked) return known.made;
  }
  ctx.log.info(`makes the world, which is not counted: ${root}`);
  rmSync(root, { recursive: true, force: true });
  const program = [process.execPath, join(PROJECT, "dist/sample.js"), "--root", root, ...options];
  const { stdout, usage } = await measure([...program, "--json", "--quiet"], ctx.signal);
  ctx.log.info(`the world took ${figure(usage.wallS)} s, ${figure(usage.cpuS)} CPU s`);
  const made = JSON.parse(stdout) as SampleResult;
  writeFileSync(note, JSON.stringify({ asked, made }));
  return made;
}

/** The steps of a run by name. */
const BASE = "fields tiled";
const ZONAL = "download, count";
const TILES = "tiles, publish";

/** A share of a step's time, by step: when it is killed. */
type Kills = ReadonlyMap<string, number>;

/** Kill the tiling of the fields, a year's count, and the last year's tiles; more kills fall on other years. */
function planKills(years: readonly number[], count: number, seed: number): Kills {
  const random = (i: number) => createHash("sha256").update(`${seed} ${i}`).digest().readUInt32LE() / 2 ** 32;
  const places = [BASE, `${ZONAL} ${years[Math.floor(random(0) * years.length)]}`, `${TILES} ${years.at(-1)}`];
  for (const year of years) if (!places.includes(`${ZONAL} ${year}`)) places.push(`${ZONAL} ${year}`);
  return new Map(places.slice(0, count).map((place, i) => [place, 0.1 + 0.8 * random(i + 1)]));
}

/** A root in which the run takes place. */
class Nation {
  readonly #zonalSeconds: number[] = [];

  constructor(
    readonly root: string,
    private readonly world: SampleResult,
    private readonly ctx: Context,
  ) {}

  zonal(year: number): string {
    return layoutOf(resolveOptions({ root: this.root }), year).zonal;
  }

  async runAll(kills: Kills): Promise<StageRun[]> {
    const stages: StageRun[] = [];
    const { years, fields } = this.world;
    const step = async (stage: string, year: number | undefined, expectedS: number, command: readonly string[]) => {
      const share = kills.get(year === undefined ? stage : `${stage} ${year}`);
      for (let killAfterS = share === undefined ? undefined : share * expectedS; ; killAfterS = undefined) {
        this.ctx.log.info(`${stage}${year === undefined ? "" : ` ${year}`}`);
        const { usage, killed } = await measure(this.#command(this.root, command), this.ctx.signal, killAfterS);
        stages.push({ stage, ...(year !== undefined && { year }), killed, ...usage });
        if (!killed) return usage.wallS;
        this.ctx.log.info(`killed after ${figure(usage.wallS)} s; goes on`);
      }
    };
    // How long tiling takes is guessed, low rather than high, so that the kill falls into it.
    await step(BASE, undefined, 1 + fields / 60_000, ["prepare", "--base"]);
    for (const year of years) {
      const before = this.#zonalSeconds;
      const expected = before.length === 0 ? 1 + fields / 200_000 : Math.min(...before);
      before.push(await step(ZONAL, year, expected, ["year", String(year), "--until", "zonal"]));
    }
    const last = years.at(-1) as number;
    await step(TILES, last, 0.8 + fields / 2_000_000, ["year", String(last), "--target", `file:${this.root}/web`]);
    return stages;
  }

  /** Make a part again in a root of its own without being killed. @returns what had the same bytes. */
  async compareUndisturbed(years: readonly number[]): Promise<string[]> {
    const root = join(this.root, "undisturbed");
    const year = years.at(-1) as number;
    this.ctx.log.info("an undisturbed run of the last year");
    await measure(this.#command(root, ["year", String(year), "--until", "tiles"]), this.ctx.signal);
    const same: string[] = [];
    const paths = (at: string) => layoutOf(resolveOptions({ root: at }), year);
    for (const [what, name] of [
      ["zonal table", "zonal"],
      ["archive", "archive"],
    ] as const) {
      const [ours, other] = [await digestOf(paths(this.root)[name]), await digestOf(paths(root)[name])];
      if (ours !== other) {
        throw new PipelineError("failed", `The killed run's ${what} differs from an undisturbed run's`, {
          path: paths(this.root)[name],
          year,
          expected: other,
          received: ours,
        });
      }
      same.push(`${year}'s ${what} has the bytes of an undisturbed run's`);
    }
    rmSync(root, { recursive: true });
    return same;
  }

  async compareWithRasterio(year: number, count: number): Promise<string> {
    const folder = join(this.root, "rasterio");
    mkdirSync(folder);
    const zip = this.world.files.cdl[year] as string;
    const unzipped = spawnSync("unzip", ["-q", "-o", zip, "-d", folder]);
    if (unzipped.status !== 0) throw new PipelineError("failed", "Cannot unpack the raster", { path: zip });
    const rasterPath = join(folder, `${year}_30m_cdls.tif`);
    const world = { fieldsPath: this.world.files.raw, rasterPath } as World;
    const [peer] = await openRasterio("/usr/bin/python3", world, Math.min(count, this.world.fields), folder);
    if (peer === undefined) return "rasterio is not installed: not compared";
    await peer.run(this.zonal(year), this.ctx.signal);
    rmSync(folder, { recursive: true });
    return `${peer.fields.toLocaleString("en")} fields of ${year} have rasterio's five figures`;
  }

  #command(root: string, [name, ...args]: readonly string[]): string[] {
    const { raw, clean, cdlSource } = this.world.files;
    const inputs = ["--fields-raw", raw, "--fields-clean", clean];
    const raster = name === "year" ? ["--cdl-source", cdlSource] : [];
    const program = join(PROJECT, "dist", `${name}.js`);
    return [process.execPath, program, ...args, "--root", root, ...inputs, ...raster, "--quiet"];
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function sum(stages: readonly StageRun[], of: "wallS" | "cpuS"): number {
  return stages.reduce((total, stage) => total + stage[of], 0);
}

function figure(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function pageOf({ machine, date, fields, years, like, raster, stages, total, disk, checks, truth }: NationResults) {
  const gb = (bytes: number) => `${figure(bytes / 1e9)} GB`;
  const sure = truth.reduce((n, report) => n + report.sure, 0);
  const counted = truth.reduce((n, report) => n + report.counted, 0);
  const cells = ({ stage, year, killed, wallS, cpuS, peakRssMiB }: StageRun) =>
    `| ${stage}${year === undefined ? "" : ` ${year}`}${killed ? " (killed)" : ""} | ${figure(wallS)} | ${figure(cpuS)} | ${figure(peakRssMiB)} |`;
  return [
    `# ${fields.toLocaleString("en")} fields, ${years.length} years: ${machine.name}, ${date.slice(0, 10)}`,
    "",
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; commit ${machine.commit}; load before the start ${machine.load}. ` +
      `Fields traced from pixels, spread as ${like}, on ${raster.width} x ${raster.height} pixels.`,
    "",
    `${figure(total.wallS / 60)} minutes of wall time, ${figure(total.cpuS)} CPU s, ${figure(total.peakRssMiB)} MiB in the largest process, ` +
      `${gb(disk.run)} on disk at most, in addition to ${gb(disk.world)} of inputs.`,
    "",
    ...checks.map((check) => `- ${check}`),
    `- ${sure.toLocaleString("en")} sure answers of all years are those that were planted`,
    `- ${counted.toLocaleString("en")} fields have the pixels that they were traced from`,
    "",
    "| stage | wall s | CPU s | peak MiB |",
    "|---|---:|---:|---:|",
    ...stages.map(cells),
  ].join("\n");
}

await main(COMMAND, async (args, ctx) => {
  const results = await run(args, ctx);
  const out = resolve(PROJECT, text(args, "out", "bench/results"));
  mkdirSync(out, { recursive: true });
  const stem = join(out, `nation-${results.fields}-${results.machine.name}-${results.date.slice(0, 10)}`);
  const page = pageOf(results);
  writeFileSync(`${stem}.json`, `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(`${stem}.md`, `${page}\n`);
  process.stdout.write(`${page}\n`);
  return undefined;
});
