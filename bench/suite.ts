import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../dist/pipeline/context.js";
import { PipelineError } from "../dist/pipeline/errors.js";
import { type Contender, peerContender, stageOn, zonalCommand } from "./contender.js";
import { describeMachine } from "./machine.js";
import type { BenchOptions } from "./options.js";
import { exactextractVersion, openExactextract, openRasterio, type Peer } from "./peers.js";
import type { MemoryPoint, Outcome, Results } from "./results.js";
import type { Run } from "./run.js";
import { openWorld, type World } from "./world.js";

/** Above this something else runs on the machine. */
const QUIET_LOAD = 0.5;
const MEMORY_THREADS = [1, 2, 4];

/**
 * Measure everything: worlds made, answers checked, then rounds in which every
 * contender runs once, one after the other.
 *
 * @throws {PipelineError} failed, when an answer is wrong: then nothing is timed.
 */
export async function runSuite(options: BenchOptions, ctx: Context): Promise<Results> {
  const machine = describeMachine(options.machine);
  if (machine.load > QUIET_LOAD && !options.quick) {
    ctx.log.warn("The machine is not quiet: the figures will be too slow", { load: machine.load });
  }
  if (options.exactextract !== undefined) exactextractVersion(options.exactextract);
  const folder = join(options.data, "scratch");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tiled = await openWorld(options.data, options.fields, "tiled", ctx);
  const strips = await openWorld(options.data, options.fields, "strips", ctx);
  const reference = new Reference(join(folder, "reference.parquet"), join(folder, "reference.zones"));
  const checks = await reference.make(tiled, strips, Math.max(...options.threads), folder, ctx);
  const peers = await openPeers(options, tiled, folder, ctx);
  for (const peer of peers) {
    await peer.run(reference.table, ctx.signal);
    checks.push(`${peer.name}: answers of ${peer.fields.toLocaleString("en")} fields held against ours`);
  }
  const contenders = contendersOf(options, tiled, strips, folder, peers, reference);
  const large =
    options.largeFields > 0 ? await openWorld(options.data, options.largeFields, "tiled", ctx, "large") : undefined;
  if (large) {
    const index = join(folder, "large.zones");
    checks.push(await reference.makeLarge(large, index, Math.max(...options.threads), folder, ctx));
    contenders.push(
      stageOn("decode", large, 1, folder),
      ...options.threads.map((threads) => stageOn("scan", large, threads, folder, index)),
      stageOn("scan", large, 1, folder, index, 2),
    );
  }
  const outcomes = await runRounds(contenders, options.runs, reference, ctx);
  const worlds = [tiled, strips, ...(large ? [large] : [])];
  const memory = peaksOf(outcomes);
  const further = options.quick ? [] : MEMORY_THREADS.filter((threads) => !options.threads.includes(threads));
  memory.push(...(await measureMemory(tiled, reference.index, further, folder, ctx)));
  if (options.memoryFields > 0) {
    const many = await openWorld(options.data, options.memoryFields, "tiled", ctx, "many");
    worlds.push(many);
    const index = join(folder, "many.zones");
    await stageOn("build", many, machine.cores, folder, index).run(ctx.signal);
    memory.push(...(await measureMemory(many, index, MEMORY_THREADS, folder, ctx)));
  }
  const [tableBytes, indexBytes] = [statSync(reference.table).size, statSync(reference.index).size];
  rmSync(folder, { recursive: true, force: true });
  return {
    machine,
    date: new Date().toISOString(),
    quick: options.quick,
    rounds: options.runs,
    worlds,
    checks,
    peers: peers.map(({ name, how }) => `${name}: ${how}`),
    outcomes,
    memory,
    tableBytes,
    indexBytes,
  };
}

async function openPeers(options: BenchOptions, world: World, folder: string, ctx: Context): Promise<Peer[]> {
  const peers = await openRasterio(options.python, world, options.subset.rasterio, folder);
  if (peers.length === 0)
    ctx.log.warn("rasterio is left out: this Python has none (Debian: python3-rasterio)", { python: options.python });
  const program = options.exactextract;
  if (program !== undefined) peers.push(await openExactextract(program, world, options.subset.exactextract, folder));
  return peers;
}

/** The table and the index that every later run must give again, byte for byte. */
class Reference {
  #digest = "";
  #largeDigest = "";

  constructor(
    readonly table: string,
    readonly index: string,
  ) {}

