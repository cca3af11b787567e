import { forEachBounded } from "../parallel/map-ordered.js";
import type { Item } from "./items.js";
import { type BatchLayout, SHARDS } from "./layout.js";
import { listNames, listRecords, type RecordEntry } from "./records.js";

const OPEN = 0;
/** This runner is processing it. */
const MINE = 1;
/** Another runner was processing it at the last listing. */
const TAKEN = 2;
/** Waiting for a retry. */
const LATER = 3;
const DONE = 4;
const FAILED = 5;
type State = 0 | 1 | 2 | 3 | 4 | 5;

/** Shards listed at the same time. */
const LISTINGS = 16;
/** After this many conflicts in a row, a runner jumps to another part of the list. */
const CONFLICTS = 3;

export interface Counts {
  readonly items: number;
  readonly done: number;
  readonly failed: number;
  /** Claimed by any runner at the last listing. */
  readonly running: number;
  readonly waiting: number;
}

/** Why items that have a done record are processed again. */
export interface Redone {
  /** The output was purged or removed. */
  readonly missing: number;
  /** The item's fields or the command changed. */
  readonly changed: number;
}

/**
 * This runner's view of all items, from directory listings: done, failed, claimed, free. It may be
 * stale; the claim decides.
 *
 * Runners begin at different shards and continue in order, so each works in its own folders until
 * little is left.
 */
export class ItemQueue {
  readonly #items: readonly Item[];
  readonly #index = new Map<string, number>();
  readonly #state: Uint8Array;
  readonly #due = new Map<number, number>();
  /** Has a done record but must be processed again. */
  readonly #redo = new Set<number>();
  readonly #byShard = new Map<string, number[]>();
  #cursor: number;
  #conflicts = 0;
  /** Number of items by state. */
  readonly #count: [number, number, number, number, number, number];

  /**
   * @param keep  accept done records with another digest.
   */
  constructor(
    items: readonly Item[],
    private readonly layout: BatchLayout,
    private readonly keep: boolean,
    private readonly random: () => number = Math.random,
  ) {
    this.#items = [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));
    for (const [i, item] of this.#items.entries()) {
      this.#index.set(key(item), i);
      const shard = this.#byShard.get(item.shard);
      if (shard) shard.push(i);
      else this.#byShard.set(item.shard, [i]);
    }
    this.#state = new Uint8Array(items.length);
    this.#count = [items.length, 0, 0, 0, 0, 0];
    this.#cursor = Math.floor(random() * items.length);
  }

  /** The item with this path; undefined if it is not in the list. */
  itemAt(item: { shard: string; name: string }): Item | undefined {
    const i = this.#index.get(key(item));
    return i === undefined ? undefined : this.#items[i];
  }

  /** List everything once: records, claims, and outputs of finished items. */
  async open(): Promise<Redone> {
    let [missing, changed] = [0, 0];
    await forEachBounded(this.#byShard.keys(), LISTINGS, async (shard) => {
      const entries = await listRecords(this.layout, shard);
      const outputs = new Set(entries.length > 0 ? await listNames(this.layout.outputs(shard)) : []);
      for (const entry of entries) {
        if (entry.state !== "done") continue;
        const i = this.#index.get(key({ shard, name: entry.name }));
        if (i === undefined) continue;
        if (!this.isCurrent(this.#items[i] as Item, entry)) changed++;
        else if (!outputs.has(entry.name)) {
          this.#redo.add(i);
          missing++;
        }
      }
      await this.#learnShard(shard, entries);
    });
    return { missing, changed };
  }

  /** List again every shard with unfinished items. */
  async refresh(): Promise<void> {
    const shards = SHARDS.filter((shard) => this.#byShard.get(shard)?.some((i) => (this.#state[i] as number) < DONE));
    await forEachBounded(shards, LISTINGS, async (shard) => {
      // Claims before records, so an item that ends in between is not missed.
      const claims = new Set(await listNames(this.layout.claims(shard)));
      await this.#learnShard(shard, await listRecords(this.layout, shard), claims);
    });
  }

  async #learnShard(shard: string, entries: readonly RecordEntry[], known?: ReadonlySet<string>): Promise<void> {
    const claims = known ?? new Set(await listNames(this.layout.claims(shard)));
    for (const i of this.#byShard.get(shard) ?? []) {
      const name = (this.#items[i] as Item).name;
      if (this.#state[i] === TAKEN && !claims.has(name)) this.#set(i, OPEN);
      if (this.#state[i] === OPEN && claims.has(name)) this.#set(i, TAKEN);
    }
    this.learn(shard, entries);
  }

  /** Apply a listing of a shard's records. */
  learn(shard: string, entries: readonly RecordEntry[]): void {
    for (const entry of entries) {
      const i = this.#index.get(key({ shard, name: entry.name }));
      if (i === undefined || this.#redo.has(i) || this.#state[i] === MINE) continue;
      if (!this.isCurrent(this.#items[i] as Item, entry)) continue;
      if (entry.state === "done") this.#set(i, DONE);
      else if (entry.state === "failed") this.#set(i, FAILED);
    }
  }

  /** Whether a record has the item's current digest. */
  isCurrent(item: Item, entry: RecordEntry): boolean {
    return item.digest === entry.digest || (this.keep && entry.state === "done");
  }

  /** The next item to claim; it counts as this runner's until `put`. */
  next(): Item | undefined {
    const now = performance.now();
    for (const [i, due] of this.#due) {
      if (due > now) continue;
      this.#due.delete(i);
      if (this.#state[i] === LATER) this.#set(i, OPEN);
    }
    if (this.#count[OPEN] === 0) return undefined;
    while (this.#state[this.#cursor] !== OPEN) this.#cursor = (this.#cursor + 1) % this.#items.length;
    this.#set(this.#cursor, MINE);
    return this.#items[this.#cursor];
  }

  /** Return an item with its outcome. */
  put(item: Item, what: "done" | "failed" | "taken" | "open" | { readonly dueMs: number }): void {
    const i = this.#indexOf(item);
    this.#conflicts = what === "taken" ? this.#conflicts + 1 : 0;
    if (this.#conflicts >= CONFLICTS) {
      this.#conflicts = 0;
      this.#cursor = Math.floor(this.random() * this.#items.length);
    }
    if (what === "done" || what === "failed") this.#redo.delete(i);
    if (typeof what === "object") {
      this.#due.set(i, performance.now() + what.dueMs);
      this.#set(i, LATER);
    } else {
      this.#set(i, ({ done: DONE, failed: FAILED, taken: TAKEN, open: OPEN } as const)[what]);
    }
  }

  counts(): Counts {
    const [open, mine, taken, later, done, failed] = this.#count;
    return { items: this.#items.length, done, failed, running: mine + taken, waiting: open + later };
  }

  /** Time until the next retry is due, in ms; undefined if no item waits. */
  nextDueMs(): number | undefined {
    const due = Math.min(...this.#due.values());
    return due === Infinity ? undefined : Math.max(0, due - performance.now());
  }

  #indexOf(item: Item): number {
    return this.#index.get(key(item)) as number;
  }

  #set(i: number, state: State): void {
    this.#count[this.#state[i] as State]--;
    this.#count[state]++;
    this.#state[i] = state;
  }
}

function key({ shard, name }: { shard: string; name: string }): string {
  return `${shard}/${name}`;
}
