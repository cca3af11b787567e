// What an archive of fields is worth, by readers that the project did not write: tiles by @mapbox/vector-tile,
// polygons by GEOS (through GDAL), crops by painting tiles and source fields point by point.
// node test/support/tile-judge.mjs ARCHIVE [--fields F.parquet --crops Z.parquet] [--zooms 4-14] [--borders 9-10]
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { VectorTile } from "@mapbox/vector-tile";
import gdal from "gdal-async";
import { PbfReader } from "pbf";
import { Archive } from "../../dist/archive/reader.js";
import { tileOf } from "../../dist/archive/tile-id.js";
import { query } from "./duck.mjs";

/** Units of a tile, and how far tippecanoe lets features reach over its edges: 5 of 256 (and 1 for rounding). */
const EXTENT = 4096;
const BUFFER = 81;
/** A CSS pixel, of a tile that is drawn 512 pixels wide. */
const CSS_PIXEL = EXTENT / 512;
const BLOCK_PIXELS = 32;

/** Every tile of some zooms: {z, x, y, stored, bytes, layers}. */
export function* tilesOf(path, [from, to] = [0, 30]) {
  const archive = new Archive(path);
  try {
    for (let i = 0; i < archive.entries.count; i++) {
      for (let k = 0; k < archive.entries.runLength(i); k++) {
        const { z, x, y } = tileOf(archive.entries.tileId(i) + k);
        if (z < from || z > to) continue;
        const stored = archive.storedTile(i);
        const bytes = stored[0] === 0x1f ? gunzipSync(stored) : stored;
        yield { z, x, y, stored: stored.length, bytes, layers: new VectorTile(new PbfReader(bytes)).layers };
      }
    }
  } finally {
    archive.close();
  }
}

/** Rings of a polygon feature: [[x, y, x, y, ...] not closed, ...], as the tile has them. */
export function ringsOf(feature) {
  return feature.loadGeometry().map((ring) => {
    const points = ring.flatMap(({ x, y }) => [x, y]);
    // The reader closes rings by repeating the first point.
    return points.slice(0, -2);
  });
}

/** Area of a ring in square units of a tile: positive for an exterior. */
export function areaOf(ring) {
  let twice = 0;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    twice += ring[j] * ring[i + 1] - ring[i] * ring[j + 1];
  }
  return twice / 2;
}

/** Rings by polygon, as MVT 2.1 groups them: an exterior has positive area (y down), its holes follow. */
function polygonsOf(rings) {
  const polygons = [];
  for (const ring of rings) {
    if (areaOf(ring) > 0) polygons.push([ring]);
    else polygons.at(-1)?.push(ring);
  }
  return polygons;
}

/** WKB of polygons of rings that are not closed. */
function toWkb(polygons) {
  const points = polygons.flat().reduce((sum, ring) => sum + ring.length / 2 + 1, 0);
  const rings = polygons.flat().length;
  const buffer = Buffer.alloc(9 + 9 * polygons.length + 4 * rings + 16 * points);
  let at = buffer.writeUInt8(1, 0);
  at = buffer.writeUInt32LE(6, at);
  at = buffer.writeUInt32LE(polygons.length, at);
  for (const polygon of polygons) {
    at = buffer.writeUInt8(1, at);
    at = buffer.writeUInt32LE(3, at);
    at = buffer.writeUInt32LE(polygon.length, at);
    for (const ring of polygon) {
      at = buffer.writeUInt32LE(ring.length / 2 + 1, at);
      for (let i = 0; i < ring.length + 2; i += 2) {
        at = buffer.writeDoubleLE(ring[i % ring.length], at);
        at = buffer.writeDoubleLE(ring[(i % ring.length) + 1], at);
      }
    }
  }
  return buffer;
}

