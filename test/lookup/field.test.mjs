// node dist/field.js and the index behind it, against every polygon one by one through GEOS.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { withRun } from "../../dist/config/run.js";
import { openFields } from "../../dist/fields/fields-file.js";
import { ensureLookup } from "../../dist/lookup/ensure-lookup.js";
import { FieldIndex } from "../../dist/lookup/field-index.js";
import { readStruct, structsField, writeStruct } from "../../dist/table/thrift.js";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { needsRealData, realPath } from "../support/real-data.mjs";
import { makeWorld, runYear } from "../support/sample-world.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

let world;
const field = (args, root = world.root) => command("field", ["--root", root, ...args]);

before(async () => {
  world = await makeWorld({ fields: 900, years: [2019, 2020], seed: 6, args: ["--dirty"] });
  for (const year of [2019, 2020]) await runYear(world.root, year, world.source, ["--until", "zonal"]);
  const run = await command("history", ["--root", world.root]);
  assert.equal(run.code, 0, run.stderr);
});
after(() => world.remove());

/** All fields of a parquet file as {row, id, geometry}; geometry undefined where there is none. */
async function allFields(path) {
  const rows = await query(
    `set enable_geoparquet_conversion = false; select field_id id, hex(geometry) wkb from read_parquet('${path}')`,
  );
  return rows.map(({ id, wkb }, row) => {
    let geometry;
    try {
      geometry = gdal.Geometry.fromWKB(Buffer.from(wkb ?? "", "hex"));
    } catch {
      geometry = undefined;
    }
    return { row, id, geometry: /POLYGON/.test(geometry?.name ?? "") && !geometry.isEmpty() ? geometry : undefined };
  });
}

async function openIndex(root, given = {}) {
  const options = { ...resolveOptions({ root, threads: 1, ...given }) };
  const layout = layoutOf(options, 0);
  const fields = await openFields(layout.fieldsRaw, options);
  return FieldIndex.open(fields, await withRun(options, undefined, testContext(), (run) => ensureLookup(fields, run)));
}

function extentOf(fields) {
  const envelopes = fields.flatMap(({ geometry }) => (geometry ? [geometry.getEnvelope()] : []));
  const ends = (name, choose) => choose(...envelopes.map((envelope) => envelope[name]));
  return [ends("minX", Math.min), ends("minY", Math.min), ends("maxX", Math.max), ends("maxY", Math.max)];
}

async function compare(index, fields, points) {
  let hits = 0;
  for (const [lng, lat] of points) {
    const point = new gdal.Point(lng, lat);
    const expected = fields.filter(({ geometry }) => geometry?.intersects(point)).map(({ row }) => row);
    const found = await index.at(lng, lat);
    assert.deepEqual(
      found.map(({ row }) => row),
      expected,
      `${lng},${lat}`,
    );
    hits += expected.length;
  }
  return hits;
}

test("at a point lie the fields that GEOS says, of all there are", async () => {
  const finite = ({ geometry }) => geometry === undefined || Number.isFinite(geometry.getEnvelope().minX);
  const fields = (await allFields(world.files.raw)).map((one) => (finite(one) ? one : { ...one, geometry: undefined }));
  const [west, south, east, north] = extentOf(fields.slice(0, 900));
  const random = new Random(8);
  const points = Array.from({ length: 150 }, () => [random.between(west, east), random.between(south, north)]);
  // On vertices of fields, too.
  for (let i = 0; i < 40; i++) {
    const { geometry } = fields[random.integer(0, 900)];
    const ring = (geometry instanceof gdal.MultiPolygon ? geometry.children.get(0) : geometry).rings.get(0);
    const { x, y } = ring.points.get(random.integer(0, ring.points.count()));
    points.push([x, y]);
  }
  const index = await openIndex(world.root);
  try {
    assert.ok((await compare(index, fields, points)) > 130);
  } finally {
    await index.close();
  }
});

