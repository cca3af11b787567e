// Polygons of every kind that a pixel rule can get wrong, in pixel coordinates (column, row), seeded.
// A polygon is [ring, ...], a multipolygon [[ring, ...], ...], a ring [[col, row], ...], closed.

const SHAPES = {
  // Vertices on pixel corners, and on pixel centers: edges run through centers all the time.
  lattice: (random, at) => ring(random, at, (v) => Math.round(v)),
  centres: (random, at) => ring(random, at, (v) => Math.floor(v) + 0.5),
  halves: (random, at) => ring(random, at, (v) => Math.round(2 * v) / 2),
  free: (random, at) => ring(random, at, (v) => v),
  // Rectangles and steps with edges on center rows, walked both ways.
  steps,
  blob: (random, at) => star(random, at, (v) => v),
  latticeBlob: (random, at) => star(random, at, (v) => Math.round(2 * v) / 2),
  sliver: (random, [col, row, size]) => {
    const [dx, dy] = [random.between(-size, size), random.between(-size, size)];
    const width = 10 ** random.between(-9, -0.5);
    const [c, r] = snapSometimes(random, [col, row]);
    return closed([
      [c, r],
      [c + dx, r + dy],
      [c + dx + width, r + dy],
      [c + width, r + width],
    ]);
  },
  speck: (random, [col, row]) => {
    const size = random.between(0.01, 1.5);
    const [c, r] = snapSometimes(random, [col, row]);
    return closed([
      [c, r],
      [c + size, r],
      [c + size, r + size],
      [c, r + size],
    ]);
  },
  doubled: (random, at) => {
    const plain = star(random, at, (v) => (random.chance(0.5) ? Math.round(2 * v) / 2 : v));
    return plain.flatMap((vertex) => (random.chance(0.4) ? [vertex, vertex] : [vertex]));
  },
  near: (random, at) => {
    const plain = star(random, at, (v) => (random.chance(0.5) ? Math.round(2 * v) / 2 : v));
    const off = () => random.pick([0, 1e-6, -1e-6, 3e-7, 1e-9]);
    return closed(
      plain.slice(0, -1).flatMap(([c, r]) =>
        random.chance(0.5)
          ? [
              [c, r],
              [c + off(), r + off()],
            ]
          : [[c, r]],
      ),
    );
  },
  flat: (random, [col, row, size]) => {
    // No area at all: a line there and back.
    const [c, r] = snapSometimes(random, [col, row]);
    const [dx, dy] = random.pick([
      [size, 0],
      [0, size],
      [size, size],
    ]);
    return closed([
      [c, r],
      [c + dx, r + dy],
      [c + dx / 2, r + dy / 2],
    ]);
  },
};

const SHAPE_NAMES = Object.keys(SHAPES);

/** One closed ring of the named kind. */
export function randomShape(random, name, at) {
  return SHAPES[name](random, at);
}

/** A closed rectangle, counter-clockwise where y points up. */
export function rectangle(x0, y0, x1, y1) {
  return closed([
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ]);
}

/**
 * One polygon or multipolygon.
 *
 * @param at  [col, row, size]: about where, and how many pixels across.
 */
export function randomPolygon(random, at) {
  const shape = () => turn(random, SHAPES[random.pick(SHAPE_NAMES)](random, at));
  const [col, row, size] = at;
  const part = () => {
    const rings = [shape()];
    // Holes inside, touching, crossing and outside.
    while (random.chance(0.3)) {
      const inner = [col + random.between(-size, size) / 2, row + random.between(-size, size) / 2, size / 2];
      rings.push(
        random.chance(0.2) ? turn(random, rings[0]) : turn(random, SHAPES[random.pick(SHAPE_NAMES)](random, inner)),
      );
    }
    // Some rings are left open, as some writers leave them.
    return rings.map((ring) => (ring.length > 4 && random.chance(0.03) ? ring.slice(0, -1) : ring));
  };
  if (!random.chance(0.25)) return part();
  const parts = [part()];
  // Parts that overlap, repeat or lie apart.
  while (random.chance(0.5)) parts.push(random.chance(0.2) ? parts[0] : part());
  return parts;
}

/** The same geometry under x = c + col · a, y = f + row · e. */
export function onGrid(geometry, { a, c, e, f }) {
  const place = (item) =>
    typeof item[0] === "number" ? [c + item[0] * a, f + item[1] * e] : item.map((inner) => place(inner));
  return place(geometry);
}

function closed(vertices) {
  return [...vertices, vertices[0]];
}

function turn(random, vertices) {
  const turned = random.chance(0.5) ? [...vertices].reverse() : vertices;
  // Begin anywhere: rules look at first and last vertices.
  const start = random.integer(0, turned.length - 1);
  const open = turned.slice(0, -1);
  return closed([...open.slice(start), ...open.slice(0, start)]);
}

function snapSometimes(random, [col, row]) {
  const snap = random.pick([(v) => v, Math.round, (v) => Math.floor(v) + 0.5]);
  return [snap(col), snap(row)];
}

/** Any vertices in any order: mostly self-intersecting. */
function ring(random, [col, row, size], snap) {
  const n = random.integer(3, 9);
  return closed(
    Array.from({ length: n }, () => [
      snap(col + random.between(-size, size) / 2),
      snap(row + random.between(-size, size) / 2),
    ]),
  );
}

/** Vertices around a middle, so that edges do not cross, more or less. */
function star(random, [col, row, size], snap) {
  const n = random.integer(4, 30);
  return closed(
    Array.from({ length: n }, (_, i) => {
      const angle = (2 * Math.PI * i) / n;
      const radius = (size / 2) * random.between(0.4, 1);
      return [snap(col + radius * Math.cos(angle)), snap(row + radius * Math.sin(angle))];
    }),
  );
}

/** A staircase polygon: horizontal and vertical edges only, on pixel edges or centers. */
function steps(random, [col, row, size]) {
  const snap = random.pick([Math.round, (v) => Math.floor(v) + 0.5, (v) => Math.round(2 * v) / 2]);
  const n = random.integer(1, 5);
  const step = () => snap(random.between(0, 1 + size / n));
  let [c, r] = [snap(col - size / 2), snap(row - size / 2)];
  const vertices = [[c, r]];
  for (let i = 0; i < n; i++) {
    c += step();
    vertices.push([c, r]);
    r += step() * random.pick([1, 1, -1]);
    vertices.push([c, r]);
  }
  const bottom = r + step();
  vertices.push([c, bottom], [vertices[0][0], bottom]);
  return closed(vertices);
}
