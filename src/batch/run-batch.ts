import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, isNoSpace, PipelineError } from "../pipeline/errors.js";
import { writeJsonAtomic } from "../pipeline/record.js";
import { type BatchFile, type Changed, joinBatch } from "./batch-file.js";
import { Board, type Counts } from "./board.js";
import { readChecks } from "./checks.js";
import { Drain } from "./drain.js";
import { GuardLink } from "./guard-link.js";
import { findProgram, type IsolationName, openIsolation } from "./isolation.js";
import { type Item, readItems } from "./items.js";
import { BatchLayout, SHARDS } from "./layout.js";
import { budgets } from "./outcome.js";
import { beatMs, newRunnerName, Presence, type Tally } from "./presence.js";
import { StartRamp } from "./ramp.js";
import { retryFailed } from "./retry-failed.js";
import type { SlurmJob } from "./slurm.js";
import { Takeover } from "./takeover.js";
import { argvTemplate, shellTemplate } from "./template.js";
import { openWorkFolder } from "./work-folder.js";
import { type Bench, type Outcome, workOn } from "./work-item.js";

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

export interface BatchResult extends Counts {
  readonly out: string;
  /** What this runner did itself. */
  readonly runner: Tally & { readonly name: string; readonly lostOthers: number };
  readonly seconds: number;
}

/** While there is nothing to start, the shards that have something left are listed at this interval. */
const IDLE_MS = { least: 500, most: 5_000 } as const;
/** And beside work, so that progress tells of all runners. */
const REFRESH_MS = 30_000;
const MOST_TIMER_MS = 2 ** 31 - 1;
/** Faults of the batch's own file system in a row, after which the runner gives up. */
const MOST_FAULTS = 20;
/** Containers that fail to start in a row, with none that started, after which it is no passing fault. */
const MOST_START_FAILURES = 50;

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
  const runner = new Runner(options.workers, drain, ctx);
  const presence = await Presence.open(
    layout,
    name,
    { workers: options.workers, staleMs: options.staleMs, slurm: options.slurm },
    () => ({ tally: runner.tally, draining: drain.draining }),
    () => guard.beat(),
  );
  guard.beat();
  mkdirSync(layout.scratch(name));
  const timeUp = new AbortController();
  const stop = AbortSignal.any([ctx.signal, presence.lost, guardLost.signal, timeUp.signal]);
  const msLeft = drain.msLeft();
  // A timer counts to 24 days; no job lasts that long.
  const clock = msLeft === undefined || msLeft > MOST_TIMER_MS ? undefined : setTimeout(() => timeUp.abort(), msLeft);
  const board = new Board(list.items, layout, options.changed === "keep");
  const limits = budgets(options.retries);
  const bench: Bench = {
    layout,
    board,
    presence,
    guard,
    isolation,
    template,
    checks,
    trustsChecks: options.valid.length > 0 && checks.length > 0,
    limits,
    backoffMs: options.backoffMs,
    timeoutMs: options.timeoutMs,
    ramp: new StartRamp(),
    env: itemEnv(options),
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
    (place) => board.itemAt(place)?.id ?? place.name,
  );
  try {
    await takeover.freeOrphans();
    const redone = await board.open();
    ctx.log.info(`${list.items.length.toLocaleString("en")} items, ${options.workers} at a time`, {
      runner: name,
      done: board.counts().done,
      failed: board.counts().failed,
      ...(redone.missing > 0 && { "output gone, made again": redone.missing }),
      ...(redone.changed > 0 && { "fields or command changed": redone.changed }),
    });
    if (options.retryFailed) await retryFailed(list.items, layout, board);
    await runner.run(bench, takeover);
  } finally {
    clearTimeout(clock);
    await guard.close();
    if (!presence.lost.aborted) {
      rmSync(layout.scratch(name), { recursive: true, force: true });
      writeJsonAtomic(join(layout.runs(), `${name}.json`), JSON.parse(presence.text()));
    }
    await presence.close();
  }
  ctx.signal.throwIfAborted();
  presence.lost.throwIfAborted();
  guardLost.signal.throwIfAborted();
  return runner.result(bench);
}

const NEVER = new AbortController().signal;

/** The lanes of one runner. */
class Runner {
  readonly #running = new Set<Promise<void>>();
  readonly #began = performance.now();
  #limit: number;
  #faults = 0;
  #freed = 0;
  #error: PipelineError | undefined;
  #wake = () => {};
  #tally: Omit<Tally, "running"> = { done: 0, found: 0, failed: 0, retries: 0, itemSeconds: 0, longestSeconds: 0 };

  constructor(
    workers: number,
    private readonly drain: Drain,
    private readonly ctx: Context,
  ) {
    this.#limit = workers;
  }