test("the command prints a field by point or id: area, bounds, crops by year", async () => {
  const history = join(world.root, "outputs/history/us/history_us.parquet");
  const [row] = await query(`select file_row_number::int place, field_id, area_ha, crop_2019, share_2019, crop_2020
    from read_parquet('${history}', file_row_number = true)
    where file_row_number >= 100 and crop_2019 is not null and crop_2020 is not null order by 1 limit 1`);
  const { json, code } = await field(["--id", String(row.field_id), "--json"]);
  assert.equal(code, 0);
  const [found] = json.fields;
  assert.equal(found.row, row.place);
  assert.equal(found.id, String(row.field_id));
  assert.equal(found.areaHa, row.area_ha);
  assert.deepEqual(
    found.crops.map((crop) => crop.code),
    [row.crop_2019, row.crop_2020],
  );
  assert.equal(found.crops[0].share, row.share_2019);
  const fields = await allFields(world.files.raw);
  const envelope = fields[row.place].geometry.getEnvelope();
  assert.deepEqual(found.bounds, [envelope.minX, envelope.minY, envelope.maxX, envelope.maxY]);
  const inside = fields[row.place].geometry.pointOnSurface?.() ?? fields[row.place].geometry.centroid();
  for (const at of [[`--at=${inside.x},${inside.y}`], ["--at", `${inside.x},${inside.y}`]]) {
    const { stdout } = await field(at);
    assert.match(stdout, new RegExp(`^field ${row.field_id}\n  row        ${row.place}\n  area .* ha\n  bounds`));
    assert.match(stdout, /\n {2}2019 .*\d+ % .*\n {2}2020 /);
  }
});

test("nothing there: exit code 1, and the nearest field", async () => {
  const fields = await allFields(world.files.raw);
  const [west, south] = extentOf(fields.slice(0, 900));
  const at = [west - 0.01, south - 0.003];
  const { code, json } = await field([`--at=${at}`, "--json"]);
  assert.equal(code, 1);
  assert.deepEqual(json.fields, []);
  // In meters of a transverse Mercator that touches the earth there.
  const plane = gdal.SpatialReference.fromProj4(`+proj=tmerc +lat_0=${at[1]} +lon_0=${at[0]} +R=6371008.8 +units=m`);
  const degrees = gdal.SpatialReference.fromProj4("+proj=longlat +R=6371008.8");
  const there = new gdal.Point(0, 0);
  const distances = fields.slice(0, 900).map(({ row, geometry }) => {
    const moved = geometry.clone();
    moved.transform(new gdal.CoordinateTransformation(degrees, plane));
    return { row, meters: moved.distance(there) };
  });
  distances.sort((a, b) => a.meters - b.meters);
  assert.equal(json.nearest.row, distances[0].row);
  assert.ok(
    Math.abs(json.nearest.meters / distances[0].meters - 1) < 1e-3,
    `${json.nearest.meters} ${distances[0].meters}`,
  );
  assert.match((await field([`--at=${at}`])).stdout, /No field lies at .*The nearest is \d+, [\d,]+ m away/);
  assert.match((await field(["--id", "123"])).stdout, /No field has the id 123/);
  assert.equal((await field(["--id", "123"])).code, 1);
});

test("a pair that looks swapped is told so", async () => {
  const beyond = await field(["--at=38.4,-98.5"]);
  assert.equal(beyond.code, 2);
  assert.match(beyond.stderr, /looks swapped.*--at=-98\.5,38\.4/);
  for (const text of ["1", "1,2,3", "a,b", ",", "999,999"]) {
    const { code, stderr } = await field([`--at=${text}`]);
    assert.equal(code, 2, stderr);
  }
  assert.equal((await field([])).code, 2);
  assert.equal((await field(["--at=1,2", "--id", "3"])).code, 2);
  assert.equal((await field(["--id", "x"])).code, 2);
});

