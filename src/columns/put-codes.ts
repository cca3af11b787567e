/**
 * Adds an attribute to vector tiles. Runs in Node and in browsers, and imports nothing.
 */

/** Positions of the features' parts in a tile, from `readTile`. */
export interface TileFeatures {
  readonly bytes: Uint8Array;
  readonly layers: readonly LayerFeatures[];
  /** Feature ids of all layers, in the order of the features. */
  readonly ids: Uint32Array;
}

interface LayerFeatures {
  /** Start of the layer's field in the tile, start and end of its message. */
  readonly field: number;
  readonly start: number;
  readonly end: number;
  readonly keyCount: number;
  readonly valueCount: number;
  readonly name: string;
  /** Index of this layer's first feature among the tile's, and its number of features. */
  readonly first: number;
  readonly count: number;
  /** By feature: start of its field in the layer, start and end of its message, start and end of its tags (0 without tags). */
  readonly places: Uint32Array;
  /** By feature: bytes of tag and length before its tags. */
  readonly tagsHeads: Uint8Array;
}

const PLACES = 5;
const LAYERS = 3;
const LAYER = { name: 1, features: 2, keys: 3, values: 4 } as const;
const FEATURE = { id: 1, tags: 2 } as const;
const DOUBLE = (3 << 3) | 1;
const UNSIGNED = (5 << 3) | 0;
const BYTES = 2;

/**
 * Find the features of a tile.
 *
 * @throws {RangeError} if it is not a vector tile, or a feature has no id below 2^32.
 */
export function readTile(bytes: Uint8Array): TileFeatures {
  const layers: LayerFeatures[] = [];
  const ids: number[] = [];
  const tile = new Reader(bytes, 0, bytes.length);
  while (!tile.done) {
    const field = tile.at;
    const tag = tile.varint();
    if (tag !== ((LAYERS << 3) | BYTES)) {
      tile.skip(tag);
      continue;
    }
    const end = tile.lengthEnd();
    layers.push(readLayer(bytes, field, tile.at, end, ids));
    tile.at = end;
  }
  return { bytes, layers, ids: Uint32Array.from(ids) };
}

function readLayer(bytes: Uint8Array, layerField: number, start: number, end: number, ids: number[]): LayerFeatures {
  const reader = new Reader(bytes, start, end);
  const first = ids.length;
  const places: number[] = [];
  const tagsHeads: number[] = [];
  let [name, keyCount, valueCount] = ["", 0, 0];
  while (!reader.done) {
    const field = reader.at;
    const tag = reader.varint();
    if ((tag & 7) !== BYTES) {
      reader.skip(tag);
      continue;
    }
    const to = reader.lengthEnd();
    switch (tag >>> 3) {
      case LAYER.name:
        name = new TextDecoder().decode(bytes.subarray(reader.at, to));
        break;
      case LAYER.keys:
        keyCount++;
        break;
      case LAYER.values:
        valueCount++;
        break;
      case LAYER.features:
        places.push(field, reader.at, to, 0, 0);
        ids.push(readFeature(bytes, reader.at, to, places, tagsHeads));
        break;
    }
    reader.at = to;
  }
  return {
    field: layerField,
    start,
    end,
    keyCount,
    valueCount,
    name,
    first,
    count: ids.length - first,
    places: Uint32Array.from(places),
    tagsHeads: Uint8Array.from(tagsHeads),
  };
}

function readFeature(bytes: Uint8Array, start: number, end: number, places: number[], tagsHeads: number[]): number {
  const reader = new Reader(bytes, start, end);
  let id = -1;
  tagsHeads.push(0);
  while (!reader.done) {
    const field = reader.at;
    const tag = reader.varint();
    if (tag === FEATURE.id << 3) id = reader.varint();
    else if (tag === ((FEATURE.tags << 3) | BYTES)) {
      const to = reader.lengthEnd();
      places[places.length - 2] = reader.at;
      places[places.length - 1] = to;
      tagsHeads[tagsHeads.length - 1] = reader.at - field;
      reader.at = to;
    } else reader.skip(tag);
  }
  if (id < 0 || id >= 2 ** 32) throw new RangeError("a feature has no id below 2^32");
  return id;
}

/**
 * The tile with an attribute added to its features; everything else is copied unchanged.
 *
 * @param key     name of the attribute; no feature has it yet.
 * @param values  its possible values.
 * @param places  by feature, 0 for no attribute, else 1 + the value's position in `values`.
 */
