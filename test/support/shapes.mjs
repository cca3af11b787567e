import { writeWkb } from "./wkb.mjs";

/** Rings of [x, y] as a WKB polygon. */
export function polygonWkb(rings) {
  return rings.length === 0 ? Buffer.from([1, 3, 0, 0, 0, 0, 0, 0, 0]) : Buffer.from(writeWkb(rings));
}

export function multiPolygonWkb(polygons) {
  return Buffer.from(writeWkb(polygons));
}

export function pointWkb(x, y) {
  const bytes = Buffer.alloc(21);
  bytes[0] = 1;
  bytes.writeUInt32LE(1, 1);
  bytes.writeDoubleLE(x, 5);
  bytes.writeDoubleLE(y, 13);
  return bytes;
}

/** A closed rectangle's ring. */
export function box(x0, y0, x1, y1) {
  return [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
    [x0, y0],
  ];
}
