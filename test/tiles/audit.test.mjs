// Fields that a tiler left out below the highest zoom: reported of one, an error of the other.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openPool } from "../../dist/parallel/pool.js";
import { auditArchive } from "../../dist/tiles/audit.js";
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
  await assert.rejects(auditArchive(path, status, undefined, 10, pool, context, true), {
    kind: "tool",
    message: /Fields are missing from a zoom .*zoom=9.*firstRows=1 2 3/,
  });
});

test("a field that could not be drawn is not missed, and must not be there", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const rows = writeFields(path, { maxZoom: 9 });
  const pool = openPool(1);
  t.after(() => pool.close());
  const status = new Uint8Array(rows + 1);
  status[rows] = 3;
  const audit = await auditArchive(path, status, undefined, 9, pool, testContext(), true);
  assert.deepEqual([audit.fields, audit.leftOut], [rows, []]);
  status[1] = 3;
  await assert.rejects(auditArchive(path, status, undefined, 9, pool, testContext(), true), /never written .*row=1/);
});
