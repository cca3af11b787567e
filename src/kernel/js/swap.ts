import { gunzipSync, gzipSync } from "node:zlib";
import { VarintReader } from "../../archive/varint.js";
import type { SwapColumn, SwapPlan, Swapped } from "../kernel.js";

/** Field numbers and wire types of the vector tile specification 2.1, as they stand before a field. */
const TILE_LAYERS = (3 << 3) | 2;
const LAYER = { name: (1 << 3) | 2, features: (2 << 3) | 2, keys: (3 << 3) | 2, values: (4 << 3) | 2 } as const;
const FEATURE = { id: 1 << 3, tags: (2 << 3) | 2 } as const;

type Bytes = number[];

/** @see native/tiles/swap.cc, the same walk */
export function swap(
  stored: Uint8Array,
  ends: Uint32Array,
  compressed: boolean,
  markFrom: number,
  plan: SwapPlan,
): Swapped {
  const cpu = new Float64Array(3);
  let last = performance.now();
  const charge = (to: number) => {
    const now = performance.now();
    cpu[to] = (cpu[to] as number) + (now - last) / 1000;
    last = now;
  };
  const contents = plan.outputs.map((): Uint8Array[] => []);
  let begin = 0;
  for (const [i, end] of ends.entries()) {
    try {
      const content = stored.subarray(begin, end);
      const tile = compressed ? inflate(content) : content;
      charge(0);
      for (const [o, columns] of plan.outputs.entries()) {
        const rewritten = rewriteTile(tile, columns, i >= markFrom, plan);
        charge(1);
        contents[o]?.push(compressed ? gzipSync(rewritten, { level: plan.level }) : rewritten);
        charge(2);
      }
    } catch (error) {
      throw error instanceof RangeError ? Object.assign(error, { tile: i }) : error;
    }
    begin = end;
  }
  return { outputs: contents.map(joined), cpu };
}

function joined(parts: readonly Uint8Array[]): Swapped["outputs"][0] {
  const ends = new Uint32Array(parts.length);
  let end = 0;
  for (const [i, part] of parts.entries()) {
    end += part.length;
    ends[i] = end;
  }
  const content = new Uint8Array(end);
  for (const [i, part] of parts.entries()) content.set(part, (ends[i] as number) - part.length);
  return { content, ends };
}

function inflate(content: Uint8Array): Uint8Array {
  try {
    const plain = gunzipSync(content);
    const size = new DataView(content.buffer, content.byteOffset + content.length - 4, 4).getUint32(0, true);
    if (plain.length === size) return plain;
  } catch {
    // Said below.
  }
  throw new RangeError("content cannot be decompressed");
}

/** Where features are ticked off, and what the layer has of keys and values so far. */
interface LayerState {
  readonly columns: readonly SwapColumn[];
  readonly seen: Uint8Array | undefined;
  keys: number;
  values: number;
  /** Number of each column's first key in this layer. */
  readonly firstKey: Map<SwapColumn, number>;
  readonly valueNumber: Map<number, number>;
  readonly newKeys: Bytes;
  readonly newValues: Bytes;
}

function rewriteTile(tile: Uint8Array, columns: readonly SwapColumn[], mark: boolean, plan: SwapPlan): Uint8Array {
  const out: Bytes = [];
  const reader = new VarintReader(tile);
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.next();
    if (Math.floor(tag / 8) === TILE_LAYERS >> 3) {
      requireBytes(tag);
      const [from, to] = delimited(reader);
      putField(out, TILE_LAYERS, rewriteLayer(tile, from, to, columns, mark, plan));
    } else {
      skipField(reader, tag);
      put(out, tile.subarray(start, reader.position));
    }
  }
  return Uint8Array.from(out);
}

function rewriteLayer(
  tile: Uint8Array,
  from: number,
  to: number,
  columns: readonly SwapColumn[],
  mark: boolean,
  plan: SwapPlan,
): Bytes {
  const layer: LayerState = {
    columns,
    ...scanLayer(tile, from, to, columns, mark, plan),
    firstKey: new Map(),
    valueNumber: new Map(),
    newKeys: [],
    newValues: [],
  };
  const out: Bytes = [];
  const reader = new VarintReader(tile, from, to);
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.next();
    if (tag === LAYER.features) {
      const [body, end] = delimited(reader);
      rewriteFeature(out, tile, start, body, end, layer, plan);
    } else {
      skipField(reader, tag);
      put(out, tile.subarray(start, reader.position));
    }
  }
  put(out, layer.newKeys);
  put(out, layer.newValues);
  return out;
}

