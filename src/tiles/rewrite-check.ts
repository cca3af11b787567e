import { setImmediate as breathe } from "node:timers/promises";
import { type FeatureView, featureView, type MvtLayer, type MvtValue, readLayers } from "../archive/mvt.js";
import { Archive } from "../archive/reader.js";
import { tileName } from "../archive/tile-id.js";
import { entriesOfZoom } from "../archive/zooms.js";
import { cropName } from "../legend/cdl-legend.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import type { YearAttributes } from "./attribute-plan.js";
import { BaseTiles } from "./base-tiles.js";

/** One tile in this many is compared, and at least the minimum number of tiles. */
const TILES_PER_SAMPLE = 1000;
const MIN_SAMPLES = 100;
/** In a layer with more features than this, this many are compared. */
const FEATURES_PER_LAYER = 500;

/**
 * Compare a sample of an archive's tiles with its base, feature by feature (a sample of features in large
 * layers): ids, geometry bytes and attributes are equal, and the years' crops are added. The sample is the same for the
 * same archive and covers every zoom.
 *
 * @returns the number of tiles compared.
 * @throws {PipelineError} tool, naming the tile and the difference.
 */
export async function checkSample(
  path: string,
  base: { readonly path: string; readonly rows: number },
  years: readonly YearAttributes[],
  ctx: Context,
): Promise<number> {
  return compareSample(new BaseTiles(base.path, base.rows), archiveTiles(path), years, ctx);
}

/** The same for precompressed tiles and the archive that they were made from. */
export async function checkBaseTiles(source: string, path: string, rows: number, ctx: Context): Promise<number> {
  return compareSample(archiveTiles(source), new BaseTiles(path, rows), [], ctx);
}

/** Tiles of a file, by their positions in its directory. */
type Tiles = Pick<BaseTiles, "archive" | "readTile">;

function archiveTiles(path: string): Tiles {
  const archive = new Archive(path);
  return { archive, readTile: (entry) => archive.readTile(entry) };
}

async function compareSample(expected: Tiles, made: Tiles, years: readonly YearAttributes[], ctx: Context) {
  try {
    const entries = sampleOf(expected.archive);
    for (const [s, entry] of entries.entries()) {
      if (s % 16 === 0) await breathe();
      ctx.signal.throwIfAborted();
      compareTile(expected, made, entry, years);
    }
    return entries.length;
  } finally {
    made.archive.close();
    expected.archive.close();
  }
}

/** Entries at even distances from the first to the last, and each zoom's first. */
function sampleOf(base: Archive): number[] {
  const { count } = base.entries;
  const samples = Math.min(count, Math.max(MIN_SAMPLES, Math.ceil(count / TILES_PER_SAMPLE)));
  const step = samples === 1 ? 0 : (count - 1) / (samples - 1);
  const chosen = new Set(Array.from({ length: samples }, (_, s) => Math.floor(s * step)));
  for (let z = base.header.minZoom; z <= base.header.maxZoom; z++) {
    const { from, to } = entriesOfZoom(base, z);
    if (to > from) chosen.add(from);
  }
  return [...chosen].sort((a, b) => a - b);
}

function compareTile(expected: Tiles, made: Tiles, expectedEntry: number, years: readonly YearAttributes[]): void {
  const id = expected.archive.entries.tileId(expectedEntry);
  const { entries } = made.archive;
  const where = { path: made.archive.path, tile: tileName(id) };
  const fail = (what: string, wanted: unknown, received: unknown): never => {
    throw new PipelineError("tool", "Tile differs from its base beyond the crop attributes", {
      ...where,
      what,
      expected: String(wanted),
      received: String(received),
    });
  };
  const entry = entries.findAtOrBefore(id);
  if (entry < 0 || id >= entries.tileId(entry) + entries.runLength(entry)) fail("tile", "there", "none");
  const [before, after] = [readLayers(expected.readTile(expectedEntry)), readLayers(made.readTile(entry))];
  if (before.length !== after.length) fail("layers", before.length, after.length);
  const [a, b] = [featureView(), featureView()];
  for (const [l, old] of before.entries()) {
    const fresh = after[l] as MvtLayer;
    for (const key of ["name", "version", "extent", "featureCount"] as const) {
      if (old[key] !== fresh[key]) fail(`layer ${old.name}: ${key}`, old[key], fresh[key]);
    }
    const [wanted, received] = [new Attributes(old), new Attributes(fresh)];
    const step = Math.max(1, old.featureCount / FEATURES_PER_LAYER);
    for (let at = 0; at < old.featureCount; at += step) {
      const f = Math.floor(at);
      old.readFeature(f, a);
      fresh.readFeature(f, b);
      const name = `layer ${old.name}: feature ${f}`;
      if (a.id !== b.id || a.type !== b.type) fail(`${name}: id and type`, `${a.id} ${a.type}`, `${b.id} ${b.type}`);
      const [was, is] = [geometryOf(old, a), geometryOf(fresh, b)];
      if (Buffer.compare(was, is) !== 0) fail(`${name}: bytes of geometry`, was.length, is.length);
      wanted.read(a);
      received.read(b);
      addCrops(wanted.now, years, a.id as number);
      if (!sameAttributes(wanted.now, received.now)) {
        fail(`${name}: attributes`, JSON.stringify([...wanted.now]), JSON.stringify([...received.now]));
      }
    }
  }
}

type AttributeMap = Map<string, MvtValue | undefined>;

/** The attributes of one feature at a time. */
class Attributes {
  readonly now: AttributeMap = new Map();

  constructor(private readonly layer: MvtLayer) {}

  read(view: FeatureView): void {
    this.now.clear();
    this.layer.forEachTag(view, (k, v) => {
      const key = this.layer.keys[k] as string;
      // Otherwise a duplicate key would go unnoticed.
      this.now.set(this.now.has(key) ? `${key} again` : key, this.layer.value(v));
    });
  }
}

function sameAttributes(a: AttributeMap, b: AttributeMap): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (!b.has(key) || !Object.is(b.get(key), value)) return false;
  return true;
}

function geometryOf(layer: MvtLayer, view: FeatureView): Uint8Array {
  return layer.bytes.subarray(view.geometryStart, view.geometryEnd);
}

function addCrops(attributes: AttributeMap, years: readonly YearAttributes[], row: number): void {
  for (const { keys, crops } of years) {
    const place = crops.index[row] as number;
    if (place === 0) continue;
    const code = crops.codes[place - 1] as number;
    attributes.set(keys.code, code);
    if (keys.name !== undefined) attributes.set(keys.name, cropName(code));
  }
}
