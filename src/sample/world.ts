import { mapOrdered } from "../parallel/map-ordered.js";
import { PipelineError } from "../pipeline/errors.js";
import { isFarmed, planSpread, type Spread, type Spreading } from "./density.js";
import { hash } from "./random.js";
import { WindingLine } from "./river.js";
import { FIELDS_PER_SECTION, planSection, type Section } from "./section.js";
import { COUNTY, countiesAcross, countyOf, rankOf, SECTION_M, sectionsByRank, sectionsOfCounty } from "./survey.js";
import {
  emptySection,
  planTracedSection,
  SECTION_PIXELS,
  TRACED_FIELDS_PER_SECTION,
  type TracedSection,
} from "./traced-section.js";

export const PIXEL_M = 30;
/** Middle of the world in EPSG:5070: central Kansas. */
const CENTER_X = -100_000;
const CENTER_Y = 1_800_000;
/** The real CDL's limits, in EPSG:5070 meters, and what of it is land enough. */
const MAX_COLUMNS = 2800;
const MAX_ROWS = 1600;
const WEST_LIMIT = -2_356_095;
const NORTH_LIMIT = 3_172_605;
const SOUTH_LIMIT = 276_915;
const EAST_LIMIT = 2_258_235;
/** The real CDL's raster in pixels. */
const NATIONAL_WIDTH = 153_811;
const NATIONAL_HEIGHT = 96_523;
/** Fewest fields of a part, which one worker makes the tables of; whole counties. */
const PART_FIELDS = 32_000;
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
  /** North-west corner of the northwestern section. */
  readonly landX: number;
  readonly landY: number;
  /** Rank of the last section with fields, and how many it has. */
  readonly lastRank: number;
  readonly lastFields: number;
  /** Where sections are farmed; absent where all may be. */
  readonly spreading?: Spreading;
  /** What workers make one by one; in the order of the field files. */
  readonly parts: readonly Part[];
}

/** Counties `from` up to but not including `to`. */
export interface Part {
  readonly from: number;
  readonly to: number;
  readonly fields: number;
}

/** What a world is planned from. */
export interface WorldOptions {
  readonly seed: number;
  readonly fields: number;
  readonly shapes: Shapes;
  /** Even: every section may be farmed. Us: most of the Midwest is, little of the West. */
  readonly like?: Spread;
  /** The raster is as large as the national one, whatever the number of fields. */
  readonly national?: boolean;
}

/** A world of exactly `fields` fields, about as wide as high. */
export function planWorld(seed: number, fields: number, shapes: Shapes = "drawn"): World {
  return planWorldOf({ seed, fields, shapes });
}

/** A world as asked for, planned by this thread alone. */
export function planWorldOf(options: WorldOptions): World {
  for (let attempt = 0; ; attempt++) {
    const land = new Land(options, attempt);
    while (land.wantsMore) land.add(countSections(land.nextRows()));
    if (land.isComplete) return land.world();
  }
}

/**
 * A world as asked for, its sections counted by workers.
 *
 * @param count  runs `countSections` in a worker.
 */
export async function planWorldWith(
  options: WorldOptions,
  threads: number,
  count: (rows: SectionRows) => Promise<Uint8Array>,
): Promise<World> {
  for (let attempt = 0; ; attempt++) {
    const land = new Land(options, attempt);
    for await (const counts of mapOrdered(land.allRows(), 2 * threads, count)) {
      land.add(counts);
      if (!land.wantsMore) break;
    }
    if (land.isComplete) return land.world();
  }
}

/** Rows of sections whose fields are to be counted. */
export interface SectionRows {
  readonly seed: number;
  readonly shapes: Shapes;
  readonly spreading?: Spreading;
  readonly columns: number;
  readonly from: number;
  readonly to: number;
}

/** @returns fields of every section, row by row. */
export function countSections({ seed, shapes, spreading, columns, from, to }: SectionRows): Uint8Array {
  const counts = new Uint8Array(columns * (to - from));
  for (let sy = from, at = 0; sy < to; sy++) {
    for (let sx = 0; sx < columns; sx++, at++) {
      if (isFarmed(spreading, seed, sx, sy)) counts[at] = PLANS[shapes](seed, sx, sy).fields.length;
    }
  }
  return counts;
}

/** The land while it is laid out: sections in rows, from north to south, until all fields have a place. */
class Land {
  readonly #columns: number;
  readonly #maxRows: number;
  readonly #spreading: Spreading | undefined;
  readonly #counts: Uint8Array;
  #rows = 0;
  #asked = 0;
  #fields = 0;

  constructor(
    private readonly options: WorldOptions,
    attempt: number,
  ) {
    const { fields, shapes, like = "even", national = false } = options;
    const sectionM = SECTIONS_M[shapes];
    const limits = national
      ? {
          columns: sectionsAlong(NATIONAL_WIDTH, sectionM, CUT_M[shapes]),
          rows: sectionsAlong(NATIONAL_HEIGHT, sectionM, CUT_M[shapes]),
        }
      : { columns: MAX_COLUMNS, rows: MAX_ROWS };
    const sections = Math.max(1, fields / FIELDS_PER[shapes]);
    const spread = planSpread({ like, national, sections, limits, attempt });
    if (spread === undefined) {
      const expected = `at most about ${Math.floor((limits.columns * limits.rows * FIELDS_PER[shapes]) / 1e6)} million`;
      throw new PipelineError("usage", "So many fields do not fit into the country", { expected, received: fields });
    }
    this.#spreading = spread.spreading;
    this.#columns = spread.columns;
    this.#maxRows = spread.rows;
    this.#counts = new Uint8Array(this.#columns * this.#maxRows);
  }

