/** Cells of the queue's control words. */
const [TAKEN, PUSHED, ENDED, CHANGES, CELLS] = [0, 1, 2, 3, 4] as const;

/** A window that lies decoded in a slot, or in none: the worker is to decode it. */
export interface ScanItem {
  readonly item: number;
  readonly slot: number;
}

export const NO_SLOT = -1;

/**
 * Windows on their way from the main thread to the workers, in shared memory: a worker that waits
 * costs nobody a message. Sends across threads as it is.
 */
export interface ScanQueue {
  readonly control: Int32Array;
  /** Item and slot of each push. */
  readonly items: Int32Array;
}

/** @param items  how many will be pushed in all. */
export function newScanQueue(items: number): ScanQueue {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * CELLS)),
    items: new Int32Array(new SharedArrayBuffer(8 * items)),
  };
}

/** By the main thread alone. */
export function pushItem({ control, items }: ScanQueue, { item, slot }: ScanItem): void {
  const at = Atomics.load(control, PUSHED);
  items[2 * at] = item;
  items[2 * at + 1] = slot;
  Atomics.store(control, PUSHED, at + 1);
  Atomics.add(control, CHANGES, 1);
  // All of them: each waits for a place of its own, and only one of them waits for this.
  Atomics.notify(control, CHANGES);
}

/** No more will come: whoever waits, or comes later, goes away empty-handed. */
export function endQueue({ control }: ScanQueue): void {
  Atomics.store(control, ENDED, 1);
  Atomics.add(control, CHANGES, 1);
  Atomics.notify(control, CHANGES);
}

/** What has not been taken yet never will be. */
export function cancelQueue(queue: ScanQueue): void {
  Atomics.store(queue.control, TAKEN, queue.items.length);
  endQueue(queue);
}

/** Waits, blocking the thread; undefined at the end. Each item is taken once. */
export function takeItem({ control, items }: ScanQueue): ScanItem | undefined {
  const at = Atomics.add(control, TAKEN, 1);
  for (;;) {
    // Read before the others: a change after this makes the waiting end at once.
    const changes = Atomics.load(control, CHANGES);
    if (at < Atomics.load(control, PUSHED)) {
      return { item: items[2 * at] as number, slot: items[2 * at + 1] as number };
    }
    if (Atomics.load(control, ENDED) === 1) return undefined;
    Atomics.wait(control, CHANGES, changes);
  }
}
