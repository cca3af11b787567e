import { PipelineError, type Where } from "../pipeline/errors.js";
import { geometryFault, type TileRange } from "./geometry.js";
import { type FeatureView, featureView, type MvtLayer, type MvtValue, readLayers } from "./mvt.js";
import type { Archive } from "./reader.js";
import { tileName, tileOf } from "./tile-id.js";

/** What to count, and what every feature must be like. */
export interface AuditPlan {
  readonly layers: readonly LayerPlan[];
  /**
   * Feature ids are row numbers 0 .. rows − 1, and are ticked off at the highest zoom;
   * undefined for an archive of anything.
   */
  readonly rows?: number;
  readonly maxZoom: number;
  /** Rows are ticked off at the zooms from here to the highest; at the highest alone when it is not given. */
  readonly fullZoom?: number;
  /**
   * How far geometry may reach beyond its tile, as a share of the tile's extent. Geometry and all
   * attributes are walked when it is given, else only counted.
   */
  readonly buffer?: number;
  /** An attribute whose value is known for every row. */
  readonly attribute?: {
    readonly key: string;
    /** By row; −1 where the feature must not have the attribute. */
    readonly values: Int16Array;
  };
}

export interface LayerPlan {
  readonly name: string;
  /** A value of GEOMETRY_TYPE; undefined for any. */
  readonly geometryType?: number;
  /** Attributes as announced: name to type, as in vector_layers; undefined for any. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Zooms that it is announced for. */
  readonly minzoom?: number;
  readonly maxzoom?: number;
}

/** Counts of a range of entries; ranges add up in any order. Plain data, to be sent between threads. */
export interface Audit {
  entries: number;
  /** In the plan's order. */
  readonly layers: LayerAudit[];
}

export interface LayerAudit {
  /** At all zooms; a feature counts in every tile it reaches. */
  features: number;
  /** Bit r is set when row r was seen at the highest zoom; empty without rows. */
  readonly seen: Uint8Array;
  /** The same of the zooms from the plan's `fullZoom` to below the highest; those alone that have features. */
  readonly seenBelow: Record<number, Uint8Array>;
}

export function newAudit(plan: AuditPlan): Audit {
  const layers = plan.layers.map(() => ({ features: 0, seen: rowBits(plan.rows ?? 0), seenBelow: {} }));
  return { entries: 0, layers };
}

/** A bit a row, in whole 32-bit words, for merging. */
function rowBits(rows: number): Uint8Array {
  return new Uint8Array(Math.ceil(rows / 32) * 4);
}

/**
 * Open the tiles of entries [from, to), check that each decompresses and parses, and
 * count what is in it.
 *
 * @throws {PipelineError} input, naming the tile: it cannot be read, or a feature in it has no id, an id
 *   that is no row, the wrong geometry type, or another value of the attribute than its row.
 */
export function auditTiles(
  audit: Audit,
  archive: Pick<Archive, "path" | "entries" | "tile">,
  plan: AuditPlan,
  from: number,
  to: number,
): void {
  const view = featureView();
  for (let i = from; i < to; i++) {
    const tile = archive.tile(i);
    const id = archive.entries.tileId(i);
    const where = { path: archive.path, tile: tileName(id), entry: i };
    try {
      const layers = readLayers(tile);
      if (layers.length === 0) throw new RangeError("tile holds no layer");
      if (new Set(layers.map(({ name }) => name)).size < layers.length) throw new RangeError("tile has a layer twice");
      for (const layer of layers) countLayer(audit, plan, layer, tileOf(id).z, view);
    } catch (error) {
      if (error instanceof PipelineError) throw error.at(where);
      throw new PipelineError("input", "Tile cannot be read", where, { cause: error });
    }
    audit.entries++;
  }
}

function countLayer(audit: Audit, plan: AuditPlan, layer: MvtLayer, zoom: number, view: FeatureView): void {
  const number = plan.layers.findIndex(({ name }) => name === layer.name);
  const fail: (sentence: string, where: Where) => never = (sentence, where) => {
    throw new PipelineError("input", sentence, { layer: layer.name, ...where });
  };
  const [counts, wanted] = [audit.layers[number], plan.layers[number]];
  if (counts === undefined || wanted === undefined) {
    fail("Tile has a layer that vector_layers does not list", {
      expected: plan.layers.map(({ name }) => name).join(" "),
    });
  }
  if (zoom < (wanted.minzoom ?? 0) || zoom > (wanted.maxzoom ?? Infinity)) {
    fail("Layer is outside the zooms that vector_layers lists", { expected: `${wanted.minzoom} to ${wanted.maxzoom}` });
  }
  const { rows, buffer } = plan;
  const walk = buffer === undefined ? undefined : featureWalk(layer, wanted, buffer);
  const highest = zoom === plan.maxZoom;
  let seen = highest ? counts.seen : undefined;
  if (!highest && rows !== undefined && zoom >= (plan.fullZoom ?? plan.maxZoom)) {
    counts.seenBelow[zoom] ??= rowBits(rows);
    seen = counts.seenBelow[zoom];
  }
  const value = highest && plan.attribute ? attributeReader(layer, plan.attribute.key) : undefined;
  counts.features += layer.featureCount;
  for (let f = 0; f < layer.featureCount; f++) {
    layer.readFeature(f, view);
    if (wanted.geometryType !== undefined && view.type !== wanted.geometryType) {
      fail("Feature has the wrong geometry type", { id: view.id, expected: wanted.geometryType, received: view.type });
    }
    const fault = walk?.(view);
    if (fault !== undefined) fail(fault, { feature: f, id: view.id });
    if (rows === undefined) continue;
    const row = view.id;
    if (row === undefined || row >= rows) {
      fail("Feature id is not a row number", {
        feature: f,
        expected: `0 to ${rows - 1}`,
        received: row ?? "none",
      });
    }
    if (seen === undefined) continue;
    (seen[row >> 3] as number) |= 1 << (row & 7);
    if (value === undefined) continue;
    const [received, expected] = [value(view), plan.attribute?.values[row]];
    if (received !== expected) {
      fail("Feature attribute differs from its row", { id: row, key: plan.attribute?.key, expected, received });
    }
  }
}

