import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Field, FixedSizeList, Float64, Int64, List, Struct, Table, tableToIPC, vectorFromArray } from "apache-arrow";
import gdal from "gdal-async";
import { Compression, Table as WasmTable, WriterPropertiesBuilder, writeParquet } from "parquet-wasm";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { query } from "../support/duck.mjs";
import { littleRaster, littleSquares } from "../support/little-raster.mjs";
import { writeByRust } from "../support/parquet-variants.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

const COUNT = 36;
const folder = tempFolder({ after });
const raster = littleRaster(join(folder, "r.tif"));
const squares = littleSquares(raster, COUNT);

/** Each square as a multipolygon of its western and eastern part, the latter with a hole without any pixel center. */
const halves = ({ ring }) => {
  const [[left, top], , [right, bottom]] = ring;
  const middle = left + 60;
  const box = (x0, y0, x1, y1) => [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
    [x0, y0],
  ];
  return [
    [box(left, top, middle, bottom)],
    [box(middle, top, right, bottom), box(middle + 1, top - 1, middle + 9, top - 9)],
  ];
};

/** A square of the raster's CRS in another one; its sides stay between the same pixel centers. */
function inCrs({ ring }, crs) {
  if (crs === "EPSG:5070") return { ring };
  const [from, to] = ["EPSG:5070", crs].map((name) => gdal.SpatialReference.fromUserInput(name));
  const way = new gdal.CoordinateTransformation(from, to);
  return {
    ring: ring.map(([x, y]) => {
      const point = way.transformPoint(x, y);
      return [point.x, point.y];
    }),
  };
}

const engine = new ZonalEngine({ threads: 1 });
after(() => engine.close());

async function answers(path, options = {}) {
  const fields = await openFields(path, { fieldsCrs: "EPSG:5070", ...options });
  const rows = [];
  for await (const batch of engine.zonal(fields, openRaster(raster.path))) {
    for (const row of batch) rows.push([Number(row.field_id), row.crop_code, row.crop_pixels]);
  }
  return rows;
}

const expected = () => squares.map(({ majority, pixels }, i) => [i, majority, pixels]);

const number = new Field("item", new Float64(), true);
const points = {
  struct: [new Struct([new Field("x", new Float64()), new Field("y", new Float64())]), ([x, y]) => ({ x, y })],
  "struct with z and m": [
    new Struct(["x", "y", "z", "m"].map((name) => new Field(name, new Float64()))),
    ([x, y]) => ({ x, y, z: 7, m: 8 }),
  ],
  interleaved: [new FixedSizeList(2, number), (point) => point],
  "interleaved with z": [new FixedSizeList(3, number), ([x, y]) => [x, y, 9]],
};

const list = (type) => new List(new Field("item", type, true));

function writeNested(path, type, values, codec = "SNAPPY") {
  const ids = vectorFromArray(
    values.map((_, i) => BigInt(i)),
    new Int64(),
  );
  const table = new Table({ field_id: ids, geometry: vectorFromArray(values, type) });
  const properties = new WriterPropertiesBuilder().setCompression(Compression[codec]).build();
  writeFileSync(path, writeParquet(WasmTable.fromIPCStream(tableToIPC(table, "stream")), properties));
}

test("GeoArrow: polygons and multipolygons, points as structs or interleaved, with more dimensions, null and empty", async () => {
  for (const [name, [type, pointOf]] of Object.entries(points)) {
    const path = join(folder, "nested.parquet");
    writeNested(
      path,
      list(list(type)),
      squares.map(({ ring }) => [ring.map(pointOf)]),
    );
    assert.deepEqual(await answers(path), expected(), `polygons, ${name}`);
    writeNested(
      path,
      list(list(list(type))),
      squares.map((square) => halves(square).map((part) => part.map((ring) => ring.map(pointOf)))),
    );
    assert.deepEqual(await answers(path), expected(), `multipolygons, ${name}`);
  }
  const [type, pointOf] = points.struct;
  const path = join(folder, "gaps.parquet");
  const rows = squares.map(({ ring }, i) => (i === 3 ? null : i === 5 ? [] : [ring.map(pointOf)]));
  writeNested(path, list(list(type)), rows);
  assert.deepEqual(
    (await answers(path)).map((row, i) => (i === 3 || i === 5 ? row[1] : row)),
    expected().map((row, i) => (i === 3 || i === 5 ? null : row)),
  );
});