/** What is wrong with a polygon feature of a tile; undefined when nothing is. */
export function faultOf(feature) {
  const rings = ringsOf(feature);
  if (feature.type !== 3) return `type ${feature.type}`;
  if (rings.length === 0) return "no ring";
  for (const [i, ring] of rings.entries()) {
    if (ring.length < 6) return "a ring of fewer than three points";
    const area = areaOf(ring);
    if (area === 0) return "a ring without area";
    if (i === 0 && area < 0) return "a hole before any exterior";
    for (let k = 0, j = ring.length - 2; k < ring.length; j = k, k += 2) {
      const [x, y] = [ring[k], ring[k + 1]];
      if (x === ring[j] && y === ring[j + 1]) return "a repeated point";
      if (x < -BUFFER || y < -BUFFER || x > EXTENT + BUFFER || y > EXTENT + BUFFER) return "a point beyond the buffer";
    }
  }
  const geometry = gdal.Geometry.fromWKB(toWkb(polygonsOf(rings)));
  return geometry.isValid() ? undefined : "invalid by GEOS";
}

/**
 * Features, bytes and faults by zoom, every polygon looked at.
 *
 * @returns {z: {tiles, bytes, largest: {stored, bytes, features, tile}, fields, rows, centroids, faults, first}}, where
 *   `rows` are different ids of the layer fields, and `faults` count by kind.
 */
export function judgeTiles(path, zooms, { validity = true } = {}) {
  const byZoom = {};
  const ids = new Map();
  for (const { z, x, y, stored, bytes, layers } of tilesOf(path, zooms)) {
    byZoom[z] ??= {
      tiles: 0,
      bytes: 0,
      plain: 0,
      largest: { bytes: 0 },
      fields: 0,
      rows: 0,
      centroids: 0,
      faults: {},
      first: [],
    };
    const zoom = byZoom[z];
    const seen = ids.get(z) ?? new Set();
    ids.set(z, seen);
    const fields = layers.fields;
    zoom.tiles++;
    zoom.bytes += stored;
    zoom.plain += bytes.length;
    zoom.fields += fields?.length ?? 0;
    zoom.centroids += layers.centroids?.length ?? 0;
    if (bytes.length > zoom.largest.bytes) {
      zoom.largest = { stored, bytes: bytes.length, features: fields?.length ?? 0, tile: `${z}/${x}/${y}` };
    }
    for (let i = 0; i < (fields?.length ?? 0); i++) {
      const feature = fields.feature(i);
      seen.add(feature.id);
      const fault = validity ? faultOf(feature) : undefined;
      if (fault === undefined) continue;
      zoom.faults[fault] = (zoom.faults[fault] ?? 0) + 1;
      if (zoom.first.length < 5) zoom.first.push(`${fault}: id ${feature.id} in ${z}/${x}/${y}`);
    }
  }
  for (const [z, seen] of ids) byZoom[z].rows = seen.size;
  return byZoom;
}

/** The source's fields: {wkb, crop}, by row; a row's number is its feature's id. */
export async function sourceFields(fieldsPath, cropsPath) {
  const parquet = (path) => `read_parquet('${path}', file_row_number = true)`;
  return query(`
    set enable_geoparquet_conversion = false;
    select geometry as wkb, crop_code::int as crop
      from ${parquet(fieldsPath)} f left join (select field_id, crop_code from ${parquet(cropsPath)}) using (field_id)
     order by f.file_row_number`);
}

/** Polygons of a WKB in longitude and latitude, as rings of Web Mercator coordinates from 0 to 1. */
function mercatorOf(wkb) {
  const view = new DataView(wkb.buffer, wkb.byteOffset, wkb.byteLength);
  let at = 0;
  const count = () => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const polygon = () => {
    at += 5;
    const rings = [];
    for (let n = count(); n > 0; n--) {
      const ring = [];
      for (let points = count(); points > 1; points--, at += 16) {
        const lat = Math.min(85.05112878, Math.max(-85.05112878, view.getFloat64(at + 8, true))) * (Math.PI / 180);
        ring.push(view.getFloat64(at, true) / 360 + 0.5, 0.5 - Math.asinh(Math.tan(lat)) / (2 * Math.PI));
      }
      at += 16;
      rings.push(ring);
    }
    return rings;
  };
  if (view.getUint32(1, true) === 3) return [polygon()];
  const polygons = [];
  at = 9;
  for (let n = view.getUint32(5, true); n > 0; n--) polygons.push(polygon());
  return polygons;
}

