import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { makeFolder } from "../pipeline/folder.js";
import { writeJsonAtomic } from "../pipeline/json-file.js";
import { removeTreeAsync } from "../pipeline/remove-tree.js";
import { type BatchFile, type Changed, joinBatch } from "./batch-file.js";
import { readChecks } from "./checks.js";
import { Drain } from "./drain.js";
import { GuardLink } from "./guard-link.js";
import { Heartbeat, newRunnerName } from "./heartbeat.js";
import { findProgram, type IsolationName, openIsolation } from "./isolation.js";
import { ItemQueue } from "./item-queue.js";
import { readItems } from "./items.js";
import { BatchLayout, SHARDS } from "./layout.js";
import { LogPack } from "./log-pack.js";
import { budgets } from "./outcome.js";
import { NodeResources, nodeMemoryGiB, readNeeds } from "./resources.js";
import { retryFailed } from "./retry-failed.js";
import { type BatchResult, Runner } from "./runner.js";
import { SlowStart } from "./slow-start.js";
import type { SlurmJob } from "./slurm.js";
import { Takeover } from "./takeover.js";
import { argvTemplate, shellTemplate } from "./template.js";
import { openWorkFolder } from "./work-folder.js";
import type { ItemContext } from "./work-item.js";

export interface RunOptions {
  readonly items: string;
  readonly idName: string | undefined;
  readonly out: string;
  /** An argv, or with `shell` one command line. */
  readonly command: readonly string[];
  readonly shell: boolean;
  readonly isolate: IsolationName;
  readonly image: string | undefined;
  readonly binds: readonly string[];
  /** `NAME=VALUE`, or `NAME` for the runner's own value. */
  readonly env: readonly string[];
  readonly valid: readonly string[];
  readonly workers: number;
  /** Physical cores that the workers share. */
  readonly cores: number;
  /** What an item takes of the node: values, or columns that have them. */
  readonly cpus: string | undefined;
  readonly mem: string | undefined;
  readonly retries: number;
  readonly backoffMs: number;
  readonly timeoutMs: number | undefined;
  /** When running items are ended, ms since 1970. */
  readonly endsAt: number | undefined;
  readonly itemMs: number | undefined;
  readonly staleMs: number;
  /** Folder for the items' work folders; default as work-folder.ts chooses. */
  readonly tmp: string | undefined;
  readonly changed: Changed | undefined;
  readonly retryFailed: boolean;
  readonly slurm: SlurmJob | undefined;
}

const MAX_TIMER_MS = 2 ** 31 - 1;
/**
 * Work on a batch until every item is done or has failed: this process with `workers` items at a
 * time, beside any number of others, on any hosts, over the same folder.
 *
 * @throws {PipelineError} partial, when items failed; paused, when the time was up or it was drained
 *   before all were settled; the signal's reason, when it was ended; locked, when others took it for dead.
 */
