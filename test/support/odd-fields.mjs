// Fields that a tiler can get wrong, seeded: odd shapes of all sizes, on tile sides, at the map's edges, over the
// antimeridian, nested, touching, huge, tiny. node test/support/odd-fields.mjs FOLDER COUNT [SEED] writes field files.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Binary, Float64, Int64, makeData, RecordBatch, Struct } from "apache-arrow";
import { CLEAN_SCHEMA, RAW_SCHEMA } from "../../dist/sample/tables.js";
import { writeParquet } from "../../dist/table/parquet-writer.js";
import { Random } from "./random.mjs";
import { randomPolygon } from "./random-polygons.mjs";
import { writeWkb } from "./wkb.mjs";

const ROWS = 8192;
/** Degrees of longitude of a unit of a tile of zoom 9, about where borders of tiles lie. */
const UNIT = 360 / 2 ** 9 / 4096;

/** About where a shape lies and how large it is: most in one region, so that neighbors get into one tile. */
function placeOf(random) {
  const kind = random.next();
  // Degrees across: from a thousandth of a unit of zoom 14 to hundreds of tiles.
  const size = 10 ** random.between(-8, random.chance(0.02) ? 0.5 : -1.5);
  if (kind < 0.8) return [random.between(-100, -97), random.between(38, 40), size];
  // On a tile's side or corner at zooms 9 to 14.
  const tile = 360 / 2 ** random.integer(9, 15);
  if (kind < 0.93) return [Math.round(random.between(-100, -97) / tile) * tile, random.between(38, 40), size];
  if (kind < 0.96) return [random.pick([-180, 180]) + random.between(-0.01, 0.01), random.between(-60, 60), size];
  if (kind < 0.98) return [random.between(-180, 180), random.pick([85.0511, -85.0511, 89, -89]), Math.min(size, 0.5)];
  return [0, 0, size];
}

/** One geometry: [ring, ...] or [[ring, ...], ...] in longitude and latitude. */
export function oddField(random) {
  const [lng, lat, size] = placeOf(random);
  // Shapes are made in pixels of a lattice; theirs is as fine as a tile's, or finer, or coarser.
  const step = random.pick([UNIT, UNIT / 2, UNIT / 32, size / 8, size / 3]);
  const geometry = randomPolygon(random, [0, 0, Math.min(4000, Math.max(0.5, size / step))]);
  const place = (item) =>
    typeof item[0] === "number"
      ? [lng + item[0] * step, Math.min(90, Math.max(-90, lat + item[1] * step))]
      : item.map(place);
  return place(geometry);
}

export async function writeOddFields(root, count, seed = 1) {
  const random = new Random(seed);
  mkdirSync(join(root, "data"), { recursive: true });
  const batches = [];
  for (let first = 0; first < count; first += ROWS) {
    const wkbs = Array.from({ length: Math.min(ROWS, count - first) }, () => Buffer.from(writeWkb(oddField(random))));
    const offsets = new Int32Array(wkbs.length + 1);
    for (const [i, wkb] of wkbs.entries()) offsets[i + 1] = offsets[i] + wkb.length;
    const length = wkbs.length;
    const ids = BigInt64Array.from(wkbs, (_, i) => BigInt(first + i));
    batches.push({
      id: makeData({ type: new Int64(), length, nullCount: 0, data: ids }),
      area: makeData({ type: new Float64(), length, nullCount: 0, data: new Float64Array(length) }),
      geometry: makeData({
        type: new Binary(),
        length,
        nullCount: 0,
        valueOffsets: offsets,
        data: Buffer.concat(wkbs),
      }),
    });
  }
  const files = { raw: join(root, "data/fields_raw.parquet"), clean: join(root, "data/fields_clean.parquet") };
  const write = (path, schema, take) => {
    const made = batches.map((batch) => {
      const children = take(batch);
      const type = new Struct(schema.fields);
      return new RecordBatch(schema, makeData({ type, length: children[0].length, nullCount: 0, children }));
    });
    return writeParquet(path, schema, made, { rowGroupRows: ROWS, delta: ["field_id"] });
  };
  await write(files.raw, RAW_SCHEMA, ({ id, geometry }) => [id, geometry]);
  await write(files.clean, CLEAN_SCHEMA, ({ id, area, geometry }) => [id, area, geometry]);
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , root, count, seed] = process.argv;
  if (!root || !count) throw new Error("Usage: node test/support/odd-fields.mjs FOLDER COUNT [SEED]");
  process.stdout.write(`${JSON.stringify(await writeOddFields(root, Number(count), Number(seed ?? 1)))}\n`);
}
