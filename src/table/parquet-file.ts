import type { DataType } from "apache-arrow";
import { parquetMetadata } from "hyparquet/src/metadata.js";
import type { SchemaElement } from "hyparquet/src/types.js";
import { PipelineError } from "../pipeline/errors.js";
import { arrowTypes } from "./arrow-types.js";
import { readFooter } from "./read-footer.js";

/** A parquet file's shape, read from its footer alone. */
export interface ParquetShape {
  readonly path: string;
  readonly rows: number;
  readonly rowGroups: readonly number[];
  readonly columns: ReadonlyMap<string, DataType>;
  readonly metadata: ReadonlyMap<string, string>;
  /** As the file has it: the root, then columns, those in a column after it. */
  readonly schema: readonly SchemaElement[];
  /** The writer, as the footer names it. */
  readonly createdBy: string | undefined;
}

/**
 * Open a parquet file's footer.
 *
 * @throws {PipelineError} input: missing, not parquet, cut short (no PAR1 at its end), unreadable footer.
 */
export async function openParquet(path: string): Promise<ParquetShape> {
  const footer = readFooter(path).buffer;
  try {
    const metadata = parquetMetadata(footer, { geoparquet: false });
    return {
      path,
      rows: Number(metadata.num_rows),
      rowGroups: metadata.row_groups.map((group) => Number(group.num_rows)),
      columns: arrowTypes(metadata),
      metadata: new Map(metadata.key_value_metadata?.map(({ key, value }) => [key, value ?? ""])),
      schema: metadata.schema,
      createdBy: metadata.created_by,
    };
  } catch (cause) {
    throw new PipelineError("input", "Parquet footer cannot be read", { path }, { cause });
  }
}
