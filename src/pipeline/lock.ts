import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "./context.js";
import { PipelineError } from "./errors.js";

/** How often a holder renews its lock. */
const HEARTBEAT_MS = 5_000;
/**
 * A lock of another host (or PID namespace) that is not renewed for this long, on
 * the observer's own clock, is stale. Twelve missed beats: Lustre can stall a
 * healthy client for tens of seconds.
 */
const STALE_MS = 60_000;

interface Holder {
  readonly token: string;
  readonly host: string;
  readonly pid: number;
  /** The holder's PID namespace and boot; a pid means nothing outside them. */
  readonly namespace: string;
  /** Start time in clock ticks since boot (/proc/pid/stat field 22); tells a reused pid. */
  readonly startTicks: string;
  readonly since: string;
  /** Counts up with every heartbeat. */
  readonly beat: number;
}

export interface LockOptions {
  readonly heartbeatMs?: number;
  readonly staleMs?: number;
}

/**
 * Hold `path` while `body` runs.
 *
 * Made by O_EXCL, which Lustre and NFS keep atomic (flock is not shared between
 * nodes there). A holder on this host is alive when its process is; a holder
 * elsewhere is watched: alive when its beat moves within `staleMs`. A dead
 * holder's lock is taken over by rename, re-checked, then removed. A holder that
 * was taken for dead (its node stalled) finds its lock gone at the next beat, and
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
  mkdirSync(dirname(path), { recursive: true });
  const staleMs = options.staleMs ?? STALE_MS;
  const token = randomUUID();
  while (!tryCreate(path, token)) await evictIfDead(path, staleMs, ctx);
  let beat = 0;
  const lost = new AbortController();
  const timer = setInterval(() => {
    const owner = readHolder(path);
    if (owner?.token === token) writeHolder(path, holder(token, ++beat));
    else lost.abort(lockedBy(path, owner));
  }, options.heartbeatMs ?? HEARTBEAT_MS);
  timer.unref();
  try {
    return await body({ ...ctx, signal: AbortSignal.any([ctx.signal, lost.signal]) });
  } finally {
    clearInterval(timer);
    if (readHolder(path)?.token === token) rmSync(path, { force: true });
  }
}

function tryCreate(path: string, token: string): boolean {
  try {
    const fd = openSync(path, "wx");
    writeSync(fd, JSON.stringify(holder(token, 0)));
    closeSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function writeHolder(path: string, value: Holder): void {
  const partial = `${path}.${value.token}`;
  try {
    writeFileSync(partial, JSON.stringify(value));
    renameSync(partial, path);
  } catch {
    // A full disk or a stalled file system: the next beat may get through, and touching needs no space.
    rmSync(partial, { force: true });
    try {
      utimesSync(path, new Date(), new Date());
    } catch {}
  }
}

/** What of the lock file changes with every sign of life. */
function signOfLife(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

async function evictIfDead(path: string, staleMs: number, ctx: Context): Promise<void> {
  const seen = signOfLife(path);
  if (seen === undefined) return;
  const owner = parseHolder(seen);
  if (owner !== undefined && isHere(owner)) {
    if (isAlive(owner)) throw lockedBy(path, owner);
  } else {
    ctx.log.warn("lock of another host or container: watching whether it is alive", { path, host: owner?.host ?? "unknown", pid: owner?.pid });
    const end = performance.now() + staleMs;
    while (performance.now() < end) {
      await sleep(Math.min(1_000, staleMs / 4), undefined, { signal: ctx.signal });
      const now = signOfLife(path);
      if (now === undefined) return;
      if (now !== seen) throw lockedBy(path, parseHolder(now) ?? owner);
    }
  }
  ctx.log.warn("lock of a dead process taken over", { path, host: owner?.host ?? "unknown", pid: owner?.pid, since: owner?.since });
  const aside = `${path}.evicted.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  // Two observers may evict at once: the slower one may have moved the faster one's fresh lock.
  if (signOfLife(aside) === seen) rmSync(aside, { force: true });
  else renameSync(aside, path);
}

function lockedBy(path: string, owner: Holder | undefined): PipelineError {
  return new PipelineError("locked", "Another process works on this", {
    lock: path,
    host: owner?.host,
    pid: owner?.pid,
    since: owner?.since,
  });
}

function readHolder(path: string): Holder | undefined {
  const text = signOfLife(path);
  return text === undefined ? undefined : parseHolder(text);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Holder;
    return typeof value.token === "string" && typeof value.pid === "number" ? value : undefined;
  } catch {
    return undefined;
  }
}

function holder(token: string, beat: number): Holder {
  return { token, host: hostname(), pid: process.pid, namespace: namespace(), startTicks: startTicks(process.pid) ?? "", since: SINCE, beat };
}

const SINCE = new Date().toISOString();

function namespace(): string {
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

function isHere(owner: Holder): boolean {
  return owner.host === hostname() && owner.namespace === namespace();
}

function isAlive(owner: Holder): boolean {
  const ticks = startTicks(owner.pid);
  return ticks !== undefined && ticks === owner.startTicks;
}

/** Start time of a process from /proc, or undefined when there is none (a zombie counts as none). */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
