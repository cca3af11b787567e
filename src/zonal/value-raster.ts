import type { Pixels } from "../kernel/raster.js";
import { PipelineError } from "../pipeline/errors.js";
import { type BandType, pixelArray, windowBytes } from "../raster/pixels.js";
import type { Raster } from "../raster/raster.js";

/** A second raster on the grid of the first: its values are counted together with the classes. Can be sent to workers directly. */
export interface ValueBand {
  readonly type: BandType;
  readonly masked: boolean;
  readonly nodata: number | undefined;
  /** Offset that makes all values nonnegative. */
  readonly offset: number;
}

/** A class and a value in 32 bits: the class, a flag for no value, the value. */
const [CLASS_SHIFT, NO_VALUE, VALUE_MASK] = [17, 2 ** 16, 2 ** 16 - 1];

const VALUE_TYPES: readonly BandType[] = ["Byte", "Int8", "UInt16", "Int16"];

/** @throws {PipelineError} input: another grid, or types whose pairs do not fit. */
export function valueBand(classes: Raster, values: Raster): ValueBand {
  const [a, b] = [classes.grid, values.grid];
  const isSame =
    a.width === b.width &&
    a.height === b.height &&
    a.geotransform.every(
      (number, i) => Math.abs(number - (b.geotransform[i] as number)) <= 1e-6 * Math.abs(a.geotransform[1]),
    );
  if (!isSame) {
    throw new PipelineError("input", "The raster of --values must have the grid of the raster of classes", {
      path: values.path,
      expected: `${a.width}x${a.height} ${a.geotransform.join(" ")}`,
      received: `${b.width}x${b.height} ${b.geotransform.join(" ")}`,
    });
  }
  if (classes.type !== "Byte" || !VALUE_TYPES.includes(values.type)) {
    throw new PipelineError("input", "--values counts classes of 8 bits with integers of 8 or 16 bits", {
      path: values.path,
      expected: `Byte, and one of ${VALUE_TYPES.join(" ")}`,
      received: `${classes.type}, and ${values.type}`,
    });
  }
  const { type, masked, nodata } = values;
  return { type, masked, nodata: masked ? undefined : nodata, offset: type.startsWith("Int") ? 2 ** 15 : 0 };
}

/** Offsets of a window's parts in a buffer: classes, their mask, values, their mask. */
export function valueWindow(band: ValueBand, buffer: ArrayBufferLike, count: number) {
  const begin = valuesBegin(count);
  const bytes = new Uint8Array(buffer as ArrayBuffer);
  const end = begin + windowBytes(band.type, false, count);
  return {
    classes: bytes.subarray(0, count),
    classMask: bytes.subarray(count, 2 * count),
    values: pixelArrayAt(band.type, buffer, begin, count),
    valueMask: bytes.subarray(end, end + count),
  };
}

/** Bytes of such a buffer. */
export function valueWindowBytes(band: ValueBand, count: number): number {
  return valuesBegin(count) + windowBytes(band.type, true, count);
}

function valuesBegin(count: number): number {
  return 8 * Math.ceil((2 * count) / 8);
}

function pixelArrayAt(type: BandType, buffer: ArrayBufferLike, begin: number, count: number): Pixels {
  const array = pixelArray(type, buffer, 0).constructor as new (b: ArrayBufferLike, at: number, n: number) => Pixels;
  return new array(buffer, begin, count);
}

/**
 * A window's classes and values as pairs.
 *
 * @param skip    excluded classes.
 * @param masked  whether the classes have a mask.
 * @returns one pair per pixel, and a mask of the pixels whose class counts.
 */
export function pairPixels(
  window: ReturnType<typeof valueWindow>,
  band: ValueBand,
  masked: boolean,
  skip: Float64Array,
): { readonly pairs: Uint32Array; readonly mask: Uint8Array } {
  const { classes, classMask, values, valueMask } = window;
  const counts = Uint8Array.from({ length: 256 }, (_, code) => (skip.includes(code) ? 0 : 1));
  const pairs = new Uint32Array(classes.length);
  const mask = new Uint8Array(classes.length);
  for (let i = 0; i < classes.length; i++) {
    const [code, value] = [classes[i] as number, values[i] as number];
    if (masked && classMask[i] === 0) continue;
    mask[i] = counts[code] as number;
    const isMissing = band.masked ? valueMask[i] === 0 : value === band.nodata;
    pairs[i] = code * 2 ** CLASS_SHIFT + (isMissing ? NO_VALUE : value + band.offset);
  }
  return { pairs, mask };
}

interface Histogram {
  readonly code: number[];
  readonly count: number[];
}

/** Splits an ascending histogram of pairs into histograms of classes, of all values, and of the values under one class. */
export function splitPairs(pairs: ArrayLike<number>, counts: ArrayLike<number>, { offset }: Pick<ValueBand, "offset">) {
  const classes: Histogram = { code: [], count: [] };
  const byValue = new Map<number, number>();
  const ofClass = new Map<number, Histogram>();
  for (let i = 0; i < pairs.length; i++) {
    const [pair, count] = [pairs[i] as number, counts[i] as number];
    const code = Math.floor(pair / 2 ** CLASS_SHIFT);
    if (classes.code.at(-1) !== code) {
      classes.code.push(code);
      classes.count.push(0);
      ofClass.set(code, { code: [], count: [] });
    }
    classes.count[classes.count.length - 1] = (classes.count.at(-1) as number) + count;
    if ((pair & NO_VALUE) !== 0) continue;
    const value = (pair & VALUE_MASK) - offset;
    byValue.set(value, (byValue.get(value) ?? 0) + count);
    const own = ofClass.get(code) as Histogram;
    own.code.push(value);
    own.count.push(count);
  }
  const sorted = [...byValue].sort(([a], [b]) => a - b);
  const values: Histogram = { code: sorted.map(([value]) => value), count: sorted.map(([, count]) => count) };
  return { classes, values, under: (code: number): Histogram => ofClass.get(code) ?? { code: [], count: [] } };
}