/** Walks all of a feature; tells what is wrong with it. */
function featureWalk(
  layer: MvtLayer,
  { fields }: LayerPlan,
  buffer: number,
): (view: FeatureView) => string | undefined {
  if (layer.extent < 1 || layer.version < 1 || layer.version > 2) {
    return () => `Layer has version ${layer.version} and extent ${layer.extent}`;
  }
  const reach = Math.ceil(layer.extent * buffer);
  const range: TileRange = { low: -reach, high: layer.extent + reach };
  const attributes = attributeWalk(layer, fields);
  const { bytes } = layer;
  return (view) => attributes(view) ?? geometryFault(bytes, view.geometryStart, view.geometryEnd, view.type, range);
}

/** Whether a feature's attributes are announced, with their types; each pair of key and value is looked at once. */
function attributeWalk(
  layer: MvtLayer,
  fields: Readonly<Record<string, string>> | undefined,
): (view: FeatureView) => string | undefined {
  const known = new Set<number>();
  let fault: string | undefined;
  const visit = (k: number, v: number) => {
    const pair = k * layer.valueCount + v;
    if (known.has(pair)) return;
    known.add(pair);
    const [key, value] = [layer.keys[k] as string, layer.value(v)];
    if (value === undefined) fault = `Attribute ${key} has a value of no type`;
    else if (fields === undefined) return;
    else if (!Object.hasOwn(fields, key)) fault = `Attribute ${key} was not announced`;
    else if (!admits(fields[key] as string, value)) {
      fault = `Attribute ${key} was announced as ${fields[key]} and is a ${typeof value}`;
    }
  };
  return (view) => {
    layer.forEachTag(view, visit);
    return fault;
  };
}

/** Types as TileJSON names them; what it does not name ("Mixed", a description) may be anything. */
function admits(announced: string, value: MvtValue): boolean {
  const type = { number: "number", string: "string", boolean: "boolean" }[announced.toLowerCase()];
  const received = typeof value === "bigint" ? "number" : typeof value;
  return type === undefined || received === type;
}

/** Reads one numeric attribute of a layer's features; −1 where there is none. Each value is decoded once. */
function attributeReader(layer: MvtLayer, key: string): (view: FeatureView) => number {
  const keyIndex = layer.keys.indexOf(key);
  const known: (number | undefined)[] = [];
  return (view) => {
    const index = keyIndex < 0 ? -1 : layer.valueIndex(view, keyIndex);
    if (index < 0) return -1;
    known[index] ??= Number(layer.value(index));
    return known[index];
  };
}

export function mergeAudit(into: Audit, other: Audit): void {
  into.entries += other.entries;
  into.layers.forEach((layer, i) => {
    const { features, seen, seenBelow } = other.layers[i] as LayerAudit;
    layer.features += features;
    addBits(layer.seen, seen);
    for (const [zoom, bits] of Object.entries(seenBelow)) {
      layer.seenBelow[Number(zoom)] ??= new Uint8Array(bits.length);
      addBits(layer.seenBelow[Number(zoom)] as Uint8Array, bits);
    }
  });
}

function addBits(into: Uint8Array, bits: Uint8Array): void {
  const words = asWords(into);
  asWords(bits).forEach((word, w) => {
    (words[w] as number) |= word;
  });
}

function asWords(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Rows without their bit: how many, and the first few. */
export function missingRows(
  { seen }: { readonly seen: Uint8Array },
  rows: number,
  limit = 20,
): { count: number; first: number[] } {
  const first: number[] = [];
  let count = 0;
  for (let row = 0; row < rows; row++) {
    if (seen[row >> 3] === 0xff) {
      row |= 7;
      continue;
    }
    if (((seen[row >> 3] as number) & (1 << (row & 7))) !== 0) continue;
    count++;
    if (first.length < limit) first.push(row);
  }
  return { count, first };
}
