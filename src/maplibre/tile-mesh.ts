import { Reader, type TileFeatures } from "../columns/put-codes.js";
import earcut from "./earcut.js";

/** Side of a tile in the units of a mesh. */
export const MESH_EXTENT = 8192;
const POLYGON = 3;
const POINT = 1;

/** A tile's fields as triangles, and their centroids. */
export interface TileMesh {
  /** By feature of the tile, in the order of its codes: the field's id, and its area in hectares (NaN if unknown). */
  readonly ids: Uint32Array;
  readonly areas: Float32Array;
  /** First polygon among the features, and number of polygons. */
  readonly first: number;
  readonly count: number;
  /** By polygon: its box as west, north, east, south, and the start of its triangles; one more start ends the last. */
  readonly boxes: Int16Array;
  readonly starts: Uint32Array;
  /** By vertex: x and y, and its polygon. */
  readonly positions: Int16Array;
  readonly owners: Uint32Array;
  /** Three vertices per triangle. */
  readonly triangles: Uint32Array;
  /** By centroid: its feature, and x and y. */
  readonly pointFeatures: Uint32Array;
  readonly points: Int16Array;
}

/** The buffers of a mesh, to transfer it. */
export function buffersOf(mesh: TileMesh): Transferable[] {
  return Object.values(mesh).flatMap((part: unknown) => (ArrayBuffer.isView(part) ? [part.buffer as ArrayBuffer] : []));
}

/** Tolerance for tiles that are never drawn larger than twice their size: at most 3/8 of a CSS pixel. */
export const TOLERANCE = 3;

/**
 * Cut the polygons of layer `fields` into triangles.
 *
 * @param tolerance  outlines are simplified by no more than this, in units of the mesh; 0 keeps all corners.
 * @throws {RangeError} if the bytes are not a vector tile.
 */
export function meshOf({ bytes, layers, ids }: TileFeatures, tolerance: number): TileMesh {
  const areas = new Float32Array(ids.length).fill(Number.NaN);
  const positions: number[] = [];
  const owners: number[] = [];
  const triangles: number[] = [];
  const pointFeatures: number[] = [];
  const points: number[] = [];
  let [first, count] = [0, 0];
  let boxes = new Int16Array(0);
  let starts = new Uint32Array(1);
  for (const layer of layers) {
    const { extent, keys, values } = readTables(bytes, layer.start, layer.end);
    const areaKey = keys.indexOf("area_ha");
    const isFields = layer.name === "fields";
    if (isFields) {
      [first, count] = [layer.first, layer.count];
      boxes = new Int16Array(4 * count);
      starts = new Uint32Array(count + 1);
    }
    for (let f = 0; f < layer.count; f++) {
      const [from, to] = [layer.places[5 * f + 1] as number, layer.places[5 * f + 2] as number];
      const { type, rings, area } = readGeometry(bytes, from, to, MESH_EXTENT / extent, areaKey, values);
      areas[layer.first + f] = area;
      if (isFields) {
        starts[f] = triangles.length;
        boxes.set(boxOf(rings), 4 * f);
        if (type !== POLYGON) continue;
        addPolygons(
          rings.map((ring) => simplified(ring, tolerance)),
          f,
          positions,
          owners,
          triangles,
        );
      } else if (type === POINT && rings[0] !== undefined) {
        pointFeatures.push(layer.first + f);
        points.push(rings[0][0] as number, rings[0][1] as number);
      }
    }
    if (isFields) starts[count] = triangles.length;
  }
  return {
    ids: ids.slice(),
    areas,
    first,
    count,
    boxes,
    starts,
    positions: Int16Array.from(positions),
    owners: Uint32Array.from(owners),
    triangles: Uint32Array.from(triangles),
    pointFeatures: Uint32Array.from(pointFeatures),
    points: Int16Array.from(points),
  };
}

/** An outer ring and its holes at a time; the first ring tells which way outer rings turn. */
function addPolygons(
  rings: readonly number[][],
  owner: number,
  positions: number[],
  owners: number[],
  triangles: number[],
): void {
  let flat: number[] = [];
  let holes: number[] = [];
  const finish = () => {
    if (flat.length === 0) return;
    const before = positions.length / 2;
    for (const corner of earcut(flat, holes)) triangles.push(before + corner);
    for (const value of flat) positions.push(value);
    for (let i = 0; i < flat.length; i += 2) owners.push(owner);
    [flat, holes] = [[], []];
  };
  let outer = 0;
  for (const ring of rings) {
    const turn = Math.sign(signedArea(ring));
    if (turn === 0) continue;
    if (outer === 0) outer = turn;
    if (turn === outer) finish();
    else holes.push(flat.length / 2);
    for (const value of ring) flat.push(value);
  }
  finish();
}