test("nested columns that are no polygons are refused by name", async () => {
  const [struct, pointOf] = points.struct;
  const path = join(folder, "lines.parquet");
  const lines = squares.map(({ ring }) => ring.map(pointOf));
  writeNested(path, list(struct), lines);
  await assert.rejects(
    answers(path),
    /Geometry column must hold polygons.*column=geometry.*received=another nested type/,
  );
});

test("WKB in every dialect, and collections of polygons, in collections too", async () => {
  const collection = (parts) => {
    const head = Buffer.from([1, 7, 0, 0, 0, parts.length, 0, 0, 0]);
    return Buffer.concat([head, ...parts]);
  };
  const dialects = {
    "little endian": (s) => writeWkb([s.ring]),
    "big endian": (s) => writeWkb([s.ring], { big: true }),
    "EWKB with SRID": (s) => writeWkb([s.ring], { srid: 5070 }),
    "EWKB with SRID, Z and M": (s) => writeWkb(halves(s), { srid: 5070, z: true, m: true }),
    "ISO Z": (s) => writeWkb([s.ring], { iso: true, z: true }),
    "ISO M": (s) => writeWkb([s.ring], { iso: true, m: true }),
    "ISO ZM": (s) => writeWkb(halves(s), { iso: true, z: true, m: true }),
    "collection of a polygon": (s) => collection([writeWkb([s.ring])]),
    "collection of polygons": (s) => collection(halves(s).map((part) => writeWkb(part))),
    "collection of a multipolygon": (s) => collection([writeWkb(halves(s), { iso: true, z: true })]),
    "collection in a collection": (s) => collection([collection([writeWkb([s.ring])]), collection([])]),
  };
  for (const [name, wkbOf] of Object.entries(dialects)) {
    for (const crs of ["EPSG:5070", "EPSG:32614"]) {
      const path = join(folder, "wkb.parquet");
      writeByRust(
        path,
        squares.map((square, i) => ({ id: BigInt(i), wkb: wkbOf(inCrs(square, crs)) })),
      );
      assert.deepEqual(await answers(path, { fieldsCrs: crs }), expected(), `${name}, ${crs}`);
    }
  }
  const line = Buffer.concat([Buffer.from([1, 2, 0, 0, 0, 0, 0, 0, 0])]);
  const path = join(folder, "mixed.parquet");
  const mixed = collection([writeWkb([squares[0].ring]), line]).toString("hex");
  await query(`copy (select 0 as field_id, unhex('${mixed}') as geometry) to '${path}' (format parquet)`);
  assert.deepEqual(await answers(path), [[0, null, 0]], "a collection with a line in it is no polygon");
});

test("a CRS that cannot be right for the coordinates is an error about the CRS", async () => {
  const path = join(folder, "plain.parquet");
  const rows = squares.map(({ ring }, i) => `(${i}, unhex('${writeWkb([ring]).toString("hex")}'))`);
  await query(
    `copy (select i as field_id, wkb as geometry from (values ${rows.join(",")}) t(i, wkb)) to '${path}' (format parquet)`,
  );
  await assert.rejects(answers(path, { fieldsCrs: "EPSG:4326" }), (error) => {
    assert.equal(error.kind, "input");
    assert.match(error.message, /The CRS of the fields does not fit their coordinates/);
    assert.match(
      error.message,
      /plain\.parquet, crs=EPSG:4326, expected=degrees, received=x -99975\.\.-?\d+, y \d+\.\.\d+/,
    );
    assert.match(error.message, /--fields-crs EPSG:5070/);
    return true;
  });
  // Half a thousand million meters from everywhere.
  const far = join(folder, "far.parquet");
  const ring = squares[0].ring.map(([x, y]) => [x * 1e6, y * 1e6]);
  await query(
    `copy (select 0 as field_id, unhex('${writeWkb([ring]).toString("hex")}') as geometry) to '${far}' (format parquet)`,
  );
  await assert.rejects(answers(far, { fieldsCrs: "EPSG:26915" }), /CRS of the fields does not fit.*crs=EPSG:26915/);
});
