import { PipelineError } from "../pipeline/errors.js";
import { hash } from "./random.js";
import { WindingLine } from "./river.js";
import { FIELDS_PER_SECTION, planSection, type Section } from "./section.js";
import { rankOf, SECTION_M, sectionsByRank } from "./survey.js";
import { planTracedSection, SECTION_PIXELS, TRACED_FIELDS_PER_SECTION, type TracedSection } from "./traced-section.js";

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
/** Land of the western- and northernmost sections that lies outside the raster: drawn, and traced from pixels. */
const CUT_M = { drawn: 163.27, csb: 9 * PIXEL_M };
/** A section's side in meters, and how many fields it has on average. */
const SECTIONS_M = { drawn: SECTION_M, csb: SECTION_PIXELS * PIXEL_M };
const FIELDS_PER = { drawn: FIELDS_PER_SECTION, csb: TRACED_FIELDS_PER_SECTION };
/** Raster beyond the last sections in the south and in the east. */
const MARGIN_M = 190;
/** Fewer columns of sections have no border through them. */
const MIN_COLUMNS_WITH_BORDER = 4;
const BORDER = 5;

/**
 * How fields get their shapes. "drawn": from lines and circles, 9 vertices on average
 * and few borders in common. "csb": traced from pixels, as USDA's crop sequence
 * boundaries are; about 32 vertices, borders in common, some holes.
 */
export type Shapes = "drawn" | "csb";

/** Size and place of a sample; everything in it follows from the seed. */
export interface World {
  readonly seed: number;
  readonly shapes: Shapes;
  /** Side of a section. */
  readonly sectionM: number;
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
export function planWorld(seed: number, fields: number, shapes: Shapes = "drawn"): World {
  const { columns, rows, counts } = layOut(seed, fields, shapes);
  const cut = countTo(fields, columns, rows, counts);
  const [sectionM, cutM] = [SECTIONS_M[shapes], CUT_M[shapes]];
  const width = Math.ceil((columns * sectionM - cutM + MARGIN_M) / PIXEL_M);
  const height = Math.ceil((rows * sectionM - cutM + MARGIN_M) / PIXEL_M);
  const originX = onGrid(CENTRE_X - (width * PIXEL_M) / 2, WEST_LIMIT, EAST_LIMIT - width * PIXEL_M);
  const originY = onGrid(CENTRE_Y + (height * PIXEL_M) / 2, SOUTH_LIMIT + height * PIXEL_M, NORTH_LIMIT);
  const [landX, landY] = [originX - cutM, originY + cutM];
  return { seed, shapes, sectionM, fields, columns, rows, originX, originY, width, height, landX, landY, ...cut };
}

interface LandLayout {
  readonly columns: number;
  readonly rows: number;
  /** Fields of every section, row by row. */
  readonly counts: Uint8Array;
}

/** Fewest rows of sections that hold all fields. */
function layOut(seed: number, fields: number, shapes: Shapes): LandLayout {
  const sections = Math.max(1, fields / FIELDS_PER[shapes]);
  const rowsFor = (columns: number) => Math.ceil(sections / columns);
  const square = Math.max(1, Math.round(Math.sqrt(sections)));
  const columns = rowsFor(square) <= MAX_ROWS ? square : Math.ceil(sections / (MAX_ROWS - 20));
  const counts = new Uint8Array(Math.min(columns, MAX_COLUMNS) * MAX_ROWS);
  let rows = 0;
  for (let count = 0; count < fields; rows++) {
    if (rows === MAX_ROWS || columns > MAX_COLUMNS) {
      const expected = `at most about ${Math.floor((MAX_COLUMNS * MAX_ROWS * FIELDS_PER[shapes]) / 1e6)} million`;
      throw new PipelineError("usage", "So many fields do not fit into the country", { expected, received: fields });
    }
    for (let sx = 0; sx < columns; sx++) {
      const here = PLANS[shapes](seed, sx, rows).fields.length;
      counts[rows * columns + sx] = here;
      count += here;
    }
  }
  return { columns, rows, counts };
}

function countTo(
  fields: number,
  columns: number,
  rows: number,
  counts: Uint8Array,
): { lastRank: number; lastFields: number } {
  let left = fields;
  let rank = 0;
  for (const [sx, sy] of sectionsByRank(columns, rows)) {
    const count = counts[sy * columns + sx] as number;
    if (count >= left) return { lastRank: rank, lastFields: left };
    left -= count;
    rank++;
  }
  throw new Error(`${left} fields have no place`);
}

const PLANS = { drawn: planSection, csb: planTracedSection };

function onGrid(value: number, low: number, high: number): number {
  const clamped = Math.min(high, Math.max(low, value));
  return Math.round((clamped - PIXEL_M / 2) / PIXEL_M) * PIXEL_M + PIXEL_M / 2;
}

/** The section as this world has it: nothing but pasture outside, and no field beyond the last. */
export function sectionOf(world: World, sx: number, sy: number): Section {
  const section = planSection(world.seed, sx, sy);
  const kept = fieldsKept(world, sx, sy);
  if (kept >= section.fields.length || section.use !== "farmed") return section;
  const fields = section.fields.slice(0, kept);
  return {
    ...section,
    use: fields.length > 0 ? "farmed" : "pasture",
    fields,
    yards: fields.length > 0 ? section.yards : [],
  };
}

/** The same for traced fields: pixels of no field outside, and beyond the last. */
export function tracedSectionOf(world: World, sx: number, sy: number): TracedSection {
  const section = planTracedSection(world.seed, sx, sy);
  const kept = fieldsKept(world, sx, sy);
  if (kept >= section.fields.length) return section;
  const labels = section.labels.map((label) => (label > kept ? 0 : label));
  return { ...section, labels, fields: section.fields.slice(0, kept) };
}

/** How many of a section's fields the world has: none outside, those up to the last field in the last section. */
function fieldsKept({ columns, rows, lastRank, lastFields }: World, sx: number, sy: number): number {
  if (sx < 0 || sy < 0 || sx >= columns || sy >= rows) return 0;
  const rank = rankOf(sx, sy, columns, rows);
  return rank < lastRank ? Number.POSITIVE_INFINITY : rank === lastRank ? lastFields : 0;
}

/** Places of all sections that may have fields, in the order of the field files. */
export function* settledSections(world: World): Generator<readonly [sx: number, sy: number]> {
  let rank = 0;
  for (const place of sectionsByRank(world.columns, world.rows)) {
    if (rank++ > world.lastRank) return;
    yield place;
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
  const line = new WindingLine(world.landX + (world.columns - 0.35) * world.sectionM, waves, phases);
  return (y) => line.exact(y);
}
