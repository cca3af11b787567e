import { albersToLngLat } from "./albers-inverse.js";
import { type Patches, project } from "./lattice-projection.js";
import type { TracedRings } from "./ring-tracer.js";
import { type Polygon, type Ring, signedArea } from "./shapes.js";

const POLYGON = 3;
const MULTIPOLYGON = 6;

/**
 * Well-known binary of many geometries, one after another in one buffer, in
 * longitude and latitude. Little-endian; outer rings counterclockwise, holes
 * clockwise (RFC 7946).
 */
export class WkbBuffer {
  #bytes = new Uint8Array(1 << 20);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #lngLat = new Float64Array(2);

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written since the last call; the buffer is used again. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /**
   * Append a polygon, or a multipolygon where there are several.
   *
   * @param x, y  EPSG:5070 of the rings' origin (`u` to the east, `v` to the south).
   */
  add(polygons: readonly Polygon[], x: number, y: number): void {
    if (polygons.length !== 1) {
      this.#header(MULTIPOLYGON);
      this.#count(polygons.length);
    }
    for (const rings of polygons) {
      this.#header(POLYGON);
      this.#count(rings.length);
      for (const [i, ring] of rings.entries()) this.#ring(ring, i === 0, x, y);
    }
  }

  /** Append a traced field's polygon; its rings run the other way round here. */
  addTraced({ corners, starts, ofField }: TracedRings, field: number, patches: Patches): void {
    const rings = ofField[field] as readonly number[];
    this.#header(POLYGON);
    this.#count(rings.length);
    const lngLat = this.#lngLat;
    for (const ring of rings) {
      const [start, end] = [starts[ring] as number, starts[ring + 1] as number];
      this.#count(end - start + 1);
      this.#reserve((end - start + 1) * 16);
      for (let i = end; i >= start; i--) {
        const corner = i === end ? start : i;
        project(patches, corners[2 * corner] as number, corners[2 * corner + 1] as number, lngLat);
        this.#view.setFloat64(this.#length, lngLat[0] as number, true);
        this.#view.setFloat64(this.#length + 8, lngLat[1] as number, true);
        this.#length += 16;
      }
    }
  }

  addBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #ring(ring: Ring, outer: boolean, x: number, y: number): void {
    const points = ring.length / 2;
    this.#count(points + 1);
    this.#reserve((points + 1) * 16);
    const clockwise = signedArea(ring) > 0;
    for (let k = 0; k <= points; k++) {
      const i = 2 * (clockwise === outer ? (points - k) % points : k % points);
      albersToLngLat(x + (ring[i] as number), y - (ring[i + 1] as number), this.#lngLat, 0);
      this.#view.setFloat64(this.#length, this.#lngLat[0] as number, true);
      this.#view.setFloat64(this.#length + 8, this.#lngLat[1] as number, true);
      this.#length += 16;
    }
  }

  #header(type: number): void {
    this.#reserve(5);
    this.#view.setUint8(this.#length, 1);
    this.#view.setUint32(this.#length + 1, type, true);
    this.#length += 5;
  }

  #count(count: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, count, true);
    this.#length += 4;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
