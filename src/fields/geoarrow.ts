import { type Data, Type } from "apache-arrow";
import type { SchemaElement } from "hyparquet/src/types.js";
import type { WkbColumn } from "../kernel/geometry.js";
import { wkbColumn } from "./read-slice.js";
import { Polygons, writeWkb } from "./wkb.js";

/** Lists between a geometry and its points: of rings of a polygon, of polygons of a multipolygon. */
const DEPTH = { polygon: 2, multipolygon: 3 } as const;

export type NativeEncoding = keyof typeof DEPTH;

/**
 * GeoArrow's encoding of a nested column, by its shape: lists of rings of points, which are structs of x and y or lists
 * of numbers; undefined for any other.
 */
export function nativeEncoding(schema: readonly SchemaElement[], column: string): NativeEncoding | undefined {
  let at = schema.findIndex(({ name }, i) => i > 0 && name === column);
  let lists = 0;
  // A list is a group with one repeated group with one element.
  while (at >= 0 && schema[at]?.num_children === 1 && schema[at + 1]?.repetition_type === "REPEATED") {
    if (schema[at + 1]?.num_children !== 1) return undefined;
    lists++;
    at += 2;
  }
  const leaf = schema[at];
  const children = schema.slice(at + 1, at + 1 + (leaf?.num_children ?? 0));
  const isStruct = ["x", "y"].every((name) => children.some((c) => c.name === name && c.type === "DOUBLE"));
  const isNumber = leaf?.type === "DOUBLE";
  if (!isStruct && !isNumber) return undefined;
  const depth = isNumber ? lists - 1 : lists;
  return (Object.keys(DEPTH) as NativeEncoding[]).find((name) => DEPTH[name] === depth);
}

/**
 * A column of polygons as WKB, whichever of the two ways they are written.
 *
 * @throws {Error} naming the column, when it is neither.
 */
export function geometryData(data: Data, column: string): WkbColumn {
  if (data.typeId === Type.Binary || data.typeId === Type.LargeBinary) return wkbColumn(data);
  const lists: Data[] = [];
  let inner = data;
  while (inner.typeId === Type.List && (inner.children[0] as Data).typeId !== Type.Float) {
    lists.push(inner);
    inner = inner.children[0] as Data;
  }
  const point = pointReader(inner);
  if (point === undefined || (lists.length !== DEPTH.polygon && lists.length !== DEPTH.multipolygon)) {
    throw new Error(`column ${column}: expected WKB or GeoArrow polygons, got ${data.type}`);
  }
  return toWkb(data, lists, point);
}

type PointReader = (at: number) => readonly [number, number];

/** Points as a struct of x and y, or as a list of two to four numbers. */
function pointReader({ typeId, type, children, valueOffsets }: Data): PointReader | undefined {
  if (typeId === Type.Struct) {
    const [x, y] = ["x", "y"].map((name) => {
      return children[(type.children as { name: string }[]).findIndex((field) => field.name === name)]?.values;
    }) as (Float64Array | undefined)[];
    return x && y && ((at) => [x[at] as number, y[at] as number]);
  }
  if (typeId !== Type.List) return undefined;
  const { values } = children[0] as Data<never> & { values: Float64Array };
  return (at) => {
    const begin = valueOffsets[at] as number;
    return [values[begin] as number, values[begin + 1] as number];
  };
}

function toWkb(data: Data, lists: readonly Data[], point: PointReader): WkbColumn {
  const polygons = new Polygons();
  const rings = lists.at(-1) as Data;
  const parts = lists.at(-2) as Data;
  const range = ({ valueOffsets }: Data, at: number): [number, number] => [
    valueOffsets[at] as number,
    valueOffsets[at + 1] as number,
  ];
  const addPart = (part: number) => {
    const [begin, end] = range(parts, part);
    for (let ring = begin; ring < end; ring++) {
      const [from, to] = range(rings, ring);
      for (let vertex = from; vertex < to; vertex++) {
        const [x, y] = point(vertex);
        polygons.x.push(x);
        polygons.y.push(y);
      }
      polygons.ringEnd.push(polygons.x.length);
    }
    if (end > begin) polygons.partEnd.push(polygons.ringEnd.length);
  };
  const offsets = new Int32Array(data.length + 1);
  const pieces = Array.from({ length: data.length }, (_, row) => {
    polygons.clear();
    if (data.getValid(row)) {
      const [begin, end] = lists.length === DEPTH.multipolygon ? range(data, row) : [row, row + 1];
      for (let part = begin; part < end; part++) addPart(part);
    }
    const { wkb } = writeWkb(polygons);
    offsets[row + 1] = (offsets[row] as number) + wkb.length;
    return wkb;
  });
  const values = new Uint8Array(offsets[data.length] as number);
  pieces.forEach((piece, row) => {
    values.set(piece, offsets[row]);
  });
  const column = { values, offsets };
  return data.nullCount > 0 ? { ...column, validity: data.nullBitmap, validityOffset: data.offset & 7 } : column;
}
