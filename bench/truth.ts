import { DuckDBInstance } from "@duckdb/node-api";
import { PipelineError } from "../dist/pipeline/errors.js";

/** What a zonal table says against what was planted. */
export interface TruthReport {
  readonly year: number;
  readonly fields: number;
  /** Fields whose majority must be the planted crop; all are right. */
  readonly sure: number;
  /** Fields inside the raster and the country, whose number of pixels is known; all are right. */
  readonly counted: number;
}

/**
 * Hold every row of a year's zonal table against the sample's truth.
 *
 * @throws {PipelineError} failed, with the number of rows that are wrong.
 */
export async function compareWithTruth(truth: string, zonal: string, year: number): Promise<TruthReport> {
  const instance = await DuckDBInstance.create(":memory:", { memory_limit: "2GB", threads: "2" });
  const connection = await instance.connect();
  try {
    const from = `'${truth}' t positional join '${zonal}' z`;
    const inside = "t.sure and t.place = 'inside'";
    const reader = await connection.runAndReadAll(`select
      count(t.field_id)::double as fields,
      (count(*) filter (t.field_id is distinct from z.field_id))::double as other_ids,
      (count(*) filter (t.sure))::double as sure,
      (count(*) filter (t.sure and z.crop_code is distinct from t.crop_${year}))::double as wrong,
      (count(*) filter (${inside}))::double as counted,
      (count(*) filter (${inside} and z.valid_pixels is distinct from t.centres))::double as miscounted
      from ${from}`);
    const [row] = reader.getRowObjectsJS() as unknown as [Record<string, number>];
    const { fields = 0, sure = 0, counted = 0, other_ids = 0, wrong = 0, miscounted = 0 } = row;
    if (other_ids + wrong + miscounted > 0 || sure === 0) {
      const received = `${other_ids} ids, ${wrong} crops, ${miscounted} numbers of pixels of ${fields} fields`;
      throw new PipelineError("failed", "Answers differ from what was planted", { path: zonal, year, received });
    }
    return { year, fields, sure, counted };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
