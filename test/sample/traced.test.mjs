// Fields traced from pixels: valid, with common borders, and as complex as real ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import gdal from "gdal-async";
import { albersToLngLat } from "../../dist/sample/albers-inverse.js";
import { fieldRows } from "../../dist/sample/field-rows.js";
import { LatticeProjection, project } from "../../dist/sample/lattice-projection.js";
import { RingTracer } from "../../dist/sample/ring-tracer.js";
import { TracedLand } from "../../dist/sample/traced-land.js";
import { planTracedSection, SECTION_PIXELS } from "../../dist/sample/traced-section.js";
import { WkbBuffer } from "../../dist/sample/wkb.js";
import { planWorld } from "../../dist/sample/world.js";

const FIELDS = 3000;

test("polygons are valid by GEOS, of about 32 vertices, some with holes", () => {
  const wkb = new WkbBuffer();
  let [vertices, holes, holed, largest] = [0, 0, 0, 0];
  for (const row of fieldRows(planWorld(3, FIELDS, "csb"))) {
    row.addTo(wkb);
    const geometry = gdal.Geometry.fromWKB(Buffer.from(wkb.take()));
    assert.ok(geometry.isValid(), geometry.toWKT());
    const rings = geometry.rings.toArray();
    const count = rings.reduce((sum, ring) => sum + ring.points.count() - 1, 0);
    vertices += count;
    largest = Math.max(largest, count);
    holes += rings.length - 1;
    if (rings.length > 1) holed++;
  }
  assert.ok(vertices > 29 * FIELDS && vertices < 36 * FIELDS, `${vertices / FIELDS} vertices a field`);
  assert.ok(largest > 150, `${largest} vertices at most`);
  assert.ok(holed > 0.03 * FIELDS && holed < 0.15 * FIELDS && holes > holed, `${holes} holes in ${holed} fields`);
});

test("neighbors have every vertex of their common border, across sections too", () => {
  const world = planWorld(3, FIELDS, "csb");
  const land = new TracedLand(world);
  const tracer = new RingTracer();
  // Every step of one pixel along a border, and from which corner to which corner the edge runs that it is a part of.
  const steps = new Map();
  let [common, across] = [0, 0];
  for (let sy = 2; sy < 8; sy++) {
    for (let sx = 2; sx < 8; sx++) {
      const near = [
        land.section(sx, sy - 1),
        land.section(sx + 1, sy),
        land.section(sx, sy + 1),
        land.section(sx - 1, sy),
      ];
      const { corners, starts, ofField } = tracer.trace(land.section(sx, sy), near);
      for (const ring of ofField.flat()) {
        const points = [];
        for (let i = starts[ring]; i < starts[ring + 1]; i++) {
          points.push([sx * SECTION_PIXELS + corners[2 * i], sy * SECTION_PIXELS + corners[2 * i + 1]]);
        }
        for (const [i, [x, y]] of points.entries()) {
          const [nextX, nextY] = points[(i + 1) % points.length];
          assert.ok((x === nextX) !== (y === nextY), "edges run along pixels");
          const edge = [[x, y].join(), [nextX, nextY].join()].sort().join(" to ");
          const length = Math.abs(nextX - x) + Math.abs(nextY - y);
          const [dx, dy] = [Math.sign(nextX - x), Math.sign(nextY - y)];
          for (let k = 0; k < length; k++) {
            const step = [2 * x + (2 * k + 1) * dx, 2 * y + (2 * k + 1) * dy].join();
            const other = steps.get(step);
            if (other) {
              assert.equal(other.edge, edge);
              common++;
              if (other.section !== `${sx},${sy}`) across++;
            } else steps.set(step, { edge, section: `${sx},${sy}` });
          }
        }
      }
    }
  }
  assert.ok(common > 0.4 * steps.size, `${common} of ${steps.size} steps are common to two fields`);
  assert.ok(across > 500, `${across} of them across sections`);
});

test("a ring never visits a corner twice, and rings give back the pixels", () => {
  const tracer = new RingTracer();
  for (let i = 0; i < 300; i++) {
    const section = planTracedSection(9, i, i % 7);
    const { corners, starts, ofField } = tracer.trace(section, []);
    for (const [field, rings] of ofField.entries()) {
      let twice = 0;
      for (const ring of rings) {
        const seen = new Set();
        for (let k = starts[ring], j = starts[ring + 1] - 1; k < starts[ring + 1]; j = k++) {
          seen.add(`${corners[2 * k]},${corners[2 * k + 1]}`);
          twice += corners[2 * j] * corners[2 * k + 1] - corners[2 * k] * corners[2 * j + 1];
        }
        assert.equal(seen.size, starts[ring + 1] - starts[ring]);
      }
      assert.equal(twice / 2, section.fields[field].pixels, "holes count against the outer ring");
    }
  }
});

test("the projection of corners is the projection, and sections agree on common corners", () => {
  for (const fields of [1000, 1_000_000]) {
    const projection = new LatticeProjection(planWorld(1, fields, "csb"));
    const [fast, exact, other] = [new Float64Array(2), new Float64Array(2), new Float64Array(2)];
    for (let i = 0; i < 40; i++) {
      const [sx, sy] = [i % 8, (3 * i) % 7];
      const patches = projection.around(sx, sy);
      for (const [x, y] of [
        [0, 0],
        [54, 54],
        [13, 41],
        [54, 7],
        [27, 54],
        [i, 53 - i],
      ]) {
        project(patches, x, y, fast);
        projection.exact(sx * SECTION_PIXELS + x, sy * SECTION_PIXELS + y, exact);
        const off = Math.max(Math.abs(fast[0] - exact[0]), Math.abs(fast[1] - exact[1]));
        assert.ok(off < 5e-11, `${off} degrees`);
        if (x < SECTION_PIXELS) continue;
        project(projection.around(sx + 1, sy), 0, y, other);
        assert.deepEqual(other, fast);
      }
    }
  }
  const middle = new Float64Array(2);
  albersToLngLat(-100_000, 1_800_000, middle, 0);
  assert.ok(Math.abs(middle[0] + 97.16) < 0.1 && Math.abs(middle[1] - 39.2) < 0.1, `${middle}`);
});
