// Writers × encodings × types of ids × forms of CRSs: every row is what rasterio counts on pyproj's coordinates.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  Binary,
  Dictionary,
  Field,
  Float64,
  Int32,
  LargeBinary,
  LargeUtf8,
  List,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Uint64,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import gdal from "gdal-async";
import { Compression, Table as WasmTable, WriterPropertiesBuilder, writeParquet } from "parquet-wasm";
import { importVector } from "../../dist/fields/vector-source.js";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { kansasRaster, kansasRings } from "../support/kansas-rings.mjs";
import { rasterioMissing } from "../support/rasterio.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeVector } from "../support/vector-file.mjs";
import { writeWkb } from "../support/wkb.mjs";

const COUNT = 30;
/** Geographic, projected, north-first, in feet, compound. */
const SYSTEMS = [
  "EPSG:4269",
  "EPSG:4267",
  "EPSG:5070",
  "EPSG:26914",
  "EPSG:2277",
  "EPSG:3857",
  "EPSG:5070+5703",
  "EPSG:3347",
];
const FORMS = ["code", "projjson", "wkt"];

const folder = tempFolder({ after });

/** What each field's id is, in order; and how DuckDB, Arrow and GDAL write it. */
const IDS = [
  { of: (i) => BigInt(7 * i - 50), duck: "bigint" },
  { of: (i) => `K${String(900 - i)}`, duck: "varchar" },
  { of: (i) => BigInt(2 ** 40 + i), duck: "double" },
  { of: (i) => 2n ** 64n - 1n - BigInt(i), duck: "ubigint" },
  { of: (i) => BigInt(1000 - i), duck: "decimal(9,0)" },
];

const WKB_DIALECTS = [{}, { big: true }, { srid: 4269 }, { iso: true, z: true }, { iso: true, z: true, m: true }];

/** Geo metadata with a CRS in one of its forms; a code stands in `--fields-crs`. */
function geoOf(crs, form, encoding) {
  if (form === "code") return undefined;
  const column = { encoding, geometry_types: [], crs: form === "wkt" ? crs.wkt : JSON.parse(crs.projjson) };
  return JSON.stringify({ version: "1.1.0", primary_column: "geometry", columns: { geometry: column } });
}

async function byDuck(path, { rings, crs, form, id, turn }) {
  const rows = rings.map((ring, i) => {
    const wkb = writeWkb([ring], WKB_DIALECTS[turn % WKB_DIALECTS.length]).toString("hex");
    return `('${id.of(i)}'::${id.duck}, unhex('${wkb}'))`;
  });
  const geo = geoOf(crs, form, "WKB");
  const options = ["row_group_size 2048, compression zstd", "parquet_version v2", "compression snappy"][turn % 3];
  const metadata = geo === undefined ? "" : `, kv_metadata {geo: '${geo.replaceAll("'", "''")}'}`;
  await query(
    `copy (select * from (values ${rows.join(",")}) t(field_id, geometry)) to '${path}' (format parquet, ${options}${metadata})`,
  );
}

/** GEOMETRY columns of Parquet, with their CRS in the type. */
async function byDuckType(path, { rings, crs, id }) {
  const rows = rings.map(
    (ring, i) =>
      `('${id.of(i)}'::${id.duck}, st_geomfromwkb(unhex('${writeWkb([ring]).toString("hex")}'))::geometry('${crs.projjson.replaceAll("'", "''")}'))`,
  );
  await query(
    `copy (select * from (values ${rows.join(",")}) t("Field_ID", shape)) to '${path}' (format parquet, geoparquet_version 'V2')`,
  );
}

const point = new Struct([new Field("x", new Float64()), new Field("y", new Float64())]);
const list = (type) => new List(new Field("item", type, true));

