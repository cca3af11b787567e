/** Cells of the queue's control words. */
const [TAKEN, PUSHED, ENDED, CHANGES, CELLS] = [0, 1, 2, 3, 4] as const;

/** A window, decoded in a slot; without a slot, the worker decodes it. */
export interface ScanItem {
  readonly item: number;
  readonly slot: number;
}

export const NO_SLOT = -1;

/**
 * Queue of windows from the main thread to the workers, in shared memory: a waiting worker needs
 * no message. Can be sent to threads directly.
 */
export interface ScanQueue {
  readonly control: Int32Array;
  /** Item and slot of each push. */
  readonly items: Int32Array;
}

/** @param items  total number of pushes. */
export function newScanQueue(items: number): ScanQueue {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * CELLS)),
    items: new Int32Array(new SharedArrayBuffer(8 * items)),
  };
}

/** Only for the main thread. */
export function pushItem({ control, items }: ScanQueue, { item, slot }: ScanItem): void {
  const at = Atomics.load(control, PUSHED);
  items[2 * at] = item;
  items[2 * at + 1] = slot;
  Atomics.store(control, PUSHED, at + 1);
  Atomics.add(control, CHANGES, 1);
  // Wake all: each waits for a different position, and only one of them for this one.
  Atomics.notify(control, CHANGES);
}

/** End of items: current and later waiters get undefined. */
export function endQueue({ control }: ScanQueue): void {
  Atomics.store(control, ENDED, 1);
  Atomics.add(control, CHANGES, 1);
  Atomics.notify(control, CHANGES);
}

/** Drop items that were not taken yet. */
export function cancelQueue(queue: ScanQueue): void {
  Atomics.store(queue.control, TAKEN, queue.items.length);
  endQueue(queue);
}

/** Waits, blocking the thread; undefined at the end. Each item is taken once. */
export function takeItem({ control, items }: ScanQueue): ScanItem | undefined {
  const at = Atomics.add(control, TAKEN, 1);
  for (;;) {
    // Read first: a change after this ends the wait at once.
    const changes = Atomics.load(control, CHANGES);
    if (at < Atomics.load(control, PUSHED)) {
      return { item: items[2 * at] as number, slot: items[2 * at + 1] as number };
    }
    if (Atomics.load(control, ENDED) === 1) return undefined;
    Atomics.wait(control, CHANGES, changes);
  }
}
