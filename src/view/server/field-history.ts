import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { HistoryLegend } from "../../history/format.js";
import { HistoryReader } from "../../history/history-reader.js";
import { asPipelineError } from "../../pipeline/errors.js";
import type { Log } from "../../pipeline/log.js";
import type { ViewerAreas, ViewerField } from "../viewer-api.js";
import type { Store } from "./store.js";

/** Time that a published legend is cached. */
const FRESH_MS = 15_000;

export interface HistoryPlace {
  readonly table: string;
  readonly legend: string;
}

/** Name under which `dist/history.js --publish` puts the legend next to the archives. */
export function publishedLegend(region: string): string {
  return `${region}_legend.json`;
}

/** The history of all years, made by `dist/history.js`; reopened when it is replaced. */
export class FieldHistory {
  #open: { readonly tag: string; readonly reader: Promise<HistoryReader> } | undefined;
  #told: string | undefined;
  #legend: { readonly text: Promise<string | undefined>; readonly until: number } | undefined;

  /**
   * @param places  folders to search; the first that has it is used.
   * @param store   has the published legend if there is no history on this machine: areas, no fields.
   */
  constructor(
    private readonly places: readonly HistoryPlace[],
    private readonly store: Store,
    private readonly region: string,
    private readonly log: Log,
  ) {}

  /** Changes with the files; null if there are none. */
  async tag(): Promise<string | null> {
    const found = await this.#find();
    if (found !== undefined) return found.tag;
    const text = await this.#publishedLegend();
    return text === undefined ? null : digest(text);
  }

  /** @returns undefined without a history, or without such a row in it. */
  async field(row: number): Promise<ViewerField | undefined> {
    const found = await this.#find();
    if (found === undefined) return undefined;
    const reader = await this.#reader(found);
    if (reader === undefined || row >= reader.rows) return undefined;
    const { id, areaHa, crops } = await reader.read(row);
    return { row, id: id === null ? null : String(id), areaHa, crops };
  }

  /** @returns undefined without a history on this machine. */
  async openReader(): Promise<HistoryReader | undefined> {
    const found = await this.#find();
    return found === undefined ? undefined : this.#reader(found);
  }

  /** @returns undefined without a history. */
  async areas(): Promise<ViewerAreas | undefined> {
    const found = await this.#find();
    try {
      const text = found === undefined ? await this.#publishedLegend() : await readFile(found.legend, "utf8");
      if (text === undefined) return undefined;
      const legend = JSON.parse(text) as HistoryLegend;
      const crops = legend.crops.map(({ code, name, color, hectares }) => ({ code, name, color, hectares }));
      return { years: legend.years, crops };
    } catch (error) {
      this.#tell(error, found?.legend ?? publishedLegend(this.region));
      return undefined;
    }
  }

  async #find(): Promise<(HistoryPlace & { readonly tag: string }) | undefined> {
    for (const place of this.places) {
      const [table, legend] = await Promise.all([identity(place.table), identity(place.legend)]);
      if (table === undefined || legend === undefined) continue;
      return { ...place, tag: digest(`${place.table} ${table} ${legend}`) };
    }
    return undefined;
  }

  /** Requested again after a while; undefined if there is none or the server is unreachable. */
  async #publishedLegend(): Promise<string | undefined> {
    if (this.#legend === undefined || this.#legend.until < performance.now()) {
      const text = this.store.text(publishedLegend(this.region)).catch(() => undefined);
      this.#legend = { text, until: performance.now() + FRESH_MS };
    }
    return this.#legend.text;
  }

  async #reader(found: { readonly table: string; readonly tag: string }): Promise<HistoryReader | undefined> {
    if (this.#open?.tag !== found.tag) {
      const before = this.#open;
      this.#open = { tag: found.tag, reader: HistoryReader.open(found.table) };
      // Reads in progress end before the old file is closed: they are queued in one event loop turn.
      before?.reader.then((reader) => setTimeout(() => reader.close(), 10_000).unref()).catch(() => {});
    }
    try {
      return await this.#open.reader;
    } catch (error) {
      this.#tell(error, found.table);
      return undefined;
    }
  }

  /** Log a problem once, until it changes. */
  #tell(error: unknown, path: string): void {
    const { message } = asPipelineError(error, "input", "The history cannot be read", { path });
    if (this.#told === message) return;
    this.#told = message;
    this.log.warn(message);
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 20);
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const { size, ino, mtimeNs } = await stat(path, { bigint: true });
    return `${size} ${ino} ${mtimeNs}`;
  } catch {
    return undefined;
  }
}
