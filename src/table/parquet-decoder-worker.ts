import { parentPort } from "node:worker_threads";
import { ParquetFile } from "parquet-wasm";
import { type DecodeReply, type DecodeRequest, fileState } from "./parquet-decoder.js";
import { openAsPlainParquet } from "./read-footer.js";

/** Files kept open; a history reads one a year in step. */
const KEPT_FILES = 64;

const files = new Map<string, Promise<ParquetFile>>();

parentPort?.on("message", (request: DecodeRequest) => void answer(request));

async function answer({ id, path, state, rowGroups, columns, ...range }: DecodeRequest): Promise<void> {
  try {
    const file = await opened(path, state);
    const table = await file.read({
      rowGroups: [...rowGroups],
      ...range,
      ...(columns && { columns: [...columns] }),
      // All rows in one batch: each column comes in one piece.
      batchSize: range.limit ?? 2 ** 31 - 1,
    });
    const stream = table.intoIPCStream();
    parentPort?.postMessage({ id, stream } satisfies DecodeReply, [stream.buffer as ArrayBuffer]);
  } catch (error) {
    // After a panic nothing in its memory can be relied on.
    if ((error as Error).name === "RuntimeError") throw error;
    parentPort?.postMessage({
      id,
      error: error instanceof Error ? error.message : String(error),
    } satisfies DecodeReply);
  }
}

function opened(path: string, state: string): Promise<ParquetFile> {
  if (fileState(path) !== state) throw new Error("the file was replaced or changed");
  const key = `${state} ${path}`;
  const file = files.get(key) ?? openAsPlainParquet(path).then((blob) => ParquetFile.fromFile(blob));
  files.delete(key);
  files.set(key, file);
  file.catch(() => files.delete(key));
  for (const oldest of files.keys()) {
    if (files.size <= KEPT_FILES) break;
    void files.get(oldest)?.then((old) => old.free());
    files.delete(oldest);
  }
  return file;
}
