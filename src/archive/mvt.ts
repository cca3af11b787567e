import { exactNumber, VarintReader } from "./varint.js";

/** Field numbers of the vector tile specification 2.1. */
const TILE = { layers: 3 } as const;
const LAYER = { name: 1, features: 2, keys: 3, values: 4, extent: 5, version: 15 } as const;
const FEATURE = { id: 1, tags: 2, type: 3, geometry: 4 } as const;
const VALUE = { string: 1, float: 2, double: 3, int: 4, uint: 5, sint: 6, bool: 7 } as const;
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export const GEOMETRY_TYPE = { unknown: 0, point: 1, line: 2, polygon: 3 } as const;

/** A whole number beyond 2^53 is a bigint. */
export type MvtValue = string | number | bigint | boolean;

/** One feature's place in the tile's bytes; one object is used again for all features. */
export interface FeatureView {
  /** Undefined when the feature has none; rounded beyond 2^53. */
  id: number | undefined;
  /** A value of GEOMETRY_TYPE. */
  type: number;
  tagsStart: number;
  tagsEnd: number;
  geometryStart: number;
  geometryEnd: number;
}

export function featureView(): FeatureView {
  return { id: undefined, type: 0, tagsStart: 0, tagsEnd: 0, geometryStart: 0, geometryEnd: 0 };
}

/**
 * One layer of a vector tile, walked in place: nothing is built per feature, and
 * geometry is not decoded.
 */
export class MvtLayer {
  name = "";
  version = 1;
  extent = 4096;
  readonly keys: string[] = [];
  readonly #valueRanges: number[] = [];
  readonly #featureRanges: number[] = [];

  /** @throws {RangeError} when the bytes are not a layer. */
  constructor(
    readonly bytes: Uint8Array,
    start: number,
    end: number,
  ) {
    const reader = new VarintReader(bytes, start, end);
    while (!reader.done) {
      const tag = reader.next();
      const field = tag >>> 3;
      if (field === LAYER.version) this.version = varintField(reader, tag);
      else if (field === LAYER.extent) this.extent = varintField(reader, tag);
      else if (field === LAYER.name) this.name = stringField(reader, tag);
      else if (field === LAYER.keys) this.keys.push(stringField(reader, tag));
      else if (field === LAYER.values || field === LAYER.features) {
        const length = lengthField(reader, tag);
        const ranges = field === LAYER.values ? this.#valueRanges : this.#featureRanges;
        ranges.push(reader.position, reader.position + length);
        reader.skip(length);
      } else skipField(reader, tag);
    }
  }

  get featureCount(): number {
    return this.#featureRanges.length / 2;
  }

  get valueCount(): number {
    return this.#valueRanges.length / 2;
  }

