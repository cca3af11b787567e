import assert from "node:assert/strict";
import { test } from "node:test";
import { fillPolygon } from "../../dist/view/picture/polygon-fill.js";
import { Random } from "../support/random.mjs";
import { randomShape } from "../support/random-polygons.mjs";

const WIDTH = 40;
const HEIGHT = 30;
const AS_IS = { scale: 1, x: 0, y: 0 };

function filled(rings, placement = AS_IS) {
  const values = new Uint8Array(WIDTH * HEIGHT);
  fillPolygon({ values, width: WIDTH, height: HEIGHT }, rings, placement, 1);
  return values;
}

const points = (ring) => ring.map(([x, y]) => ({ x, y }));

/** Even-odd, a ray to the right from the pixel's center, over every edge of every ring. */
function isInside(rings, px, py) {
  let inside = false;
  for (const ring of rings) {
    for (const [i, a] of ring.entries()) {
      const b = ring[(i + 1) % ring.length];
      if (a.y > py !== b.y > py && px < a.x + ((py - a.y) * (b.x - a.x)) / (b.y - a.y)) inside = !inside;
    }
  }
  return inside;
}

test("a pixel is set when its center lies inside, by even-odd, holes and self-crossings too", () => {
  const random = new Random(11);
  let [set, unset] = [0, 0];
  for (let n = 0; n < 400; n++) {
    const at = () => [random.between(-5, WIDTH + 5), random.between(-5, HEIGHT + 5), random.between(2, 40)];
    const rings = Array.from({ length: random.integer(1, 4) }, () => points(randomShape(random, "free", at())));
    const values = filled(rings);
    for (let y = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++) {
        const inside = isInside(rings, x + 0.5, y + 0.5);
        assert.equal(values[y * WIDTH + x] === 1, inside, `polygon ${n}, pixel ${x}, ${y}`);
        if (inside) set++;
        else unset++;
      }
    }
  }
  assert.ok(set > 20_000 && unset > 20_000, `${set} ${unset}`);
});

test("neighbors share no pixel and leave none, whichever way their rings run", () => {
  const random = new Random(12);
  for (let n = 0; n < 300; n++) {
    // A fan of triangles around a point, corners on pixel centers as often as not, fills its outline exactly.
    const snap = (v) => (random.chance(0.5) ? Math.floor(v) + 0.5 : v);
    const middle = { x: snap(random.between(10, 30)), y: snap(random.between(8, 22)) };
    const length = random.integer(3, 12);
    const corners = Array.from({ length }, (_, i) => {
      const radius = random.between(3, 12);
      const angle = (2 * Math.PI * i) / length;
      return { x: snap(middle.x + radius * Math.cos(angle)), y: snap(middle.y + radius * Math.sin(angle)) };
    });
    const sum = new Uint8Array(WIDTH * HEIGHT);
    for (const [i, corner] of corners.entries()) {
      const triangle = [middle, corner, corners[(i + 1) % corners.length]];
      const values = filled([random.chance(0.5) ? triangle : triangle.reverse()]);
      for (const [at, value] of values.entries()) sum[at] += value;
    }
    // Triangles may overlap where rounding turned one over; even-odd of the sum is the outline's even-odd.
    const whole = filled([corners]);
    for (const [at, value] of whole.entries()) assert.equal(sum[at] % 2, value, `fan ${n}, pixel ${at}`);
  }
});

test("placement scales and shifts; what lies outside the raster is cut off", () => {
  const square = [
    points([
      [0, 0],
      [4096, 0],
      [4096, 4096],
      [0, 4096],
    ]),
  ];
  const values = filled(square, { scale: 10 / 4096, x: 35, y: -4 });
  const set = [...values.keys()].filter((at) => values[at] === 1);
  assert.equal(set.length, 5 * 6);
  assert.ok(set.every((at) => at % WIDTH >= 35 && Math.floor(at / WIDTH) < 6));
  assert.ok(filled(square, { scale: 1, x: -5000, y: 0 }).every((value) => value === 0));
  assert.ok(filled(square, { scale: 1, x: 0, y: 500 }).every((value) => value === 0));
  assert.ok(filled([]).every((value) => value === 0));
});
