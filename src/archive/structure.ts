import { PipelineError, type Where } from "../pipeline/errors.js";
import { Entries } from "./entries.js";
import { type Bounds, HEADER_BYTES, ROOT_AREA_BYTES, type Section, TILE_TYPE } from "./header.js";
import type { Archive } from "./reader.js";
import { firstTileId, MAX_ZOOM, tileName, tileOf } from "./tile-id.js";
import { entriesOfZoom, summarizeZooms } from "./zooms.js";

/** What an archive must hold; what is left out is not checked beyond the header's own claims. */
export interface Expectations {
  readonly minZoom?: number;
  readonly maxZoom?: number;
  /** Names of all layers, no others. */
  readonly layers?: readonly string[];
  readonly bounds?: Bounds;
  /** A value of TILE_TYPE; vector tiles where nothing is said. */
  readonly tileType?: number;
}

/** Two bounds are the same within this: tippecanoe rounds to 2^-32 of the world, headers to 1e-7. */
const BOUNDS_TOLERANCE_DEG = 1e-5;
/** Web Mercator ends here. */
const MAX_LATITUDE_DEG = 85.06;

/**
 * Check everything that can be checked without opening a tile: header, sections,
 * directories, order, counts, zooms, bounds, metadata.
 *
 * @throws {PipelineError} input, naming file and place, with what was expected and what is there.
 */
export function checkStructure(archive: Archive, expected: Expectations = {}): void {
  const check = new Check(archive.path);
  checkHeader(archive, expected, check);
  checkSections(archive, check);
  checkLeaves(archive, check);
  checkEntries(archive, check);
  checkZooms(archive, expected, check);
  checkBounds(archive, expected, check);
  checkLayers(archive, expected, check);
  checkTilestats(archive, check);
}

class Check {
  constructor(private readonly path: string) {}

  fail(sentence: string, where: Where): never {
    throw new PipelineError("input", sentence, { path: this.path, ...where });
  }

  equal(sentence: string, received: number, expected: number | undefined, where: Where = {}): void {
    if (expected !== undefined && received !== expected) this.fail(sentence, { ...where, expected, received });
  }
}

function checkHeader({ header }: Archive, expected: Expectations, check: Check): void {
  const { tileType = TILE_TYPE.mvt } = expected;
  const problem = tileType === TILE_TYPE.mvt ? "Tiles are not vector tiles" : "Tiles are of another type";
  check.equal(problem, header.tileType, tileType);
  check.equal("Lowest zoom is not the expected one", header.minZoom, expected.minZoom);
  check.equal("Highest zoom is not the expected one", header.maxZoom, expected.maxZoom);
}

function checkSections({ header, fileBytes }: Archive, check: Check): void {
  const { root, metadata, leaves, tiles } = header;
  if (root.offset + root.length > ROOT_AREA_BYTES) {
    check.fail("Root directory does not fit in the first 16 KiB", {
      expected: `an end at ${ROOT_AREA_BYTES} or before`,
      received: root.offset + root.length,
    });
  }
  const sections: [string, Section][] = [["header", { offset: 0, length: HEADER_BYTES }]];
  for (const [name, section] of Object.entries({ root, metadata, leaves, tiles })) {
    if (section.length > 0) sections.push([name, section]);
  }
  sections.sort(([, a], [, b]) => a.offset - b.offset);
  let [before, end] = ["", 0];
  for (const [name, { offset, length }] of sections) {
    if (offset < end)
      check.fail("Sections overlap", { section: name, expected: `${end} or after (${before})`, received: offset });
    [before, end] = [name, offset + length];
  }
  check.equal("File does not end where its last section does", fileBytes, end, { section: before });
}

function checkLeaves({ header, leafPointers }: Archive, check: Check): void {
  let end = 0;
  for (let i = 0; i < leafPointers.count; i++) {
    check.equal("Leaf directories are not one after the other", leafPointers.offset(i), end, {
      directory: `leaf ${i}`,
    });
    end += leafPointers.length(i);
  }
  check.equal("Leaf directories do not fill their section", end, header.leaves.length);
}

