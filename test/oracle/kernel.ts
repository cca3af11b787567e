import { uint32s } from "../../dist/fields/growing-array.js";
import { Polygons, readWkb, STATUS } from "../../dist/fields/wkb.js";
import type { AlbersConstants, FeatureText, TextColumn, WkbColumn } from "../../dist/kernel/geometry.js";
import type { Kernel } from "../../dist/kernel/native.js";
import type { EncodedChunk, IdColumn } from "../../dist/kernel/parquet.js";
import type { Pixels } from "../../dist/kernel/raster.js";
import {
  type AnswerArrays,
  type Burned,
  type KernelGrid,
  type PartialCounts,
  PIXEL_RULES,
  type PixelRule,
} from "../../dist/kernel/zonal.js";
import { Burner } from "./burn.js";
import { Counter, mergePartial } from "./count.js";
import { WeightedCounter } from "./count-weighted.js";
import { encodeRising, encodeStrings } from "./encode.js";
import { FeatureWriter } from "./geojson.js";
import { encodeTable } from "./table.js";

function burn(
  column: WkbColumn,
  grid: KernelGrid,
  albers: AlbersConstants | null,
  firstRow: number,
  rule: PixelRule = "centre",
): Burned {
  const rows = checkColumn(column);
  checkGrid(grid);
  if (albers !== null) checkAlbers(albers);
  checkInteger("firstRow", firstRow, 0, 2 ** 32 - Math.max(rows, 1));
  if (!PIXEL_RULES.includes(rule)) throw new TypeError(`rule: one of ${PIXEL_RULES.join(", ")} was expected`);

  const burner = new Burner(grid, albers, rule);
  const status = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) status[i] = isNull(column, i) ? STATUS.null : burner.burn(i, wkbOf(column, i));

  const order = burner.order();
  const n = order.length;
  const [chunks, entryEnd, runEnd, run] = [uint32s(), uint32s(), uint32s(), uint32s()];
  const [field, shape] = [new Uint32Array(n), new Uint32Array(n)];
  order.forEach((entry, i) => {
    const runs = burner.runCount.data[entry] as number;
    const begin = burner.runBegin.data[entry] as number;
    field[i] = firstRow + (burner.field.data[entry] as number);
    shape[i] = (runs << 16) | (burner.parts.data[entry] as number);
    for (let k = begin; k < begin + runs; k++) run.push(burner.runs.data[k] as number);
    const chunk = burner.chunk.data[entry] as number;
    if (i + 1 === n || burner.chunk.data[order[i + 1] as number] !== chunk) {
      chunks.push(chunk);
      entryEnd.push(i + 1);
      runEnd.push(run.length);
    }
  });
  return {
    status,
    // -0 and 0 are one.
    extent: burner.extent.map((v) => v + 0),
    chunks: chunks.take(),
    entryEnd: entryEnd.take(),
    runEnd: runEnd.take(),
    field,
    shape,
    run: run.take(),
  };
}

const count: Kernel["count"] = (pixels, stride, words, layout, skip, clip, answers, mask) => {
  checkWindow(pixels, stride, words, layout, skip);
  if (answers !== null) checkAnswers(answers, pixels.constructor as new () => Pixels);
  const counter = new Counter(pixels, stride, skip, clip, answers, mask);
  countSegments(counter, words, layout);
  return counter.counted();
};

function merge(lists: readonly PartialCounts[], answers: AnswerArrays, last: boolean): PartialCounts {
  if (!Array.isArray(lists)) throw new TypeError("lists: an array was expected");
  for (const list of lists) checkPartial(list);
  checkObject("answers", answers);
  if (!PIXEL_TYPES.some((type) => answers.code instanceof type)) {
    throw new TypeError("answers.code: an array of another type was expected");
  }
  checkAnswers(answers, answers.code.constructor as new () => Pixels);
  return mergePartial(lists, answers, last);
}

function checkPartial(list: PartialCounts): void {
  checkObject("lists", list);
  for (const name of ["field", "parts", "covered", "end", "pixels"] as const) checkType(name, list[name], Uint32Array);
  checkType("code", list.code, Float64Array);
  const { field, parts, covered, end, code, pixels } = list;
  if (![parts, covered, end].every(({ length }) => length === field.length)) {
    throw new TypeError("lists: arrays of one length were expected");
  }
  const pairs = end.at(-1) ?? 0;
  if (end.some((at, i) => at < (end[i - 1] ?? 0)) || code.length !== pairs || pixels.length !== pairs) {
    throw new TypeError("lists: pairs do not follow one another");
  }
}

