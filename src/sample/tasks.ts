import { join } from "node:path";
import type { RecordBatch, Schema } from "apache-arrow";
import { transfer } from "../parallel/transfer.js";
import { writeParquet } from "../table/parquet-writer.js";
import { BatchTee } from "./batch-tee.js";
import { groundsOf } from "./ground.js";
import { SAMPLE_MARK } from "./mark.js";
import { Painter } from "./painter.js";
import { CLEAN_SCHEMA, cropColumn, RAW_SCHEMA, type TableBatch, tableBatches, truthSchema } from "./tables.js";
import { countSections as count, type Part, type SectionRows, type World } from "./world.js";

/** How many fields the sections of some rows have. */
export function countSections(rows: SectionRows): Uint8Array {
  const counts = count(rows);
  return transfer(counts, [counts]);
}
countSections.module = import.meta.url;

export interface PartTask {
  readonly world: World;
  readonly part: Part;
  readonly years: readonly number[];
  readonly dirty: boolean;
  /** Receives the part's files. */
  readonly folder: string;
}

type TableName = keyof TableBatch;

export interface PartTables {
  readonly paths: Readonly<Record<TableName, string>>;
  readonly rows: Readonly<Record<TableName, number>>;
}

/** Most rows of a row group. */
const GROUP_ROWS = 16_384;

/** Make a part of all three tables. */
export async function makePart({ world, part, years, dirty, folder }: PartTask): Promise<PartTables> {
  const batches = new BatchTee(asStream(tableBatches(world, part, years, dirty)), 3);
  const words = ["shape", "place", "fault", ...years.map(cropColumn)];
  const path = (name: TableName) => join(folder, `${part.from}-${name}.parquet`);
  const rowGroupRows = rowGroupRowsOf(world, part);
  const table = async (name: TableName, schema: Schema, dictionary: string[] = []) => {
    const options = { rowGroupRows, dictionary, delta: ["field_id"], createdBy: SAMPLE_MARK };
    return (await writeParquet(path(name), schema, pluck(batches.output(), name), options)).rows;
  };
  const guarded = (rows: Promise<number>) => rows.catch((error: unknown) => batches.fail(error));
  const made = [
    guarded(table("raw", RAW_SCHEMA)),
    guarded(table("clean", CLEAN_SCHEMA)),
    guarded(table("truth", truthSchema(years), words)),
  ] as const;
  await Promise.allSettled(made);
  const [raw, clean, truth] = await Promise.all(made);
  return { paths: { raw: path("raw"), clean: path("clean"), truth: path("truth") }, rows: { raw, clean, truth } };
}
makePart.module = import.meta.url;

/** Few enough that the smallest worlds have several groups, too; a part's are about as long as each other. */
function rowGroupRowsOf(world: World, { fields }: Part): number {
  if (world.parts.length === 1) return Math.min(GROUP_ROWS, Math.max(256, Math.ceil(fields / 4)));
  return Math.ceil(fields / Math.ceil(fields / (1.1 * GROUP_ROWS)));
}

async function* pluck(batches: AsyncIterable<TableBatch>, name: TableName): AsyncGenerator<RecordBatch> {
  for await (const batch of batches) yield batch[name];
}

async function* asStream<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

export interface PaintTask {
  readonly world: World;
  readonly years: readonly number[];
  /** Rows `from` up to but not including `to`. */
  readonly from: number;
  readonly to: number;
}

/** Codes of some rows in every year. */
export function paintRows({ world, years, from, to }: PaintTask): Uint8Array[] {
  const grounds = groundsOf(world, years);
  const painters = years.map((year, i) => new Painter(world, year, grounds[i]));
  const codes = years.map(() => new Uint8Array(world.width * (to - from)));
  for (let row = from; row < to; row++) {
    for (const [i, painter] of painters.entries()) {
      painter.paintRow(row, codes[i] as Uint8Array, (row - from) * world.width);
    }
  }
  return transfer(codes, codes);
}
paintRows.module = import.meta.url;
