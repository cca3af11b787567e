import type { Data } from "apache-arrow";
import { idReader } from "../fields/ids.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { type CropClasses, NO_CROP } from "./crop-classes.js";
import type { YearTable } from "./year-table.js";

/** One year's crops of some rows. */
export interface YearRows {
  /** 0 where there is no crop. */
  readonly codes: Uint16Array;
  /** Whole percent; 0 where there is no crop. */
  readonly shares: Uint8Array;
  /** Arrow's bits: set where there is a crop. */
  readonly valid: Uint8Array;
  readonly nulls: number;
  /** Class of each crop; NO_CROP for none. */
  readonly classes: Int16Array;
}

/** The same rows of every year. */
export interface MergedRows {
  readonly firstRow: number;
  readonly rows: number;
  readonly ids: Data;
  /** By year, in the order of the tables. */
  readonly years: readonly YearRows[];
  /** Rows of each table's extra column. */
  readonly extra: readonly (Data | undefined)[];
}

/**
 * Read zonal tables in step. They stand in one order, that of the fields' file, so nothing is
 * looked up and memory holds one piece of each; that the ids agree is checked row by row.
 *
 * @throws {PipelineError} input, naming year, file and row: tables of different length or ids, a damaged one.
 */
export async function* mergeYears(
  tables: readonly YearTable[],
  classes: CropClasses,
  ctx: Context,
): AsyncGenerator<MergedRows> {
  const first = tables[0] as YearTable;
  for (const { shape, year, path } of tables) {
    if (shape.rows === first.shape.rows) continue;
    throw new PipelineError("input", "Zonal tables are of different fields: their lengths differ", {
      year,
      path,
      expected: `${first.shape.rows} rows, as in ${first.year}`,
      received: shape.rows,
    });
  }
  for (let row = 0; row < first.shape.rows; ) {
    ctx.signal.throwIfAborted();
    const left = await Promise.all(tables.map((table) => table.fill()));
    const rows = Math.min(...left);
    const taken = tables.map((table) => table.take(rows));
    const ids = (taken[0] as { ids: Data }).ids;
    tables.forEach((table, i) => {
      if (i > 0) checkIds(first, ids, table, (taken[i] as { ids: Data }).ids, row);
    });
    const years = taken.map(({ codes, shares }, i) => readYear(tables[i] as YearTable, codes, shares, classes, row));
    yield { firstRow: row, rows, ids, years, extra: taken.map(({ extra }) => extra) };
    row += rows;
  }
}

function checkIds(first: YearTable, ids: Data, table: YearTable, other: Data, firstRow: number): void {
  if (sameBytes(ids, other)) return;
  const [a, b] = [idReader(ids), idReader(other)];
  for (let i = 0; i < ids.length; i++) {
    if (a(i) === b(i)) continue;
    throw new PipelineError("input", "Zonal tables are of different fields: their ids differ", {
      year: table.year,
      path: table.path,
      row: firstRow + i,
      expected: `${a(i)}, as in ${first.year}`,
      received: String(b(i)),
    });
  }
}

/** Ids of one type and without nulls can be compared as bytes. */
function sameBytes(a: Data, b: Data): boolean {
  if (String(a.type) !== String(b.type) || a.nullCount > 0 || b.nullCount > 0) return false;
  const bytes = ({ values, valueOffsets, length }: Data) => {
    const from = Number(valueOffsets?.[0] ?? 0);
    const to = valueOffsets === undefined ? length : Number(valueOffsets[length]);
    const part = values.subarray(from, to);
    return Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  };
  if (a.valueOffsets !== undefined) {
    const [p, q] = [a.valueOffsets as Int32Array | BigInt64Array, b.valueOffsets as Int32Array | BigInt64Array];
    for (let i = 1; i <= a.length; i++) {
      if (Number(p[i]) - Number(p[0]) !== Number(q[i]) - Number(q[0])) return false;
    }
  }
  return bytes(a).equals(bytes(b));
}

function readYear(table: YearTable, codes: Data, shares: Data, classes: CropClasses, firstRow: number): YearRows {
  const rows = codes.length;
  const where = { year: table.year, path: table.path };
  const out = {
    codes: new Uint16Array(rows),
    shares: new Uint8Array(rows),
    valid: new Uint8Array(Math.ceil(rows / 8)),
    classes: new Int16Array(rows).fill(NO_CROP),
  };
  const bits = codes.nullCount > 0 ? codes.nullBitmap : undefined;
  const bitOffset = codes.offset;
  let nulls = 0;
  for (let i = 0; i < rows; i++) {
    const bit = bitOffset + i;
    if (bits !== undefined && (((bits[bit >> 3] as number) >> (bit & 7)) & 1) === 0) {
      nulls++;
      continue;
    }
    const code = Number(codes.values[i]);
    try {
      out.classes[i] = classes.classOf(code);
    } catch (error) {
      throw asPipelineError(error, "input", "Unknown crop", { ...where, row: firstRow + i });
    }
    const share = Number(shares.values[i]);
    if (!(share > 0 && share <= 1)) {
      throw new PipelineError("input", "A crop's share is not between 0 and 1", {
        ...where,
        row: firstRow + i,
        received: shares.getValid(i) ? share : "null",
      });
    }
    out.codes[i] = code;
    out.shares[i] = percent(share);
    out.valid[i >> 3] = (out.valid[i >> 3] as number) | (1 << (i & 7));
  }
  return { ...out, nulls };
}

/** Whole percent; 100 says that every pixel is of the crop. */
export function percent(share: number): number {
  return share === 1 ? 100 : Math.min(99, Math.round(100 * share));
}
