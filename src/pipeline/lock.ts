import { createHash, randomBytes } from "node:crypto";
import { linkSync, lstatSync, lutimesSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "./context.js";
import { asPipelineError, PipelineError } from "./errors.js";
import { makeFolder } from "./folder.js";
import { type Holder, holderNow, isAlive, isHere, isTagGone, parseHolder, processTag } from "./holder.js";
import { readNote } from "./small-file.js";

/** How often a holder renews its lock. */
const HEARTBEAT_MS = 5_000;
/**
 * A lock of another host (or PID namespace) that is not renewed for this long, on
 * the observer's own clock, is stale. Twelve missed beats: Lustre can stall a
 * healthy client for tens of seconds.
 */
const STALE_MS = 60_000;

/** Between two looks at a live holder's lock. */
const WAIT_MS = 500;

export interface LockOptions {
  readonly heartbeatMs?: number;
  readonly staleMs?: number;
  /** Wait for a live holder instead of failing. */
  readonly wait?: boolean;
}

/**
 * Hold `path` while `body` runs.
 *
 * Made by link(), which Lustre and NFS keep atomic (flock is not shared between
 * nodes there): the file appears with its content or not at all. A holder on this
 * host is alive when its process is; a holder elsewhere is watched: alive when its
 * beat moves within `staleMs`. Of several that find a holder dead, one removes the
 * lock, and all compete for it anew. A holder that was taken for dead (its node
 * stalled) finds its lock gone at the next beat, or when it looks (`held` of `body`'s context), and
 * `body`'s signal is aborted.
 *
 * @throws {PipelineError} locked, naming the holder, when it is alive.
 */
export async function withLock<T>(
  path: string,
  ctx: Context,
  body: (ctx: Context) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  makeFolder(dirname(path));
  const staleMs = options.staleMs ?? STALE_MS;
  const token = `${processTag()}-${randomBytes(4).toString("hex")}`;
  while (!tryCreate(path, token)) {
    try {
      await reclaimIfDead(path, staleMs, ctx);
    } catch (error) {
      if (!(options.wait && error instanceof PipelineError && error.kind === "locked")) throw error;
      await pause(WAIT_MS, ctx);
    }
  }
  sweepPartials(path);
  let beat = 0;
  const lost = new AbortController();
  const isOwn = () => {
    if (lost.signal.aborted) return false;
    const state = readState(path);
    if (state === "unreadable") return undefined; // A passing fault of the file system; a later look tells.
    const owner = state && parseHolder(state.text);
    if (owner?.token === token) return true;
    const { host, pid } = owner ?? {};
    lost.abort(new PipelineError("locked", "Lost the lock during the run", { lock: path, host, pid }));
    return false;
  };
  const timer = setInterval(() => {
    if (isOwn() === true) writeHolder(path, holderNow(token, ++beat));
  }, options.heartbeatMs ?? HEARTBEAT_MS);
  timer.unref();
  const signal = AbortSignal.any([ctx.signal, lost.signal]);
  const held = () => isOwn() !== false && ctx.held?.() !== false;
  try {
    return await body({ ...ctx, signal, held });
  } catch (error) {
    // What fails afterwards fails because of it: the successor has removed its files, for instance.
    const isTold = error instanceof PipelineError && error.kind === "locked";
    throw isOwn() === false && !isTold ? lost.signal.reason : error;
  } finally {
    clearInterval(timer);
    if (isOwn() === true) rmSync(path, { force: true });
  }
}

/** Remove the lock that a killed process of this host has left, where nobody is going to take it. */
export async function clearDeadLock(path: string, ctx: Context): Promise<void> {
  const seen = readState(path);
  if (typeof seen !== "object") return;
  const owner = parseHolder(seen.text);
  if (owner === undefined || !isHere(owner) || isAlive(owner)) return;
  await reclaim(path, seen, owner, STALE_MS, ctx);
}

function tryCreate(path: string, token: string): boolean {
  const partial = partialOf(path, token);
  try {
    writeFileSync(partial, JSON.stringify(holderNow(token, 0)), { flag: "wx" });
    linkSync(partial, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw asPipelineError(error, "failed", "Lock cannot be made", { lock: path });
  } finally {
    rmSync(partial, { force: true });
  }
}

function writeHolder(path: string, value: Holder): void {
  const partial = partialOf(path, value.token);
  try {
    writeFileSync(partial, JSON.stringify(value), { flag: "wx" });
    renameSync(partial, path);
  } catch {
    // A full disk or a stalled file system: the next beat may get through, and touching needs no space.
    try {
      rmSync(partial, { force: true });
      lutimesSync(path, new Date(), new Date());
    } catch {}
  }
}

function partialOf(path: string, token: string): string {
  return `${path}.${token}`;
}

/** Remove what processes of this host left that were killed while they made or renewed the lock. */
function sweepPartials(path: string): void {
  const prefix = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    const [, writer] = (name.startsWith(prefix) && TOKEN.exec(name.slice(prefix.length))) || [];
    if (writer !== undefined && isTagGone(writer)) rmSync(join(dirname(path), name), { force: true });
  }
}

const TOKEN = /^([0-9a-f]{8}-\d+-\d+)-[0-9a-f]{8}$/;

/** The lock file's content, and all of it that changes with a sign of life. */
interface State {
  readonly text: string;
  readonly sign: string;
}

/** Undefined when there is no lock. */
function readState(path: string): State | undefined | "unreadable" {
  try {
    const text = readNote(path);
    return { text, sign: `${text} ${lstatSync(path).mtimeMs}` };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "unreadable";
  }
}

async function reclaimIfDead(path: string, staleMs: number, ctx: Context): Promise<void> {
  const seen = readState(path);
  if (seen === undefined) return;
  if (seen === "unreadable")
    throw new PipelineError("failed", "Cannot read the lock file; if no other process is running, remove it", {
      lock: path,
    });
  const owner = parseHolder(seen.text);
  if (owner !== undefined && isHere(owner)) {
    if (isAlive(owner)) throw lockedBy(path, owner);
  } else {
    ctx.log.warn("lock of another host or container: waiting to see whether its process is alive", {
      path,
      host: owner?.host ?? "unknown",
      pid: owner?.pid,
    });
    const end = performance.now() + staleMs;
    while (performance.now() < end) {
      await pause(Math.min(1_000, staleMs / 4), ctx);
      const now = readState(path);
      if (now === undefined) return;
      if (now !== "unreadable" && now.sign !== seen.sign) throw lockedBy(path, parseHolder(now.text) ?? owner);
    }
  }
  await reclaim(path, seen, owner, staleMs, ctx);
}

/**
 * Remove the lock that was `seen`, and no other. The right to do so is a link to
 * that very lock, under a name made from its content: one process gets it, and
 * what it holds in hand shows whether a newer lock has slipped into its place.
 */
async function reclaim(
  path: string,
  seen: State,
  owner: Holder | undefined,
  staleMs: number,
  ctx: Context,
): Promise<void> {
  const claim = `${path}.dead.${createHash("sha256").update(seen.text).digest("hex").slice(0, 16)}`;
  try {
    linkSync(path, claim);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    if (code !== "EEXIST") throw error;
    // Another one is at it, for microseconds; or it was killed just then, and its claim stays.
    await pause(Math.min(1_000, staleMs / 4), ctx);
    const now = readState(path);
    if (typeof now === "object" && now.sign === seen.sign) rmSync(claim, { force: true });
    return;
  }
  const held = readState(claim);
  if (typeof held === "object" && held.text === seen.text) {
    rmSync(path, { force: true });
    if (owner !== undefined) rmSync(partialOf(path, owner.token), { force: true });
    ctx.log.warn("took over the lock of a dead process", {
      path,
      host: owner?.host ?? "unknown",
      pid: owner?.pid,
      since: owner?.since,
    });
  }
  rmSync(claim, { force: true });
}

async function pause(ms: number, ctx: Context): Promise<void> {
  await sleep(ms, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
}

function lockedBy(path: string, owner: Holder | undefined): PipelineError {
  return new PipelineError("locked", "Another process is working on this", {
    lock: path,
    host: owner?.host,
    pid: owner?.pid,
    since: owner?.since,
  });
}
