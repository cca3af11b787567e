/** A tile's address: zoom, column from the west, row from the north. */
export interface Tile {
  readonly z: number;
  readonly x: number;
  readonly y: number;
}

/** Highest zoom whose ids are exact as JavaScript numbers. */
export const MAX_ZOOM = 26;

/** Computed once: powers are slow, and this is asked for with every tile. */
const FIRST_TILE_IDS = Float64Array.from({ length: MAX_ZOOM + 2 }, (_, z) => (4 ** z - 1) / 3);

/** Id of a zoom's first tile: the number of all tiles of the zooms below, (4^z − 1) / 3. */
export function firstTileId(z: number): number {
  return FIRST_TILE_IDS[z] ?? (4 ** z - 1) / 3;
}

/**
 * Position of a tile on PMTiles' line through all tiles: zooms one after the
 * other, each along a Hilbert curve.
 *
 * @see https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md
 */
export function tileId({ z, x, y }: Tile): number {
  if (!(z >= 0 && z <= MAX_ZOOM && x >= 0 && y >= 0 && x < 2 ** z && y < 2 ** z)) {
    throw new RangeError(`no such tile: ${z}/${x}/${y}`);
  }
  let [column, row, along] = [x, y, 0];
  for (let side = 2 ** (z - 1); side >= 1; side /= 2) {
    const right = (column & side) !== 0 ? 1 : 0;
    const lower = (row & side) !== 0 ? 1 : 0;
    along += side * side * ((3 * right) ^ lower);
    if (lower === 0) {
      if (right === 1) [column, row] = [side - 1 - column, side - 1 - row];
      [column, row] = [row, column];
    }
  }
  return firstTileId(z) + along;
}

/** The tile with this id; the inverse of `tileId`. */
export function tileOf(id: number): Tile {
  let z = 0;
  while (z <= MAX_ZOOM && id >= firstTileId(z + 1)) z++;
  if (!Number.isSafeInteger(id) || id < 0 || z > MAX_ZOOM) throw new RangeError(`no such tile id: ${id}`);
  let rest = id - firstTileId(z);
  let [x, y] = [0, 0];
  for (let side = 1; side < 2 ** z; side *= 2) {
    const quarter = rest % 4;
    const right = quarter >> 1;
    const lower = (quarter & 1) ^ right;
    if (lower === 0) {
      if (right === 1) [x, y] = [side - 1 - x, side - 1 - y];
      [x, y] = [y, x];
    }
    x += side * right;
    y += side * lower;
    rest = Math.floor(rest / 4);
  }
  return { z, x, y };
}

/** `14/3612/6201` */
export function tileName(id: number): string {
  const { z, x, y } = tileOf(id);
  return `${z}/${x}/${y}`;
}
