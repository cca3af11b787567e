import { forEachBounded } from "../parallel/map-ordered.js";
import type { ItemQueue } from "./item-queue.js";
import type { Item } from "./items.js";
import type { BatchLayout } from "./layout.js";
import { listRecords, removeRecord } from "./records.js";

const AT_ONCE = 16;

/** Forget that items failed, so that they are tried anew, with all their attempts. */
export async function retryFailed(items: readonly Item[], layout: BatchLayout, queue: ItemQueue): Promise<void> {
  const shards = new Set(items.map(({ shard }) => shard));
  await forEachBounded(shards, AT_ONCE, async (shard) => {
    for (const entry of await listRecords(layout, shard)) {
      const item = entry.state === "failed" ? queue.itemAt({ shard, name: entry.name }) : undefined;
      if (item === undefined || item.digest !== entry.digest) continue;
      await removeRecord(layout, shard, entry);
      queue.put(item, "open");
    }
  });
}
