import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFolder } from "../pipeline/folder.js";
import type { Log } from "../pipeline/log.js";
import { removeTreeAsync } from "../pipeline/remove-tree.js";
import type { Check } from "./checks.js";
import { type Claim, claim, owns, release } from "./claims.js";
import type { GuardLink } from "./guard-link.js";
import type { Heartbeat } from "./heartbeat.js";
import type { Isolation, ItemFolders } from "./isolation.js";
import { type Ended, failureOf, runProcess } from "./item-process.js";
import type { ItemQueue } from "./item-queue.js";
import type { Item } from "./items.js";
import type { BatchLayout } from "./layout.js";
import { addTry, type Budgets, type Failure, retryDelay, type Tries } from "./outcome.js";
import { listOutput, type Output, syncOutput, syncPath } from "./output-files.js";
import { RUNNER_VARIABLE } from "./reaper.js";
import {
  type ItemRecord,
  KEPT_ATTEMPTS,
  listNames,
  listRecords,
  moveRecord,
  type RecordEntry,
  readItemRecord,
  removeOthers,
  writeItemRecord,
} from "./records.js";
import type { NodeResources } from "./resources.js";
import type { SlowStart } from "./slow-start.js";
import { finishReady, inodeOf } from "./takeover.js";
import type { CommandTemplate, Values } from "./template.js";

/** Data shared by all items of a runner. */
export interface ItemContext {
  readonly layout: BatchLayout;
  readonly queue: ItemQueue;
  readonly heartbeat: Heartbeat;
  readonly guard: GuardLink;
  readonly isolation: Isolation;
  readonly template: CommandTemplate;
  readonly checks: readonly Check[];
  /** Whether checks were given: a valid output without a record is then accepted. */
  readonly trustsChecks: boolean;
  readonly limits: Budgets;
  readonly backoffMs: number;
  readonly timeoutMs: number | undefined;
  readonly slowStart: SlowStart;
  /** Environment of every item. */
  readonly env: Readonly<Record<string, string>>;
  readonly resources: NodeResources;
  /** Folder of the items' work folders; local and fast. */
  readonly work: string;
  readonly cwd: string;
  readonly job: string | undefined;
  /** Ends running items. */
  readonly stop: AbortSignal;
  readonly log: Log;
}

/** Outcome of an item in this runner. */
export type Outcome =
  | { readonly kind: "done"; readonly seconds: number }
  /** A valid output without a record. */
  | { readonly kind: "found" }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "retry"; readonly failure: Failure; readonly delayMs: number }
  /** Finished by another runner since the last listing. */
  | { readonly kind: "settled"; readonly state: "done" | "failed" }
  | { readonly kind: "later"; readonly delayMs: number }
  | { readonly kind: "taken" }
  /** Not processed, because this runner ended or was taken for dead: the item is unchanged. */
  | { readonly kind: "given back" };

/** Interval of checks for the start mark while a container starts. */
const START_POLL_MS = 25;

/**
 * Claim an item, run it, check its output, rename and record it, release the claim.
 *
 * @throws only for faults of the batch's file system; the claim is released then too.
 */
export async function workOn(item: Item, context: ItemContext): Promise<Outcome> {
  const { layout, heartbeat } = context;
  const own: Claim = { runner: heartbeat.name, digest: item.digest, nonce: randomBytes(8).toString("hex") };
  const path = layout.claim(item);
  const scratch = join(layout.scratch(heartbeat.name), `${item.shard}.${item.name}`);
  try {
    // Before the claim, because a reclaimer finds this runner's claims by its scratch.
    await mkdir(scratch);
    try {
      if (!(await claim(path, own))) return { kind: "taken" };
      if (!(await heartbeat.held())) {
        await heartbeat.reclaimed();
        await release(path, own);
        return { kind: "given back" };
      }
      try {
        return await workOnClaimed(item, own, scratch, context);
      } finally {
        // A runner that was reclaimed leaves its claims to its reclaimer.
        if (!heartbeat.lost.aborted) await release(path, own);
      }
    } finally {
      await removeTreeAsync(scratch);
    }
  } catch (error) {
    // The scratch of a reclaimed runner was moved away, so nothing that it still does has an effect.
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !(await heartbeat.held())) return { kind: "given back" };
    throw error;
  }
}

async function workOnClaimed(item: Item, own: Claim, scratch: string, context: ItemContext): Promise<Outcome> {
  const { layout, queue } = context;
  const all = await listRecords(layout, item.shard);
  queue.learn(item.shard, all);
  const entries = all.filter(({ name }) => name === item.name);
  const settled = await judge(item, entries, scratch, context);
  if (settled !== undefined) return settled;
  const retry = entries.find(({ state, digest }) => state === "retry" && digest === item.digest);
  const before = retry && (await readItemRecord(layout, item.shard, retry));
  const waitMs = Date.parse(before?.notBefore ?? "") - Date.now();
  if (waitMs > 0) return { kind: "later", delayMs: waitMs };
  const out = join(scratch, "out");
  await mkdir(out);
  const attempt = Object.values(before?.tries ?? {}).reduce((sum, n) => sum + n, 0) + 1;
  const result = await runAttempt(item, attempt, out, context);
  if (result === "stopped") return { kind: "given back" };
  if ("fault" in result) return fail(item, result, before, entries, own, scratch, context);
  return publish(item, result, before, entries, own, scratch, context);
}

