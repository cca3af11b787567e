import { type Data, type DataType, Type } from "apache-arrow";
import { columnData } from "../fields/read-slice.js";
import { planSlices, type Slice } from "../fields/slice.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { ParquetDecoder } from "../table/parquet-decoder.js";
import { openParquet, type ParquetShape } from "../table/parquet-file.js";

/** Rows decoded at a time; the zonal tables' own row groups are a little smaller. */
const PIECE_ROWS = 131_072;

/** A zonal table that lies on disk. */
export interface ZonalFile {
  readonly year: number;
  readonly path: string;
}

/**
 * One year's zonal table, read forwards piece by piece. Several are read in step: each has
 * its own handle and holds one decoded piece, a few megabytes.
 */
export class YearTable {
  readonly #slices: Slice[];
  #piece: readonly Data[] = [];
  #at = 0;
  #left = 0;

  private constructor(
    readonly year: number,
    readonly shape: ParquetShape,
    private readonly file: ParquetDecoder,
    private readonly columns: readonly string[],
  ) {
    this.#slices = planSlices(shape, PIECE_ROWS);
  }

  /**
   * @param extra  one more column than id, crop and share; the first of these names that exists.
   * @throws {PipelineError} input, naming year and file: unreadable, a column missing or of the wrong type.
   */
  static async open({ year, path }: ZonalFile, extra: readonly string[] = []): Promise<YearTable> {
    const shape = await openParquet(path).catch((error: unknown) => {
      throw asPipelineError(error, "input", "Zonal table cannot be read", { year });
    });
    const more = extra.find((name) => shape.columns.has(name));
    const columns = ["field_id", "crop_code", "crop_share", ...(more === undefined ? extra.slice(0, 1) : [more])];
    for (const name of columns) checkColumn(shape, year, name);
    return new YearTable(year, shape, new ParquetDecoder(path), columns);
  }

  get path(): string {
    return this.shape.path;
  }

  get idType(): DataType {
    return this.shape.columns.get("field_id") as DataType;
  }

  /** Name of the column read in addition to id, crop and share. */
  get extraColumn(): string | undefined {
    return this.columns[3];
  }

  /** Decode the next piece where the last one is used up. @returns rows that can be taken; 0 at the end. */
  async fill(): Promise<number> {
    const slice = this.#left > 0 ? undefined : this.#slices.shift();
    if (slice === undefined) return this.#left;
    try {
      const { rowGroup, offset, rows } = slice;
      const columns = [...this.columns];
      const table = await this.file.read({ rowGroups: [rowGroup], offset, limit: rows, columns });
      this.#piece = columns.map((name) => columnData(table, name));
    } catch (cause) {
      throw asPipelineError(cause, "input", "Zonal table cannot be read", {
        year: this.year,
        path: this.path,
        rows: `${slice.firstRow}..${slice.firstRow + slice.rows}`,
      });
    }
    [this.#at, this.#left] = [0, slice.rows];
    return this.#left;
  }

  /** The next rows of id, crop, share and the extra column; at most what `fill` said. */
  take(rows: number): { ids: Data; codes: Data; shares: Data; extra: Data | undefined } {
    const [ids, codes, shares, extra] = this.#piece.map((data) => data.slice(this.#at, rows));
    this.#at += rows;
    this.#left -= rows;
    return { ids: ids as Data, codes: codes as Data, shares: shares as Data, extra };
  }
}

function checkColumn(shape: ParquetShape, year: number, name: string): void {
  const type = shape.columns.get(name);
  if (type === undefined) {
    throw new PipelineError("input", `Not a zonal table: column ${name} is missing`, {
      year,
      path: shape.path,
      received: [...shape.columns.keys()].join(" "),
    });
  }
  const fitting = name === "field_id" ? [Type.Int, Type.Utf8, Type.LargeUtf8] : [Type.Int, Type.Float];
  if (fitting.includes(type.typeId)) return;
  throw new PipelineError("input", `Not a zonal table: column ${name} is of another type`, {
    year,
    path: shape.path,
    received: String(type),
  });
}
