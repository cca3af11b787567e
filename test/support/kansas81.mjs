// Real fields in numbers: those of kansas2021, repeated by their extent over 9 x 9 places. Shared borders, 33.5
// vertices on average, holes, polygons of thousands of vertices: what made-up fields are too easy for.
// node test/support/kansas81.mjs FOLDER [COPIES] writes them for a benchmark.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Binary, Field, Float64, Int64, makeData, RecordBatch, Schema, Struct, Uint8 } from "apache-arrow";
import { CLEAN_SCHEMA, RAW_SCHEMA } from "../../dist/sample/tables.js";
import { writeParquet } from "../../dist/table/parquet-writer.js";
import { query } from "./duck.mjs";
import { realData, realPath } from "./real-data.mjs";

export const KANSAS_YEAR = 2021;
const ZONAL_SCHEMA = new Schema([new Field("field_id", new Int64(), false), new Field("crop_code", new Uint8(), true)]);
const ROW_GROUP_ROWS = 16_384;

/** The 2,604 fields: {id, areaHa, crop, wkb} in the file's order. */
export async function kansasFields() {
  const clean = realPath("kansas2021/fields_clean.parquet");
  return query(`
    set enable_geoparquet_conversion = false;
    select field_id as id, area_ha as "areaHa", crop_code::int as crop, geometry as wkb
      from read_parquet('${clean}', file_row_number = true)
      left join read_csv('${realPath(`kansas2021/expected_${KANSAS_YEAR}.csv`)}') using (field_id)
     order by file_row_number`);
}

/**
 * Write fields_raw.parquet, fields_clean.parquet and a zonal table under a root, as the commands expect them.
 *
 * @param copies  along each side.
 * @returns {fields, files}
 */
export async function writeKansas(root, copies = 9) {
  if (!realData) throw new Error(`Real fields are not at ${realPath(".")}`);
  const fields = await kansasFields();
  const { west, south, east, north } = extentOf(fields);
  const files = {
    raw: join(root, "data/fields_raw.parquet"),
    clean: join(root, "data/fields_clean.parquet"),
    zonal: join(root, `outputs/zonal/zonal_us_${KANSAS_YEAR}.parquet`),
  };
  for (const path of Object.values(files)) mkdirSync(join(path, ".."), { recursive: true });
  const columns = (place) => {
    const [dx, dy] = [(place % copies) * (east - west), Math.floor(place / copies) * (north - south)];
    return {
      ids: BigInt64Array.from(fields, ({ id }) => id + BigInt(place) * 10_000_000n),
      areas: Float64Array.from(fields, ({ areaHa }) => areaHa),
      crops: Uint8Array.from(fields, ({ crop }) => crop),
      wkbs: fields.map(({ wkb }) => moved(wkb, dx, dy)),
    };
  };
  const batches = function* (schema, take) {
    for (let place = 0; place < copies ** 2; place++) yield batchOf(schema, take(columns(place)));
  };
  const ids = ({ ids }) => data(new Int64(), ids);
  const geometry = ({ wkbs }) => {
    const offsets = new Int32Array(wkbs.length + 1);
    for (const [i, wkb] of wkbs.entries()) offsets[i + 1] = offsets[i] + wkb.length;
    return makeData({
      type: new Binary(),
      length: wkbs.length,
      nullCount: 0,
      valueOffsets: offsets,
      data: Buffer.concat(wkbs),
    });
  };
  const write = (path, schema, take) =>
    writeParquet(path, schema, batches(schema, take), { rowGroupRows: ROW_GROUP_ROWS, delta: ["field_id"] });
  await write(files.raw, RAW_SCHEMA, (c) => [ids(c), geometry(c)]);
  await write(files.clean, CLEAN_SCHEMA, (c) => [ids(c), data(new Float64(), c.areas), geometry(c)]);
  await write(files.zonal, ZONAL_SCHEMA, (c) => [ids(c), data(new Uint8(), c.crops)]);
  return { fields: fields.length * copies ** 2, files };
}

function data(type, values) {
  return makeData({ type, length: values.length, nullCount: 0, data: values });
}

function batchOf(schema, children) {
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length: children[0].length, nullCount: 0, children }));
}

function extentOf(fields) {
  const extent = { west: Infinity, south: Infinity, east: -Infinity, north: -Infinity };
  for (const { wkb } of fields) {
    eachPoint(wkb, (view, at) => {
      const [x, y] = [view.getFloat64(at, true), view.getFloat64(at + 8, true)];
      extent.west = Math.min(extent.west, x);
      extent.east = Math.max(extent.east, x);
      extent.south = Math.min(extent.south, y);
      extent.north = Math.max(extent.north, y);
    });
  }
  return extent;
}

/** A copy of a polygon, moved by degrees. */
function moved(wkb, dx, dy) {
  const copy = Buffer.from(wkb);
  eachPoint(copy, (view, at) => {
    view.setFloat64(at, view.getFloat64(at, true) + dx, true);
    view.setFloat64(at + 8, view.getFloat64(at + 8, true) + dy, true);
  });
  return copy;
}

/** Every point of a little-endian WKB polygon. */
function eachPoint(wkb, visit) {
  const view = new DataView(wkb.buffer, wkb.byteOffset, wkb.byteLength);
  if (wkb[0] !== 1 || view.getUint32(1, true) !== 3) throw new Error("A little-endian polygon is expected");
  const rings = view.getUint32(5, true);
  let at = 9;
  for (let ring = 0; ring < rings; ring++) {
    const points = view.getUint32(at, true);
    at += 4;
    for (let i = 0; i < points; i++, at += 16) visit(view, at);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , root, copies] = process.argv;
  if (!root) throw new Error("Usage: node test/support/kansas81.mjs FOLDER [COPIES]");
  process.stdout.write(`${JSON.stringify(await writeKansas(root, Number(copies ?? 9)))}\n`);
}
