import type { FieldId } from "../fields/field-id.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { Polygons, readWkb, STATUS } from "../fields/wkb.js";
import { PipelineError } from "../pipeline/errors.js";
import { Area, type Rings } from "./area.js";
import { sideOf } from "./contains.js";
import { type Coordinates, coordinatesOf, type LngLat, metersPerDegree } from "./coordinates.js";
import { type FieldRow, FieldRows } from "./field-rows.js";
import { idHash } from "./id-order.js";
import type { LookupFile } from "./lookup-file.js";

/** A field that was found. */
export interface FoundField {
  /** In the fields' file, from 0; also the feature id in the tiles. */
  readonly row: number;
  readonly id: FieldId | null;
  /** Degrees: west, south, east, north; null for a row without a polygon. */
  readonly bounds: readonly [number, number, number, number] | null;
  /** The point lies on the field's very edge; false where it was looked up by id. */
  readonly onEdge: boolean;
}

/** The field next to a point that lies in none. */
export interface NearestField {
  readonly row: number;
  readonly id: FieldId | null;
  /** From the point to the field's edge, as the crow flies. */
  readonly meters: number;
}

/** Boxes whose polygons are measured for the nearest field. */
const NEAREST_BOXES = 12;

/** Finds fields by point or id. Memory: the boxes, 21 bytes a field, from the first point on. */
export class FieldIndex {
  readonly #polygons = new Polygons();

  private constructor(
    private readonly lookup: LookupFile,
    private readonly rows: FieldRows,
    private readonly coordinates: Coordinates,
  ) {}

  /** @param lookup  of these very fields; closed with the index. */
  static async open(fields: FieldsFile, lookup: LookupFile): Promise<FieldIndex> {
    return new FieldIndex(lookup, new FieldRows(fields), await coordinatesOf(fields.crs));
  }

