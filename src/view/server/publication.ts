import { CDL_LEGEND, type LegendEntry } from "../../legend/cdl-legend.js";
import { asPipelineError, type PipelineError } from "../../pipeline/errors.js";
import type { Log } from "../../pipeline/log.js";
import {
  type ArchiveEntry,
  type ColumnBaseEntry,
  type ColumnEntry,
  type Manifest,
  parseManifest,
} from "../../publish/manifest.js";
import type { ViewerYear, ViewerYears } from "../viewer-api.js";
import { type ArchiveDescription, describeColumn, describeStored } from "./archive-description.js";
import type { Store, StoredArchive } from "./store.js";

/** Time that a reading of the store is cached. */
const FRESH_MS = 1_000;

type Entry = Pick<ArchiveEntry, "url" | "key"> & Partial<ArchiveEntry>;

/**
 * The current years of a store: manifest and archives are checked again whenever the page
 * asks.
 */
export class Publication {
  #last: { readonly years: Omit<ViewerYears, "history" | "asks">; readonly until: number } | undefined;
  /** Archives by the tag in their URL: an archive with several years has one URL. */
  readonly #byTag = new Map<string, Entry>();
  readonly #descriptions = new Map<string, ArchiveDescription>();
  readonly #told = new Map<number | string, string>();

  constructor(
    private readonly store: Store,
    private readonly region: string,
    private readonly log: Log,
  ) {}

  get manifestKey(): string {
    return `${this.region}_full_years.json`;
  }

  /**
   * If the manifest cannot be read now (it is being replaced, the server is unreachable), the previous one stays.
   *
   * @throws {PipelineError} if there is no previous one.
   */
  async look(): Promise<Omit<ViewerYears, "history" | "asks">> {
    if (this.#last !== undefined && this.#last.until > performance.now()) return this.#last.years;
    let manifest: Manifest | undefined;
    try {
      manifest = await this.#manifest();
      this.#told.delete("manifest");
    } catch (error) {
      if (this.#last === undefined) throw error;
      this.#tell("manifest", asPipelineError(error, "input", "The manifest cannot be read"));
      return this.#last.years;
    }
    const columns = Object.keys(manifest?.columns?.years ?? {}).map(Number);
    const listed = [...new Set([...(manifest?.years ?? []), ...columns])].sort((a, b) => a - b);
    const known = await Promise.all(listed.map((year) => this.#describeYear(year, manifest as Manifest)));
    const years = {
      region: this.region,
      years: known,
      legend: readLegend(manifest?.legend),
    };
    this.#last = { years, until: performance.now() + FRESH_MS };
    return years;
  }

  /**
   * The archive behind a URL that `look` returned.
   *
   * @returns undefined if there is no such archive or it was replaced.
   */
  async open(tag: string): Promise<StoredArchive | undefined> {
    const entry = this.#byTag.get(tag);
    if (entry === undefined) return undefined;
    const archive = await this.store.open(entry);
    if (archive.tag === tag) return archive;
    await archive.close();
    this.#byTag.delete(tag);
    this.#last = undefined;
    return undefined;
  }

  async #manifest(): Promise<Manifest | undefined> {
    const text = await this.store.text(this.manifestKey);
    return text === undefined ? undefined : parseManifest(text, this.region, { target: this.store.name });
  }

  /** Years that are listed without an entry use the default name of archives. */
  #entry(manifest: Manifest, year: number): Entry {
    const usual = `fields_${this.region}_${year}_full.pmtiles`;
    const { url, key, ...rest } = manifest.archives[year] ?? {};
    return { ...rest, url: typeof url === "string" ? url : usual, key: typeof key === "string" ? key : usual };
  }

  /** As a column, if the manifest has a readable one; else its archive. */
  async #describeYear(year: number, manifest: Manifest): Promise<ViewerYear> {
    const column = manifest.columns?.years[year];
    const base = column && manifest.columns?.bases[column.base];
    if (column === undefined || base === undefined) return this.#describe(year, this.#entry(manifest, year));
    try {
      return await this.#describeColumn(year, column, base);
    } catch (error) {
      const known = asPipelineError(error, "input", "The column cannot be read", { year, url: column.url });
      this.#tell(`column ${year}`, known);
      if (manifest.years.includes(year)) return this.#describe(year, this.#entry(manifest, year));
      return { year, missing: known.sentence };
    }
  }

  async #describeColumn(year: number, column: ColumnEntry, base: ColumnBaseEntry): Promise<ViewerYear> {
    const opened: StoredArchive[] = [];
    const open = async (entry: Entry) => {
      const file = await this.store.open(entry);
      opened.push(file);
      this.#byTag.set(file.tag, entry);
      return file;
    };
    try {
      const [codes, blocks, archive] = [await open(column), await open(base.blocks), await open(base.archive)];
      const cached = `column ${codes.tag} ${blocks.tag} ${archive.tag} ${column.base}`;
      const description = this.#descriptions.get(cached) ?? (await describeColumn(codes, blocks, archive, column.base));
      this.#descriptions.set(cached, description);
      this.#told.delete(`column ${year}`);
      const place = {
        year,
        archive: `archives/${archive.tag}.pmtiles`,
        blocks: `archives/${blocks.tag}.blocks`,
        fingerprint: column.base,
      };
      return { year, archive: { url: `archives/${codes.tag}.column`, column: place, ...description } };
    } finally {
      for (const file of opened) await file.close();
    }
  }

  async #describe(year: number, entry: Entry): Promise<ViewerYear> {
    try {
      const archive = await this.store.open(entry);
      try {
        const cached = `${year} ${archive.tag}`;
        const description = this.#descriptions.get(cached) ?? (await describeStored(archive, year));
        this.#descriptions.set(cached, description);
        this.#told.delete(year);
        const fields = entry.featureCounts?.fields;
        this.#byTag.set(archive.tag, entry);
        const url = `archives/${archive.tag}.pmtiles`;
        return { year, archive: { url, ...description, ...(typeof fields === "number" && { fields }) } };
      } finally {
        await archive.close();
      }
    } catch (error) {
      const known = asPipelineError(error, "input", "The archive cannot be read", { url: entry.url });
      this.#tell(year, known);
      // Paths are for the log; the page gets only the sentence.
      return { year, missing: known.sentence };
    }
  }

  /** Log a problem once, until it changes. */
  #tell(what: number | string, error: PipelineError): void {
    if (this.#told.get(what) === error.message) return;
    this.#told.set(what, error.message);
    this.log.warn(error.message, typeof what === "number" ? { year: what } : {});
  }
}

/** USDA's legend if the manifest has none or an invalid one. */
function readLegend(legend: unknown): readonly LegendEntry[] {
  const usable = Array.isArray(legend) && legend.length > 0 && legend.every(isEntry);
  return usable ? legend.map(({ code, name, color }) => ({ code, name, color })) : CDL_LEGEND;
}

function isEntry(value: unknown): value is LegendEntry {
  const { code, name, color } = (value ?? {}) as Record<string, unknown>;
  const right = Number.isInteger(code) && typeof name === "string" && typeof color === "string";
  return right && /^#[0-9a-f]{6}$/i.test(color);
}