  /** @returns what was compared. */
  async make(tiled: World, strips: World, threads: number, folder: string, ctx: Context): Promise<string[]> {
    ctx.log.info("checks the answers");
    const direct = zonalCommand(tiled, 1, folder);
    await direct.run(ctx.signal);
    copyFileSync(direct.table as string, this.table);
    this.#digest = digestOf(this.table);
    await stageOn("build", tiled, 1, folder).run(ctx.signal);
    const others = [
      zonalCommand(tiled, threads, folder),
      zonalCommand(tiled, threads, folder, this.index),
      ...[tiled, strips].flatMap((world) => [
        stageOn("scan", world, 1, folder),
        stageOn("scan", world, threads, folder),
        stageOn("direct", world, threads, folder),
      ]),
    ];
    for (const other of others) {
      await other.run(ctx.signal);
      this.check(other);
    }
    return [
      `the same table, byte for byte, with and without an index, tiled and strips, with 1 and ${threads} threads`,
    ];
  }

  /** The same of the larger world, whose index is made at `index`. */
  async makeLarge(world: World, index: string, threads: number, folder: string, ctx: Context): Promise<string> {
    await stageOn("build", world, threads, folder, index).run(ctx.signal);
    const [first, ...others] = [
      stageOn("direct", world, 1, folder),
      stageOn("scan", world, 1, folder, index),
      stageOn("scan", world, threads, folder, index),
    ] as const;
    await first.run(ctx.signal);
    this.#largeDigest = digestOf(first.table as string);
    for (const other of others) {
      await other.run(ctx.signal);
      this.check(other);
    }
    return `the same of ${world.fields.toLocaleString("en")} fields`;
  }

  check({ key, table, world }: Contender): void {
    const expected = world === "large" ? this.#largeDigest : this.#digest;
    if (table === undefined || digestOf(table) === expected) return;
    throw new PipelineError("failed", "A table differs from the reference", { path: table, run: key });
  }
}

function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function contendersOf(
  options: BenchOptions,
  tiled: World,
  strips: World,
  folder: string,
  peers: readonly Peer[],
  reference: Reference,
): Contender[] {
  const own = join(folder, "round.zones");
  return [
    ...options.threads.map((threads) => stageOn("start", tiled, threads, folder)),
    stageOn("decode", tiled, 1, folder),
    stageOn("read", tiled, 1, folder),
    ...options.threads.map((threads) => stageOn("scan", tiled, threads, folder)),
    stageOn("scan", tiled, 1, folder, reference.index, 2),
    stageOn("decode", strips, 1, folder),
    stageOn("read", strips, 1, folder),
    ...options.threads.map((threads) => stageOn("scan", strips, threads, folder)),
    ...options.threads.map((threads) => stageOn("build", tiled, threads, folder, own)),
    stageOn("build", tiled, 1, folder, own, 2),
    ...peers.map((peer) => peerContender(peer, reference.table)),
    ...options.threads.map((threads) => stageOn("direct", tiled, threads, folder)),
    stageOn("direct", strips, 1, folder),
    zonalCommand(tiled, 1, folder),
    zonalCommand(tiled, 1, folder, reference.index),
  ];
}

async function runRounds(
  contenders: readonly Contender[],
  rounds: number,
  reference: Reference,
  ctx: Context,
): Promise<Outcome[]> {
  const runs = contenders.map((): Run[] => []);
  const task = ctx.progress.start("runs timed", rounds * contenders.length);
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      runs[i]?.push(await contender.run(ctx.signal));
      reference.check(contender);
      task.update(++done);
    }
  }
  task.end();
  return contenders.map(({ key, title, threads, fields, mpx }, i) => ({
    key,
    title,
    threads,
    fields,
    mpx,
    runs: runs[i] as Run[],
  }));
}

/** Of the runs that were timed anyway. */
function peaksOf(outcomes: readonly Outcome[]): MemoryPoint[] {
  return outcomes.flatMap(({ key, fields, threads, runs }) => {
    const stage = /^(scan|direct) tiled \d+$/.exec(key)?.[1] as MemoryPoint["stage"] | undefined;
    if (stage === undefined) return [];
    return [{ stage, fields, threads, peakRssMiB: Math.max(...runs.map(({ process }) => process.peakRssMiB)) }];
  });
}

async function measureMemory(
  world: World,
  index: string,
  threadCounts: readonly number[],
  folder: string,
  ctx: Context,
): Promise<MemoryPoint[]> {
  const points: MemoryPoint[] = [];
  for (const stage of ["scan", "direct"] as const) {
    for (const threads of threadCounts) {
      const { process } = await stageOn(stage, world, threads, folder, index).run(ctx.signal);
      points.push({ stage, fields: world.fields, threads, peakRssMiB: process.peakRssMiB });
    }
  }
  return points;
}
