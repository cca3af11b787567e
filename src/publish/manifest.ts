import type { OPTIONS } from "../config/options.js";
import { CDL_LEGEND, type LegendEntry } from "../legend/cdl-legend.js";
import { PipelineError, type Where } from "../pipeline/errors.js";

/** Raised when older readers would misread what newer writers write. */
const MANIFEST_VERSION = 1;

/** What a reader of the map needs to know of one year's archive. */
export interface ArchiveEntry {
  /** Absolute, or relative to the manifest. */
  readonly url: string;
  /** File name, next to the manifest. */
  readonly key: string;
  readonly bytes: number;
  /** `sha256:` and 64 hex digits, of the whole archive. */
  readonly checksum: string;
  /** west, south, east, north in degrees. */
  readonly bounds: readonly number[];
  /** longitude, latitude, zoom. */
  readonly center: readonly number[];
  readonly minzoom: number;
  readonly maxzoom: number;
  readonly layers: readonly string[];
  /** When the archive was made, ISO 8601 in UTC. */
  readonly builtAt: string;
  /** Features by layer; absent where the archive's maker did not say. */
  readonly featureCounts?: Readonly<Record<string, number>>;
}

/** A published file. */
export interface FileEntry {
  /** Absolute, or relative to the manifest. */
  readonly url: string;
  readonly key: string;
  readonly bytes: number;
  /** `sha256:` and 64 hex digits. */
  readonly checksum: string;
}

export interface HistoryEntry {
  readonly years: readonly number[];
  /** legend.json. */
  readonly legend: FileEntry;
  /** history_{region}.parquet. */
  readonly table: FileEntry;
}

/** A base that columns refer to: its tiles without crops, and which field stands where in its columns. */
export interface ColumnBaseEntry {
  readonly archive: Omit<ArchiveEntry, "builtAt">;
  readonly blocks: FileEntry;
}

/** A year's crop codes. */
export interface ColumnEntry extends FileEntry {
  /** Fingerprint of its base. */
  readonly base: string;
  /** When it was made, ISO 8601 in UTC. */
  readonly builtAt: string;
}

/** Years as columns; readers that do not know them leave this part alone. */
export interface ColumnsEntry {
  /** By fingerprint, 64 hex digits. */
  readonly bases: Readonly<Record<string, ColumnBaseEntry>>;
  /** By year; not all of them are in the manifest's `years`, which lists archives. */
  readonly years: Readonly<Record<string, ColumnEntry>>;
}

/**
 * The file that lists what is published: `{region}_full_years.json`.
 *
 * The same archives give the same bytes, in whatever order and however often
 * their years were published: its only times are those at which archives were made.
 */
export interface Manifest {
  /** The history over all years, where it is published. */
  readonly history?: HistoryEntry;
  readonly columns?: ColumnsEntry;
  readonly version: number;
  readonly generator: string;
  readonly region: string;
  /** Ascending; also years that an older manifest listed without more. */
  readonly years: readonly number[];
  /** By year. */
  readonly archives: Readonly<Record<string, ArchiveEntry>>;
  readonly legend: readonly LegendEntry[];
  /** What other tools keep here stays. */
  readonly [other: string]: unknown;
}

const OWN_KEYS = new Set(["version", "generator", "region", "years", "archives", "legend"]);
const ENTRY_KEYS = new Set([
  "url",
  "key",
  "bytes",
  "checksum",
  "bounds",
  "center",
  "minzoom",
  "maxzoom",
  "layers",
  "builtAt",
  "featureCounts",
]);

/** `full`: the object below; `list`: its years alone, as a JSON list. */
export type ManifestFormat = (typeof OPTIONS)["manifestFormat"]["choices"][number];

/**
 * Read a manifest; a bare JSON list of years, its older form, is one without archives.
 *
 * @param where  names the file, for errors.
 * @throws {PipelineError} publish, when it is something else: it must not be overwritten.
 */
export function parseManifest(text: string, region: string, where: Where): Manifest {
  const refuse = (why: string, received?: string): never => {
    throw new PipelineError(
      "publish",
      `The existing manifest was not written by this program and is left unchanged: ${why}`,
      {
        ...where,
        expected: `a manifest of region ${region}, or a list of years`,
        received,
      },
    );
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse("it is not JSON", JSON.stringify(text.slice(0, 40)));
  }
  if (Array.isArray(value)) {
    if (!value.every(isYear)) refuse("it is a list of something else", JSON.stringify(value).slice(0, 60));
    return { ...EMPTY, region, years: ascending(value as number[]) };
  }
  if (!isObject(value)) return refuse("it is no object", text.slice(0, 40));
  const { version, years, archives } = value;
  if (typeof version !== "number") refuse("it has no version", `keys ${Object.keys(value).slice(0, 6).join(" ")}`);
  if (version !== MANIFEST_VERSION) refuse("it has another version", String(version));
  if (value.region !== region) refuse("it is another region's", String(value.region));
  if (!Array.isArray(years) || !years.every(isYear)) refuse("its years are no list of years");
  if (new Set(years as number[]).size > MAX_YEARS) refuse(`it has more than ${MAX_YEARS} years`);
  if (
    !isObject(archives) ||
    !Object.entries(archives).every(([year, entry]) => isYear(Number(year)) && isObject(entry))
  ) {
    refuse("its archives are not listed by year");
  }
  if (value.columns !== undefined) {
    const problem = columnsProblem(value.columns);
    if (problem !== undefined) refuse(problem.sentence, problem.received);
  }
  return value as Manifest;
}

