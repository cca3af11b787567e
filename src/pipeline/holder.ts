import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Who holds a lock, as its file tells: enough to judge from the same host whether it is alive. */
export interface Holder {
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

/** Undefined for a text that no holder wrote, or not wholly. */
export function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Holder;
    return typeof value.token === "string" && typeof value.pid === "number" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** This process as a holder. */
export function holderNow(token: string, beat: number): Holder {
  return {
    token,
    host: hostname(),
    pid: process.pid,
    namespace: namespace(),
    startTicks: startTicks(process.pid) ?? "",
    since: SINCE,
    beat,
  };
}

const SINCE = new Date().toISOString();

function namespace(): string {
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

/** The holder runs on this host, in this PID namespace and boot: its process can be looked at. */
export function isHere(owner: Holder): boolean {
  return owner.host === hostname() && owner.namespace === namespace();
}

/** Whether the process of a holder that `isHere` still runs. */
export function isAlive(owner: Holder): boolean {
  const ticks = startTicks(owner.pid);
  return ticks === undefined ? isHidden(owner.pid) : ticks === owner.startTicks;
}

/** Whether a holder's process is gone for certain: it ran here, or before this machine was started anew. */
export function isGone(owner: Holder): boolean {
  if (owner.host !== hostname()) return false;
  return isHere(owner) ? !isAlive(owner) : bootOf(owner.namespace) !== bootOf(namespace());
}

function bootOf(text: string): string | undefined {
  return text.split(" ")[0];
}

/** Another user's process where /proc is mounted with hidepid: it exists, more cannot be seen. */
function isHidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Start time of a process from /proc, or undefined when there is none (a zombie counts as none). */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** This process in a file's name: host and PID namespace as 8 hex digits, pid, start time. */
export function processTag(): string {
  return `${placeTag()}-${process.pid}-${startTicks(process.pid) ?? 0}`;
}

/** Whether the process of a tag ran here and is gone; false where it cannot be looked at. */
export function isTagGone(tag: string): boolean {
  const [place, pid, ticks] = tag.split("-");
  if (place !== placeTag()) return false;
  const now = startTicks(Number(pid));
  return now === undefined ? !isHidden(Number(pid)) : now !== ticks;
}

function placeTag(): string {
  return createHash("sha256").update(`${hostname()} ${namespace()}`).digest("hex").slice(0, 8);
}
