/** Closed rings of longitude and latitude, or any x and y: outer ones and holes alike. */
export type Rings = readonly (readonly (readonly [number, number])[])[];

/** Slabs that an area's edges are sorted into: a point is tested against those of its own slab. */
const SLABS = 512;

/** An area that many points are tested against: even-odd over all rings, so that holes are outside. */
export class Area {
  readonly bounds: readonly [number, number, number, number];
  /** Edges by slab, four numbers each. */
  readonly #slabs: number[][] = Array.from({ length: SLABS }, () => []);
  readonly #height: number;

  constructor(rings: Rings) {
    let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y] of rings.flat()) {
      [west, east] = [Math.min(west, x), Math.max(east, x)];
      [south, north] = [Math.min(south, y), Math.max(north, y)];
    }
    this.bounds = [west, south, east, north];
    this.#height = (north - south) / SLABS || 1;
    for (const ring of rings) {
      for (let i = 0; i < ring.length; i++) {
        const [ax, ay] = ring[i] as readonly [number, number];
        const [bx, by] = ring[(i + 1) % ring.length] as readonly [number, number];
        if (ay === by) continue;
        for (let slab = this.#slabOf(Math.min(ay, by)); slab <= this.#slabOf(Math.max(ay, by)); slab++)
          this.#slabs[slab]?.push(ax, ay, bx, by);
      }
    }
  }

  contains(x: number, y: number): boolean {
    const [west, south, east, north] = this.bounds;
    if (!(x >= west && x <= east && y >= south && y <= north)) return false;
    const edges = this.#slabs[this.#slabOf(y)] as number[];
    let inside = false;
    for (let i = 0; i < edges.length; i += 4) {
      const [ax, ay, bx, by] = [edges[i], edges[i + 1], edges[i + 2], edges[i + 3]] as [number, number, number, number];
      if (ay <= y !== by <= y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
    }
    return inside;
  }

  #slabOf(y: number): number {
    return Math.min(SLABS - 1, Math.max(0, Math.floor((y - this.bounds[1]) / this.#height)));
  }
}
