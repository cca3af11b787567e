import { DataType } from "apache-arrow";
import { nativeKernel } from "../kernel/native.js";
import {
  type ColumnChunk,
  type ColumnChunks,
  type ColumnPart,
  isUnsupported,
  type PageIndex,
} from "../kernel/parquet.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { checkCrs } from "./crs-check.js";
import type { FieldsFile } from "./fields-file.js";
import type { FieldSlice } from "./reader.js";
import { planSlices } from "./slice.js";
import { findPages } from "./tasks.js";

/** How a file of fields is read: slice by slice, and its ids alone. */
export interface FieldPlan {
  readonly slices: readonly FieldSlice[];
  /** The id column by row group, where the kernel reads it. */
  readonly ids?: readonly ColumnPart[];
}

/** Slices of a small file are smaller, so that workers end together. */
const MIN_SLICES = 64;
const MIN_ROWS = 1024;

/**
 * Cut a file of fields into slices of about `batch` rows, at the borders of the geometry's pages: each page is
 * opened once, and no slice holds more than a page beyond `batch`. Slices depend on the file and `batch` alone.
 *
 * Files of a kind that the kernel does not read are cut by rows and read by
 * way of parquet-wasm.
 *
 * @throws {PipelineError} input, naming the row group whose pages cannot be found; the CRS, where it cannot be that of
 *   the coordinates.
 */
export async function planFields(fields: FieldsFile, batch: number, pool: Pool, ctx: Context): Promise<FieldPlan> {
  const columns = openColumns(fields, ctx);
  const plan =
    columns === undefined ? { slices: planSlices(fields, batch) } : await planPages(fields, columns, batch, pool);
  await checkCrs(fields, plan.slices[0], pool, ctx);
  return plan;
}

async function planPages(fields: FieldsFile, columns: NativeColumns, batch: number, pool: Pool): Promise<FieldPlan> {
  const { ids, geometry } = columns;
  const rows = Math.max(MIN_ROWS, Math.min(batch, Math.ceil(fields.rows / MIN_SLICES)));
  const groups = fields.rowGroups.map(async (groupRows, rowGroup): Promise<Omit<FieldSlice, "firstRow">[]> => {
    if (groupRows === 0) return [];
    if (groupRows <= rows) {
      const pages = { ids: wholeChunk(ids, rowGroup), geometry: wholeChunk(geometry, rowGroup) };
      return [{ rowGroup, offset: 0, rows: groupRows, pages }];
    }
    const index = async (name: string, { chunks }: ColumnOfFields) =>
      pool.run(findPages, { path: fields.path, name, chunk: chunkOf(chunks, rowGroup) }).catch((cause) => {
        throw asPipelineError(cause, "input", "Fields cannot be read", { path: fields.path, rowGroup });
      });
    const [idPages, geometryPages] = await Promise.all([
      index(fields.idColumn, ids),
      index(fields.geometryColumn, geometry),
    ]);
    const pages = new RowGroupPages(columns, rowGroup, idPages, geometryPages);
    return cutAtPages(geometryPages.firstRow, rows).map(([begin, end]) => ({
      rowGroup,
      offset: begin,
      rows: end - begin,
      pages: pages.of(begin, end),
    }));
  });
  let firstRow = 0;
  const slices = (await Promise.all(groups)).flat().map((slice) => {
    const placed = { ...slice, firstRow };
    firstRow += slice.rows;
    return placed;
  });
  return { slices, ids: fields.rowGroups.map((_, rowGroup) => wholeChunk(ids, rowGroup)) };
}

export interface ColumnOfFields {
  readonly chunks: ColumnChunks;
  readonly unsigned: boolean;
}

/** Where the kernel finds ids and polygons. */
export interface NativeColumns {
  readonly ids: ColumnOfFields;
  readonly geometry: ColumnOfFields;
}

/** Whether the kernel reads ids of a type: decimals lie in a file as integers of another size, floats are rounded. */
export function hasKernelIds(type: DataType | undefined): boolean {
  return type !== undefined && !DataType.isDecimal(type) && !DataType.isFloat(type);
}

/**
 * Undefined for a file of a kind that the kernel does not read.
 *
 * @throws {PipelineError} input: the footer cannot be read.
 */
