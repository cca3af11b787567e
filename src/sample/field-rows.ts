import type { Field } from "./section.js";
import { COUNTY, SECTION_M } from "./survey.js";
import { farmedSections, type World } from "./world.js";

/** A field as the files have it. */
export interface FieldRow {
  readonly id: bigint;
  readonly field: Field;
  /** EPSG:5070 of its section's north-west corner, from which its shape is measured. */
  readonly x: number;
  readonly y: number;
}

const FIRST_COUNTY = 20_001;
/** Ids of one county: above 32 bits, as real ones are. */
const IDS_PER_COUNTY = 1_000_000;

/**
 * All fields in the order of the files, county by county. Ids rise within a county,
 * with gaps; counties follow each other in no order of their numbers.
 */
export function* fieldRows(world: World): Generator<FieldRow> {
  const across = Math.ceil(world.columns / COUNTY);
  const counties = across * Math.ceil(world.rows / COUNTY);
  const stride = coprimeNear(Math.floor(0.618 * counties), counties);
  let county = -1;
  let next = 0n;
  for (const { sx, sy, fields } of farmedSections(world)) {
    const current = Math.floor(sy / COUNTY) * across + Math.floor(sx / COUNTY);
    if (current !== county) {
      county = current;
      next = BigInt(FIRST_COUNTY + 2 * ((county * stride) % counties)) * BigInt(IDS_PER_COUNTY) + 10n;
    }
    const [x, y] = [world.landX + sx * SECTION_M, world.landY - sy * SECTION_M];
    for (const field of fields) {
      yield { id: next, field, x, y };
      next += 7n;
    }
  }
}

function coprimeNear(start: number, modulus: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  let candidate = Math.max(1, start);
  while (gcd(candidate, modulus) !== 1) candidate++;
  return candidate;
}