/** A picture of crops: `width` x `height` points, the code under each, -1 for none. */
export class Painting {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.codes = new Int16Array(width * height).fill(-1);
  }

  /** Even-odd over the middles of points; later polygons cover earlier ones. `place` gives points of a coordinate. */
  paint(rings, code, scale, dx, dy) {
    const crossings = new Map();
    for (const ring of rings) {
      for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
        let [x1, y1, x2, y2] = [
          ring[j] * scale + dx,
          ring[j + 1] * scale + dy,
          ring[i] * scale + dx,
          ring[i + 1] * scale + dy,
        ];
        if (y1 > y2) [x1, y1, x2, y2] = [x2, y2, x1, y1];
        const end = Math.min(this.height, Math.ceil(y2 - 0.5));
        for (let line = Math.max(0, Math.ceil(y1 - 0.5)); line < end; line++) {
          const x = x1 + ((line + 0.5 - y1) * (x2 - x1)) / (y2 - y1);
          const known = crossings.get(line);
          if (known) known.push(x);
          else crossings.set(line, [x]);
        }
      }
    }
    for (const [line, xs] of crossings) {
      xs.sort((a, b) => a - b);
      for (let i = 0; i + 1 < xs.length; i += 2) {
        const from = Math.max(0, Math.ceil(xs[i] - 0.5));
        const to = Math.min(this.width, Math.ceil(xs[i + 1] - 0.5));
        if (from < to) this.codes.fill(code, line * this.width + from, line * this.width + to);
      }
    }
  }
}

const NO_CROP = 255;
/** Points of the truth: a tile's side at this zoom has so many. */
const TRUTH_ZOOM = 8;
const TRUTH_POINTS = 1024;

/**
 * How well low zooms show what grows where, against the source's fields.
 *
 * @returns by zoom: `drawn`, drawn area by true area; `wrong`, the mean over blocks of 32 x 32 CSS pixels with fields of
 *   the share of the block that shows another crop than it should, or none, or one where there is none (half the sum
 *   of the differences of shares, no crop among them); `wrongCrop`, the same without counting places of no crop.
 */
export function judgeLowZooms(path, fields, zooms) {
  const truth = paintTruth(fields);
  const result = {};
  for (let z = zooms[0]; z <= Math.min(zooms[1], TRUTH_ZOOM); z++) {
    const blocks = new Map();
    // Twice as fine as a CSS pixel.
    const points = EXTENT / (CSS_PIXEL / 2);
    for (const { x, y, layers } of tilesOf(path, [z, z])) {
      const picture = new Painting(points, points);
      const layer = layers.fields;
      for (let i = 0; i < (layer?.length ?? 0); i++) {
        const feature = layer.feature(i);
        picture.paint(ringsOf(feature), fields[feature.id]?.crop ?? NO_CROP, points / EXTENT, 0, 0);
      }
      const size = 2 * BLOCK_PIXELS;
      for (let by = 0; by < points / size; by++) {
        for (let bx = 0; bx < points / size; bx++) {
          const shares = sharesOf(picture, bx * size, by * size, size);
          if (shares.size > 0)
            blockAt(blocks, x * (512 / BLOCK_PIXELS) + bx, y * (512 / BLOCK_PIXELS) + by).drawn = shares;
        }
      }
    }
    // Blocks of the truth at this zoom: so many of its points a side.
    const size = (TRUTH_POINTS * 2 ** (TRUTH_ZOOM - z) * BLOCK_PIXELS) / 512;
    const [bx0, by0] = [Math.floor(truth.left / size), Math.floor(truth.top / size)];
    for (let by = by0; by * size < truth.top + truth.picture.height; by++) {
      for (let bx = bx0; bx * size < truth.left + truth.picture.width; bx++) {
        const shares = sharesOf(truth.picture, bx * size - truth.left, by * size - truth.top, size);
        if (shares.size > 0) blockAt(blocks, bx, by).truth = shares;
      }
    }
    let [drawn, real, wrong, wrongCrop, counted] = [0, 0, 0, 0, 0];
    for (const { drawn: d = new Map(), truth: t = new Map() } of blocks.values()) {
      const sum = (shares) => [...shares.values()].reduce((total, share) => total + share, 0);
      const [dSum, tSum] = [sum(d), sum(t)];
      drawn += dSum;
      real += tSum;
      if (tSum === 0) continue;
      let off = 0;
      for (const code of new Set([...d.keys(), ...t.keys()])) off += Math.abs((d.get(code) ?? 0) - (t.get(code) ?? 0));
      wrongCrop += off / 2;
      wrong += (off + Math.abs(dSum - tSum)) / 2;
      counted++;
    }
    result[z] = { drawn: drawn / real, wrong: wrong / counted, wrongCrop: wrongCrop / counted, blocks: counted };
  }
  return result;
}

