// What counts as a rotation, and that counting them takes bounded memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findCycle, rotationYears } from "../../dist/history/rotation.js";
import { SequenceCounter } from "../../dist/history/rotation-counter.js";
import { Random } from "../support/random.mjs";

test("the shortest cycle is found, from its lowest code, whatever year it is seen from", () => {
  const cases = [
    [[1, 1, 1, 1], [1]],
    [
      [5, 1, 5, 1, 5, 1],
      [1, 5],
    ],
    [
      [1, 1, 5, 1, 1],
      [1, 1, 5],
    ],
    [
      [1, 5, 1, 1, 5, 1],
      [1, 1, 5],
    ],
    [
      [61, 24, 4, 61, 24, 4],
      [4, 61, 24],
    ],
    [[36, 36, 36, 36, 36, 1], undefined],
    [[1, 5, 24], undefined],
    [[7], undefined],
    [[], undefined],
  ];
  for (const [codes, cycle] of cases) assert.deepEqual(findCycle(codes), cycle, codes.join(" "));
});

test("a cycle is the same from each of its years", () => {
  const random = new Random(5);
  for (let i = 0; i < 300; i++) {
    const cycle = Array.from({ length: random.integer(1, 4) }, () => random.integer(1, 5));
    const found = [0, 1, 2].map((phase) =>
      findCycle(Array.from({ length: 6 }, (_, year) => cycle[(year + phase) % cycle.length])),
    );
    assert.deepEqual(found[1], found[0]);
    assert.deepEqual(found[2], found[0]);
    assert.ok(cycle.length % found[0].length === 0);
  }
});

test("rotations are looked for in the last six years that follow each other", () => {
  assert.deepEqual(
    rotationYears([2008, 2009, 2010, 2011, 2012, 2013, 2014, 2015]),
    [2010, 2011, 2012, 2013, 2014, 2015],
  );
  assert.deepEqual(rotationYears([2008, 2009, 2010, 2012]), [2008, 2009, 2010]);
  assert.deepEqual(rotationYears([2008, 2009, 2011, 2012]), [2011, 2012]);
  assert.deepEqual(rotationYears([]), []);
  assert.deepEqual(rotationYears([2010, 2012]), []);
});

test("sequences are counted exactly, and their hectares", () => {
  const columns = [Int16Array.of(1, 1, 255, 1, -1), Int16Array.of(0, 0, 254, 0, 3), Int16Array.of(2, 2, 253, 3, 3)];
  const counter = new SequenceCounter(3);
  for (let row = 0; row < 5; row++) counter.add(columns, row, row === 1 ? Number.NaN : 10 + row);
  const counted = [...counter.counted()].sort((a, b) => b.fields - a.fields || a.area - b.area);
  assert.deepEqual(counted, [
    { classes: [1, 0, 2], fields: 2, area: 10 },
    { classes: [255, 254, 253], fields: 1, area: 12 },
    { classes: [1, 0, 3], fields: 1, area: 13 },
  ]);
  assert.equal(counter.incomplete, 1);
  assert.equal(counter.shortBy, 0);
});

test("a full table drops the rare: the frequent stay, short by what it says at most", () => {
  const random = new Random(9);
  const counter = new SequenceCounter(2, 256);
  const truth = new Map();
  const columns = [new Int16Array(1), new Int16Array(1)];
  for (let i = 0; i < 40_000; i++) {
    const frequent = random.chance(0.5);
    columns[0][0] = frequent ? random.integer(0, 4) : random.integer(0, 256);
    columns[1][0] = frequent ? 1 : random.integer(0, 256);
    const key = `${columns[0][0]} ${columns[1][0]}`;
    truth.set(key, (truth.get(key) ?? 0) + 1);
    counter.add(columns, 0, 1);
  }
  const counted = new Map([...counter.counted()].map(({ classes, fields }) => [classes.join(" "), fields]));
  assert.ok(truth.size > 10_000 && counted.size <= 256, `${truth.size} kinds, ${counted.size} kept`);
  assert.ok(counter.shortBy > 0);
  for (const [key, fields] of counted) {
    assert.ok(fields <= truth.get(key) && fields >= truth.get(key) - counter.shortBy, key);
  }
  for (const frequent of ["0 1", "1 1", "2 1", "3 1"]) assert.ok(counted.has(frequent), frequent);
});
