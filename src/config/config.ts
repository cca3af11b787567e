import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PipelineError } from "../pipeline/errors.js";
import { flagName, OPTIONS, type OptionName, type OptionSpec, type Options } from "./options.js";

/** Where options come from, the later before the earlier. */
export interface OptionSources {
  /** Defaults of the command, where they are not the common ones. */
  readonly defaults?: Partial<Options> | undefined;
  /** ROOT/fields.json. */
  readonly root?: Partial<Options>;
  /** The configuration file. */
  readonly file?: Partial<Options>;
}

/**
 * Common defaults, the command's own, the root's options, the configuration file, then the command line.
 *
 * @param given  options from the command line, already of the right type.
 * @throws {PipelineError} usage, naming the key, what was expected and what came.
 */
export function resolveOptions(given: Partial<Options>, { defaults, root, file }: OptionSources = {}): Options {
  const common = Object.fromEntries(
    Object.entries(OPTIONS as Record<string, OptionSpec>).map(([name, spec]) => [name, spec.default]),
  );
  const options = { ...common, ...defaults, ...root, ...file, ...given } as Options;
  if (options.minZoom > options.maxZoom) {
    throw new PipelineError("usage", "--min-zoom is above --max-zoom", {
      minZoom: options.minZoom,
      maxZoom: options.maxZoom,
    });
  }
  return options;
}

/**
 * @param path  JSON object keyed by option name (`maxDirty`); unknown keys fail.
 * @throws {PipelineError} usage, naming the key.
 */
export function readConfigFile(path: string): Partial<Options> {
  if (!existsSync(path)) throw new PipelineError("usage", "Configuration file not found", { path });
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new PipelineError("usage", "Configuration file is not valid JSON", { path }, { cause });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new PipelineError("usage", "Configuration file must hold one JSON object", { path });
  }
  const entries = Object.entries(parsed).map(([key, value]) => [key, checkValue(key, value, path)]);
  return Object.fromEntries(entries) as Partial<Options>;
}

/**
 * A value of the right type for option `name`, or an error that names `source`.
 *
 * @throws {PipelineError} usage.
 */
export function checkValue(name: string, value: unknown, source: string): unknown {
  const spec = Object.hasOwn(OPTIONS, name) ? (OPTIONS as Record<string, OptionSpec>)[name] : undefined;
  if (spec === undefined) {
    throw new PipelineError("usage", `Unknown option ${name}${suggestion(name)}`, { source });
  }
  const fail = (expected: string): never => {
    throw new PipelineError("usage", `Option --${flagName(name)} must be ${expected}`, {
      source,
      received: JSON.stringify(value),
    });
  };
  switch (spec.type) {
    case "boolean":
      return typeof value === "boolean" ? value : fail("true or false");
    case "string":
      if (typeof value !== "string" || value === "") return fail("a non-empty string");
      if (spec.isName && !/^[A-Za-z0-9_-]+$/.test(value)) return fail("letters, digits, _ and - only: it names files");
      if (spec.choices && !spec.choices.includes(value)) {
        return fail(`one of ${spec.choices.join(", ")}${suggestion(value, spec.choices)}`);
      }
      return value;
    case "numbers":
      return Array.isArray(value) && value.every((v) => Number.isFinite(v)) ? value : fail("a list of numbers");
    default: {
      const range = `${spec.type === "integer" ? "a whole number" : "a number"} from ${spec.min ?? "-∞"} to ${spec.max ?? "∞"}`;
      if (typeof value !== "number" || !Number.isFinite(value)) return fail(range);
      if (spec.type === "integer" && !Number.isInteger(value)) return fail(range);
      if (value < (spec.min ?? -Infinity) || value > (spec.max ?? Infinity)) return fail(range);
      return value;
    }
  }
}

/** `, did you mean maxDirty?` where a known option is near in spelling; else nothing. */
export function suggestion(name: string, known: readonly string[] = Object.keys(OPTIONS)): string {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return near && near.distance <= Math.max(2, name.length / 3) ? `, did you mean ${near.candidate}?` : "";
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, substitute));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** Where one year's files lie: the layout that users of the old pipeline know. */
export interface Layout {
  readonly root: string;
  readonly fieldsRaw: string;
  readonly fieldsClean: string;
  readonly cdl: string;
  readonly zonal: string;
  readonly archive: string;
  /** The year's crop codes, where it is published as a column. */
  readonly column: string;
  readonly manifest: string;
  /** Folder of the history over all years. */
  readonly history: string;
  readonly log: string;
  /** How the year's run stands. */
  readonly live: string;
  /** Step records and locks. */
  readonly state: string;
  /** The year's lock. */
  readonly lock: string;
}

/** A path made absolute, or a URL as it is. */
function pathOrUrl(text: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : resolve(text);
}

export function layoutOf(options: Options, year: number): Layout {
  const root = resolve(options.root);
  const state = join(root, "outputs", "state");
  const { region } = options;
  return {
    root,
    fieldsRaw: pathOrUrl(options.fieldsRaw ?? join(root, "data", "fields_raw.parquet")),
    fieldsClean: resolve(options.fieldsClean ?? join(root, "data", "fields_clean.parquet")),
    cdl: join(root, "data", "cdl"),
    zonal: join(root, "outputs", "zonal", `zonal_${region}_${year}.parquet`),
    archive: join(root, "outputs", "tiles", `fields_${region}_${year}_full.pmtiles`),
    column: join(root, "outputs", "tiles", `crops_${region}_${year}.column`),
    manifest: join(root, "outputs", "web", `${region}_full_years.json`),
    history: join(root, "outputs", "history", region),
    log: join(root, "logs", `year_${year}.log`),
    live: join(root, "logs", `year_${year}_live.json`),
    state,
    lock: join(state, `${region}_${year}.lock`),
  };
}

export type { OptionName, Options };