function checkAnswers(answers: AnswerArrays, type: new () => Pixels): void {
  checkObject("answers", answers);
  const types = { code: type, second: type, pixels: Uint32Array, valid: Uint32Array, secondPixels: Uint32Array };
  for (const [name, expected] of Object.entries({ ...types, covered: Uint32Array })) {
    const array = answers[name as keyof AnswerArrays];
    if (!(array instanceof expected)) throw new TypeError(`answers.${name}: an array of another type was expected`);
  }
  const { length } = answers.code;
  if (!Object.keys(types).every((name) => answers[name as keyof AnswerArrays].length === length)) {
    throw new TypeError("answers: arrays of one length were expected");
  }
}

const countWeighted: Kernel["countWeighted"] = (pixels, stride, words, layout, skip, clip, rowWeights, mask) => {
  checkWindow(pixels, stride, words, layout, skip);
  checkType("rowWeights", rowWeights, Float64Array);
  if (rowWeights.length !== pixels.length / stride) throw new TypeError("rowWeights: one a row was expected");

  const counter = new WeightedCounter(pixels, stride, skip, clip, rowWeights, mask);
  countSegments(counter, words, layout);
  return counter.counted();
};

function checkWindow(
  pixels: Pixels,
  stride: number,
  words: Uint32Array,
  layout: Uint32Array,
  skip: Float64Array,
): void {
  if (!PIXEL_TYPES.some((type) => pixels instanceof type))
    throw new TypeError("pixels: an array of another type was expected");
  checkInteger("stride", stride, 1, 2 ** 32 - 1);
  checkType("words", words, Uint32Array);
  checkType("layout", layout, Uint32Array);
  checkType("skip", skip, Float64Array);
  if (pixels.length % stride !== 0) throw new TypeError("pixels: not a whole number of rows");
  if (layout.length % 7 !== 0) throw new TypeError("layout: seven numbers a segment were expected");
}

function countSegments(counter: Counter | WeightedCounter, words: Uint32Array, layout: Uint32Array): void {
  const segments = [];
  for (let i = 0; i < layout.length; i += 7) {
    const [field, shape, run, entries, runs, row, col] = layout.subarray(i, i + 7) as unknown as SegmentLayout;
    if (field + entries > words.length || shape + entries > words.length || run + runs > words.length) {
      throw new TypeError("layout: a segment reaches beyond words");
    }
    segments.push({
      field: words.subarray(field, field + entries),
      shape: words.subarray(shape, shape + entries),
      run: words.subarray(run, run + runs),
      row: row | 0,
      col: col | 0,
    });
  }
  for (const segment of segments) {
    if (!counter.countSegment(segment)) {
      throw new TypeError("words: runs lie outside the window, or a segment's lengths disagree");
    }
  }
}

function encodeIds(ids: IdColumn): EncodedChunk {
  checkObject("ids", ids);
  const { values, lengths, valid } = ids;
  if (lengths !== undefined) checkType("lengths", lengths, Uint32Array);
  if (valid !== undefined) checkType("valid", valid, Uint8Array);
  const rows = lengths?.length ?? values.length;
  if (valid !== undefined && valid.length !== rows) throw new TypeError("valid: one byte a row was expected");
  const present = valid === undefined ? undefined : (_: unknown, row: number) => valid[row] !== 0;
  const all = valid ?? new Uint8Array(rows).fill(1);
  if (lengths !== undefined) {
    checkType("values", values, Uint8Array);
    if (lengths.reduce((sum, length) => sum + length, 0) !== values.length) {
      throw new TypeError("lengths: not those of values");
    }
    if (lengths.some((length, row) => length > 0 && all[row] === 0))
      throw new TypeError("lengths: a row without id has some");
    return encodeStrings(values as Uint8Array, present ? lengths.filter(present) : lengths, all, rows);
  }
  if (!INTEGER_TYPES.some((type) => values instanceof type)) throw new TypeError("values: integers were expected");
  const kept = present ? (values as Int32Array).filter(present) : values;
  const unsigned = UNSIGNED_TYPES.some((type) => values instanceof type);
  const wide = values instanceof BigInt64Array || values instanceof BigUint64Array;
  const column = wide ? BigInt64Array.from(kept as BigInt64Array) : Int32Array.from(kept as Int32Array);
  return encodeRising(column, all, rows, unsigned);
}