function blockAt(blocks, x, y) {
  const key = `${x},${y}`;
  const known = blocks.get(key) ?? {};
  blocks.set(key, known);
  return known;
}

/** Share of a square's points by code; a square may reach over the picture. */
function sharesOf({ codes, width, height }, left, top, size) {
  const counts = new Map();
  for (let y = Math.max(0, top); y < Math.min(height, top + size); y++) {
    for (let x = Math.max(0, left); x < Math.min(width, left + size); x++) {
      const code = codes[y * width + x];
      if (code >= 0) counts.set(code, (counts.get(code) ?? 0) + 1);
    }
  }
  for (const [code, count] of counts) counts.set(code, count / size ** 2);
  return counts;
}

/** All fields on one picture in Web Mercator, TRUTH_POINTS a tile of TRUTH_ZOOM. */
function paintTruth(fields) {
  const scale = TRUTH_POINTS * 2 ** TRUTH_ZOOM;
  const shapes = fields.map(({ wkb }) => (wkb === null ? [] : mercatorOf(wkb)));
  let [west, north, east, south] = [1, 1, 0, 0];
  for (const ring of shapes.flat(2)) {
    for (let i = 0; i < ring.length; i += 2) {
      west = Math.min(west, ring[i]);
      east = Math.max(east, ring[i]);
      north = Math.min(north, ring[i + 1]);
      south = Math.max(south, ring[i + 1]);
    }
  }
  const [left, top] = [Math.floor(west * scale), Math.floor(north * scale)];
  const picture = new Painting(Math.ceil(east * scale) - left, Math.ceil(south * scale) - top);
  for (const [row, polygons] of shapes.entries()) {
    for (const rings of polygons) picture.paint(rings, fields[row].crop ?? NO_CROP, scale, -left, -top);
  }
  return { picture, left, top };
}

/**
 * Gaps and overlaps of neighbors, tile by tile at one zoom, without the tiles' buffers.
 *
 * @returns {gaps, overlaps} by the area that the source covers: `overlaps`, the polygons' areas less their union's;
 *   `gaps`, what is not drawn although it lies deeper than `depth` units inside the union of the source.
 */
