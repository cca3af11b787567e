import assert from "node:assert/strict";
import test from "node:test";
import { tileIdToZxy, zxyToTileId } from "pmtiles";
import { firstTileId, MAX_ZOOM, tileId, tileName, tileOf } from "../../dist/archive/tile-id.js";
import { Random } from "../support/random.mjs";

test("tile ids are those of npm's pmtiles: every tile to zoom 7, and the way back", () => {
  let next = 0;
  for (let z = 0; z <= 7; z++) {
    assert.equal(firstTileId(z), next);
    for (let x = 0; x < 2 ** z; x++) {
      for (let y = 0; y < 2 ** z; y++) {
        const id = tileId({ z, x, y });
        assert.equal(id, zxyToTileId(z, x, y));
        assert.deepEqual(tileOf(id), { z, x, y });
      }
    }
    next += 4 ** z;
  }
});

test("tile ids beyond 32 bits: random tiles of zooms 14 to 26", () => {
  const random = new Random(7);
  for (let i = 0; i < 3000; i++) {
    const z = random.integer(14, MAX_ZOOM + 1);
    const tile = { z, x: random.integer(0, 2 ** z), y: random.integer(0, 2 ** z) };
    const id = tileId(tile);
    assert.equal(id, zxyToTileId(tile.z, tile.x, tile.y));
    assert.deepEqual([tileOf(id).z, tileOf(id).x, tileOf(id).y], tileIdToZxy(id));
    assert.deepEqual(tileOf(id), tile);
  }
});

test("a tile that is not in the world is refused", () => {
  for (const tile of [
    { z: 2, x: 4, y: 0 },
    { z: 2, x: 0, y: -1 },
    { z: 27, x: 0, y: 0 },
    { z: -1, x: 0, y: 0 },
  ]) {
    assert.throws(() => tileId(tile), RangeError);
  }
  assert.throws(() => tileOf(-1), RangeError);
  assert.throws(() => tileOf(firstTileId(MAX_ZOOM + 1)), RangeError);
  assert.equal(tileName(tileId({ z: 14, x: 3612, y: 6201 })), "14/3612/6201");
});
