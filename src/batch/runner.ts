import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, isNoSpace, PipelineError } from "../pipeline/errors.js";
import type { Drain } from "./drain.js";
import { beatMs, type Tally } from "./heartbeat.js";
import type { Counts } from "./item-queue.js";
import type { Item } from "./items.js";
import type { LogPack } from "./log-pack.js";
import type { Takeover } from "./takeover.js";
import { type ItemContext, type Outcome, workOn } from "./work-item.js";

export interface BatchResult extends Counts {
  readonly out: string;
  /** What this runner did itself. */
  readonly runner: Tally & { readonly name: string; readonly lostOthers: number };
  readonly seconds: number;
}

/** While there is nothing to start, the shards that have something left are listed at this interval. */
const IDLE_MS = { min: 500, max: 5_000 } as const;
/** And beside work, so that progress tells of all runners. */
const REFRESH_MS = 30_000;
/** Faults of the batch's own file system in a row, after which the runner gives up. */
const MAX_FAULTS = 20;
/** Containers that fail to start in a row, with none that started, after which it is no passing fault. */
const MAX_START_FAILURES = 50;

/** One process's part in a batch: so many items at a time, until all are settled or it is to end. */
export class Runner {
  readonly #running = new Set<Promise<void>>();
  readonly #began = performance.now();
  #limit: number;
  #faults = 0;
  #freed = 0;
  #error: PipelineError | undefined;
  #wake = () => {};
  /** The next item, while it waits for cores or memory. */
  #large: Item | undefined;
  #tally: Omit<Tally, "running"> = { done: 0, found: 0, failed: 0, retries: 0, itemSeconds: 0, longestSeconds: 0 };

  constructor(
    workers: number,
    private readonly drain: Drain,
    private readonly ctx: Context,
    private readonly logs: LogPack,
  ) {
    this.#limit = workers;
  }

  get tally(): Tally {
    return { ...this.#tally, running: this.#running.size };
  }

  async run(context: ItemContext, takeover: Takeover): Promise<void> {
    const { queue, stop } = context;
    const counts = queue.counts();
    const task = this.ctx.progress.start("items finished", counts.items, counts.done + counts.failed);
    let watching: Promise<void> | undefined;
    const watcher = setInterval(() => {
      watching ??= takeover
        .round()
        .then(async (freed) => {
          this.#freed += freed;
          if (freed > 0) await queue.refresh();
        })
        .catch((error: unknown) => this.ctx.log.warn(`other runners cannot be seen: ${(error as Error).message}`))
        .finally(() => {
          watching = undefined;
          this.#wake();
        });
    }, beatMs(context.heartbeat.staleMs));
    try {
      await this.#loop(context, () => {
        const now = queue.counts();
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

  async #loop(context: ItemContext, show: () => void): Promise<void> {
    const { queue, stop } = context;
    let idleMs: number = IDLE_MS.min;
    let refreshed = performance.now();
    while (!stop.aborted && this.#error === undefined) {
      while (this.#running.size < this.#limit && this.drain.mayStart()) {
        const item = this.#large ?? queue.next();
        if (item === undefined) break;
        // One that needs more than is left waits for others to end, and nothing else begins: else it never would.
        this.#large = context.resources.fits(item) ? undefined : item;
        if (this.#large !== undefined) break;
        context.resources.take(item);
        this.#start(item, context);
        idleMs = IDLE_MS.min;
      }
      show();
      const { items, done, failed } = queue.counts();
      if (this.#running.size === 0 && (done + failed === items || this.drain.draining)) return;
      const idle = this.#running.size < this.#limit && !this.drain.draining && this.#large === undefined;
      if (performance.now() - refreshed > (idle ? idleMs : REFRESH_MS)) {
        await queue.refresh();
        refreshed = performance.now();
        idleMs = Math.min(IDLE_MS.max, idleMs * 1.5);
        continue;
      }
      await this.#pause(Math.min(idle ? idleMs : REFRESH_MS, queue.nextDueMs() ?? Infinity), stop);
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

  #start(item: Item, context: ItemContext): void {
    const work = workOn(item, context)
      .then(
        (outcome) => {
          this.#faults = 0;
          this.#take(item, outcome, context);
        },
        (error: unknown) => this.#fault(item, error, context),
      )
      .finally(() => {
        context.resources.give(item);
        this.#running.delete(work);
        this.#wake();
      });
    this.#running.add(work);
  }

  #take(item: Item, outcome: Outcome, { queue, slowStart }: ItemContext): void {
    const tally = this.#tally;
    const where = { item: item.id };
    switch (outcome.kind) {
      case "done": {
        this.drain.measured(outcome.seconds * 1000);
        queue.put(item, "done");
        this.#packLog(item);
        this.#tally = {
          ...tally,
          done: tally.done + 1,
          itemSeconds: tally.itemSeconds + outcome.seconds,
          longestSeconds: Math.max(tally.longestSeconds, outcome.seconds),
        };
        break;
      }
      case "found":
        queue.put(item, "done");
        this.#tally = { ...tally, found: tally.found + 1 };
        break;
      case "failed":
        queue.put(item, "failed");
        this.#tally = { ...tally, failed: tally.failed + 1 };
        this.ctx.log.error(`item failed: ${outcome.failure.message}`, { ...where, fault: outcome.failure.fault });
        break;
      case "retry":
        queue.put(item, { dueMs: outcome.delayMs });
        this.#tally = { ...tally, retries: tally.retries + 1 };
        this.ctx.log.warn(
          `item is tried again in ${(outcome.delayMs / 1000).toFixed(1)} s: ${outcome.failure.message}`,
          {
            ...where,
            fault: outcome.failure.fault,
          },
        );
        if (outcome.failure.fault === "oom") this.#fewer();
        if (slowStart.failures >= MAX_START_FAILURES) {
          this.#error = new PipelineError("tool", "Containers do not start", { last: outcome.failure.message });
        }
        break;
      case "settled":
        queue.put(item, outcome.state);
        break;
      case "later":
        queue.put(item, { dueMs: outcome.delayMs });
        break;
      case "taken":
        queue.put(item, "taken");
        break;
      case "given back":
        queue.put(item, "open");
        break;
    }
  }

  /** A log that cannot be packed stays a file. */
  #packLog(item: Item): void {
    try {
      this.logs.add(item);
    } catch (error) {
      this.ctx.log.warn(`logs cannot be packed: ${(error as Error).message}`);
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
  #fault(item: Item, error: unknown, { queue, stop }: ItemContext): void {
    queue.put(item, { dueMs: 2_000 });
    if (stop.aborted) return;
    const known = asPipelineError(error, "failed", "Item cannot be worked on", { item: item.id });
    this.ctx.log.warn(known.message);
    if (isNoSpace(error) || ++this.#faults >= MAX_FAULTS) this.#error = known;
  }

  /** @throws {PipelineError} partial or paused. */
  result({ queue, layout, heartbeat }: ItemContext): BatchResult {
    const counts = queue.counts();
    const result: BatchResult = {
      out: layout.root,
      ...counts,
      runner: { name: heartbeat.name, ...this.tally, lostOthers: this.#freed },
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
