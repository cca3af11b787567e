import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { auditTiles, mergeAudit, missingRows, newAudit } from "../../dist/archive/audit.js";
import { Archive } from "../../dist/archive/reader.js";
import { requireEveryRow } from "../../dist/archive/verify.js";
import { writeFields } from "../support/field-tiles.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const LAYERS = [
  { name: "fields", geometryType: 3 },
  { name: "centroids", geometryType: 1 },
];
const LOST = new Set([2, 3, 17, 25]);

function archiveWithLosses(t) {
  const path = join(tempFolder(t), "a.pmtiles");
  const rows = writeFields(path, {
    maxZoom: 10,
    change: (tile, { fields, centroids }) =>
      tile.z === 10 && LOST.has(fields[0].id) ? { centroids } : { fields, centroids },
  });
  const archive = new Archive(path);
  t.after(() => archive.close());
  return { archive, rows, plan: { layers: LAYERS, rows, maxZoom: 10 } };
}

test("rows that a layer lacks are counted and named", (t) => {
  const { archive, rows, plan } = archiveWithLosses(t);
  assert.ok(rows > 26);
  const audit = newAudit(plan);
  auditTiles(audit, archive, plan, 0, archive.entries.count);
  const [fields, centroids] = audit.layers;
  assert.deepEqual(missingRows(fields, rows), { count: 4, first: [2, 3, 17, 25] });
  assert.deepEqual(missingRows(fields, rows, 2), { count: 4, first: [2, 3] });
  assert.deepEqual(missingRows(centroids, rows), { count: 0, first: [] });
  assert.equal(centroids.features, archive.entries.count);
  assert.equal(fields.features, archive.entries.count - 4);
  assert.throws(
    () => requireEveryRow(audit, plan, "x.pmtiles"),
    (error) => {
      assert.deepEqual([error.where.layer, error.where.expected, error.where.received], ["fields", rows, rows - 4]);
      assert.equal(error.where.missing, "2 3 17 25");
      return true;
    },
  );
});

test("ranges add up to the whole in any order, also after a trip between threads", (t) => {
  const { archive, plan } = archiveWithLosses(t);
  const whole = newAudit(plan);
  auditTiles(whole, archive, plan, 0, archive.entries.count);
  const sum = newAudit(plan);
  const cuts = [0, 1, 7, 30, archive.entries.count];
  for (const k of [2, 0, 3, 1]) {
    const part = newAudit(plan);
    auditTiles(part, archive, plan, cuts[k], cuts[k + 1]);
    mergeAudit(sum, structuredClone(part));
  }
  assert.deepEqual(sum, whole);
});

test("missing rows of every pattern, against a plain count", () => {
  for (const rows of [1, 7, 8, 9, 31, 32, 33, 100]) {
    for (const lost of [() => true, () => false, (r) => r % 3 === 0, (r) => r === rows - 1, (r) => r >= 8 && r < 16]) {
      const { layers } = newAudit({ layers: [{ name: "a" }], rows, maxZoom: 0 });
      const expected = [];
      for (let row = 0; row < rows; row++) {
        if (lost(row)) expected.push(row);
        else layers[0].seen[row >> 3] |= 1 << (row & 7);
      }
      assert.deepEqual(missingRows(layers[0], rows, 1000), { count: expected.length, first: expected });
    }
  }
});

test("rows are ticked off at lower zooms too, from the one that is to have them all", (t) => {
  const { archive, rows, plan } = archiveWithLosses(t);
  const audit = newAudit({ ...plan, fullZoom: 9 });
  auditTiles(audit, archive, { ...plan, fullZoom: 9 }, 0, archive.entries.count);
  for (const { seenBelow } of audit.layers) {
    assert.deepEqual(Object.keys(seenBelow), ["9"]);
    // Above the highest zoom these archives have field 0 alone.
    assert.deepEqual(missingRows({ seen: seenBelow[9] }, rows, 2), { count: rows - 1, first: [1, 2] });
  }
  const sum = newAudit(plan);
  mergeAudit(sum, structuredClone(audit));
  assert.deepEqual(sum, audit);
});
