import { PipelineError } from "../pipeline/errors.js";
import { hash } from "./random.js";
import { WindingLine } from "./river.js";
import { FIELDS_PER_SECTION, planSection, type Section } from "./section.js";
import { rankOf, SECTION_M, sectionsByRank } from "./survey.js";

export const PIXEL_M = 30;
/** Middle of the world in EPSG:5070: central Kansas. */
const CENTRE_X = -100_000;
const CENTRE_Y = 1_800_000;
/** The real CDL's limits, in EPSG:5070 metres, and what of it is land enough. */
const MAX_COLUMNS = 2800;
const MAX_ROWS = 1600;
const WEST_LIMIT = -2_356_095;
const NORTH_LIMIT = 3_172_605;
const SOUTH_LIMIT = 276_915;
const EAST_LIMIT = 2_258_235;
/** Land of the western- and northernmost sections that lies outside the raster. */
const CUT_M = 163.27;
/** Raster beyond the last sections in the south and in the east. */
const MARGIN_M = 190;
/** Fewer columns of sections have no border through them. */
const MIN_COLUMNS_WITH_BORDER = 4;
const BORDER = 5;

/** Size and place of a sample; everything in it follows from the seed. */
export interface World {
  readonly seed: number;
  readonly fields: number;
  readonly columns: number;
  readonly rows: number;
  /** North-west corner of the raster in EPSG:5070; on the CDL's grid (15 modulo 30). */
  readonly originX: number;
  readonly originY: number;
  /** The raster in pixels. */
  readonly width: number;
  readonly height: number;
  /** North-west corner of the north-western section. */
  readonly landX: number;
  readonly landY: number;
  /** Rank of the last section with fields, and how many it has. */
  readonly lastRank: number;
  readonly lastFields: number;
}

/** A world of exactly `fields` fields, about as wide as high. */
export function planWorld(seed: number, fields: number): World {
  const { columns, rows } = layOut(seed, fields);
  const cut = countTo(seed, fields, columns, rows);
  const width = Math.ceil((columns * SECTION_M - CUT_M + MARGIN_M) / PIXEL_M);
  const height = Math.ceil((rows * SECTION_M - CUT_M + MARGIN_M) / PIXEL_M);
  const originX = onGrid(CENTRE_X - (width * PIXEL_M) / 2, WEST_LIMIT, EAST_LIMIT - width * PIXEL_M);
  const originY = onGrid(CENTRE_Y + (height * PIXEL_M) / 2, SOUTH_LIMIT + height * PIXEL_M, NORTH_LIMIT);
  const [landX, landY] = [originX - CUT_M, originY + CUT_M];
  return { seed, fields, columns, rows, originX, originY, width, height, landX, landY, ...cut };
}

/** Fewest rows of sections that hold all fields. */
function layOut(seed: number, fields: number): { columns: number; rows: number } {
  const sections = Math.max(1, fields / FIELDS_PER_SECTION);
  const rowsFor = (columns: number) => Math.ceil(sections / columns);
  const square = Math.max(1, Math.round(Math.sqrt(sections)));
  const columns = rowsFor(square) <= MAX_ROWS ? square : Math.ceil(sections / (MAX_ROWS - 20));
  let rows = 0;
  for (let count = 0; count < fields; rows++) {
    if (rows === MAX_ROWS || columns > MAX_COLUMNS) {
      const expected = `at most about ${Math.floor((MAX_COLUMNS * MAX_ROWS * FIELDS_PER_SECTION) / 1e6)} million`;
      throw new PipelineError("usage", "So many fields do not fit into the country", { expected, received: fields });
    }
    for (let sx = 0; sx < columns; sx++) count += planSection(seed, sx, rows).fields.length;
  }
  return { columns, rows };
}

function countTo(
  seed: number,
  fields: number,
  columns: number,
  rows: number,
): { lastRank: number; lastFields: number } {
  let left = fields;
  let rank = 0;
  for (const [sx, sy] of sectionsByRank(columns, rows)) {
    const count = planSection(seed, sx, sy).fields.length;
    if (count >= left) return { lastRank: rank, lastFields: left };
    left -= count;
    rank++;
  }
  throw new Error(`${left} fields have no place`);
}

function onGrid(value: number, low: number, high: number): number {
  const clamped = Math.min(high, Math.max(low, value));
  return Math.round((clamped - PIXEL_M / 2) / PIXEL_M) * PIXEL_M + PIXEL_M / 2;
}

/** The section as this world has it: nothing but pasture outside, and no field beyond the last. */
export function sectionOf(world: World, sx: number, sy: number): Section {
  const { seed, columns, rows, lastRank, lastFields } = world;
  const outside = sx < 0 || sy < 0 || sx >= columns || sy >= rows;
  const section = planSection(seed, sx, sy);
  const rank = outside ? Number.POSITIVE_INFINITY : rankOf(sx, sy, columns, rows);
  if (rank < lastRank || section.use !== "farmed") return section;
  const fields = rank === lastRank ? section.fields.slice(0, lastFields) : [];
  return {
    ...section,
    use: fields.length > 0 ? "farmed" : "pasture",
    fields,
    yards: fields.length > 0 ? section.yards : [],
  };
}

/** Every section that has fields, in the order of the field files. */
export function* farmedSections(world: World): Generator<Section> {
  let rank = 0;
  for (const [sx, sy] of sectionsByRank(world.columns, world.rows)) {
    if (rank++ > world.lastRank) return;
    const section = sectionOf(world, sx, sy);
    if (section.fields.length > 0) yield section;
  }
}

/**
 * The country's eastern border: EPSG:5070 x by y. Beyond it the raster is 0.
 *
 * @returns undefined in a world too narrow for it.
 */
export function borderOf(world: World): ((y: number) => number) | undefined {
  if (world.columns < MIN_COLUMNS_WITH_BORDER) return undefined;
  const phases = [0, 1].map((i) => (hash(world.seed, i, 0, BORDER) / 2 ** 32) * 2 * Math.PI);
  const waves = [
    [0.14 * SECTION_M, 9000],
    [0.06 * SECTION_M, 2300],
  ] as const;
  const line = new WindingLine(world.landX + (world.columns - 0.35) * SECTION_M, waves, phases);
  return (y) => line.exact(y);
}