/** Arrow's own types, by parquet-rs: dictionaries, large binaries, GeoArrow. */
async function byArrow(path, { rings, crs, form, id, turn }) {
  const texts = [new Utf8(), new LargeUtf8(), new Dictionary(new Utf8(), new Int32())];
  const ids = rings.map((_, i) => id.of(i));
  const idType = typeof ids[0] === "string" ? texts[turn % 3] : new Uint64();
  const shapes = {
    WKB: () => [turn % 2 === 0 ? new Binary() : new LargeBinary(), rings.map((ring) => writeWkb([ring]))],
    polygon: () => [list(list(point)), rings.map((ring) => [ring.map(([x, y]) => ({ x, y }))])],
    multipolygon: () => [list(list(list(point))), rings.map((ring) => [[ring.map(([x, y]) => ({ x, y }))]])],
  };
  const encoding = Object.keys(shapes)[turn % 3];
  const [type, values] = shapes[encoding]();
  const geo = geoOf(crs, form, encoding);
  const columns = {
    field_id: vectorFromArray(
      ids.map((v) => (typeof v === "bigint" ? BigInt.asUintN(64, v) : v)),
      idType,
    ),
    geometry: vectorFromArray(values, type),
  };
  const plain = new Table(columns);
  const schema = new Schema(plain.schema.fields, new Map(geo === undefined ? [] : [["geo", geo]]));
  const table = new Table(schema, plain.batches);
  let properties = new WriterPropertiesBuilder().setCompression(Compression.GZIP);
  if (geo !== undefined) properties = properties.setKeyValueMetadata(new Map([["geo", geo]]));
  writeFileSync(path, writeParquet(WasmTable.fromIPCStream(tableToIPC(table, "stream")), properties.build()));
}

const DRIVERS = { gpkg: "GPKG", fgb: "FlatGeobuf", shp: "ESRI Shapefile" };

/** A vector file by GDAL, as it comes into parquet. */
async function byGdal(path, { rings, crs, id, turn }) {
  const extension = Object.keys(DRIVERS)[turn % 3];
  const source = join(folder, `v${turn}.${extension}`);
  const isText = typeof id.of(0) === "string";
  const rows = rings.map((ring, i) => ({
    wkt: `POLYGON((${ring.map(([x, y]) => `${x} ${y}`).join(",")}))`,
    FIELD_ID: isText ? id.of(i) : Number(id.of(i)),
  }));
  const fields = { FIELD_ID: isText ? gdal.OFTString : gdal.OFTReal };
  writeVector(source, DRIVERS[extension], [
    { name: `v${turn}`, rows, crs: null, fields, type: gdal.wkbPolygon, srs: crs.wkt },
  ]);
  await importVector(source, {}, path, testContext());
}

test("every writer, encoding, type of id and form of CRS", { skip: rasterioMissing() }, async () => {
  const raster = kansasRaster(join(folder, "r.tif"));
  const rings = kansasRings(COUNT);
  const script = fileURLToPath(new URL("../support/matrix-oracle.py", import.meta.url));
  const input = JSON.stringify({ raster: raster.path, rings, systems: SYSTEMS });
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", [script], { input, maxBuffer: 2 ** 28 });
  assert.equal(status, 0, String(stderr));
  const systems = JSON.parse(stdout);
  const engine = new ZonalEngine({ threads: 1 });
  after(() => engine.close());
  let turn = 0;
  for (const [writer, write] of Object.entries({ byDuck, byDuckType, byArrow, byGdal })) {
    for (const [s, system] of systems.entries()) {
      // Each writer meets every CRS; ids, forms and encodings change with each file.
      const [id, form] = [IDS[turn % IDS.length], FORMS[(turn + s) % FORMS.length]];
      const fit = writer === "byGdal" && id.duck === "ubigint" ? IDS[0] : id;
      const path = join(folder, `${turn}.parquet`);
      await write(path, { rings: system.rings, crs: system.forms, form, id: fit, turn });
      const given = ["byDuck", "byArrow"].includes(writer) && form === "code" ? { fieldsCrs: system.forms.code } : {};
      const fields = await openFields(path, given);
      const got = [];
      for await (const batch of engine.zonal(fields, openRaster(raster.path))) {
        for (const row of batch)
          got.push({ id: row.field_id, code: row.crop_code, n: row.crop_pixels, valid: row.valid_pixels });
      }
      const expected = system.histograms.map((histogram, i) => {
        const [code, n] = Object.entries(histogram).sort(([a, x], [b, y]) => y - x || a - b)[0];
        const own = fit.of(i);
        const valid = Object.values(histogram).reduce((sum, pixels) => sum + pixels, 0);
        return {
          id: writer === "byArrow" && typeof own === "bigint" ? BigInt.asUintN(64, own) : own,
          code: Number(code),
          n,
          valid,
        };
      });
      if (writer === "byGdal") {
        // FlatGeobuf has rows in the order of its index.
        const byId = (a, b) => (String(a.id) < String(b.id) ? -1 : 1);
        got.sort(byId);
        expected.sort(byId);
      }
      assert.deepEqual(got, expected, `${writer}, ${SYSTEMS[s]} as ${form}, ids ${fit.duck}`);
      turn++;
    }
  }
});
