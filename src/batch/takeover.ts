import { rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { isAlive, isHere } from "../pipeline/holder.js";
import { LivenessTracker } from "../pipeline/liveness-tracker.js";
import type { Log } from "../pipeline/log.js";
import { removeTreeAsync } from "../pipeline/remove-tree.js";
import { type Claim, readClaim } from "./claims.js";
import { RECLAIMED, type RunnerFile, readRunner, removeStartupFiles } from "./heartbeat.js";
import { type BatchLayout, type ItemPath, SHARDS } from "./layout.js";
import { addTry, type Budgets, retryDelay } from "./outcome.js";
import { killProcessesOf } from "./reaper.js";
import {
  type ItemRecord,
  KEPT_ATTEMPTS,
  listNames,
  listRecords,
  moveRecord,
  type RecordEntry,
  readItemRecord,
  removeOthers,
  removeRecord,
  writeItemRecord,
} from "./records.js";
import { hasJobEnded } from "./slurm.js";

/** Number of runners that each runner watches: the next ones by name. While one lives, all are watched. */
const WATCHED = 3;
/** Stale time of a runner whose file cannot be parsed. */
const UNREADABLE_STALE_MS = 60_000;
/** Minimum time between two queries to Slurm about the same job. */
const ASK_MS = 60_000;

/**
 * Finds dead runners and releases their claims.
 *
 * A runner is dead when its process is gone (same host), when Slurm says that its job has ended,
 * or when its file has not changed for its own `staleMs` on this process's clock. Its file is
 * then renamed to `NAME.reclaimed-by.SELF`, which only one observer can do; that observer
 * releases the dead runner's claims. If it dies meanwhile, the runner that reclaims it continues.
 */
export class Takeover {
  readonly #liveness = new LivenessTracker();
  readonly #asked = new Map<string, number>();

  constructor(
    private readonly layout: BatchLayout,
    private readonly self: string,
    private readonly limits: Budgets,
    private readonly backoffMs: number,
    private readonly log: Log,
    private readonly idOf: (item: ItemPath) => string,
    private readonly staleMs = UNREADABLE_STALE_MS,
  ) {}

  /** Check the other runners once. @returns number of released items. */
  async round(): Promise<number> {
    await removeStartupFiles(this.layout.runners(), this.staleMs, this.#liveness);
    const files = await listNames(this.layout.runners());
    const live = files.filter((name) => !name.startsWith(".") && !name.includes(RECLAIMED)).sort();
    let freed = 0;
    for (const name of this.#successors(live)) {
      const seen = await readRunner(join(this.layout.runners(), name));
      if (seen === undefined) continue;
      const why = await this.#deathOf(name, seen.file, seen.text);
      if (why !== undefined && (await this.#take(name))) {
        this.log.warn("runner is dead; its items are free again", { runner: name, host: seen.file?.host, why });
        freed += await this.#reclaim(name);
      }
    }
    // Runners that a dead runner was reclaiming.
    for (const file of files) {
      const [dead, by] = file.split(RECLAIMED);
      if (dead === undefined || by === undefined || (live.includes(by) && by !== this.self)) continue;
      if (by === this.self || (await this.#move(file, `${dead}${RECLAIMED}${this.self}`)))
        freed += await this.#reclaim(dead);
    }
    return freed;
  }

  /**
   * Release claims without an owner: those of a runner that was taken for dead, woke up, claimed again,
   * and was then killed. Only a runner that is alone does this; of several that start at once, at most one is.
   */
  async freeOrphans(): Promise<void> {
    const names = await listNames(this.layout.runners());
    if (names.some((name) => !name.startsWith(".") && name !== this.self)) return;
    for (const shard of SHARDS) {
      for (const name of await listNames(this.layout.claims(shard))) {
        const path = this.layout.claim({ shard, name });
        const claim = await readClaim(path);
        if (claim === undefined || claim.runner === this.self) continue;
        if ((await listNames(this.layout.runners())).some((runner) => runner.startsWith(claim.runner))) continue;
        this.log.warn("claim of a runner that is unknown is removed", { claim: path, runner: claim.runner });
        await unlink(path);
      }
    }
  }

  #successors(live: readonly string[]): string[] {
    const others = live.filter((name) => name !== this.self);
    const next = others.findIndex((name) => name > this.self);
    const start = next < 0 ? 0 : next;
    return [...others.slice(start), ...others.slice(0, start)].slice(0, WATCHED);
  }

  async #deathOf(name: string, file: RunnerFile | undefined, text: string): Promise<string | undefined> {
    if (file && isHere(file)) return isAlive(file) ? undefined : "its process is gone";
    const stillMs = this.#liveness.ms(name, text);
    const staleMs = file?.staleMs ?? UNREADABLE_STALE_MS;
    if (stillMs > staleMs) return `silent for ${Math.round(stillMs / 1000)} s`;
    const job = file?.slurm?.job;
    if (stillMs > staleMs / 4 && job !== undefined && file?.slurm?.cluster === process.env.SLURM_CLUSTER_NAME) {
      const now = performance.now();
      if (now - (this.#asked.get(job) ?? -Infinity) < ASK_MS) return undefined;
      this.#asked.set(job, now);
      if (await hasJobEnded(job)) return `its job ${job} has ended`;
    }
    return undefined;
  }

  async #take(name: string): Promise<boolean> {
    this.#liveness.forget(name);
    return this.#move(name, `${name}${RECLAIMED}${this.self}`);
  }

  /** If several runners rename the same file, only one succeeds. */
  async #move(from: string, to: string): Promise<boolean> {
    try {
      await rename(join(this.layout.runners(), from), join(this.layout.runners(), to));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  /**
   * Release a dead runner's items; each of its claims has a folder in its scratch. The scratch is
   * moved away first, so a runner that is alive after all can no longer publish an output.
   */
  async #reclaim(dead: string): Promise<number> {
    const path = join(this.layout.runners(), `${dead}${RECLAIMED}${this.self}`);
    const last = await readRunner(path);
    if (last?.file && isHere(last.file) && !(await killProcessesOf(dead))) {
      this.log.warn("processes of a dead runner cannot be killed; its items stay claimed", { runner: dead });
      return 0;
    }
    const scratch = this.layout.scratch(`${dead}.reclaimed`);
    await rename(this.layout.scratch(dead), scratch).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error; // A runner that died here had already moved it.
    });
    let freed = 0;
    for (const folder of await listNames(scratch)) {
      const item = { shard: folder.slice(0, 2), name: folder.slice(3) };
      const claim = await readClaim(this.layout.claim(item));
      if (claim?.runner !== dead) continue;
      await this.#settle(item, claim, join(scratch, folder), dead);
      await unlink(this.layout.claim(item));
      freed++;
    }
    await removeTreeAsync(scratch);
    if (last)
      await writeFile(join(this.layout.runs(), `${dead}.json`), `${JSON.stringify({ ...last.file, lost: true })}\n`);
    await rm(path, { force: true });
    return freed;
  }

  /** Record the outcome of a dead runner's item: done if its output was already published, else a lost attempt. */
  async #settle(item: ItemPath, claim: Claim, scratch: string, dead: string): Promise<void> {
    const { layout } = this;
    const entries = (await listRecords(layout, item.shard)).filter(({ name }) => name === item.name);
    const of = (state: string) => entries.find((entry) => entry.state === state && entry.digest === claim.digest);
    const [ready, retry] = [of("ready"), of("retry")];
    if (of("done") || of("failed")) return;
    if (ready !== undefined && (await finishReady(layout, item, ready, entries))) return;
    const before = retry && (await readItemRecord(layout, item.shard, retry));
    const tries = addTry(before?.tries ?? {}, "node");
    const delay = retryDelay(tries, "node", this.limits, this.backoffMs);
    const now = new Date().toISOString();
    const record: ItemRecord = {
      id: before?.id ?? this.idOf(item),
      digest: claim.digest,
      tries,
      attempts: [
        ...(before?.attempts ?? []),
        { fault: "node" as const, message: "its runner died", at: now, seconds: 0, runner: dead },
      ].slice(-KEPT_ATTEMPTS),
      ...(delay !== undefined && { notBefore: now }),
      finishedAt: now,
      runner: this.self,
      host: hostname(),
    };
    const same = entries.filter(({ digest }) => digest === claim.digest);
    await writeItemRecord(layout, item, scratch, delay === undefined ? "failed" : "retry", record, same);
  }
}

/**
 * Finish an item that was killed after its output was verified: if the output was already
 * published, the item is done; else the record is removed.
 *
 * @returns true when it is done.
 */
export async function finishReady(
  layout: BatchLayout,
  item: ItemPath,
  ready: RecordEntry,
  entries: readonly RecordEntry[],
): Promise<boolean> {
  const record = await readItemRecord(layout, item.shard, ready);
  const inode = await inodeOf(layout.output(item));
  if (record?.result === undefined || inode !== record.result.inode) {
    await removeRecord(layout, item.shard, ready);
    return false;
  }
  const done = await moveRecord(layout, item.shard, ready, "done");
  await removeOthers(
    layout,
    item.shard,
    entries.filter((old) => old !== ready),
    done,
  );
  return true;
}

/** Inode of an item's output folder; undefined if there is none. */
export async function inodeOf(folder: string): Promise<string | undefined> {
  try {
    return String((await stat(folder, { bigint: true })).ino);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
