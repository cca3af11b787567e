import { STATUS_OK } from "../kernel/geometry.js";
import { float64s, uint32s } from "./growing-array.js";

/** The codes of FIELD_STATUS, as native/geometry/wkb.h names them. */
export const STATUS = {
  ok: STATUS_OK,
  null: 1,
  empty: 2,
  truncated: 3,
  notPolygon: 4,
  notFinite: 5,
  shortRing: 6,
  outside: 7,
  noCenter: 8,
  small: 9,
  noTouch: 10,
} as const;

/** Polygon and multipolygon alike: parts of rings of vertices, in arrays used again for every field. */
export class Polygons {
  readonly x = float64s();
  readonly y = float64s();
  /** One past the ring's last vertex. */
  readonly ringEnd = uint32s();
  /** One past the part's last ring. */
  readonly partEnd = uint32s();

  clear(): void {
    for (const list of [this.x, this.y, this.ringEnd, this.partEnd]) list.clear();
  }

  ringBegin(ring: number): number {
    return ring === 0 ? 0 : (this.ringEnd.data[ring - 1] as number);
  }
}

const POLYGON = 3;
const MULTIPOLYGON = 6;
const COLLECTION = 7;
const Z_FLAG = 0x80000000;
const M_FLAG = 0x40000000;
const SRID_FLAG = 0x20000000;

/** Thrown and caught in this file: what is wrong with a geometry. */
class Broken {
  constructor(readonly status: number) {}
}

/** Reads numbers of either byte order and never beyond the end. */
class Cursor {
  #at = 0;
  #little = true;
  readonly #view: DataView;

  constructor(wkb: Uint8Array) {
    this.#view = new DataView(wkb.buffer, wkb.byteOffset, wkb.byteLength);
  }

  left(): number {
    return this.#view.byteLength - this.#at;
  }

  readOrder(): void {
    if (this.left() < 1 || this.#view.getUint8(this.#at) > 1) throw new Broken(STATUS.truncated);
    this.#little = this.#view.getUint8(this.#at) === 1;
    this.#at += 1;
  }

  readUint32(): number {
    if (this.left() < 4) throw new Broken(STATUS.truncated);
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, this.#little);
  }

  readFloat64(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, this.#little);
  }

  skip(count: number): void {
    this.#at += count;
  }
}

/** Type and number of coordinates per vertex, from an ISO (1003, 2003, 3003) or EWKB (flag bits) code. */
function readType(from: Cursor): { type: number; dimensions: number } {
  const code = from.readUint32();
  if (code & SRID_FLAG) from.readUint32();
  const plain = code & 0x1fffffff;
  const iso = Math.floor(plain / 1000);
  const flags = (code & Z_FLAG ? 1 : 0) + (code & M_FLAG ? 1 : 0);
  const more = [0, 1, 1, 2][iso];
  return more === undefined ? { type: 0, dimensions: 2 } : { type: plain % 1000, dimensions: 2 + flags + more };
}

function readPolygon(from: Cursor, dimensions: number, out: Polygons): void {
  const rings = from.readUint32();
  const firstRing = out.ringEnd.length;
  for (let r = 0; r < rings; r++) {
    const n = from.readUint32();
    if (n > Math.floor(from.left() / (8 * dimensions))) throw new Broken(STATUS.truncated);
    if (n === 0) continue;
    if (n < 4) throw new Broken(STATUS.shortRing);
    const first = out.x.length;
    let finite = true;
    for (let i = 0; i < n; i++) {
      const x = from.readFloat64();
      const y = from.readFloat64();
      from.skip(8 * (dimensions - 2));
      finite = finite && Number.isFinite(x) && Number.isFinite(y);
      out.x.push(x);
      out.y.push(y);
    }
    if (!finite) throw new Broken(STATUS.notFinite);
    const [x0, y0] = [out.x.data[first] as number, out.y.data[first] as number];
    if (x0 !== out.x.last() || y0 !== out.y.last()) {
      out.x.push(x0);
      out.y.push(y0);
    }
    out.ringEnd.push(out.x.length);
  }
  if (out.ringEnd.length > firstRing) out.partEnd.push(out.ringEnd.length);
}

/** One geometry, and those in it: the parts of a collection of polygons are parts of one multipolygon. */
function readGeometry(from: Cursor, depth: number, out: Polygons): void {
  from.readOrder();
  const { type, dimensions } = readType(from);
  if (type === POLYGON) {
    readPolygon(from, dimensions, out);
    return;
  }
  if ((type !== MULTIPOLYGON && type !== COLLECTION) || depth === MAX_DEPTH) throw new Broken(STATUS.notPolygon);
  const parts = from.readUint32();
  for (let p = 0; p < parts; p++) readGeometry(from, depth + 1, out);
}

/** Collections in collections. */
const MAX_DEPTH = 8;

/**
 * Read polygons, multipolygons and collections of them: ISO and EWKB, either byte order. Z and M are skipped, an open
 * ring is closed.
 *
 * @returns a FIELD_STATUS code; `out` is whole only where it is 0.
 */
export function readWkb(wkb: Uint8Array, out: Polygons): number {
  out.clear();
  try {
    readGeometry(new Cursor(wkb), 0, out);
  } catch (error) {
    if (error instanceof Broken) return error.status;
    throw error;
  }
  return out.partEnd.length === 0 ? STATUS.empty : STATUS.ok;
}

/**
 * A multipolygon in two dimensions, little endian.
 *
 * @returns `rings` are the vertices in it, 16 bytes each.
 */
export function writeWkb({ x, y, ringEnd, partEnd }: Polygons): { wkb: Uint8Array; rings: Uint8Array[] } {
  const wkb = new Uint8Array(HEAD + HEAD * partEnd.length + 4 * ringEnd.length + 16 * x.length);
  const view = new DataView(wkb.buffer);
  const rings: Uint8Array[] = [];
  let [at, ring, vertex] = [0, 0, 0];
  const head = (type: number, count: number) => {
    view.setUint8(at, 1);
    view.setUint32(at + 1, type, true);
    view.setUint32(at + 5, count, true);
    at += HEAD;
  };
  head(MULTIPOLYGON, partEnd.length);
  for (let part = 0; part < partEnd.length; part++) {
    const end = partEnd.data[part] as number;
    head(POLYGON, end - ring);
    for (; ring < end; ring++) {
      const last = ringEnd.data[ring] as number;
      view.setUint32(at, last - vertex, true);
      at += 4;
      rings.push(wkb.subarray(at, at + 16 * (last - vertex)));
      for (; vertex < last; vertex++, at += 16) {
        view.setFloat64(at, x.data[vertex] as number, true);
        view.setFloat64(at + 8, y.data[vertex] as number, true);
      }
    }
  }
  return { wkb, rings };
}

/** Bytes of byte order, type and number of parts. */
const HEAD = 9;
