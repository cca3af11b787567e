import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { Log } from "../../cli/log.js";
import { type HistoryLegend, historyFiles } from "../../history/format.js";
import { HistoryReader } from "../../history/history-reader.js";
import { asPipelineError } from "../../pipeline/errors.js";
import type { ViewerAreas, ViewerField } from "../viewer-api.js";

/** The history over all years, as `dist/history.js` made it, opened anew when it was made anew. */
export class FieldHistory {
  #open: { readonly tag: string; readonly reader: Promise<HistoryReader> } | undefined;
  #told: string | undefined;

  /** @param folders  where it may lie; the first that has it counts. */
  constructor(
    private readonly folders: readonly string[],
    private readonly region: string,
    private readonly log: Log,
  ) {}

  /** Changes with the files; null where there are none. */
  async tag(): Promise<string | null> {
    return (await this.#find())?.tag ?? null;
  }

  /** @returns undefined where there is no history, or no such row in it. */
  async field(row: number): Promise<ViewerField | undefined> {
    const found = await this.#find();
    if (found === undefined) return undefined;
    const reader = await this.#reader(found);
    if (reader === undefined || row >= reader.rows) return undefined;
    const { id, areaHa, crops } = await reader.read(row);
    return { row, id: id === null ? null : String(id), areaHa, crops };
  }

  /** @returns undefined where there is no history. */
  async areas(): Promise<ViewerAreas | undefined> {
    const found = await this.#find();
    if (found === undefined) return undefined;
    try {
      const legend = JSON.parse(await readFile(found.legend, "utf8")) as HistoryLegend;
      const crops = legend.crops.map(({ code, name, color, hectares }) => ({ code, name, color, hectares }));
      return { years: legend.years, crops };
    } catch (error) {
      this.#tell(error, found.legend);
      return undefined;
    }
  }

  async #find() {
    for (const folder of this.folders) {
      const { history, legend } = historyFiles(folder, this.region);
      const [table, list] = await Promise.all([identity(history), identity(legend)]);
      if (table === undefined || list === undefined) continue;
      const tag = createHash("sha256").update(`${history} ${table} ${list}`).digest("hex").slice(0, 20);
      return { history, legend, tag };
    }
    return undefined;
  }

  async #reader(found: { history: string; tag: string }): Promise<HistoryReader | undefined> {
    if (this.#open?.tag !== found.tag) {
      const before = this.#open;
      this.#open = { tag: found.tag, reader: HistoryReader.open(found.history) };
      // A read under way in the old file ends before it is closed: reads are queued in one event loop turn.
      before?.reader.then((reader) => setTimeout(() => reader.close(), 10_000).unref()).catch(() => {});
    }
    try {
      return await this.#open.reader;
    } catch (error) {
      this.#tell(error, found.history);
      return undefined;
    }
  }

  /** Once, until it is another problem. */
  #tell(error: unknown, path: string): void {
    const { message } = asPipelineError(error, "input", "The history cannot be read", { path });
    if (this.#told === message) return;
    this.#told = message;
    this.log.warn(message);
  }
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const { size, ino, mtimeNs } = await stat(path, { bigint: true });
    return `${size} ${ino} ${mtimeNs}`;
  } catch {
    return undefined;
  }
}