export function putCodes(
  tile: TileFeatures,
  key: string,
  values: readonly number[],
  places: ArrayLike<number>,
): Uint8Array<ArrayBuffer> {
  const { bytes, layers, ids } = tile;
  const keyText = new TextEncoder().encode(key);
  const writer = new Writer(bytes.length + mostAdded(ids.length, layers.length, keyText, values));
  let copied = 0;
  for (const layer of layers) {
    writer.copy(bytes, copied, layer.field);
    copied = layer.end;
    writer.varint((LAYERS << 3) | BYTES);
    const body = writeLayer(bytes, layer, keyText, values, places);
    writer.varint(body.length);
    writer.copy(body, 0, body.length);
  }
  writer.copy(bytes, copied, bytes.length);
  return writer.finish();
}

function writeLayer(
  bytes: Uint8Array,
  layer: LayerFeatures,
  keyText: Uint8Array,
  values: readonly number[],
  places: ArrayLike<number>,
): Uint8Array {
  const { start, end, first, count, keyCount, valueCount } = layer;
  const writer = new Writer(end - start + mostAdded(count, 1, keyText, values));
  /** By value, its index in the layer's values; values that occur are written in the order of first use. */
  const numbers = new Int32Array(values.length).fill(-1);
  const used: number[] = [];
  let copied = start;
  for (let f = 0; f < count; f++) {
    const place = places[first + f] as number;
    if (place === 0) continue;
    const value = place - 1;
    if ((numbers[value] as number) < 0) {
      numbers[value] = valueCount + used.length;
      used.push(value);
    }
    const number = numbers[value] as number;
    const [field, from, to, tagsFrom, tagsTo] = layer.places.subarray(PLACES * f, PLACES * (f + 1)) as unknown as [
      number,
      number,
      number,
      number,
      number,
    ];
    const added = varintBytes(keyCount) + varintBytes(number);
    const tags = tagsTo - tagsFrom + added;
    writer.copy(bytes, copied, field);
    copied = to;
    writer.varint((LAYER.features << 3) | BYTES);
    // Longer tags may need a longer length; without tags, a field is added.
    const tagsField = 1 + varintBytes(tags) + tags;
    const before = tagsFrom === 0 ? 0 : tagsTo - tagsFrom + (layer.tagsHeads[f] as number);
    writer.varint(to - from - before + tagsField);
    const head = tagsFrom === 0 ? to : tagsFrom - (layer.tagsHeads[f] as number);
    writer.copy(bytes, from, head);
    writer.varint((FEATURE.tags << 3) | BYTES);
    writer.varint(tags);
    writer.copy(bytes, tagsFrom, tagsTo);
    writer.varint(keyCount);
    writer.varint(number);
    if (tagsFrom !== 0) writer.copy(bytes, tagsTo, to);
  }
  writer.copy(bytes, copied, end);
  if (used.length > 0) {
    writer.varint((LAYER.keys << 3) | BYTES);
    writer.varint(keyText.length);
    writer.copy(keyText, 0, keyText.length);
    for (const value of used) writer.value(values[value] as number);
  }
  return writer.finish();
}

/** Two numbers per feature, longer lengths, and each layer's key and values. */
function mostAdded(features: number, layers: number, keyText: Uint8Array, values: readonly number[]): number {
  return features * 24 + layers * (16 + keyText.length + 14 * values.length);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Reads protocol buffers. */
export class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
    private readonly end: number,
  ) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (this.at >= this.end || scale > 2 ** 63) throw new RangeError("a tile ends inside a number");
      const byte = this.bytes[this.at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  /** Reads a length; returns the end of the data that follows. */
  lengthEnd(): number {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.end) throw new RangeError("a tile ends inside a message");
    return end;
  }

  skip(tag: number): void {
    const wire = tag & 7;
    if (wire === 0) this.varint();
    else if (wire === BYTES) this.at = this.lengthEnd();
    else if (wire === 1 || wire === 5) this.at += wire === 1 ? 8 : 4;
    else throw new RangeError(`a tile has wire type ${wire}`);
    if (this.at > this.end) throw new RangeError("a tile ends inside a value");
  }
}

class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(most: number) {
    this.#bytes = new Uint8Array(most);
  }

  varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#at++] = (rest % 128) | 128;
    this.#bytes[this.#at++] = rest;
  }

  copy(bytes: Uint8Array, from: number, to: number): void {
    if (to <= from) return;
    this.#bytes.set(bytes.subarray(from, to), this.#at);
    this.#at += to - from;
  }

  /** A message `Value`: integers from 0 as uint, all others as double. */
  value(value: number): void {
    const whole = Number.isSafeInteger(value) && value >= 0;
    this.varint((LAYER.values << 3) | BYTES);
    this.varint(whole ? 1 + varintBytes(value) : 9);
    this.varint(whole ? UNSIGNED : DOUBLE);
    if (whole) this.varint(value);
    else {
      new DataView(this.#bytes.buffer).setFloat64(this.#at, value, true);
      this.#at += 8;
    }
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#at);
  }
}
