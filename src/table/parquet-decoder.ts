import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type Table, tableFromIPC } from "apache-arrow";

/** A row group is decoded in milliseconds; a file system that stalls gets its time. */
const LIMIT_MS = 60_000;

export interface DecodeOptions {
  readonly rowGroups: readonly number[];
  readonly offset?: number;
  readonly limit?: number;
  /** All by default. */
  readonly columns?: readonly string[];
}

/** The message to the decoder's thread. */
export interface DecodeRequest extends DecodeOptions {
  readonly id: number;
  readonly path: string;
  /** `fileState` of the file that is meant. */
  readonly state: string;
}

/** The message back: a stream or an error. */
export interface DecodeReply {
  readonly id: number;
  /** Arrow's IPC stream. */
  readonly stream?: Uint8Array;
  readonly error?: string;
}

interface Pending {
  readonly resolve: (stream: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Decodes parquet by parquet-wasm in a thread of its own. A damaged file can make the decoder panic, which
 * ends the thread that it runs in, or never return: here either is an error of that one read, and the
 * next read gets a new thread. Pool workers, which may die, read without this.
 */
export class ParquetDecoder {
  readonly #state: string;

  /** @param path  of a file that is there; once another takes its place, reads fail. */
  constructor(
    readonly path: string,
    private readonly limitMs = LIMIT_MS,
  ) {
    this.#state = fileState(path);
  }

  /** @throws {Error} naming neither file nor rows, which the caller knows. */
  async read(options: DecodeOptions): Promise<Table> {
    const table = tableFromIPC(await DECODER.ask({ path: this.path, state: this.#state, ...options }, this.limitMs));
    const rows = options.limit;
    if (rows !== undefined && table.numRows !== rows)
      throw new Error(`${rows} rows were expected, ${table.numRows} came`);
    return table;
  }
}

/** Changes when another file takes the path, or this one is written to. */
export function fileState(path: string): string {
  const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
  return `${dev} ${ino} ${size} ${mtimeNs}`;
}

/** The thread, started by the first read; it holds up no process that has nothing to wait for. */
class DecoderThread {
  #worker: Worker | undefined;
  readonly #pending = new Map<number, Pending>();
  #last = 0;

  ask(read: Omit<DecodeRequest, "id">, limitMs: number): Promise<Uint8Array> {
    const worker = this.#worker ?? this.#start();
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#end(worker, `it takes more than ${limitMs / 1000} s`), limitMs);
      this.#pending.set(id, { resolve, reject, timer });
      worker.ref();
      worker.postMessage({ id, ...read } satisfies DecodeRequest);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL("./parquet-decoder-worker.js", import.meta.url));
    worker.on("message", ({ id, stream, error }: DecodeReply) => {
      const pending = this.#pending.get(id);
      if (pending === undefined || this.#worker !== worker) return;
      clearTimeout(pending.timer);
      this.#pending.delete(id);
      if (this.#pending.size === 0) worker.unref();
      if (stream === undefined) pending.reject(new Error(error));
      else pending.resolve(stream);
    });
    worker.on("error", (error) => this.#end(worker, error.message));
    worker.on("exit", () => this.#end(worker, "its thread has ended"));
    this.#worker = worker;
    return worker;
  }

  #end(worker: Worker, why: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    void worker.terminate();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(`Parquet cannot be decoded: ${why}`));
    }
    this.#pending.clear();
  }
}

const DECODER = new DecoderThread();