  /**
   * All fields that a point lies in or on the edge of, by row; several where fields overlap
   * or share the edge. Exact for the coordinates in the file.
   */
  async at(lng: number, lat: number): Promise<FoundField[]> {
    const [x, y] = this.coordinates.toFields([lng, lat]);
    const tree = await this.lookup.tree();
    const found: FoundField[] = [];
    for (const row of await this.rows.read(tree.search(x, y, x, y))) {
      if (!this.#load(row)) continue;
      const side = sideOf(this.#polygons, x, y);
      if (side !== "outside") found.push(this.#describe(row, side === "edge"));
    }
    return found;
  }

  /**
   * Rows of all fields whose middle, that of their box, lies in an area; ascending. No polygon is read.
   *
   * @param rings  degrees; an edge is straight in the fields' own coordinates.
   */
  async rowsIn(rings: Rings): Promise<Uint32Array> {
    const area = new Area(rings.map((ring) => ring.map((point) => this.coordinates.toFields(point))));
    const tree = await this.lookup.tree();
    const rows = tree.search(...area.bounds, (_, x0, y0, x1, y1) => area.contains((x0 + x1) / 2, (y0 + y1) / 2));
    return Uint32Array.from(rows).sort();
  }

  /** Rows with this id, ascending; more than one only in dirty data. */
  async withId(id: FieldId): Promise<FoundField[]> {
    const rows = await this.rows.read(await this.lookup.rowsOfHash(idHash(id)));
    return rows.filter((row) => row.id === id).map((row) => this.#describe(row, false));
  }

  /** The nearest field within about `limit` meters, by its edge; undefined where there is none. */
  async nearest(lng: number, lat: number, limit: number): Promise<NearestField | undefined> {
    const [x, y] = this.coordinates.toFields([lng, lat]);
    const tree = await this.lookup.tree();
    const boxes = tree.neighbors(x, y, NEAREST_BOXES, this.coordinates.unitsFor(limit, lat));
    let nearest: NearestField | undefined;
    for (const row of await this.rows.read(boxes)) {
      if (!this.#load(row)) continue;
      const meters = this.#metersTo([lng, lat]);
      if (meters <= limit && (nearest === undefined || meters < nearest.meters)) {
        nearest = { row: row.row, id: row.id, meters };
      }
    }
    return nearest;
  }

  /** The row's other columns: county and so on, where the file has them. */
  attributes(row: number): ReturnType<FieldRows["attributes"]> {
    return this.rows.attributes(row);
  }

  /** Bounds of all fields, degrees: west, south, east, north. */
  get extent(): readonly [number, number, number, number] | null {
    const { extent } = this.lookup.header;
    if (extent === null) return null;
    const [west, south, east, north] = extent;
    const corners = [
      this.coordinates.toDegrees([west, south]),
      this.coordinates.toDegrees([west, north]),
      this.coordinates.toDegrees([east, south]),
      this.coordinates.toDegrees([east, north]),
    ];
    return boundsOf(corners);
  }

  async close(): Promise<void> {
    await this.lookup.close();
  }

  #load({ wkb }: FieldRow): boolean {
    return readWkb(wkb, this.#polygons) === STATUS.ok;
  }

  #describe({ row, id, wkb }: FieldRow, onEdge: boolean): FoundField {
    const { x, y } = this.#polygons;
    if (readWkb(wkb, this.#polygons) !== STATUS.ok) return { row, id, bounds: null, onEdge };
    const points: LngLat[] = [];
    for (let i = 0; i < x.length; i++)
      points.push(this.coordinates.toDegrees([x.data[i] as number, y.data[i] as number]));
    return { row, id, bounds: boundsOf(points), onEdge };
  }

  /** From a point to the edges of the field that was loaded last, on a plane that touches the earth there. */
  #metersTo([lng, lat]: LngLat): number {
    const { x, y, ringEnd } = this.#polygons;
    const [east, north] = metersPerDegree(lat);
    let least = Infinity;
    let vertex = 0;
    for (let ring = 0; ring < ringEnd.length; ring++) {
      const end = ringEnd.data[ring] as number;
      let before: LngLat | undefined;
      for (; vertex < end; vertex++) {
        const [vx, vy] = this.coordinates.toDegrees([x.data[vertex] as number, y.data[vertex] as number]);
        const point: LngLat = [(vx - lng) * east, (vy - lat) * north];
        if (before !== undefined) least = Math.min(least, distanceToSegment(before, point));
        before = point;
      }
    }
    return least;
  }
}

/** From the origin. */
function distanceToSegment([ax, ay]: LngLat, [bx, by]: LngLat): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, -(ax * dx + ay * dy) / length));
  return Math.hypot(ax + along * dx, ay + along * dy);
}

function boundsOf(points: readonly LngLat[]): [number, number, number, number] {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    [west, south] = [Math.min(west, x), Math.min(south, y)];
    [east, north] = [Math.max(east, x), Math.max(north, y)];
  }
  return [west, south, east, north];
}

/**
 * Read `-98.5,38.4`.
 *
 * @throws {PipelineError} usage: not two numbers, or out of range; with a hint when they look swapped.
 */
export function parseLngLat(text: string): LngLat {
  const [lng, lat, ...more] = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const expected = "LON,LAT in degrees, as --at=-98.5,38.4";
  if (lng === undefined || lat === undefined || more.length > 0 || Number.isNaN(lng) || Number.isNaN(lat)) {
    throw new PipelineError("usage", "--at must be a longitude and a latitude", { expected, received: text });
  }
  if (Math.abs(lng) <= 180 && Math.abs(lat) <= 90) return [lng, lat];
  const swapped = Math.abs(lat) <= 180 && Math.abs(lng) <= 90;
  throw new PipelineError(
    "usage",
    swapped ? `--at looks swapped: longitude comes first, as --at=${lat},${lng}` : "--at is out of range",
    { expected, received: text },
  );
}
