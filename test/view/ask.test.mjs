// Places, and questions about areas: the server's answers against DuckDB's own.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import gdal from "gdal-async";
import { Area } from "../../dist/lookup/area.js";
import { UsAtlas } from "../../dist/view/server/atlas.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { startTestViewer } from "../support/viewer.mjs";

const YEARS = [2019, 2020];

test("places are where they are", () => {
  const atlas = new UsAtlas();
  const places = atlas.places();
  assert.equal(places.filter(({ id }) => id.length === 2).length, 56);
  assert.ok(places.length > 3200);
  // Seats of counties, from the Census Bureau's gazetteer.
  for (const [id, name, lng, lat] of [
    ["20161", "Riley County, Kansas", -96.5717, 39.1836],
    ["19169", "Story County, Iowa", -93.4631, 42.0139],
    ["06019", "Fresno County, California", -119.7871, 36.7378],
    ["22097", "St. Landry Parish, Louisiana", -92.0815, 30.5335],
  ]) {
    const shape = atlas.shape(id);
    assert.equal(shape.name, name);
    const holders = places.filter(
      (place) => place.id.length === 5 && new Area(atlas.shape(place.id).rings).contains(lng, lat),
    );
    assert.deepEqual(
      holders.map((place) => place.id),
      [id],
    );
  }
  assert.equal(atlas.shape("99999"), undefined);
  const lines = atlas.lines("states");
  assert.equal(lines.features.filter(({ geometry }) => geometry.type === "Point").length, 56);
});

test("an area holds what even-odd over its rings says, whatever its form", () => {
  const square = (a, b) => [
    [a, a],
    [b, a],
    [b, b],
    [a, b],
  ];
  const area = new Area([square(0, 10), square(4, 6), square(20, 21)]);
  for (const [x, y, inside] of [
    [1, 1, true],
    [5, 5, false],
    [9.99, 9.99, true],
    [20.5, 20.5, true],
    [15, 15, false],
    [-1, 5, false],
    [Number.NaN, 5, false],
  ])
    assert.equal(area.contains(x, y), inside, `${x} ${y}`);
});

describe("questions about fields", () => {
  let world;
  let root;

  before(async () => {
    world = await makeWorld({ fields: 900, years: YEARS, seed: 7 });
    root = newRoot(world, "ask");
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source);
      assert.equal(run.code, 0, run.stderr);
    }
    const run = await command("history", ["--root", root]);
    assert.equal(run.code, 0, run.stderr);
  });
  after(() => world?.remove());

  const start = (t) => startTestViewer(t, `file:${join(root, "outputs", "web")}`, { root });

  test("hectares and fields by crop and year of all fields whose middle lies in the area", async (t) => {
    const viewer = await start(t);
    assert.equal((await viewer.years()).asks, true);
    const fields = await query(`
      select hex(st_aswkb(r.geometry)) as wkb, c.area_ha as area, ${YEARS.map((year) => `z${year}.crop_code as c${year}`).join(", ")}
        from '${root}/data/fields_raw.parquet' r join '${root}/data/fields_clean.parquet' c using (field_id)
        ${YEARS.map((year) => `join '${root}/outputs/zonal/zonal_us_${year}.parquet' z${year} using (field_id)`).join(" ")}`);
    const boxes = fields.map(({ wkb }) => gdal.Geometry.fromWKB(Buffer.from(wkb, "hex")).getEnvelope());
    const [w, e] = [Math.min(...boxes.map(({ minX }) => minX)), Math.max(...boxes.map(({ maxX }) => maxX))];
    const [s, n] = [Math.min(...boxes.map(({ minY }) => minY)), Math.max(...boxes.map(({ maxY }) => maxY))];
    const [x, y] = [(at) => w + at * (e - w), (at) => s + at * (n - s)];
    const ring = [
      [x(0.1), y(0.2)],
      [x(0.7), y(0.05)],
      [x(0.45), y(0.5)],
      [x(0.9), y(0.95)],
      [x(0.2), y(0.8)],
    ].map(([lng, lat]) => [Number(lng.toFixed(5)), Number(lat.toFixed(5))]);
    const response = await viewer.get(`api/ask/${ring.map(String).join(";")}.json`);
    assert.equal(response.status, 200);
    const answer = await response.json();
    assert.deepEqual(answer.years, YEARS);
    const wkt = `POLYGON((${[...ring, ring[0]].map((point) => point.join(" ")).join(",")}))`;
    const polygon = gdal.Geometry.fromWKT(wkt);
    const within = fields.filter((_, i) => {
      const { minX, maxX, minY, maxY } = boxes[i];
      return polygon.contains(new gdal.Point((minX + maxX) / 2, (minY + maxY) / 2));
    });
    assert.ok(within.length > 200);
    assert.equal(answer.fields, within.length);
    for (const [i, year] of YEARS.entries()) {
      const codes = [...new Set(within.map((field) => field[`c${year}`]))];
      const expected = codes.map((code) => {
        const ofCrop = within.filter((field) => field[`c${year}`] === code);
        return { code, fields: ofCrop.length, hectares: ofCrop.reduce((sum, { area }) => sum + area, 0) };
      });
      for (const { code, fields: count, hectares } of expected) {
        const crop = answer.crops.find((entry) => entry.code === code);
        assert.equal(crop.fields[i], count, `${code}`);
        assert.ok(
          Math.abs(crop.hectares[i] - hectares) < 0.01 + 1e-6 * hectares,
          `${code}: ${crop.hectares[i]} ${hectares}`,
        );
      }
      assert.equal(answer.crops.filter((crop) => crop.fields[i] > 0).length, expected.length);
    }
  });

  test("fields by id; what is no field, no area or no place is not found", async (t) => {
    const viewer = await start(t);
    const [{ row, id }] = await query(
      `select file_row_number as row, field_id as id from read_parquet('${root}/data/fields_raw.parquet', file_row_number = true) where file_row_number = 417`,
    );
    const { fields } = await (await viewer.get(`api/find/${id}.json`)).json();
    assert.deepEqual(
      fields.map((field) => field.row),
      [Number(row)],
    );
    assert.equal(fields[0].bounds.length, 4);
    for (const text of ["1", "abc", "99999999999999999999999"])
      assert.deepEqual(await (await viewer.get(`api/find/${text}.json`)).json(), { fields: [] });
    for (const path of ["ask/99999", "ask/1,2;3,4", "ask/1,2;3,4;x,5", "ask/1,2;3,4;500,5", "lines/towns"])
      assert.equal((await viewer.get(`api/${path}.json`)).status, 404, path);
    const many = Array.from({ length: 401 }, (_, i) => `${i / 10},1`).join(";");
    assert.equal((await viewer.get(`api/ask/${many}.json`)).status, 404);
  });

  test("a server without the fields says that it cannot be asked", async (t) => {
    const viewer = await startTestViewer(t, `file:${join(root, "outputs", "web")}`);
    assert.equal((await viewer.years()).asks, false);
    assert.equal((await viewer.get("api/ask/20.json")).status, 404);
    assert.equal((await viewer.get("api/find/1.json")).status, 404);
    assert.equal((await viewer.get("api/places.json")).status, 200);
  });
});