  get tally(): Tally {
    return { ...this.#tally, running: this.#running.size };
  }

  async run(bench: Bench, takeover: Takeover): Promise<void> {
    const { board, stop } = bench;
    const counts = board.counts();
    const task = this.ctx.progress.start("items done", counts.items, counts.done + counts.failed);
    let watching: Promise<void> | undefined;
    const watcher = setInterval(() => {
      watching ??= takeover
        .round()
        .then(async (freed) => {
          this.#freed += freed;
          if (freed > 0) await board.refresh();
        })
        .catch((error: unknown) => this.ctx.log.warn(`other runners cannot be seen: ${(error as Error).message}`))
        .finally(() => {
          watching = undefined;
          this.#wake();
        });
    }, beatMs(bench.presence.staleMs));
    try {
      await this.#loop(bench, () => {
        const now = board.counts();
        task.update(now.done + now.failed);
      });
    } finally {
      clearInterval(watcher);
      await watching;
      await Promise.allSettled(this.#running);
      task.end();
    }
    if (this.#error !== undefined && !stop.aborted) throw this.#error;
  }

  async #loop(bench: Bench, show: () => void): Promise<void> {
    const { board, stop } = bench;
    let idleMs: number = IDLE_MS.least;
    let refreshed = performance.now();
    while (!stop.aborted && this.#error === undefined) {
      while (this.#running.size < this.#limit && this.drain.mayStart()) {
        const item = board.next();
        if (item === undefined) break;
        this.#start(item, bench);
        idleMs = IDLE_MS.least;
      }
      show();
      const { items, done, failed } = board.counts();
      if (this.#running.size === 0 && (done + failed === items || this.drain.draining)) return;
      const idle = this.#running.size < this.#limit && !this.drain.draining;
      if (performance.now() - refreshed > (idle ? idleMs : REFRESH_MS)) {
        await board.refresh();
        refreshed = performance.now();
        idleMs = Math.min(IDLE_MS.most, idleMs * 1.5);
        continue;
      }
      await this.#pause(Math.min(idle ? idleMs : REFRESH_MS, board.nextDueMs() ?? Infinity), stop);
    }
  }

  /** Until an item ends, others are found dead, or the time is over. */
  async #pause(ms: number, stop: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await sleep(Math.max(1, ms) * (0.8 + 0.4 * Math.random()), undefined, {
      signal: AbortSignal.any([woken.signal, stop]),
    }).catch(() => {});
  }

  #start(item: Item, bench: Bench): void {
    const work = workOn(item, bench)
      .then(
        (outcome) => {
          this.#faults = 0;
          this.#take(item, outcome, bench);
        },
        (error: unknown) => this.#fault(item, error, bench),
      )
      .finally(() => {
        this.#running.delete(work);
        this.#wake();
      });
    this.#running.add(work);
  }

  #take(item: Item, outcome: Outcome, { board, ramp }: Bench): void {
    const tally = this.#tally;
    const where = { item: item.id };
    switch (outcome.kind) {
      case "done": {
        this.drain.measured(outcome.seconds * 1000);
        board.put(item, "done");
        this.#tally = {
          ...tally,
          done: tally.done + 1,
          itemSeconds: tally.itemSeconds + outcome.seconds,
          longestSeconds: Math.max(tally.longestSeconds, outcome.seconds),
        };
        break;
      }
      case "found":
        board.put(item, "done");
        this.#tally = { ...tally, found: tally.found + 1 };
        break;
      case "failed":
        board.put(item, "failed");
        this.#tally = { ...tally, failed: tally.failed + 1 };
        this.ctx.log.error(`item failed: ${outcome.failure.message}`, { ...where, fault: outcome.failure.fault });
        break;
      case "retry":
        board.put(item, { dueMs: outcome.delayMs });
        this.#tally = { ...tally, retries: tally.retries + 1 };
        this.ctx.log.warn(
          `item is tried again in ${(outcome.delayMs / 1000).toFixed(1)} s: ${outcome.failure.message}`,
          {
            ...where,
            fault: outcome.failure.fault,
          },
        );
        if (outcome.failure.fault === "oom") this.#fewer();
        if (ramp.failures >= MOST_START_FAILURES) {
          this.#error = new PipelineError("tool", "Containers do not start", { last: outcome.failure.message });
        }
        break;
      case "settled":
        board.put(item, outcome.state);
        break;
      case "later":
        board.put(item, { dueMs: outcome.delayMs });
        break;
      case "taken":
        board.put(item, "taken");
        break;
      case "given back":
        board.put(item, "open");
        break;
    }
  }

  /** Memory was not enough for so many at once. */
  #fewer(): void {
    const fewer = Math.max(1, Math.min(this.#limit - 1, Math.floor(this.#limit * 0.9)));
    if (fewer === this.#limit) return;
    this.ctx.log.warn("out of memory: fewer items at a time", { from: this.#limit, to: fewer });
    this.#limit = fewer;
  }

  /** The batch's own files could not be read or written. */
  #fault(item: Item, error: unknown, { board, stop }: Bench): void {
    board.put(item, { dueMs: 2_000 });
    if (stop.aborted) return;
    const known = asPipelineError(error, "failed", "Item cannot be worked on", { item: item.id });
    this.ctx.log.warn(known.message);
    if (isNoSpace(error) || ++this.#faults >= MOST_FAULTS) this.#error = known;
  }

  /** @throws {PipelineError} partial or paused. */
  result({ board, layout, presence }: Bench): BatchResult {
    const counts = board.counts();
    const result: BatchResult = {
      out: layout.root,
      ...counts,
      runner: { name: presence.name, ...this.tally, lostOthers: this.#freed },
      seconds: Math.round((performance.now() - this.#began) / 10) / 100,
    };
    const { items, done, failed } = counts;
    const where = { out: layout.root, items, done, failed };
    if (done + failed < items) {
      throw new PipelineError("paused", "Ended before all items were done; the same command goes on", {
        ...where,
        left: items - done - failed,
      });
    }
    if (failed > 0) throw new PipelineError("partial", "Some items failed; `status` lists them", where);
    return result;
  }
}

function makeFolders(layout: BatchLayout): void {
  for (const folder of [layout.runners(), layout.runs(), layout.scratch("")]) mkdirSync(folder, { recursive: true });
  const kinds = [layout.outputs(""), layout.records(""), layout.claims(""), join(layout.root, "logs")];
  if (kinds.every((folder) => existsSync(folder) && readdirSync(folder).length >= SHARDS.length)) return;
  for (const shard of SHARDS) {
    for (const folder of kinds) mkdirSync(join(folder, shard), { recursive: true });
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
