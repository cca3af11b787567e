// The feature stream of a parquet file to standard output, as the tiles step makes it.
// argv: fields, batch.
import { resolveOptions } from "../../dist/config/config.js";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { FeatureStream } from "../../dist/tiles/feature-stream.js";
import { testContext } from "./context.mjs";

const [path, batch] = process.argv.slice(2);
const fields = await openFields(path, {});
const area = new Float32Array(new SharedArrayBuffer(fields.rows * 4)).fill(12.5);
const crop = new Float64Array(new SharedArrayBuffer(fields.rows * 8)).fill(1);
const pool = openPool(2);
const options = { ...resolveOptions({}), batch: Number(batch) };
const attributes = { area: area.buffer, crop: crop.buffer, choice: { fieldId: true, cropName: false } };
const stream = new FeatureStream(fields, attributes, options, pool, testContext());
for await (const chunk of stream) {
  if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once("drain", resolve));
}
await pool.close();