export function openColumns(fields: FieldsFile, ctx?: Pick<Context, "log">): NativeColumns | undefined {
  const { path, idColumn, geometryColumn, idType } = fields;
  if (!hasKernelIds(fields.columns.get(idColumn))) return undefined;
  try {
    const [ids, geometry] = nativeKernel().parquetColumns(path, [idColumn, geometryColumn]);
    return {
      ids: { chunks: ids as ColumnChunks, unsigned: DataType.isInt(idType) && !idType.isSigned },
      geometry: { chunks: geometry as ColumnChunks, unsigned: false },
    };
  } catch (cause) {
    if (!isUnsupported(cause)) throw new PipelineError("input", "Parquet footer cannot be read", { path }, { cause });
    ctx?.log.debug(`read through parquet-wasm: ${(cause as Error).message}`, { path });
    return undefined;
  }
}

/** The pages of ids and polygons in a row group. */
export class RowGroupPages {
  constructor(
    private readonly columns: NativeColumns,
    private readonly rowGroup: number,
    private readonly ids: PageIndex,
    private readonly geometry: PageIndex,
  ) {}

  /** Those that hold the group's rows [begin, end). */
  of(begin: number, end: number): NonNullable<FieldSlice["pages"]> {
    const { columns, rowGroup } = this;
    return {
      ids: rowsOfChunk(columns.ids, rowGroup, this.ids, begin, end),
      geometry: rowsOfChunk(columns.geometry, rowGroup, this.geometry, begin, end),
    };
  }
}

/** @throws {Error} naming column and page, where they cannot be found. */
export function pagesOfGroup(fields: FieldsFile, columns: NativeColumns, rowGroup: number): RowGroupPages {
  const { path, idColumn, geometryColumn } = fields;
  const index = (name: string, { chunks }: ColumnOfFields) =>
    findPages({ path, name, chunk: chunkOf(chunks, rowGroup) });
  return new RowGroupPages(columns, rowGroup, index(idColumn, columns.ids), index(geometryColumn, columns.geometry));
}

function chunkOf({ offset, bytes, values, indexOffset, indexBytes }: ColumnChunks, rowGroup: number): ColumnChunk {
  const at = (array: Float64Array) => array[rowGroup] as number;
  return {
    offset: at(offset),
    bytes: at(bytes),
    values: at(values),
    indexOffset: at(indexOffset),
    indexBytes: at(indexBytes),
  };
}

/** All pages of a row group. */
export function wholeChunk({ chunks, unsigned }: ColumnOfFields, rowGroup: number): ColumnPart {
  const { offset, bytes, values } = chunkOf(chunks, rowGroup);
  const { type, optional } = chunks;
  return {
    dictionaryOffset: offset,
    dictionaryBytes: 0,
    offset,
    bytes,
    skip: 0,
    rows: values,
    chunkValues: values,
    type,
    codec: chunks.codec[rowGroup] as number,
    optional,
    unsigned,
  };
}

/** The pages that hold rows [begin, end) of a row group. */
function rowsOfChunk(
  column: ColumnOfFields,
  rowGroup: number,
  { offset, firstRow }: PageIndex,
  begin: number,
  end: number,
): ColumnPart {
  const whole = wholeChunk(column, rowGroup);
  const first = firstRow.findLastIndex((row) => row <= begin);
  const last = firstRow.findIndex((row) => row >= end);
  const [from, to] = [offset[first] as number, offset[last] as number];
  return {
    ...whole,
    dictionaryBytes: (offset[0] as number) - whole.offset,
    offset: from,
    bytes: to - from,
    skip: begin - (firstRow[first] as number),
    rows: end - begin,
  };
}

/** Ranges of rows that end at borders of pages, each as near to `rows` as they allow. */
export function cutAtPages(firstRow: Float64Array, rows: number): [number, number][] {
  const ranges: [number, number][] = [];
  let begin = 0;
  for (let page = 1; page < firstRow.length; page++) {
    const end = firstRow[page] as number;
    const next = firstRow[page + 1];
    // The next border would be further from what is wanted than this one.
    if (next === undefined || Math.abs(next - begin - rows) >= Math.abs(end - begin - rows)) {
      ranges.push([begin, end]);
      begin = end;
    }
  }
  return ranges;
}