function geojson(column: WkbColumn, firstId: number, properties: TextColumn, decimals: number): FeatureText {
  const rows = checkColumn(column);
  checkInteger("firstId", firstId, 0, Number.MAX_SAFE_INTEGER - rows);
  checkInteger("decimals", decimals, 0, 9);
  checkObject("properties", properties);
  const { values, offsets } = properties;
  checkType("properties.values", values, Uint8Array);
  checkType("properties.offsets", offsets, Int32Array);
  if (offsets.length !== rows + 1) throw new TypeError("properties.offsets: one text a row was expected");
  checkOffsets("properties.offsets", offsets, values.length);

  const polygons = new Polygons();
  const writer = new FeatureWriter(decimals);
  const status = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    status[i] = isNull(column, i) ? STATUS.null : readWkb(wkbOf(column, i), polygons);
    if (status[i] === STATUS.ok && !isOnGlobe(polygons)) status[i] = STATUS.notFinite;
    if (status[i] === STATUS.ok) writer.append(polygons, firstId + i, values.subarray(offsets[i], offsets[i + 1]));
  }
  return { text: writer.take(), status };
}

/** Whether all vertices are degrees: GeoJSON knows nothing else. */
function isOnGlobe(polygons: Polygons): boolean {
  const n = polygons.x.length;
  return (
    polygons.x.data.subarray(0, n).every((lng) => lng >= -540 && lng <= 540) &&
    polygons.y.data.subarray(0, n).every((lat) => lat >= -90 && lat <= 90)
  );
}

/** Most of the kernel once more, in TypeScript: plain loops, equal bytes out. */
export const oracle: Pick<
  Kernel,
  "burn" | "count" | "merge" | "countWeighted" | "encodeIds" | "encodeRows" | "geojson"
> = {
  burn,
  count,
  merge,
  countWeighted,
  encodeIds,
  encodeRows: encodeTable,
  geojson,
};

type SegmentLayout = [number, number, number, number, number, number, number];

const PIXEL_TYPES = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
];

const UNSIGNED_TYPES = [Uint8Array, Uint16Array, Uint32Array, BigUint64Array];
const INTEGER_TYPES = [Int8Array, Int16Array, Int32Array, BigInt64Array, ...UNSIGNED_TYPES];

function isNull(column: WkbColumn, row: number): boolean {
  if (column.validity === undefined) return false;
  const bit = (column.validityOffset as number) + row;
  return (((column.validity[bit >>> 3] as number) >> (bit & 7)) & 1) === 0;
}

function wkbOf(column: WkbColumn, row: number): Uint8Array {
  return column.values.subarray(column.offsets[row], column.offsets[row + 1]);
}

/** The column's number of rows. */
function checkColumn(column: WkbColumn): number {
  checkObject("column", column);
  const { values, offsets, validity, validityOffset } = column;
  checkType("values", values, Uint8Array);
  checkType("offsets", offsets, Int32Array);
  if (offsets.length === 0) throw new TypeError("offsets: at least one element was expected");
  checkOffsets("offsets", offsets, values.length);
  const rows = offsets.length - 1;
  if (validity !== undefined) {
    checkType("validity", validity, Uint8Array);
    checkInteger("validityOffset", validityOffset, 0, 2 ** 32);
    if (validity.length * 8 < (validityOffset as number) + rows)
      throw new TypeError("validity: shorter than the column");
  }
  return rows;
}

function checkOffsets(name: string, offsets: Int32Array, length: number): void {
  let before = 0;
  for (const offset of offsets) {
    if (offset < before || offset > length) throw new TypeError(`${name}: not ascending within values`);
    before = offset;
  }
}

function checkGrid(grid: KernelGrid): void {
  checkObject("grid", grid);
  for (const name of ["a", "c", "e", "f"] as const) checkNumber(name, grid[name]);
  if (grid.a === 0 || grid.e === 0) throw new TypeError("grid: a pixel has no size");
  checkInteger("width", grid.width, 1, 2 ** 31 - 1);
  checkInteger("height", grid.height, 1, 2 ** 31 - 1);
}

function checkAlbers(albers: AlbersConstants): void {
  checkObject("albers", albers);
  for (const name of ["lon0", "a", "e2", "n", "c", "rho0", "x0", "y0"] as const) checkNumber(name, albers[name]);
}

function checkObject(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null) throw new TypeError(`${name}: an object was expected`);
}

function checkType(name: string, value: unknown, type: new (length: number) => object): void {
  if (!(value instanceof type)) throw new TypeError(`${name}: ${type.name} was expected`);
}

function checkNumber(name: string, value: unknown): void {
  if (!Number.isFinite(value)) throw new TypeError(`${name}: a finite number was expected`);
}

function checkInteger(name: string, value: unknown, least: number, most: number): void {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw new TypeError(`${name}: an integer of ${least} to ${most} was expected`);
  }
}