function checkEntries({ header, entries }: Archive, check: Check): void {
  if (entries.count === 0) check.fail("Archive has no tiles", {});
  // Contents found so far, by offset: a later entry may point to one of them again.
  const contents = new Entries();
  const order = header.clustered ? undefined : contentOrder(entries.offsets.subarray(0, entries.count));
  let [next, end, addressed] = [0, 0, 0];
  for (let i = 0; i < entries.count; i++) {
    const id = entries.tileId(i);
    if (id >= firstTileId(MAX_ZOOM + 1)) check.fail("Entry has an invalid tile id", { entry: i, received: id });
    if (id < next) {
      check.fail("Entries overlap or are out of order", {
        entry: i,
        tile: tileName(id),
        expected: `tile id ${next} or above`,
        received: id,
      });
    }
    next = id + entries.runLength(i);
    addressed += entries.runLength(i);
    if (entries.offset(i) + entries.length(i) > header.tiles.length) {
      check.fail("Entry points past the tile data", {
        entry: i,
        tile: tileName(id),
        expected: `an end at ${header.tiles.length} or before`,
        received: entries.offset(i) + entries.length(i),
      });
    }
  }
  for (let i = 0; i < entries.count; i++) {
    const entry = order?.[i] ?? i;
    const [offset, length] = [entries.offset(entry), entries.length(entry)];
    if (offset === end) {
      contents.push(offset, offset, length, 1);
      end += length;
      continue;
    }
    const earlier = contents.findAtOrBefore(offset);
    if (earlier < 0 || contents.offset(earlier) !== offset || contents.length(earlier) !== length) {
      check.fail(offset < end ? "Contents overlap" : "Contents are not in the order that the header claims", {
        entry,
        tile: tileName(entries.tileId(entry)),
        expected: `offset ${end}, or an earlier content's offset and length`,
        received: `offset ${offset}, length ${length}`,
      });
    }
  }
  check.equal("Tile data is longer than the contents that are pointed to", header.tiles.length, end);
  // The specification lets 0 stand for unknown.
  const counts = [
    ["Header counts other addressed tiles", header.addressedTiles, addressed],
    ["Header counts other tile entries", header.tileEntries, entries.count],
    ["Header counts other tile contents", header.tileContents, contents.count],
  ] as const;
  for (const [sentence, announced, counted] of counts) {
    if (announced !== 0) check.equal(sentence, announced, counted);
  }
}

/** Entry numbers by the offset of their content. */
function contentOrder(offsets: Float64Array): Uint32Array {
  const order = Uint32Array.from(offsets, (_, i) => i);
  return order.sort((a, b) => (offsets[a] as number) - (offsets[b] as number) || a - b);
}

function checkZooms(archive: Archive, expected: Expectations, check: Check): void {
  const zooms = summarizeZooms(archive);
  const [lowest, highest] = [zooms[0]?.zoom ?? -1, zooms.at(-1)?.zoom ?? -1];
  check.equal("Header's lowest zoom has no tiles, or one below has", archive.header.minZoom, lowest);
  check.equal("Header's highest zoom has no tiles, or one above has", archive.header.maxZoom, highest);
  check.equal("Lowest zoom is missing", lowest, expected.minZoom);
  check.equal("Highest zoom is missing", highest, expected.maxZoom);
  for (const { zoom, tiles } of zooms) {
    if (tiles === 0) check.fail("A zoom has no tiles", { zoom });
  }
}