/** Whether the item needs no work, by its records and output. */
async function judge(
  item: Item,
  entries: readonly RecordEntry[],
  scratch: string,
  context: ItemContext,
): Promise<Outcome | undefined> {
  const { layout, queue } = context;
  const current = entries.filter((entry) => queue.isCurrent(item, entry));
  const ready = current.find(({ state }) => state === "ready");
  if (ready && (await finishReady(layout, item, ready, entries))) return { kind: "settled", state: "done" };
  const done = current.some(({ state }) => state === "done");
  const unknown = entries.length === 0 && context.trustsChecks;
  const inode = done || unknown ? await inodeOf(layout.output(item)) : undefined;
  if (done && inode !== undefined) return { kind: "settled", state: "done" };
  if (current.some(({ state }) => state === "failed")) return { kind: "settled", state: "failed" };
  if (!unknown || inode === undefined) return undefined;
  const output = await listOutput(layout.output(item));
  if ((await problemOf(item, output, context)) !== undefined) return undefined;
  const result = { seconds: 0, files: output.files.length, bytes: output.bytes, inode, made: false };
  await writeItemRecord(layout, item, scratch, "done", recordOf(item, {}, [], context, { result }));
  return { kind: "found" };
}

async function problemOf(item: Item, output: Output, context: ItemContext): Promise<string | undefined> {
  for (const check of context.checks) {
    const problem = await check.problem(output, valuesOf(item, output.folder, 0, context), context.stop);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

interface Made {
  readonly seconds: number;
  readonly output: Output;
}

/** Run the item once into `out` and check what it wrote. */
async function runAttempt(
  item: Item,
  attempt: number,
  out: string,
  context: ItemContext,
): Promise<Made | (Failure & Pick<Made, "seconds">) | "stopped"> {
  if (context.stop.aborted) return "stopped";
  const folder = join(context.work, `${item.shard}.${item.name}`);
  const folders: ItemFolders = { out, work: join(folder, "work"), tmp: join(folder, "tmp") };
  makeFolder(folders.work);
  await mkdir(folders.tmp);
  const log = await open(context.layout.log(item), "a");
  try {
    const { ended, started } = await runIsolated(item, attempt, folders, log, context);
    if (ended.why === "stopped" || context.heartbeat.lost.aborted) return "stopped";
    const output = await listOutput(out);
    const failure = failureOf(ended, started) ?? (await invalid(item, output, context));
    if (context.stop.aborted && failure !== undefined) return "stopped";
    await note(log, failure ? `${failure.fault}: ${failure.message}` : "valid", `${ended.seconds.toFixed(2)} s`);
    if (failure) {
      return { ...failure, message: await withLastLine(failure, context.layout.log(item)), seconds: ended.seconds };
    }
    return { seconds: ended.seconds, output };
  } finally {
    await log.close();
    await removeTreeAsync(folder);
  }
}

async function invalid(item: Item, output: Output, context: ItemContext): Promise<Failure | undefined> {
  const problem = await problemOf(item, output, context);
  return problem === undefined ? undefined : { fault: "item", message: `output is not valid: ${problem}` };
}

async function runIsolated(
  item: Item,
  attempt: number,
  folders: ItemFolders,
  log: FileHandle,
  context: ItemContext,
): Promise<{ ended: Ended; started: boolean }> {
  const { isolation, guard, heartbeat } = context;
  const out = isolation.out(folders);
  const { cpus } = context.resources.of(item);
  const env = {
    ...context.env,
    ...(cpus > 0 && { OMP_NUM_THREADS: String(cpus) }),
    HOME: folders.work,
    TMPDIR: folders.tmp,
    BATCH_ID: item.id,
    BATCH_OUT: out,
    BATCH_ATTEMPT: String(attempt),
  };
  const argv = context.template.expand(valuesOf(item, out, attempt, context));
  const command = isolation.command(argv, folders, env);
  const tell = isolation.startMark === undefined ? undefined : await context.slowStart.turn();
  const ended = new AbortController();
  const watch = tell && watchStart(folders.work, isolation.startMark as string, ended.signal, tell);
  try {
    await note(
      log,
      `attempt ${attempt}`,
      hostname(),
      heartbeat.name,
      context.job && `job ${context.job}`,
      JSON.stringify(argv),
    );
    const result = await runProcess({
      argv: command.argv,
      env: { ...command.env, [RUNNER_VARIABLE]: heartbeat.name },
      cwd: folders.work,
      logFd: log.fd,
      timeoutMs: context.timeoutMs,
      stop: context.stop,
      onStart: (group) => guard.started(group),
      onEnd: (group) => guard.ended(group),
    });
    ended.abort();
    return { ended: result, started: (await watch) ?? true };
  } finally {
    ended.abort();
    await watch;
  }
}

/** Look for the start mark until the process has ended; reports to the slow start. @returns whether it came. */
async function watchStart(
  work: string,
  mark: string,
  ended: AbortSignal,
  tell: (started: boolean) => void,
): Promise<boolean> {
  for (;;) {
    const over = ended.aborted;
    const started = (await listNames(work)).includes(mark);
    if (started || over) {
      tell(started);
      return started;
    }
    await sleep(START_POLL_MS, undefined, { signal: ended }).catch(() => {});
  }
}

/** Rename a checked output to its final path and record it. */
async function publish(
  item: Item,
  { seconds, output }: Made,
  before: ItemRecord | undefined,
  entries: readonly RecordEntry[],
  own: Claim,
  scratch: string,
  context: ItemContext,
): Promise<Outcome> {
  const { layout, heartbeat } = context;
  const out = output.folder;
  await syncOutput(output);
  if (!(await heartbeat.held()) || !(await owns(layout.claim(item), own))) return { kind: "given back" };
  const inode = (await inodeOf(out)) as string;
  const record = recordOf(item, before?.tries ?? {}, before?.attempts ?? [], context, {
    result: { seconds, files: output.files.length, bytes: output.bytes, inode, made: true },
  });
  const ready = await writeItemRecord(layout, item, scratch, "ready", record);
  await putInPlace(out, layout.output(item), join(scratch, "old"));
  await syncPath(layout.outputs(item.shard));
  await removeOthers(layout, item.shard, entries, await moveRecord(layout, item.shard, ready, "done"));
  return { kind: "done", seconds };
}

/** Rename `out` to `target`; an existing output is moved away first, because rename does not replace a folder that is not empty. */
async function putInPlace(out: string, target: string, old: string): Promise<void> {
  try {
    await rename(out, target);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await rename(target, old);
    await rename(out, target);
  }
}

async function fail(
  item: Item,
  failure: Failure & Pick<Made, "seconds">,
  before: ItemRecord | undefined,
  entries: readonly RecordEntry[],
  own: Claim,
  scratch: string,
  context: ItemContext,
): Promise<Outcome> {
  const { layout, heartbeat } = context;
  const tries = addTry(before?.tries ?? {}, failure.fault);
  const delayMs = retryDelay(tries, failure.fault, context.limits, context.backoffMs);
  const now = Date.now();
  const attempt = { ...failure, at: new Date(now).toISOString(), runner: own.runner };
  const attempts = [...(before?.attempts ?? []), attempt];
  const record = recordOf(item, tries, attempts, context, {
    ...(delayMs !== undefined && { notBefore: new Date(now + delayMs).toISOString() }),
  });
  if (!(await heartbeat.held()) || !(await owns(layout.claim(item), own))) return { kind: "given back" };
  // A done record of another version is kept until there is a new output.
  const replaced = entries.filter(({ state }) => state !== "done");
  await writeItemRecord(layout, item, scratch, delayMs === undefined ? "failed" : "retry", record, replaced);
  return delayMs === undefined ? { kind: "failed", failure } : { kind: "retry", failure, delayMs };
}

function recordOf(
  item: Item,
  tries: Tries,
  attempts: ItemRecord["attempts"],
  context: ItemContext,
  rest: Pick<ItemRecord, "result" | "notBefore">,
): ItemRecord {
  return {
    id: item.id,
    digest: item.digest,
    tries,
    attempts: attempts.slice(-KEPT_ATTEMPTS),
    ...rest,
    finishedAt: new Date().toISOString(),
    runner: context.heartbeat.name,
    host: hostname(),
    job: context.job,
  };
}

function valuesOf(item: Item, out: string, attempt: number, context: ItemContext): Values {
  return { ...item.fields, id: item.id, out, item: JSON.stringify(item.fields), cwd: context.cwd, attempt };
}

/** A line that the runner adds to an item's log. */
async function note(log: FileHandle, ...parts: (string | undefined)[]): Promise<void> {
  await log.write(`# ${new Date().toISOString()} ${parts.filter((part) => part !== undefined).join(" ")}\n`);
}

/** The failure's message with the item's last output line. */
async function withLastLine({ message }: Failure, path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const tail = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    await handle.read(tail, 0, tail.length, size - tail.length);
    const line = lastOwnLine(tail.toString("utf8"));
    return line === undefined ? message : `${message}: ${line.slice(0, MESSAGE_CHARACTERS)}`;
  } finally {
    await handle.close();
  }
}

const LOG_TAIL_BYTES = 4096;
const MESSAGE_CHARACTERS = 200;

/** Output of this attempt: everything after the runner's last line, except the verdict. */
function lastOwnLine(text: string): string | undefined {
  const lines = text.trimEnd().split("\n").slice(0, -1);
  const last = lines.at(-1);
  return last === undefined || last.startsWith("# ") ? undefined : last.trim();
}