  get isComplete(): boolean {
    return this.#fields >= this.options.fields;
  }

  get wantsMore(): boolean {
    return !this.isComplete && this.#rows < this.#maxRows;
  }

  nextRows(): SectionRows {
    const { seed, shapes } = this.options;
    const [from, to] = [this.#asked, Math.min(this.#maxRows, this.#asked + COUNTY)];
    this.#asked = to;
    const spreading = this.#spreading;
    return { seed, shapes, ...(spreading && { spreading }), columns: this.#columns, from, to };
  }

  *allRows(): Generator<SectionRows> {
    while (this.#asked < this.#maxRows) yield this.nextRows();
  }

  /** Take the counts of the next rows: a row of counties; of an even land only those that are needed. */
  add(counts: Uint8Array): void {
    const columns = this.#columns;
    for (let at = 0; at < counts.length && (this.#spreading || this.wantsMore); at += columns) {
      const row = counts.subarray(at, at + columns);
      this.#counts.set(row, this.#rows++ * columns);
      for (const count of row) this.#fields += count;
    }
  }

  world(): World {
    const { seed, fields, shapes, national = false } = this.options;
    const [columns, spreading] = [this.#columns, this.#spreading];
    // A country has its whole size, even where the last fields lie north of its end.
    const rows = spreading ? this.#maxRows : this.#rows;
    const cut = this.#cut(rows);
    const [sectionM, cutM] = [SECTIONS_M[shapes], CUT_M[shapes]];
    const pixels = (sections: number) => Math.ceil((sections * sectionM - cutM + MARGIN_M) / PIXEL_M);
    const [width, height] = national ? [NATIONAL_WIDTH, NATIONAL_HEIGHT] : [pixels(columns), pixels(rows)];
    const [originX, originY] = national
      ? [WEST_LIMIT, NORTH_LIMIT]
      : [
          onGrid(CENTER_X - (width * PIXEL_M) / 2, WEST_LIMIT, EAST_LIMIT - width * PIXEL_M),
          onGrid(CENTER_Y + (height * PIXEL_M) / 2, SOUTH_LIMIT + height * PIXEL_M, NORTH_LIMIT),
        ];
    const [landX, landY] = [originX - cutM, originY + cutM];
    const place = { originX, originY, width, height, landX, landY };
    return { seed, shapes, sectionM, fields, columns, rows, ...place, ...cut, ...(spreading && { spreading }) };
  }

  /** The section and its field after which the world has all its fields, and the parts up to there. */
  #cut(rows: number): { lastRank: number; lastFields: number; parts: Part[] } {
    const [columns, counts] = [this.#columns, this.#counts];
    const parts: Part[] = [];
    let left = this.options.fields;
    let [rank, from, inPart, county] = [0, 0, 0, 0];
    for (const [sx, sy] of sectionsByRank(columns, rows)) {
      const here = countyOf(sx, sy, columns);
      if (here !== county && inPart >= PART_FIELDS) {
        parts.push({ from, to: here, fields: inPart });
        [from, inPart] = [here, 0];
      }
      county = here;
      const count = counts[sy * columns + sx] as number;
      if (count >= left) {
        parts.push({ from, to: here + 1, fields: inPart + left });
        return { lastRank: rank, lastFields: left, parts };
      }
      left -= count;
      inPart += count;
      rank++;
    }
    throw new Error(`${left} fields have no place`);
  }
}

/** Sections that fit along so many pixels. */
function sectionsAlong(pixels: number, sectionM: number, cutM: number): number {
  return Math.floor((pixels * PIXEL_M - MARGIN_M + cutM) / sectionM);
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
  const kept = fieldsKept(world, sx, sy);
  if (kept === 0) return emptySection(sx, sy);
  const section = planTracedSection(world.seed, sx, sy);
  if (kept >= section.fields.length) return section;
  const labels = section.labels.map((label) => (label > kept ? 0 : label));
  return { ...section, labels, fields: section.fields.slice(0, kept) };
}

/** How many of a section's fields the world has: none outside, those up to the last field in the last section. */
function fieldsKept(world: World, sx: number, sy: number): number {
  const { seed, columns, rows, lastRank, lastFields, spreading } = world;
  if (sx < 0 || sy < 0 || sx >= columns || sy >= rows || !isFarmed(spreading, seed, sx, sy)) return 0;
  const rank = rankOf(sx, sy, columns, rows);
  return rank < lastRank ? Number.POSITIVE_INFINITY : rank === lastRank ? lastFields : 0;
}

/** Places of a part's sections that may have fields, in the order of the field files. */
export function* settledSections(
  { columns, rows, lastRank }: World,
  { from, to }: Pick<Part, "from" | "to">,
): Generator<readonly [sx: number, sy: number]> {
  for (let county = from; county < to; county++) {
    for (const [sx, sy] of sectionsOfCounty(county, columns, rows)) {
      if (rankOf(sx, sy, columns, rows) > lastRank) return;
      yield [sx, sy];
    }
  }
}

/** Every county of a world. */
export function wholeWorld({ columns, rows }: World): Part {
  return { from: 0, to: countiesAcross(columns) * Math.ceil(rows / COUNTY), fields: Number.NaN };
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
