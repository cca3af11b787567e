import { randomBytes, randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Context } from "./context.js";
import { PipelineError } from "./errors.js";
import { makeFolder } from "./folder.js";
import { type Holder, holderNow, isAlive, isGone, isHere, parseHolder } from "./holder.js";
import { withLock } from "./lock.js";
import { removeTree } from "./remove-tree.js";
import { readNote } from "./small-file.js";

/** Lies in a scratch folder and says whose it is. */
export const SCRATCH_OWNER = ".owner.json";
/** Its name once the owner has left the folder to a later run: a rename needs no space on a full disk. */
const SCRATCH_ENDED = ".ended.json";

/** A scratch folder's owner; `ended` when that process has left it to others on purpose. */
type Owner = Holder & { readonly ended?: boolean };

/**
 * The folder next to a target in which it is made: on the same file system, so the rename is atomic.
 * Each has a name of its own, `.TARGET.RANDOM.scratch`: who was taken for dead and wakes up again
 * cannot touch what its successor makes.
 */
export class Scratch {
  constructor(
    readonly target: string,
    readonly path: string,
  ) {}

  /** The output while it is made. */
  get partial(): string {
    return join(this.path, basename(this.target));
  }

  remove(): void {
    removeTree(this.path);
  }

  /** Leave it for a later run to go on from. */
  leave(): void {
    const note = join(this.path, SCRATCH_OWNER);
    if (existsSync(note)) renameSync(note, join(this.path, SCRATCH_ENDED));
  }
}

/**
 * An empty scratch folder for `target`, or, with `resume`, with what an ended run left in its own. Scratch of
 * ended runs goes; that of a process of this machine which lives stays. To be called by who holds the lock.
 */