export function judgeBorders(path, fields, z, { depth = 3, tiles = Number.POSITIVE_INFINITY } = {}) {
  const source = sourceByTile(fields, z);
  const frame = gdal.Geometry.fromWKT(`POLYGON((0 0,${EXTENT} 0,${EXTENT} ${EXTENT},0 ${EXTENT},0 0))`);
  let [covered, gaps, overlaps, looked] = [0, 0, 0, 0];
  for (const { x, y, layers } of tilesOf(path, [z, z])) {
    if (looked >= tiles || layers.fields === undefined) continue;
    looked++;
    const drawn = new gdal.MultiPolygon();
    let area = 0;
    for (let i = 0; i < layers.fields.length; i++) {
      const geometry = gdal.Geometry.fromWKB(toWkb(polygonsOf(ringsOf(layers.fields.feature(i)))));
      const inside = (geometry.isValid() ? geometry : geometry.buffer(0, 1)).intersection(frame);
      for (const polygon of partsOf(inside)) {
        drawn.children.add(polygon);
        area += polygon.getArea();
      }
    }
    const union = drawn.buffer(0, 1);
    overlaps += area - areaOfGeometry(union);
    const truth = new gdal.MultiPolygon();
    for (const shape of source.get(`${x},${y}`) ?? []) {
      const scaled = shape.map((rings) =>
        rings.map((ring) => ring.map((v, i) => (v * 2 ** z - (i % 2 === 0 ? x : y)) * EXTENT)),
      );
      const geometry = gdal.Geometry.fromWKB(toWkb(scaled));
      for (const polygon of partsOf(geometry.isValid() ? geometry : geometry.buffer(0, 1))) truth.children.add(polygon);
    }
    // A hair's breadth closes what reprojection leaves between neighbors.
    const whole = truth.buffer(0.05, 1);
    covered += areaOfGeometry(whole.intersection(frame));
    const inner = whole.buffer(-depth, 2).intersection(frame);
    gaps += areaOfGeometry(inner.difference(union));
  }
  return { gaps: gaps / covered, overlaps: overlaps / covered, tiles: looked };
}

function partsOf(geometry) {
  if (geometry.name === "POLYGON") return [geometry];
  const children = Array.from({ length: geometry.children?.count() ?? 0 }, (_, i) => geometry.children.get(i));
  return children.filter(({ name }) => name === "POLYGON");
}

function areaOfGeometry(geometry) {
  return geometry.isEmpty() ? 0 : partsOf(geometry).reduce((sum, polygon) => sum + polygon.getArea(), 0);
}

/** Source polygons by the tiles of a zoom that their boxes meet. */
function sourceByTile(fields, z) {
  const byTile = new Map();
  for (const { wkb } of fields) {
    if (wkb === null) continue;
    const shape = mercatorOf(wkb);
    const [xs, ys] = [shape.flat(2).filter((_, i) => i % 2 === 0), []];
    for (const ring of shape.flat()) for (let i = 1; i < ring.length; i += 2) ys.push(ring[i]);
    const all = [];
    for (const ring of shape.flat()) for (let i = 0; i < ring.length; i += 2) all.push(ring[i]);
    xs.splice(0, xs.length, ...all);
    const range = (values) => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const [[west, east], [north, south]] = [range(xs), range(ys)];
    for (let x = Math.floor(west * 2 ** z); x <= Math.floor(east * 2 ** z); x++) {
      for (let y = Math.floor(north * 2 ** z); y <= Math.floor(south * 2 ** z); y++) {
        const known = byTile.get(`${x},${y}`) ?? [];
        byTile.set(`${x},${y}`, known);
        known.push(shape);
      }
    }
  }
  return byTile;
}

function zoomRange(text) {
  const [from, to = from] = text.split("-").map(Number);
  return [from, to];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      fields: { type: "string" },
      crops: { type: "string" },
      zooms: { type: "string", default: "0-30" },
      borders: { type: "string" },
      "no-validity": { type: "boolean" },
    },
  });
  const [path] = positionals;
  if (!path) throw new Error("Usage: node test/support/tile-judge.mjs ARCHIVE [--fields F --crops Z] [--zooms 4-14]");
  const zooms = zoomRange(values.zooms);
  const report = { zooms: judgeTiles(path, zooms, { validity: !values["no-validity"] }) };
  if (values.fields && values.crops) {
    const fields = await sourceFields(values.fields, values.crops);
    report.low = judgeLowZooms(path, fields, [zooms[0], Math.min(zooms[1], TRUTH_ZOOM)]);
    if (values.borders) {
      const [from, to] = zoomRange(values.borders);
      report.borders = {};
      for (let z = from; z <= to; z++) report.borders[z] = judgeBorders(path, fields, z);
    }
  }
  process.stdout.write(`${JSON.stringify(report, null, 1)}\n`);
}