test("in range, but only the other way round: the hint comes with the answer", async (t) => {
  const root = await rootOf(t, [{ id: 1, wkb: writeWkb([square(10, 50, 0.01)]) }]);
  assert.match(
    (await field(["--at=50.005,10.005", "--fields-crs", "OGC:CRS84"], root)).stdout,
    /looks swapped.*--at=10\.005,50\.005/,
  );
  assert.equal((await field(["--at=10.005,50.005", "--fields-crs", "OGC:CRS84"], root)).code, 0);
});

function square(x, y, side) {
  return [
    [x, y],
    [x + side, y],
    [x + side, y + side],
    [x, y + side],
    [x, y],
  ];
}

async function rootOf(t, rows, options = {}) {
  const root = tempFolder(t);
  mkdirSync(join(root, "data"), { recursive: true });
  const path = join(root, "data", "fields_raw.parquet");
  await writeFields(path, rows, options);
  writeFileSync(join(root, "config.json"), JSON.stringify({ fieldsCrs: options.crs ?? "OGC:CRS84" }));
  return root;
}

test("fields that overlap or share an edge are all listed; broken rows never", async (t) => {
  const root = await rootOf(
    t,
    [
      { id: "A", wkb: writeWkb([square(0, 0, 2)]) },
      { id: "B", wkb: writeWkb([square(1, 1, 2)]) },
      { id: "null", wkb: null },
      { id: "cut", wkb: writeWkb([square(0, 0, 9)]).subarray(0, 50) },
      { id: "C", wkb: writeWkb([square(3, 1, 2)]) },
      { id: "hole", wkb: writeWkb([square(-10, -10, 30), square(-1, -1, 8)]) },
    ],
    { idType: "VARCHAR" },
  );
  const index = await openIndex(root, { fieldsCrs: "OGC:CRS84" });
  const ids = async (x, y) => (await index.at(x, y)).map(({ id, onEdge }) => (onEdge ? `${id}*` : id));
  try {
    assert.deepEqual(await ids(0.5, 0.5), ["A"]);
    assert.deepEqual(await ids(1.5, 1.5), ["A", "B"]);
    assert.deepEqual(await ids(3, 2), ["B*", "C*"]);
    assert.deepEqual(await ids(6, 6), []);
    assert.deepEqual(await ids(-5, -5), ["hole"]);
    assert.deepEqual(await ids(-1, 0), ["hole*"]);
    assert.deepEqual(
      (await index.withId("cut")).map(({ row, bounds }) => [row, bounds]),
      [[3, null]],
    );
    assert.equal((await index.nearest(6, 6, 1e9)).id, "hole");
    assert.equal(await index.nearest(6.5, 6.5, 10), undefined);
  } finally {
    await index.close();
  }
});

test("fields in another CRS are looked up by longitude and latitude all the same", needsRealData, async (t) => {
  const lattice = await openIndex(tempFolder(t), { fieldsRaw: realPath("kansas2021_lattice/fields_raw.parquet") });
  const degrees = await openIndex(tempFolder(t), { fieldsRaw: realPath("kansas2021/fields_raw.parquet") });
  try {
    const fields = await allFields(realPath("kansas2021_lattice/fields_raw.parquet"));
    const way = new gdal.CoordinateTransformation(
      gdal.SpatialReference.fromUserInput("OGC:CRS84"),
      gdal.SpatialReference.fromEPSG(5070),
    );
    const [west, south, east, north] = degrees.extent;
    const random = new Random(4);
    let hits = 0;
    for (let i = 0; i < 60; i++) {
      const [lng, lat] = [random.between(west, east), random.between(south, north)];
      const { x, y } = way.transformPoint(lng, lat);
      const expected = fields.filter(({ geometry }) => geometry.intersects(new gdal.Point(x, y))).map(({ row }) => row);
      const found = await lattice.at(lng, lat);
      assert.deepEqual(
        found.map(({ row }) => row),
        expected,
      );
      for (const { bounds } of found) {
        assert.ok(
          bounds[0] <= lng && lng <= bounds[2] && bounds[1] <= lat && lat <= bounds[3],
          `${bounds} ${lng} ${lat}`,
        );
      }
      hits += found.length;
    }
    assert.ok(hits > 30);
  } finally {
    await lattice.close();
    await degrees.close();
  }
});

