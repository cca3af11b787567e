import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { BatchLayout, ItemPath } from "./layout.js";
import { listNames } from "./records.js";

/** Logs that are packed at a time; fewer stay files of their own. */
const GROUP = 128;

/**
 * Puts the logs of a runner's finished items into one file, as thousands of small files are a burden on a shared file
 * system. Each runner has its own pack: `logs/packed/RUNNER.log`, the logs one behind the other, and `RUNNER.index`, a
 * line each: item, first byte, bytes. A log is removed once its bytes are on disk; after a kill it may be in both.
 */
export class LogPack {
  #waiting: ItemPath[] = [];

  constructor(
    private readonly layout: BatchLayout,
    private readonly runner: string,
  ) {}

  /** A finished item's log may be packed. */
  add({ shard, name }: ItemPath): void {
    this.#waiting.push({ shard, name });
    if (this.#waiting.length >= GROUP) this.#pack(this.#waiting.splice(0));
  }

  #pack(items: readonly ItemPath[]): void {
    const { log, index } = packOf(this.layout, this.runner);
    const [logFd, indexFd] = [openSync(log, "a+"), openSync(index, "a")];
    try {
      let at = fstatSync(logFd).size;
      const lines: string[] = [];
      const packed: string[] = [];
      for (const item of items) {
        const path = this.layout.log(item);
        if (!existsSync(path)) continue;
        const bytes = readFileSync(path);
        for (let from = 0; from < bytes.length; ) from += writeSync(logFd, bytes, from);
        lines.push(`${item.shard}/${item.name}\t${at}\t${bytes.length}\n`);
        at += bytes.length;
        packed.push(path);
      }
      fdatasyncSync(logFd);
      writeSync(indexFd, lines.join(""));
      fdatasyncSync(indexFd);
      for (const path of packed) rmSync(path);
    } finally {
      closeSync(logFd);
      closeSync(indexFd);
    }
  }
}

/** Everything that was logged of an item, packed or not, the oldest first; undefined for nothing. */
export async function readLog(layout: BatchLayout, item: ItemPath): Promise<string | undefined> {
  const pieces: string[] = [];
  const own = layout.log(item);
  const rest = existsSync(own) ? readFileSync(own, "utf8") : undefined;
  for (const name of await listNames(layout.packed())) {
    if (!name.endsWith(".index")) continue;
    const { log, index } = packOf(layout, name.slice(0, -".index".length));
    for (const line of readFileSync(index, "utf8").split("\n")) {
      const [at, first, bytes] = line.split("\t");
      // The last line may be cut short by a kill.
      if (at !== `${item.shard}/${item.name}` || bytes === undefined) continue;
      const text = readPiece(log, Number(first), Number(bytes));
      // A kill may leave what was packed as a file, too.
      if (rest === undefined || !rest.startsWith(text)) pieces.push(text);
    }
  }
  if (rest !== undefined) pieces.push(rest);
  return pieces.length === 0 ? undefined : pieces.join("");
}

function readPiece(path: string, from: number, bytes: number): string {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(bytes);
    let length = 0;
    for (let read = 1; read > 0 && length < bytes; length += read) {
      read = readSync(fd, buffer, length, bytes - length, from + length);
    }
    return buffer.toString("utf8", 0, length);
  } finally {
    closeSync(fd);
  }
}

function packOf(layout: BatchLayout, runner: string): { log: string; index: string } {
  return { log: join(layout.packed(), `${runner}.log`), index: join(layout.packed(), `${runner}.index`) };
}
