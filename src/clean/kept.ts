import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { layoutOf, resolveOptions } from "../config/config.js";
import type { Options } from "../config/options.js";
import { readRootOptions, regionsOf } from "../config/root-options.js";
import { openFields } from "../fields/fields-file.js";
import { fieldsFileLayout } from "../fields/root-fields.js";
import { lookupFingerprint } from "../lookup/build-lookup.js";
import type { Json } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { readRecord, type StepRecord } from "../pipeline/record.js";
import { baseInputs, baseName } from "../tiles/base-inputs.js";
import { fieldsFingerprint } from "../zones/build-zones.js";
import type { PixelOptions } from "../zones/pixel-rule.js";

/** What a root's field sets and its years' records need. */
export interface Needed {
  /** Regions whose field set is known; of others nothing is said. */
  readonly regions: ReadonlySet<string>;
  /** Fingerprints that a zone index's header may have. */
  readonly zones: ReadonlySet<string>;
  /** Digests of fields' files that years were made from. */
  readonly fieldFiles: ReadonlySet<string>;
  /** File names below `data/`. */
  readonly names: ReadonlySet<string>;
  /** Regions whose fields cannot be read, and why. */
  readonly unknown: ReadonlyMap<string, string>;
}

/** By which pixels may be chosen: each has an index of its own. */
const PIXEL_RULES: readonly PixelOptions[] = [{}, { allTouched: true }, { smallFields: "touched" }, { coverage: true }];
const YEAR_RECORD = /^(.+)_(\d{4}|\d{4}-\d{4})_[a-z]+\.json$/;

/** @param given  options of the command line, for its own region. */
export async function needed(given: Options): Promise<Needed> {
  const regions = [...new Set([given.region, ...regionsOf(given.root)])];
  const zones = new Set<string>();
  const names = new Set<string>();
  const unknown = new Map<string, string>();
  const fieldFiles = new Set<string>();
  for (const region of regions) {
    const options =
      region === given.region
        ? given
        : resolveOptions({ ...readRootOptions(given.root, region).options, root: given.root, region });
    try {
      await addFieldSet(options, zones, names, fieldFiles);
    } catch (error) {
      unknown.set(region, (error as Error).message);
    }
  }
  for (const { region, record } of yearRecords(layoutOf(given, 0).state)) addRecord(region, record, names, fieldFiles);
  return { regions: new Set(regions), zones, fieldFiles, names, unknown };
}

async function addFieldSet(options: Options, zones: Set<string>, names: Set<string>, fieldFiles: Set<string>) {
  const layout = fieldsFileLayout(options, layoutOf(options, 0));
  const files = new InputFiles();
  names.add(basename(layout.fieldsRaw));
  const fields = await openFields(layout.fieldsRaw, options);
  for (const rule of PIXEL_RULES) zones.add(fieldsFingerprint(fields, rule));
  fieldFiles.add(files.digest(layout.fieldsRaw));
  names.add(`${options.region}_${lookupFingerprint(fields).slice(0, 12)}.lookup`);
  // Whichever tiler is chosen next.
  const inputs = baseInputs(layout, options, files);
  for (const tiler of ["native", "tippecanoe"])
    names.add(`${baseName(options.region, { ...inputs, tiler })}.precompressed`);
}

function* yearRecords(state: string): Generator<{ region: string; record: StepRecord }> {
  let entries: string[] = [];
  try {
    entries = readdirSync(state);
  } catch {
    // No year was ever made.
  }
  for (const name of entries) {
    const region = YEAR_RECORD.exec(name)?.[1];
    const record = region === undefined ? undefined : readRecord(join(state, name));
    if (region !== undefined && record !== undefined) yield { region, record };
  }
}

/** A year that was made from a field set may be made again, or another one like it. */
function addRecord(region: string, { inputs }: StepRecord, names: Set<string>, fieldFiles: Set<string>): void {
  for (const key of ["fields", "raw"]) if (typeof inputs[key] === "string") fieldFiles.add(inputs[key]);
  if (!("raw" in inputs)) return;
  const base = Object.fromEntries(BASE_INPUTS.flatMap((key) => (key in inputs ? [[key, inputs[key] as Json]] : [])));
  names.add(`${baseName(region, base)}.precompressed`);
}

const BASE_INPUTS = [
  "raw",
  "clean",
  "idColumn",
  "geometryColumn",
  "areaColumn",
  "areaUnit",
  "fieldsCrs",
  "minZoom",
  "maxZoom",
  "tiler",
] as const satisfies readonly (keyof ReturnType<typeof baseInputs>)[];
