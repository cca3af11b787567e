import { planWindows } from "../dist/raster/window-plan.js";
import { albersToLngLat } from "../dist/sample/albers-inverse.js";
import { farmedShare, planSpread } from "../dist/sample/density.js";
import { ID_GROUP_ROWS } from "../dist/zones/format.js";

/** What a node's workers share out among themselves. */
export interface Pieces {
  readonly name: string;
  /** Cost of each, in the order in which workers take them; only ratios matter. */
  readonly costs: readonly number[];
}

export interface Skew {
  readonly name: string;
  readonly pieces: number;
  /** The largest piece against the mean. */
  readonly largest: number;
  /** Work over workers times the time until the last one ends. */
  readonly efficiency: number;
}

export interface SkewOptions {
  readonly fields: number;
  readonly width: number;
  readonly height: number;
  /** Cost of a pixel against a field's, when a raster is counted. */
  readonly pixelsPerField: number;
}

/** Fields of a farmed section, and its pixels along a side; as in the sample. */
const FIELDS_PER_SECTION = 8.3;
const SECTION_PIXELS = 54;
/** Sections along a cell in which the density is taken for even. */
const CELL = 8;
const PIXEL_M = 30;
const [WEST, NORTH] = [-2_356_095, 3_172_605];

/** Workers take the next piece as they get free: when is the last one done? */
export function simulate({ name, costs }: Pieces, workers: number): Skew {
  const free = new Float64Array(workers);
  const work = costs.reduce((sum, cost) => sum + cost, 0);
  for (const cost of costs) {
    let first = 0;
    for (let i = 1; i < workers; i++) if ((free[i] as number) < (free[first] as number)) first = i;
    free[first] = (free[first] as number) + cost;
  }
  const largest = costs.reduce((most, cost) => Math.max(most, cost), 0);
  const last = free.reduce((most, end) => Math.max(most, end), 0);
  return {
    name,
    pieces: costs.length,
    largest: largest / (work / costs.length),
    efficiency: work / (workers * last),
  };
}

/** The pieces of the national job, its fields spread as in the United States. */
export function nationalPieces({ fields, width, height, pixelsPerField }: SkewOptions): Pieces[] {
  const cells = fieldCells(fields, width, height);
  const windows = (name: string, block: { width: number; height: number }): Pieces => {
    const grid = { width, height };
    const planned = planWindows({ grid, block, bytesPerPixel: 1 } as never, grid, { col: 0, row: 0 });
    const under = planned.map(({ window }) => ({ ...window, fields: 0 }));
    const [first] = under as [(typeof under)[0]];
    const across = Math.ceil(width / first.width);
    for (const { x, y, count } of cells) {
      const at = under[Math.floor(y / first.height) * across + Math.floor(x / first.width)];
      if (at) at.fields += count;
    }
    // Windows without fields are not read.
    const costs = under.filter((at) => at.fields > 0).map((at) => at.width * at.height + pixelsPerField * at.fields);
    return { name, costs };
  };
  const groups = Math.ceil(fields / ID_GROUP_ROWS);
  return [
    windows("windows of a raster of tiles of 512", { width: 512, height: 512 }),
    windows("windows of a raster of strips", { width, height: 1 }),
    { name: "row groups of a zonal table", costs: Array.from({ length: groups }, () => 1) },
    { name: "buckets of the tiler (tiles of zoom 8)", costs: buckets(cells) },
  ];
}

/** How many fields lie where, by the density; pixels from the raster's northwest. */
function fieldCells(fields: number, width: number, height: number): { x: number; y: number; count: number }[] {
  const limits = { columns: Math.floor(width / SECTION_PIXELS), rows: Math.floor(height / SECTION_PIXELS) };
  const sections = fields / FIELDS_PER_SECTION;
  const spread = planSpread({ like: "us", national: true, sections, limits, attempt: 0 })?.spreading;
  if (spread === undefined) throw new Error("The fields do not fit into the country");
  const cells: { x: number; y: number; count: number }[] = [];
  for (let sy = 0; sy < limits.rows; sy += CELL) {
    for (let sx = 0; sx < limits.columns; sx += CELL) {
      const count = FIELDS_PER_SECTION * CELL ** 2 * farmedShare(spread, sx + CELL / 2, sy + CELL / 2);
      cells.push({ x: (sx + CELL / 2) * SECTION_PIXELS, y: (sy + CELL / 2) * SECTION_PIXELS, count });
    }
  }
  return cells;
}

/** Fields of each tile of zoom 8 that has any, the largest first, as the tiler takes them. */
function buckets(cells: readonly { x: number; y: number; count: number }[]): number[] {
  const byTile = new Map<number, number>();
  const lngLat = new Float64Array(2);
  for (const { x, y, count } of cells) {
    albersToLngLat(WEST + x * PIXEL_M, NORTH - y * PIXEL_M, lngLat, 0);
    const [lng, lat] = lngLat as unknown as [number, number];
    const column = Math.floor(((lng + 180) / 360) * 256);
    const row = Math.floor((0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI)) * 256);
    byTile.set(row * 256 + column, (byTile.get(row * 256 + column) ?? 0) + count);
  }
  return [...byTile.values()].sort((a, b) => b - a);
}
