import { setImmediate as breathe } from "node:timers/promises";
import { type FeatureView, featureView, type MvtLayer, type MvtValue, readLayers } from "../archive/mvt.js";
import { Archive } from "../archive/reader.js";
import { tileName } from "../archive/tile-id.js";
import { entriesOfZoom } from "../archive/zooms.js";
import { cropName } from "../legend/cdl-legend.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import type { YearAttributes } from "./swap-plan.js";

/** One tile of so many is compared, and at least so many tiles. */
const TILES_PER_SAMPLE = 1000;
const LEAST_SAMPLES = 100;
/** Of a layer with more features than this, so many are compared. */
const FEATURES_PER_LAYER = 500;

/**
 * Compare tiles of an archive with the base that it was made from, feature by feature, in large
 * layers some: the same ids, geometry bytes and attributes, and the years' crops beside them. Always the same
 * tiles of the same archive, from every zoom.
 *
 * @throws {PipelineError} tool, naming the tile, and what differs.
 */
export async function checkSample(
  path: string,
  basePath: string,
  years: readonly YearAttributes[],
  ctx: Context,
): Promise<number> {
  const base = new Archive(basePath);
  let made: Archive | undefined;
  try {
    made = new Archive(path);
    const entries = sampleOf(base);
    for (const [s, entry] of entries.entries()) {
      if (s % 16 === 0) await breathe();
      ctx.signal.throwIfAborted();
      compareTile(base, made, entry, years);
    }
    return entries.length;
  } finally {
    made?.close();
    base.close();
  }
}

/** Entries at even distances from the first to the last, and each zoom's first. */
function sampleOf(base: Archive): number[] {
  const { count } = base.entries;
  const samples = Math.min(count, Math.max(LEAST_SAMPLES, Math.ceil(count / TILES_PER_SAMPLE)));
  const step = samples === 1 ? 0 : (count - 1) / (samples - 1);
  const chosen = new Set(Array.from({ length: samples }, (_, s) => Math.floor(s * step)));
  for (let z = base.header.minZoom; z <= base.header.maxZoom; z++) {
    const { from, to } = entriesOfZoom(base, z);
    if (to > from) chosen.add(from);
  }
  return [...chosen].sort((a, b) => a - b);
}

function compareTile(base: Archive, made: Archive, baseEntry: number, years: readonly YearAttributes[]): void {
  const id = base.entries.tileId(baseEntry);
  const where = { path: made.path, tile: tileName(id) };
  const fail = (what: string, expected: unknown, received: unknown): never => {
    throw new PipelineError("tool", "Tile is not its base's with other attributes", {
      ...where,
      what,
      expected: String(expected),
      received: String(received),
    });
  };
  const entry = made.entries.findAtOrBefore(id);
  if (entry < 0 || id >= made.entries.tileId(entry) + made.entries.runLength(entry)) fail("tile", "there", "none");
  const [before, after] = [readLayers(base.readTile(baseEntry)), readLayers(made.readTile(entry))];
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

/** One feature's attributes at a time. */
class Attributes {
  readonly now: AttributeMap = new Map();

  constructor(private readonly layer: MvtLayer) {}

  read(view: FeatureView): void {
    this.now.clear();
    this.layer.forEachTag(view, (k, v) => {
      const key = this.layer.keys[k] as string;
      // Twice the same key would else look as if it were there once.
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