/** Keys and values may stand after the features, whose tags count on from them. */
function scanLayer(
  tile: Uint8Array,
  from: number,
  to: number,
  columns: readonly SwapColumn[],
  mark: boolean,
  plan: SwapPlan,
): Pick<LayerState, "seen" | "keys" | "values"> {
  let known: SwapPlan["layers"][0] | undefined;
  let [keys, values] = [0, 0];
  const reader = new VarintReader(tile, from, to);
  while (!reader.done) {
    const tag = reader.next();
    const field = Math.floor(tag / 8);
    if (field < LAYER.name >> 3 || field > LAYER.values >> 3) {
      skipField(reader, tag);
      continue;
    }
    requireBytes(tag);
    const [start, end] = delimited(reader);
    const text = () => Buffer.from(tile.subarray(start, end)).toString("utf8");
    if (tag === LAYER.name) {
      const name = text();
      known = plan.layers.find((layer) => layer.name === name);
      if (known === undefined) throw new RangeError("layer was not announced");
    } else if (tag === LAYER.keys) {
      keys++;
      const key = text();
      if (columns.some((column) => column.keys.includes(key)))
        throw new RangeError(`attribute is there already: ${key}`);
    } else if (tag === LAYER.values) {
      values++;
    }
  }
  if (known === undefined) throw new RangeError("layer has no name");
  return { seen: mark ? known.seen : undefined, keys, values };
}

function rewriteFeature(
  out: Bytes,
  tile: Uint8Array,
  from: number,
  body: number,
  to: number,
  layer: LayerState,
  plan: SwapPlan,
): void {
  let row: number | undefined;
  /** The last field of tags; at the end where there is none. */
  let [field, tags, after] = [to, to, to];
  let numbers = 0;
  const reader = new VarintReader(tile, body, to);
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.next();
    if (tag === FEATURE.id) {
      row = reader.next();
    } else if (tag === FEATURE.tags) {
      [tags, after] = delimited(reader);
      field = start;
      for (let i = tags; i < after; i++) if ((tile[i] as number) < 0x80) numbers++;
      if (after > tags && (tile[after - 1] as number) >= 0x80) throw new RangeError("number runs over the end");
    } else {
      const number = Math.floor(tag / 8);
      if (number === FEATURE.id >> 3 || number === FEATURE.tags >> 3) wrongType(tag);
      skipField(reader, tag);
    }
  }
  if (row === undefined || row === Number.MAX_SAFE_INTEGER) throw new RangeError("feature has no id");
  if (row >= plan.rows) throw new RangeError(`feature's id is no row: ${row}`);
  if (numbers % 2 !== 0) throw new RangeError("feature's tags are not pairs");
  if (layer.seen !== undefined) layer.seen[row] = 1;

  const pairs = pairsOf(row, layer, plan);
  if (pairs.length === 0) {
    put(out, tile.subarray(from, to));
    return;
  }
  const rewritten: Bytes = [];
  put(rewritten, tile.subarray(body, field));
  putField(rewritten, FEATURE.tags, [...tile.subarray(tags, after), ...pairs]);
  put(rewritten, tile.subarray(after, to));
  putField(out, LAYER.features, rewritten);
}

/** The tags that a row gets. */
function pairsOf(row: number, layer: LayerState, plan: SwapPlan): Bytes {
  const pairs: Bytes = [];
  for (const column of layer.columns) {
    const entry = column.index[row] as number;
    if (entry === 0) continue;
    const { keys, palette } = column;
    if (entry * keys.length > palette.length) throw new RangeError(`row has no entry in the palette: ${row}`);
    let first = layer.firstKey.get(column);
    if (first === undefined) {
      first = layer.keys;
      layer.firstKey.set(column, first);
      layer.keys += keys.length;
      for (const key of keys) putField(layer.newKeys, LAYER.keys, Buffer.from(key));
    }
    for (let k = 0; k < keys.length; k++) {
      const value = palette[(entry - 1) * keys.length + k] as number;
      let number = layer.valueNumber.get(value);
      if (number === undefined) {
        number = layer.values++;
        layer.valueNumber.set(value, number);
        const { values, offsets } = plan.values;
        putField(layer.newValues, LAYER.values, values.subarray(offsets[value], offsets[value + 1]));
      }
      putNumber(pairs, first + k);
      putNumber(pairs, number);
    }
  }
  return pairs;
}

/** Bounds of a length-delimited field, whose tag has been read. */
function delimited(reader: VarintReader): [number, number] {
  const length = reader.next();
  const start = reader.position;
  reader.skip(length);
  return [start, reader.position];
}

function skipField(reader: VarintReader, tag: number): void {
  const wire = tag % 8;
  if (wire === 0) reader.next64();
  else if (wire === 1) reader.skip(8);
  else if (wire === 2) delimited(reader);
  else if (wire === 5) reader.skip(4);
  else wrongType(tag);
}

function requireBytes(tag: number): void {
  if (tag % 8 !== 2) wrongType(tag);
}

function wrongType(tag: number): never {
  throw new RangeError(`field ${Math.floor(tag / 8)} has wire type ${tag % 8}`);
}

/** Without spreading: a tile is longer than an argument list may be. */
function put(out: Bytes, bytes: Iterable<number>): void {
  for (const byte of bytes) out.push(byte);
}

function putField(out: Bytes, tag: number, bytes: Uint8Array | Bytes): void {
  putNumber(out, tag);
  putNumber(out, bytes.length);
  put(out, bytes);
}

function putNumber(out: Bytes, value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80);
  out.push(rest);
}
