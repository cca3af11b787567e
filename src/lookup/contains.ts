import { orient2d } from "robust-predicates";
import type { Polygons } from "../fields/wkb.js";

/** Where a point lies: also `edge` counts as in the field. */
export type Side = "inside" | "edge" | "outside";

/**
 * Where a point lies to a polygon or multipolygon: even-odd over the rings of a part, so holes
 * are outside, and inside where any part has it. Edges are straight between vertices as they
 * are given; the answer is exact, whatever the numbers.
 */
export function sideOf({ x, y, ringEnd, partEnd }: Polygons, px: number, py: number): Side {
  let [ring, vertex] = [0, 0];
  let side: Side = "outside";
  for (let part = 0; part < partEnd.length; part++) {
    let inside = false;
    for (; ring < (partEnd.data[part] as number); ring++) {
      const end = ringEnd.data[ring] as number;
      for (let i = vertex; i + 1 < end; i++) {
        const [ax, ay] = [x.data[i] as number, y.data[i] as number];
        const [bx, by] = [x.data[i + 1] as number, y.data[i + 1] as number];
        if (ay > py && by > py) continue;
        if (ay < py && by < py) continue;
        if (ax < px && bx < px) continue;
        // Positive: the point lies to the right of the edge from a to b.
        const turn = orient2d(ax, ay, bx, by, px, py);
        if (turn === 0 && isWithin(ax, bx, px) && isWithin(ay, by, py)) return "edge";
        // A ray to the east crosses edges that reach up over its line from on or below it.
        if (ay <= py !== by <= py && turn > 0 === ay > by) inside = !inside;
      }
      vertex = end;
    }
    if (inside) side = "inside";
  }
  return side;
}

function isWithin(a: number, b: number, value: number): boolean {
  return Math.min(a, b) <= value && value <= Math.max(a, b);
}