/** Douglas and Peucker's simplification; rings of up to four corners stay as they are. */
function simplified(ring: number[], tolerance: number): number[] {
  const count = ring.length / 2;
  if (tolerance === 0 || count <= 4) return ring;
  let farthest = 0;
  let most = -1;
  for (let i = 1; i < count; i++) {
    const distance =
      ((ring[2 * i] as number) - (ring[0] as number)) ** 2 + ((ring[2 * i + 1] as number) - (ring[1] as number)) ** 2;
    if (distance > most) [most, farthest] = [distance, i];
  }
  const kept = new Uint8Array(count);
  kept[0] = 1;
  kept[farthest] = 1;
  keepCorners(ring, 0, farthest, tolerance ** 2, kept);
  keepCorners(ring, farthest, count, tolerance ** 2, kept);
  const corners: number[] = [];
  for (let i = 0; i < count; i++) if (kept[i] === 1) corners.push(ring[2 * i] as number, ring[2 * i + 1] as number);
  return corners.length >= 6 ? corners : ring;
}

/** Keep corners between two others that are farther than the tolerance from the line between these; `to` may be the first again. */
function keepCorners(ring: readonly number[], from: number, to: number, squared: number, kept: Uint8Array): void {
  const [ax, ay] = [ring[2 * from] as number, ring[2 * from + 1] as number];
  const end = (2 * to) % ring.length;
  const [dx, dy] = [(ring[end] as number) - ax, (ring[end + 1] as number) - ay];
  const length = dx * dx + dy * dy;
  let farthest = 0;
  let most = squared;
  for (let i = from + 1; i < to; i++) {
    const [px, py] = [(ring[2 * i] as number) - ax, (ring[2 * i + 1] as number) - ay];
    const across = px * dy - py * dx;
    const distance = length === 0 ? px * px + py * py : (across * across) / length;
    if (distance > most) [most, farthest] = [distance, i];
  }
  if (farthest === 0) return;
  kept[farthest] = 1;
  keepCorners(ring, from, farthest, squared, kept);
  keepCorners(ring, farthest, to, squared, kept);
}

function signedArea(ring: readonly number[]): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    sum += ((ring[j] as number) - (ring[i] as number)) * ((ring[i + 1] as number) + (ring[j + 1] as number));
  }
  return sum;
}

function boxOf(rings: readonly number[][]): number[] {
  let [west, north, east, south] = [32767, 32767, -32768, -32768];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      const [x, y] = [ring[i] as number, ring[i + 1] as number];
      west = Math.min(west, x);
      east = Math.max(east, x);
      north = Math.min(north, y);
      south = Math.max(south, y);
    }
  }
  return [west, north, east, south];
}

/** A layer's extent, keys, and values that are numbers. */
function readTables(bytes: Uint8Array, start: number, end: number) {
  const reader = new Reader(bytes, start, end);
  const keys: string[] = [];
  const values: number[] = [];
  let extent = 4096;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 5 << 3) extent = reader.varint();
    else if (tag === ((3 << 3) | 2)) {
      const to = reader.lengthEnd();
      keys.push(new TextDecoder().decode(bytes.subarray(reader.at, to)));
      reader.at = to;
    } else if (tag === ((4 << 3) | 2)) {
      const to = reader.lengthEnd();
      values.push(readNumber(bytes, reader.at, to));
      reader.at = to;
    } else reader.skip(tag);
  }
  return { extent, keys, values };
}

/** A message `Value`; NaN for texts. */
function readNumber(bytes: Uint8Array, from: number, to: number): number {
  const reader = new Reader(bytes, from, to);
  const tag = reader.done ? 0 : reader.varint();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (tag === ((2 << 3) | 5)) return view.getFloat32(reader.at, true);
  if (tag === ((3 << 3) | 1)) return view.getFloat64(reader.at, true);
  if (tag === 4 << 3 || tag === 5 << 3) return reader.varint();
  if (tag === 6 << 3) return unzigzag(reader.varint());
  return Number.NaN;
}

function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

function readGeometry(
  bytes: Uint8Array,
  from: number,
  to: number,
  scale: number,
  areaKey: number,
  values: readonly number[],
): { type: number; rings: number[][]; area: number } {
  const reader = new Reader(bytes, from, to);
  let [type, area] = [0, Number.NaN];
  const rings: number[][] = [];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 3 << 3) type = reader.varint();
    else if (tag === ((2 << 3) | 2)) {
      const end = reader.lengthEnd();
      while (reader.at < end) {
        const [key, value] = [reader.varint(), reader.varint()];
        if (key === areaKey) area = values[value] ?? Number.NaN;
      }
    } else if (tag === ((4 << 3) | 2)) readRings(reader, reader.lengthEnd(), scale, rings);
    else reader.skip(tag);
  }
  return { type, rings, area };
}

/** Commands of a geometry: 1 begins a ring, 2 adds its corners, 7 closes it. */
function readRings(reader: Reader, end: number, scale: number, rings: number[][]): void {
  let [x, y] = [0, 0];
  while (reader.at < end) {
    const command = reader.varint();
    if ((command & 7) === 7) continue;
    for (let i = command >>> 3; i > 0; i--) {
      x += unzigzag(reader.varint());
      y += unzigzag(reader.varint());
      if ((command & 7) === 1) rings.push([]);
      rings.at(-1)?.push(Math.round(x * scale), Math.round(y * scale));
    }
  }
}
