// Fields that a tiler left out: reported of tippecanoe below the highest zoom, else an error.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openPool } from "../../dist/parallel/pool.js";
import { auditArchive, auditRows } from "../../dist/tiles/audit.js";
import { testContext } from "../support/context.mjs";
import { writeFields } from "../support/field-tiles.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

test("fields that are missing at zoom 9 are told, with their rows", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  // Above the highest zoom, 10, field 0 is in every tile, and no other.
  const rows = writeFields(path, { maxZoom: 10 });
  const pool = openPool(1);
  t.after(() => pool.close());
  const context = testContext();
  const status = new Uint8Array(rows);
  const audit = await auditArchive(path, status, undefined, 10, pool, context);
  assert.deepEqual(audit.leftOut, [{ zoom: 9, fields: rows - 1, centroids: rows - 1 }]);
  assert.equal(audit.fields, rows);
});

test("a field that could not be drawn is not missed, and must not be there", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const rows = writeFields(path, { maxZoom: 9 });
  const pool = openPool(1);
  t.after(() => pool.close());
  const status = new Uint8Array(rows + 1);
  status[rows] = 3;
  const audit = await auditArchive(path, status, undefined, 9, pool, testContext());
  assert.deepEqual([audit.fields, audit.leftOut], [rows, []]);
  status[1] = 3;
  await assert.rejects(auditArchive(path, status, undefined, 9, pool, testContext()), /never written .*row=1/);
});

test("rows that native tiles lack are an error with their zoom; rows that could not be drawn are not missed", () => {
  const zooms = { first: 9, last: 11 };
  const layers = () => [Uint8Array.of(7, 7, 0, 7), Uint8Array.of(7, 7, 0, 7)];
  const status = Uint8Array.of(0, 0, 3, 0);
  const audit = auditRows(layers(), zooms, status, "a");
  assert.deepEqual([audit.fields, audit.centroids, audit.thin, audit.leftOut], [3, 3, 0, []]);
  assert.deepEqual(
    audit.seen.map((bits) => bits[0]),
    [0b1011, 0b1011],
  );
  for (const layer of [0, 1]) {
    const seen = layers();
    seen[layer][1] = 0b101;
    assert.throws(() => auditRows(seen, zooms, status, "a"), {
      kind: "tool",
      message: /Fields are missing from a zoom .*zoom=10.*firstRows=1/,
    });
  }
  const lost = layers();
  lost[1][3] = 0b011;
  assert.throws(() => auditRows(lost, zooms, status, "a"), /Features were lost in tiling .*firstRows=3/);
  const extra = layers();
  extra[0][2] = 0b100;
  assert.throws(() => auditRows(extra, zooms, status, "a"), /never written .*row=2/);
});