test("real fields: every centroid that GEOS puts into its field finds it", needsRealData, async (t) => {
  const path = realPath("barton/fields_raw.parquet");
  const index = await openIndex(tempFolder(t), { fieldsRaw: path });
  try {
    const fields = await allFields(path);
    const random = new Random(1);
    const some = Array.from({ length: 120 }, () => fields[random.integer(0, fields.length)]);
    const points = some.map(({ geometry }) => geometry.centroid()).map(({ x, y }) => [x, y]);
    assert.ok((await compare(index, fields, points)) > 80);
  } finally {
    await index.close();
  }
});

test("a file whose writer has left no index of its pages gives the same answers", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "plain.parquet");
  copyFileSync(world.files.raw, path);
  // The same file without it: only the footer tells of it.
  const bytes = readFileSync(path);
  const length = bytes.readUInt32LE(bytes.length - 8);
  const start = bytes.length - 8 - length;
  const { struct } = readStruct(bytes.subarray(start, bytes.length - 8));
  assert.deepEqual(
    Buffer.from(writeStruct(struct)),
    bytes.subarray(start, start + length),
    "read and written unchanged",
  );
  for (const group of structsField(struct, 4)) {
    for (const chunk of structsField(group, 1)) for (const key of [4, 5, 6, 7]) chunk.delete(key);
  }
  const footer = writeStruct(struct);
  const tail = Buffer.alloc(8, "PAR1");
  tail.writeUInt32LE(footer.length, 0);
  tail.write("PAR1", 4);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, start), footer, tail]));
  const [{ n }] = await query(
    `set enable_geoparquet_conversion = false; select count(*)::int n from read_parquet('${path}')`,
  );
  assert.ok(n > 900);
  const index = await openIndex(folder, { fieldsRaw: path });
  const plain = await openIndex(world.root);
  try {
    const [west, south, east, north] = plain.extent;
    const random = new Random(12);
    for (let i = 0; i < 60; i++) {
      const at = [random.between(west, east), random.between(south, north)];
      assert.deepEqual(await index.at(...at), await plain.at(...at));
    }
  } finally {
    await index.close();
    await plain.close();
  }
});

test("the index is made once, made again when fields change or it is damaged, and takes a lost one for none", async (t) => {
  const root = await rootOf(t, [{ id: 7, wkb: writeWkb([square(1, 1, 1)]) }]);
  const zones = join(root, "data", "zones");
  const run = () => field(["--at=1.5,1.5", "--config", join(root, "config.json")], root);
  const first = await run();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /\[lookup\] done/);
  assert.doesNotMatch((await run()).stderr, /lookup/);
  const [name] = readdirSync(zones);
  truncateSync(join(zones, name), 60);
  assert.match((await run()).stderr, /\[lookup\] done/);
  await writeFields(join(root, "data", "fields_raw.parquet"), [{ id: 8, wkb: writeWkb([square(1, 1, 1)]) }]);
  const changed = await run();
  assert.match(changed.stderr, /\[lookup\] done/);
  assert.match(changed.stdout, /^field 8\n/);
  assert.ok(existsSync(join(zones, name)));
  rmSync(join(root, "data", "fields_raw.parquet"));
  assert.equal((await run()).code, 4);
});

test("a history of other fields is refused", async (t) => {
  const root = tempFolder(t);
  mkdirSync(join(root, "data"), { recursive: true });
  mkdirSync(join(root, "outputs", "history", "us"), { recursive: true });
  copyFileSync(
    join(world.root, "outputs/history/us/history_us.parquet"),
    join(root, "outputs/history/us/history_us.parquet"),
  );
  await writeFields(join(root, "data", "fields_raw.parquet"), [{ id: 8, wkb: writeWkb([square(1, 1, 1)]) }]);
  const { code, stderr } = await field(["--id", "8", "--fields-crs", "OGC:CRS84"], root);
  assert.equal(code, 4);
  assert.match(stderr, /history belongs to other fields/);
});