/** Why columns cannot be what their manifest says; undefined where they can. */
function columnsProblem(value: unknown): { sentence: string; received?: string } | undefined {
  const { bases, years } = (isObject(value) ? value : {}) as { bases?: unknown; years?: unknown };
  if (!isObject(bases) || !isObject(years)) return { sentence: "its columns list no bases and years" };
  for (const [fingerprint, base] of Object.entries(bases)) {
    if (!/^[0-9a-f]{64}$/.test(fingerprint))
      return { sentence: "a base has no fingerprint", received: fingerprint.slice(0, 70) };
    if (!isObject(base) || !isFile(base.archive) || !isFile(base.blocks))
      return { sentence: "a base of columns lacks archive or blocks", received: fingerprint.slice(0, 12) };
  }
  if (Object.keys(years).length > MAX_YEARS) return { sentence: `it has more than ${MAX_YEARS} columns` };
  for (const [year, column] of Object.entries(years)) {
    if (!isYear(Number(year)) || !isFile(column))
      return { sentence: "its columns are not listed by year", received: year };
    const { base } = column as { base?: unknown };
    if (typeof base !== "string" || !Object.hasOwn(bases, base))
      return {
        sentence: `the column of ${year} is of a base that the manifest does not list`,
        received: String(base).slice(0, 12),
      };
  }
  return undefined;
}

function isFile(value: unknown): boolean {
  return isObject(value) && typeof value.url === "string" && typeof value.key === "string";
}

/** Each is an archive to be looked at. */
const MAX_YEARS = 1000;

const EMPTY: Manifest = { version: MANIFEST_VERSION, generator: "", region: "", years: [], archives: {}, legend: [] };

/** The manifest with this year's archive in it, every other year and foreign key kept. */
export function withArchive(
  manifest: Manifest | undefined,
  year: number,
  entry: ArchiveEntry,
  by: { readonly region: string; readonly generator: string },
): Manifest {
  const before = manifest ?? EMPTY;
  const foreign = keysOutside(before.archives[year] ?? {}, ENTRY_KEYS);
  const archives = { ...before.archives, [year]: { ...entry, ...foreign } };
  return {
    version: MANIFEST_VERSION,
    generator: by.generator,
    region: by.region,
    // A JavaScript object lists keys that are whole numbers in ascending order: so do the archives.
    years: ascending([...before.years, ...Object.keys(archives).map(Number)]),
    archives,
    legend: CDL_LEGEND,
    ...keysOutside(before, OWN_KEYS),
  };
}

/** The manifest with this history in place of any other; every year kept. */
export function withHistory(
  manifest: Manifest | undefined,
  history: HistoryEntry,
  by: { readonly region: string; readonly generator: string },
): Manifest {
  return { ...(manifest ?? { ...EMPTY, ...by, legend: CDL_LEGEND }), history };
}

/** The manifest with this year's column and its base in it; bases that no column is of any more are left out. */
export function withColumn(
  manifest: Manifest | undefined,
  year: number,
  column: ColumnEntry,
  base: ColumnBaseEntry,
  by: { readonly region: string; readonly generator: string },
): Manifest {
  const before = manifest ?? { ...EMPTY, ...by, legend: CDL_LEGEND };
  const years = { ...before.columns?.years, [year]: column };
  const wanted = new Set(Object.values<ColumnEntry>(years).map((entry) => entry.base));
  const bases = Object.entries({ ...before.columns?.bases, [column.base]: base }).filter(([print]) =>
    wanted.has(print),
  );
  return { ...before, columns: { bases: Object.fromEntries(bases.sort(([a], [b]) => (a < b ? -1 : 1))), years } };
}

/** Why a year's column is not in the manifest as it should be; undefined when it is. */
export function columnProblem(
  manifest: Manifest | undefined,
  year: number,
  column: Omit<ColumnEntry, "builtAt" | "bytes" | "key">,
): string | undefined {
  const entry = manifest?.columns?.years[year];
  if (entry === undefined) return "the manifest does not list the year's column";
  if (entry.checksum !== column.checksum || entry.base !== column.base)
    return "the manifest lists another column of the year";
  return entry.url === column.url ? undefined : "the manifest lists another URL";
}

/** Why a year is not in the manifest as it should be; undefined when it is. A bare list tells of the year alone. */
export function entryProblem(
  manifest: Manifest | undefined,
  format: ManifestFormat,
  year: number,
  checksum: string,
  url: string,
): string | undefined {
  if (!manifest?.years.includes(year)) return "the manifest does not list the year";
  if (format === "list") return undefined;
  const entry = manifest.archives[year];
  if (entry === undefined) return "the manifest does not tell of the year's archive";
  if (entry.checksum !== checksum) return "the manifest lists another archive of the year";
  return entry.url === url ? undefined : "the manifest lists another URL";
}

export function manifestText(manifest: Manifest, format: ManifestFormat): string {
  return format === "full" ? `${JSON.stringify(manifest, null, 1)}\n` : `${JSON.stringify(manifest.years)}\n`;
}

function ascending(years: readonly number[]): number[] {
  return [...new Set(years)].sort((a, b) => a - b);
}

function keysOutside(value: object, known: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !known.has(key)));
}

function isYear(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1900 && (value as number) < 2200;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
