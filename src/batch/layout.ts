import { createHash } from "node:crypto";
import { join } from "node:path";

/** Folders of a batch are cut by the first byte of the id's hash: 13,510 items are 53 a folder. */
export const SHARDS: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

/** Longer names are cut and told apart by a hash: with digest and state they must stay below 255 bytes. */
const NAME_BYTES = 180;

/** Where a batch keeps what, under `--out`. */
export class BatchLayout {
  constructor(readonly root: string) {}

  /** What the batch is: its command and how it was started. */
  readonly file = (): string => join(this.root, "batch.json");
  readonly summary = (): string => join(this.root, "summary.json");
  /** An item's finished output; a folder. */
  readonly output = (item: ItemPath): string => join(this.root, "items", item.shard, item.name);
  readonly outputs = (shard: string): string => join(this.root, "items", shard);
  readonly log = (item: ItemPath): string => join(this.root, "logs", item.shard, `${item.name}.log`);
  /** Logs of finished items, a file and its index for each runner. */
  readonly packed = (): string => join(this.root, "logs", "packed");
  readonly records = (shard: string): string => join(this.root, "records", shard);
  readonly claims = (shard: string): string => join(this.root, "claims", shard);
  readonly claim = (item: ItemPath): string => join(this.root, "claims", item.shard, item.name);
  /** A file for each runner at work, with its heartbeat. */
  readonly runners = (): string => join(this.root, "runners");
  /** What runners that have ended had done. */
  readonly runs = (): string => join(this.root, "runs");
  /** Where a runner's items write, on the outputs' own file system; one folder an item in work. */
  readonly scratch = (runner: string): string => join(this.root, "scratch", runner);
}

/** An item's place on disk. */
export interface ItemPath {
  readonly shard: string;
  readonly name: string;
}

/** An id as a file name: whatever could mean something to a file system or a shell is written as %XX. */
export function itemPathOf(id: string): ItemPath {
  const hash = createHash("sha256").update(id).digest("hex");
  const safe = Buffer.from(id)
    .toString("latin1")
    .replace(
      /[^A-Za-z0-9_.-]|^[.-]/g,
      (c) => `%${(c.codePointAt(0) as number).toString(16).toUpperCase().padStart(2, "0")}`,
    );
  const name = safe.length <= NAME_BYTES ? safe : `${safe.slice(0, NAME_BYTES - 21)}~${hash.slice(0, 20)}`;
  return { shard: hash.slice(0, 2), name };
}
