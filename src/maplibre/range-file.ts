import type { Source } from "pmtiles";
import {
  ColumnFormatError,
  type FileKind,
  PRELUDE_BYTES,
  type Prelude,
  readPrelude,
  requireChecksum,
  splitBlock,
} from "../columns/column-file.js";

/** Bytes of the first request: prelude and index of most files. */
const FIRST_BYTES = { blocks: 2 ** 16, column: 2 ** 14 } as const;
/** Blocks that lie no further apart are read by one request. */
const GAP_BYTES = 4096;
/** Largest request: a server answers several smaller ones sooner than one large one. */
const RANGE_BYTES = 2 ** 19;

interface Wanted {
  readonly from: number;
  readonly to: number;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** A file of blocks or codes behind a URL, read by HTTP ranges; blocks that are asked for together are fetched together. */
export class RangeFile<I extends { readonly offsets: Float64Array; readonly count: number }> {
  #wanted: Wanted[] = [];
  readonly #blocks = new Map<number, Promise<Uint8Array>>();

  private constructor(
    readonly url: string,
    readonly prelude: Prelude,
    readonly index: I,
    /** The file's beginning; all of it, where it is short or the server knows no ranges. */
    private readonly head: Uint8Array,
  ) {}

  /**
   * @throws {Error} that names the URL: it cannot be fetched, or is not such a file, or a damaged one.
   */
  static async open<I extends { readonly offsets: Float64Array; readonly count: number }>(
    url: string,
    kind: FileKind,
    readIndex: (raw: Uint8Array, prelude: Prelude) => I,
  ): Promise<RangeFile<I>> {
    try {
      const first = await fetchRange(url, 0, FIRST_BYTES[kind]);
      const prelude = readPrelude(first.bytes, kind);
      const end = PRELUDE_BYTES + prelude.indexLength;
      const rest =
        first.bytes.length < end ? (await fetchRange(url, first.bytes.length, end)).bytes : new Uint8Array(0);
      const stored = new Uint8Array(end - PRELUDE_BYTES);
      stored.set(first.bytes.subarray(PRELUDE_BYTES, end));
      stored.set(rest.subarray(0, end - first.bytes.length), Math.min(first.bytes.length, end) - PRELUDE_BYTES);
      const index = readIndex(await inflate(stored), prelude);
      if (first.isWhole && first.bytes.length !== prelude.fileBytes) {
        throw new ColumnFormatError(`it has ${first.bytes.length} bytes, expected ${prelude.fileBytes}`);
      }
      return new RangeFile(url, prelude, index, first.bytes);
    } catch (cause) {
      throw named(url, cause);
    }
  }

  /** A block's content, kept once it was read. */
  block(number: number): Promise<Uint8Array> {
    let content = this.#blocks.get(number);
    if (content === undefined) {
      content = this.#read(number);
      this.#blocks.set(number, content);
      // The next one who asks tries again.
      content.catch(() => this.#blocks.delete(number));
    }
    return content;
  }

  async #read(block: number): Promise<Uint8Array> {
    const [from, to] = [this.index.offsets[block] as number, this.index.offsets[block + 1] as number];
    try {
      const stored = to <= this.head.length ? this.head.subarray(from, to) : await this.#want(from, to);
      const { deflated, checksum } = splitBlock(stored);
      const content = await inflate(deflated);
      requireChecksum(content, checksum, `block ${block}`);
      return content;
    } catch (cause) {
      throw named(this.url, cause, ` in block ${block}`);
    }
  }

  /** Those who want something in the same turn share the requests. */
  #want(from: number, to: number): Promise<Uint8Array> {
    if (this.#wanted.length === 0) setTimeout(() => this.#fetchWanted());
    return new Promise((resolve, reject) => {
      this.#wanted.push({ from, to, resolve, reject });
    });
  }

  #fetchWanted(): void {
    const wanted = this.#wanted.sort((a, b) => a.from - b.from);
    this.#wanted = [];
    for (let first = 0; first < wanted.length; ) {
      const { from } = wanted[first] as Wanted;
      let to = (wanted[first] as Wanted).to;
      let next = first + 1;
      for (; next < wanted.length; next++) {
        const other = wanted[next] as Wanted;
        if (other.from > to + GAP_BYTES || other.to > from + RANGE_BYTES) break;
        to = Math.max(to, other.to);
      }
      const group = wanted.slice(first, next);
      fetchRange(this.url, from, to).then(
        ({ bytes, isWhole }) => {
          const start = isWhole ? 0 : from;
          for (const one of group) one.resolve(bytes.subarray(one.from - start, one.to - start));
        },
        (error: unknown) => {
          for (const one of group) one.reject(error);
        },
      );
      first = next;
    }
  }
}

/** An archive's ranges for `pmtiles`. */
export function rangeSource(url: string): Source {
  return {
    getKey: () => url,
    getBytes: async (offset, length, signal) => {
      const { bytes, isWhole } = await fetchRange(url, offset, offset + length, signal);
      const data = isWhole ? bytes.slice(offset, offset + length) : bytes;
      return { data: data.buffer };
    },
  };
}

/** Past the browser's cache, which lets ranges of one address wait for each other; what was read is kept here. */
async function fetchRange(
  url: string,
  from: number,
  to: number,
  signal?: AbortSignal,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; isWhole: boolean }> {
  const headers = { range: `bytes=${from}-${to - 1}` };
  const response = await fetch(url, { headers, cache: "no-store", signal: signal ?? null });
  if (response.status !== 206 && response.status !== 200) throw new Error(`the server answers ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const isWhole = response.status === 200;
  if (isWhole && bytes.length < from) throw new Error(`the server sends ${bytes.length} bytes instead of a range`);
  return { bytes, isWhole };
}

async function inflate(deflated: Uint8Array): Promise<Uint8Array> {
  try {
    const stream = new Blob([deflated as Uint8Array<ArrayBuffer>])
      .stream()
      .pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new ColumnFormatError("its bytes cannot be inflated");
  }
}

/** An error that crosses from a worker keeps its message alone. */
function named(url: string, cause: unknown, where = ""): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(
    cause instanceof ColumnFormatError ? `${url} is damaged${where}: ${reason}` : `${url} cannot be read: ${reason}`,
    { cause },
  );
}