export async function runBatch(options: RunOptions, ctx: Context): Promise<BatchResult> {
  const layout = new BatchLayout(resolve(options.out));
  const salt = { command: options.command, shell: options.shell };
  const list = readItems(options.items, options.idName, salt);
  const names = list.fieldNames;
  const cwd = process.cwd();
  const template = options.shell
    ? shellTemplate(options.command.join(" "), names)
    : argvTemplate(localProgram(options, cwd), names);
  const node = { cpus: options.cores, memoryGiB: nodeMemoryGiB() };
  const needs = readNeeds(options, list.items, names, node);
  const checks = readChecks(options.valid, names);
  const isolation = openIsolation({
    name: options.isolate,
    image: options.image && resolve(options.image),
    binds: options.binds.map((bind) => absoluteBind(bind)),
    hostEnv: pick(["PATH", "HOME", "USER", "LANG", "XDG_RUNTIME_DIR"]),
  });
  if (isolation.name === "process" && !template.program.includes("{") && findProgram(template.program) === undefined) {
    throw new PipelineError("tool", "The command's program is not there", { program: template.program });
  }
  makeFolders(layout);
  const file: BatchFile = {
    version: 1,
    command: options.command,
    shell: options.shell,
    isolate: options.isolate,
    image: options.image,
    valid: options.valid,
    items: { path: resolve(options.items), count: list.items.length, id: options.idName },
    createdAt: new Date().toISOString(),
  };
  joinBatch(layout, file, options.changed);

  const name = newRunnerName();
  const work = openWorkFolder(options.tmp, name);
  const drain = new Drain(options.endsAt, options.itemMs, ctx.drain ?? NEVER);
  const guardLost = new AbortController();
  const guard = new GuardLink(name, options.staleMs / 2, work, () =>
    guardLost.abort(new PipelineError("failed", "The guard process of this runner was killed", { runner: name })),
  );
  const runner = new Runner(options.workers, drain, ctx, new LogPack(layout, name));
  const heartbeat = await Heartbeat.open(
    layout,
    name,
    { workers: options.workers, staleMs: options.staleMs, slurm: options.slurm },
    () => ({ tally: runner.tally, draining: drain.draining }),
    () => guard.beat(),
  );
  guard.beat();
  mkdirSync(layout.scratch(name));
  const timeUp = new AbortController();
  const stop = AbortSignal.any([ctx.signal, heartbeat.lost, guardLost.signal, timeUp.signal]);
  const msLeft = drain.msLeft();
  // A timer counts to 24 days; no job lasts that long.
  const clock = msLeft === undefined || msLeft > MAX_TIMER_MS ? undefined : setTimeout(() => timeUp.abort(), msLeft);
  const queue = new ItemQueue(list.items, layout, options.changed === "keep");
  const limits = budgets(options.retries);
  const context: ItemContext = {
    layout,
    queue,
    heartbeat,
    guard,
    isolation,
    template,
    checks,
    trustsChecks: options.valid.length > 0 && checks.length > 0,
    limits,
    backoffMs: options.backoffMs,
    timeoutMs: options.timeoutMs,
    slowStart: new SlowStart(),
    env: itemEnv(options),
    resources: new NodeResources(node, needs),
    work,
    cwd,
    job: options.slurm?.job,
    stop,
    log: ctx.log,
  };
  const takeover = new Takeover(
    layout,
    name,
    limits,
    options.backoffMs,
    ctx.log,
    (item) => queue.itemAt(item)?.id ?? item.name,
    options.staleMs,
  );
  try {
    await takeover.freeOrphans();
    const redone = await queue.open();
    ctx.log.info(`${list.items.length.toLocaleString("en")} items, ${options.workers} at a time`, {
      runner: name,
      done: queue.counts().done,
      failed: queue.counts().failed,
      ...(redone.missing > 0 && { "output gone, made again": redone.missing }),
      ...(redone.changed > 0 && { "fields or command changed": redone.changed }),
    });
    if (options.retryFailed) await retryFailed(list.items, layout, queue);
    await runner.run(context, takeover);
  } finally {
    clearTimeout(clock);
    await guard.close();
    if (!heartbeat.lost.aborted) {
      await removeTreeAsync(layout.scratch(name));
      writeJsonAtomic(join(layout.runs(), `${name}.json`), JSON.parse(heartbeat.text()));
    }
    await heartbeat.close();
  }
  ctx.signal.throwIfAborted();
  heartbeat.lost.throwIfAborted();
  guardLost.signal.throwIfAborted();
  return runner.result(context);
}

const NEVER = new AbortController().signal;

function makeFolders(layout: BatchLayout): void {
  for (const folder of [layout.runners(), layout.runs(), layout.packed(), layout.scratch("")]) makeFolder(folder);
  const kinds = [layout.outputs(""), layout.records(""), layout.claims(""), join(layout.root, "logs")];
  if (kinds.every((folder) => existsSync(folder) && readdirSync(folder).length >= SHARDS.length)) return;
  for (const shard of SHARDS) {
    for (const folder of kinds) makeFolder(join(folder, shard));
  }
}

/** The program by an absolute path where it is given as a relative one: items run in folders of their own. */
function localProgram({ command, isolate }: RunOptions, cwd: string): readonly string[] {
  const [program = "", ...rest] = command;
  const local = program.includes("/") && !program.startsWith("/") && !program.startsWith("{");
  return local && (isolate === "process" || isolate === "bwrap") ? [resolve(cwd, program), ...rest] : command;
}

function absoluteBind(bind: string): string {
  const [source = "", ...rest] = bind.split(":");
  return [resolve(source), ...(rest.length > 0 ? rest : [resolve(source)])].join(":");
}

/** What items find in their environment: nothing of the runner's but the search path, and what was asked for. */
function itemEnv({ env, workers, cores }: RunOptions): Record<string, string> {
  const asked = env.map((text) => {
    const [name = "", ...value] = text.split("=");
    if (name === "") throw new PipelineError("usage", "--env must be NAME or NAME=VALUE", { received: text });
    const given: string | undefined = value.length > 0 ? value.join("=") : process.env[name];
    if (given === undefined) throw new PipelineError("usage", "--env names a variable that is not set", { name });
    return [name, given];
  });
  return {
    ...pick(["PATH", "USER", "TZ"]),
    LANG: "C.UTF-8",
    // Libraries that count CPUs themselves would start a thread on each of them in every item.
    OMP_NUM_THREADS: String(Math.max(1, Math.floor(cores / workers))),
    ...Object.fromEntries(asked),
  };
}

function pick(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