function checkBounds(archive: Archive, expected: Expectations, check: Check): void {
  const { bounds, center, maxZoom } = archive.header;
  const { west, south, east, north } = bounds;
  const inWorld = west >= -180 && east <= 180 && south >= -MAX_LATITUDE_DEG && north <= MAX_LATITUDE_DEG;
  if (!inWorld || west > east || south > north) {
    check.fail("Bounds are invalid", { received: describe(bounds) });
  }
  if (center.lng < west || center.lng > east || center.lat < south || center.lat > north) {
    check.fail("Center lies outside the bounds", {
      expected: describe(bounds),
      received: `${center.lng},${center.lat}`,
    });
  }
  const wanted = expected.bounds;
  if (wanted !== undefined) {
    const far = (side: keyof Bounds) => Math.abs(bounds[side] - wanted[side]) > BOUNDS_TOLERANCE_DEG;
    if (far("west") || far("south") || far("east") || far("north")) {
      check.fail("Bounds differ from the expected ones", { expected: describe(wanted), received: describe(bounds) });
    }
  }
  checkHull(archive, bounds, maxZoom, check);
}

/**
 * The highest zoom's tiles must reach just as far as the bounds. One tile more is a
 * tile's buffer over its edge, one less a side that lies on an edge.
 */
function checkHull(archive: Archive, bounds: Bounds, zoom: number, check: Check): void {
  const { from, to } = entriesOfZoom(archive, zoom);
  const { entries } = archive;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = from; i < to; i++) {
    const end = Math.min(entries.tileId(i) + entries.runLength(i), firstTileId(zoom + 1));
    for (let id = entries.tileId(i); id < end; id++) {
      const { x, y } = tileOf(id);
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  }
  const sides = [
    ["west", left, columnOf(bounds.west, zoom)],
    ["east", right, columnOf(bounds.east, zoom)],
    ["north", top, rowOf(bounds.north, zoom)],
    ["south", bottom, rowOf(bounds.south, zoom)],
  ] as const;
  for (const [side, tiles, announced] of sides) {
    if (Math.abs(tiles - announced) > 1) {
      check.fail("Tiles and bounds differ in extent", {
        side,
        zoom,
        expected: `tile ${announced} (of ${bounds[side]} degrees)`,
        received: `tile ${tiles}`,
      });
    }
  }
}

function columnOf(lng: number, zoom: number): number {
  return Math.floor(((lng + 180) / 360) * 2 ** zoom);
}

function rowOf(lat: number, zoom: number): number {
  const mercator = Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI;
  return Math.floor(((1 - mercator) / 2) * 2 ** zoom);
}

function checkLayers(archive: Archive, expected: Expectations, check: Check): void {
  const layers = archive.metadata().vector_layers;
  if (!Array.isArray(layers) || layers.length === 0) check.fail("Metadata has no vector_layers", {});
  const names = (layers as { id: string }[]).map(({ id }) => id);
  if (expected.layers !== undefined && [...names].sort().join() !== [...expected.layers].sort().join()) {
    check.fail("Layers differ from the expected ones", {
      expected: expected.layers.join(" "),
      received: names.join(" "),
    });
  }
}

/** Statistics of layers or attributes that are not announced are of another archive. */
function checkTilestats(archive: Archive, check: Check): void {
  const { tilestats, vector_layers: announced = [] } = archive.metadata();
  if (tilestats === undefined) return;
  if (tilestats.layers === undefined) check.fail("Metadata tilestats have no layers", {});
  check.equal("Tilestats count other layers", tilestats.layerCount, tilestats.layers.length);
  for (const { layer, attributes, attributeCount } of tilestats.layers) {
    const fields = announced.find(({ id }) => id === layer)?.fields;
    if (fields === undefined) {
      check.fail("tilestats list a layer that vector_layers does not", {
        layer,
        expected: announced.map(({ id }) => id).join(" "),
      });
    }
    check.equal("Tilestats count other attributes", attributeCount, attributes.length, { layer });
    const stranger = attributes.find(({ attribute }) => !Object.hasOwn(fields, attribute));
    if (stranger !== undefined) {
      check.fail("tilestats list an attribute that vector_layers does not", {
        layer,
        attribute: stranger.attribute,
        expected: Object.keys(fields).join(" "),
      });
    }
  }
}

function describe({ west, south, east, north }: Bounds): string {
  return [west, south, east, north].join(",");
}