export function openScratch(target: string, resume = false): Scratch {
  makeFolder(dirname(target));
  const path = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.scratch`);
  const old = abandoned(target);
  const last = resume ? old.at(-1) : undefined;
  const inherited = last !== undefined && inherit(last, path);
  if (!inherited) mkdirSync(path, { mode: 0o700 });
  try {
    writeOwner(path, holderNow(randomUUID(), 0));
  } catch (error) {
    // Inherited files still have their old note; they are resumed once there is space.
    if (!inherited) removeTree(path);
    throw error;
  }
  rmSync(join(path, SCRATCH_ENDED), { force: true });
  for (const left of old) removeTree(left.path);
  return new Scratch(target, path);
}

/** Remove what ended runs left next to `target`. */
export function clearScratch(target: string): void {
  for (const { path } of abandoned(target)) removeTree(path);
}

/** The same without the target's lock: only what nobody can be at work in any more. */
export function clearEndedScratch(target: string): void {
  for (const { path, over, target: made } of scratchIn(dirname(target))) if (over && made === target) removeTree(path);
}

/**
 * Make an output that no record is kept of: under a lock of its own, in scratch, put in its place at the end.
 *
 * @param make  writes `scratch.partial` and verifies it; calls nothing of this target's itself.
 * @throws {PipelineError} locked, when another process makes the same file.
 */
export async function makeOutput<T>(
  target: string,
  ctx: Context,
  make: (scratch: Scratch, ctx: Context) => Promise<T>,
  options: { readonly resume?: boolean } = {},
): Promise<T> {
  return withOutputLocks([target], ctx, async (own) => {
    const scratch = openScratch(target, options.resume);
    let done = false;
    try {
      const result = await make(scratch, own);
      own.signal.throwIfAborted();
      requireHeld(own);
      publishFile(scratch.partial, target);
      done = true;
      return result;
    } finally {
      endScratch(scratch, !done && options.resume === true, own);
    }
  });
}

/**
 * Hold the locks of outputs without a record: `.TARGET.lock` next to each.
 *
 * @throws {PipelineError} locked, when another process makes one of them.
 */
export function withOutputLocks<T>(
  targets: readonly string[],
  ctx: Context,
  body: (ctx: Context) => Promise<T>,
): Promise<T> {
  const [target, ...others] = targets;
  if (target === undefined) return body(ctx);
  const lock = join(dirname(target), `.${basename(target)}.lock`);
  return withLock(lock, ctx, (own) => withOutputLocks(others, own, body));
}

/**
 * Remove a scratch folder, or leave it to a later run. If the lock was lost, the successor has taken a copy or begun
 * anew: nobody needs this one.
 */
export function endScratch(scratch: Scratch, keep: boolean, ctx: Context): void {
  // Asked in any case: a lost lock is then the error that is told.
  const lost = ctx.held?.() === false;
  if (keep && !lost) scratch.leave();
  else scratch.remove();
}

/** @throws the reason, when the lock that this is done under is another's by now. */
export function requireHeld(ctx: Context): void {
  if (ctx.held?.() !== false) return;
  ctx.signal.throwIfAborted();
  throw new PipelineError("locked", "Lost the lock during the run");
}

interface Abandoned {
  readonly path: string;
  readonly owner: Owner;
}

/** Scratch folders of a target which are this user's and of no live process of this machine, the last one last. */
function abandoned(target: string): Abandoned[] {
  const folder = dirname(target);
  const [prefix, suffix] = [`.${basename(target)}.`, ".scratch"];
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const found = names.flatMap((name) => {
    const token = name.startsWith(prefix) && name.endsWith(suffix) ? name.slice(prefix.length, -suffix.length) : "";
    const path = join(folder, name);
    const changed = /^[0-9a-f]{12}$/.test(token) ? timeOfOwn(path) : undefined;
    if (changed === undefined) return [];
    const owner = readOwner(path);
    // Killed as it was made: who holds the lock is alone here, so nobody is about to write the owner's note.
    if (owner === undefined) removeEmpty(path);
    const lives = owner !== undefined && !owner.ended && isHere(owner) && isAlive(owner);
    return owner === undefined || lives ? [] : [{ path, owner, changed }];
  });
  return found.sort((a, b) => a.changed - b.changed);
}

/** A scratch folder as it lies there. */
export interface LeftScratch {
  readonly path: string;
  readonly target: string;
  /** Its process is gone for certain, or left it to a later run. */
  readonly over: boolean;
}

/** Scratch folders of this user's in a folder; those of no known owner are left out. */
export function scratchIn(folder: string): LeftScratch[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.flatMap((name) => {
    const target = /^\.(.+)\.[0-9a-f]{12}\.scratch$/.exec(name)?.[1];
    const path = join(folder, name);
    if (target === undefined || timeOfOwn(path) === undefined) return [];
    const owner = readOwner(path);
    if (owner === undefined) return [];
    return [{ path, target: join(folder, target), over: owner.ended === true || isGone(owner) }];
  });
}

/** When a folder that is this user's alone was last changed; undefined for any other. */
function timeOfOwn(path: string): number | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found?.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0) return undefined;
  return found.mtimeMs;
}

/** Remove a folder with nothing in it but, at most, an empty note of its owner. */
function removeEmpty(path: string): void {
  try {
    const note = lstatSync(join(path, SCRATCH_OWNER), { throwIfNoEntry: false });
    if (note?.isFile() && note.size === 0) rmSync(join(path, SCRATCH_OWNER));
    rmdirSync(path);
  } catch {
    // Something is in it: nobody knows whose.
  }
}

function readOwner(path: string): Owner | undefined {
  for (const [name, ended] of [
    [SCRATCH_OWNER, false],
    [SCRATCH_ENDED, true],
  ] as const) {
    try {
      const holder = parseHolder(readNote(join(path, name)));
      return holder && { ...holder, ended };
    } catch {
      // The other one, or none.
    }
  }
  return undefined;
}

function writeOwner(path: string, owner: Holder): void {
  const note = join(path, SCRATCH_OWNER);
  const partial = `${note}.new`;
  try {
    rmSync(partial, { force: true });
    writeFileSync(partial, JSON.stringify(owner), { flag: "wx", mode: 0o600 });
    renameSync(partial, note);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/**
 * Take over what lies in an ended run's scratch. Of a process that may only be asleep, on another host,
 * the files are copied: it may still write to its own when it wakes.
 */
function inherit({ path: from, owner }: Abandoned, to: string): boolean {
  try {
    if (owner.ended || isGone(owner)) {
      renameSync(from, to);
      return true;
    }
    mkdirSync(to, { mode: 0o700 });
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      if (!entry.isFile() || [SCRATCH_OWNER, SCRATCH_ENDED].includes(entry.name)) continue;
      copyFileSync(join(from, entry.name), join(to, entry.name), constants.COPYFILE_FICLONE);
    }
    return true;
  } catch (error) {
    removeTree(to);
    // It is gone by now: begin with nothing.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * Put a finished file in its place: data on disk, then the name, then the folder's
 * entry. A crash at any moment leaves the old file or the new one, whole.
 */
export function publishFile(partial: string, target: string): void {
  fsyncPath(partial);
  renameSync(partial, target);
  fsyncPath(dirname(target));
}

/** fsync a file or a folder by path. */
export function fsyncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function removeFile(path: string): void {
  if (!existsSync(path)) return;
  rmSync(path, { force: true });
  fsyncPath(dirname(path));
}