  /** Fill `view` with feature `i`. */
  readFeature(i: number, view: FeatureView): void {
    const reader = new VarintReader(this.bytes, this.#featureRanges[2 * i] as number, this.#featureRanges[2 * i + 1]);
    view.id = undefined;
    view.type = GEOMETRY_TYPE.unknown;
    view.tagsStart = view.tagsEnd = view.geometryStart = view.geometryEnd = 0;
    while (!reader.done) {
      const tag = reader.next();
      switch (tag >>> 3) {
        case FEATURE.id:
          expectWire(tag, WIRE.varint);
          view.id = Number(reader.next64());
          break;
        case FEATURE.type:
          view.type = varintField(reader, tag);
          break;
        case FEATURE.tags:
          view.tagsEnd = lengthField(reader, tag) + reader.position;
          view.tagsStart = reader.position;
          reader.skip(view.tagsEnd - view.tagsStart);
          break;
        case FEATURE.geometry:
          view.geometryEnd = lengthField(reader, tag) + reader.position;
          view.geometryStart = reader.position;
          reader.skip(view.geometryEnd - view.geometryStart);
          break;
        default:
          skipField(reader, tag);
      }
    }
  }

  /** Call `visit` with the indexes into keys and values of every attribute of a feature. */
  forEachTag(view: FeatureView, visit: (key: number, value: number) => void): void {
    const reader = new VarintReader(this.bytes, view.tagsStart, view.tagsEnd);
    while (!reader.done) {
      const [k, v] = [reader.next(), reader.next()];
      if (k >= this.keys.length || v >= this.valueCount) throw new RangeError("tag points past the keys or values");
      visit(k, v);
    }
  }

  /**
   * Index into the layer's values of a feature's attribute; −1 when the feature
   * does not have it.
   *
   * @param key  index into `keys`.
   */
  valueIndex(view: FeatureView, key: number): number {
    const reader = new VarintReader(this.bytes, view.tagsStart, view.tagsEnd);
    while (!reader.done) {
      const [k, v] = [reader.next(), reader.next()];
      if (k >= this.keys.length || v >= this.valueCount) throw new RangeError("tag points past the keys or values");
      if (k === key) return v;
    }
    return -1;
  }

  value(i: number): MvtValue | undefined {
    const [start, end] = [this.#valueRanges[2 * i] as number, this.#valueRanges[2 * i + 1] as number];
    const reader = new VarintReader(this.bytes, start, end);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    let value: MvtValue | undefined;
    while (!reader.done) {
      const tag = reader.next();
      const at = reader.position;
      switch (tag >>> 3) {
        case VALUE.string:
          value = stringField(reader, tag);
          break;
        case VALUE.float:
          skipField(reader, tag);
          value = view.getFloat32(at, true);
          break;
        case VALUE.double:
          skipField(reader, tag);
          value = view.getFloat64(at, true);
          break;
        case VALUE.int:
          value = reader.next64(true);
          break;
        case VALUE.uint:
          value = reader.next64();
          break;
        case VALUE.sint: {
          const zigzag = BigInt(reader.next64());
          value = exactNumber((zigzag >> 1n) ^ -(zigzag & 1n));
          break;
        }
        case VALUE.bool:
          value = reader.next() !== 0;
          break;
        default:
          skipField(reader, tag);
      }
    }
    return value;
  }
}

/**
 * The layers of a decompressed vector tile.
 *
 * @throws {RangeError} when the bytes are not a vector tile.
 */
export function readLayers(tile: Uint8Array): MvtLayer[] {
  const layers: MvtLayer[] = [];
  const reader = new VarintReader(tile);
  while (!reader.done) {
    const tag = reader.next();
    if (tag >>> 3 !== TILE.layers) {
      skipField(reader, tag);
      continue;
    }
    const length = lengthField(reader, tag);
    const start = reader.position;
    reader.skip(length);
    layers.push(new MvtLayer(tile, start, start + length));
  }
  return layers;
}

function expectWire(tag: number, wire: number): void {
  if ((tag & 7) !== wire) throw new RangeError(`field ${tag >>> 3} has wire type ${tag & 7}, expected ${wire}`);
}

function varintField(reader: VarintReader, tag: number): number {
  expectWire(tag, WIRE.varint);
  return reader.next();
}

function lengthField(reader: VarintReader, tag: number): number {
  expectWire(tag, WIRE.bytes);
  return reader.next();
}

function stringField(reader: VarintReader, tag: number): string {
  const length = lengthField(reader, tag);
  const start = reader.position;
  reader.skip(length);
  const { bytes } = reader;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString("utf8");
}

function skipField(reader: VarintReader, tag: number): void {
  switch (tag & 7) {
    case WIRE.varint:
      reader.next64();
      break;
    case WIRE.fixed64:
      reader.skip(8);
      break;
    case WIRE.bytes:
      reader.skip(reader.next());
      break;
    case WIRE.fixed32:
      reader.skip(4);
      break;
    default:
      throw new RangeError(`field ${tag >>> 3} has unknown wire type ${tag & 7}`);
  }
}
