import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BatchLayout, ItemPath } from "./layout.js";
import type { Attempt, Tries } from "./outcome.js";

/** `ready`: output verified, about to be put in its place; `retry`: to be tried again. */
export const STATES = ["ready", "retry", "done", "failed"] as const;
export type State = (typeof STATES)[number];

/** What is known of an item, one small file; its state stands in the name, so that a listing tells it. */
export interface ItemRecord {
  readonly id: string;
  readonly digest: string;
  /** Of the attempts that failed, by fault. */
  readonly tries: Tries;
  /** The last of them. */
  readonly attempts: readonly Attempt[];
  /** Not before this time, for `retry`. */
  readonly notBefore?: string;
  /** Of the attempt that succeeded, for `ready` and `done`. */
  readonly result?: {
    readonly seconds: number;
    readonly files: number;
    readonly bytes: number;
    /** Inode of the output folder: it keeps it when it is put in its place. */
    readonly inode: string;
    /** False when a valid output without a record was found. */
    readonly made: boolean;
  };
  readonly finishedAt: string;
  readonly runner: string;
  readonly host: string;
  readonly job?: string | undefined;
}

export interface RecordEntry {
  readonly name: string;
  readonly digest: string;
  readonly state: State;
}

/** Attempts that a record keeps; a file of 2 KB lies on the metadata server's own disks at some sites. */
export const KEPT_ATTEMPTS = 5;

/** The records of a shard, by one listing. */
export async function listRecords(layout: BatchLayout, shard: string): Promise<RecordEntry[]> {
  const names = await listNames(layout.records(shard));
  return names.flatMap((file) => {
    const [, name, digest, state] = /^(.+)@([0-9a-f]{16})\.([a-z]+)$/.exec(file) ?? [];
    return name && digest && STATES.includes(state as State) ? [{ name, digest, state: state as State }] : [];
  });
}

/** Names in a folder; none where there is no folder. */
export async function listNames(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Undefined when there is none, or it cannot be understood: then nothing is known. */
export async function readItemRecord(
  layout: BatchLayout,
  shard: string,
  entry: RecordEntry,
): Promise<ItemRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(recordPath(layout, shard, entry), "utf8")) as ItemRecord;
    return typeof record.id === "string" && typeof record.tries === "object" ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Write a record in the item's scratch, flush it, put it in its place, and remove what it replaces.
 *
 * @param scratch  of the item, in the runner's own; once that is taken away, nothing comes of this any more.
 */
export async function writeItemRecord(
  layout: BatchLayout,
  item: ItemPath,
  scratch: string,
  state: State,
  record: ItemRecord,
  replaced: readonly RecordEntry[] = [],
): Promise<RecordEntry> {
  const entry: RecordEntry = { name: item.name, digest: record.digest, state };
  const path = recordPath(layout, item.shard, entry);
  const partial = join(scratch, "record");
  const handle = await open(partial, "w");
  try {
    await handle.writeFile(`${JSON.stringify(record)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // The name itself is not flushed: a record that a power cut takes away is work done twice at worst.
  await rename(partial, path);
  await removeOthers(layout, item.shard, replaced, entry);
  return entry;
}

/** Give a record another state: one rename. */
export async function moveRecord(
  layout: BatchLayout,
  shard: string,
  entry: RecordEntry,
  state: State,
): Promise<RecordEntry> {
  const moved = { ...entry, state };
  await rename(recordPath(layout, shard, entry), recordPath(layout, shard, moved));
  return moved;
}

export async function removeRecord(layout: BatchLayout, shard: string, entry: RecordEntry): Promise<void> {
  await rm(recordPath(layout, shard, entry), { force: true });
}

/** Remove an item's records but the one that holds now. */
export async function removeOthers(
  layout: BatchLayout,
  shard: string,
  entries: readonly RecordEntry[],
  kept: RecordEntry,
): Promise<void> {
  for (const old of entries) if (!sameEntry(old, kept)) await removeRecord(layout, shard, old);
}

function sameEntry(a: RecordEntry, b: RecordEntry): boolean {
  return a.name === b.name && a.digest === b.digest && a.state === b.state;
}

function recordPath(layout: BatchLayout, shard: string, { name, digest, state }: RecordEntry): string {
  return join(layout.records(shard), `${name}@${digest}.${state}`);
}
