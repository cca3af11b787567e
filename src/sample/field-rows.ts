import { type FieldTruth, FieldTruths } from "./field-truth.js";
import type { Rotation } from "./rotation.js";
import { areaOf } from "./shapes.js";
import { COUNTY, countiesAcross, countyOf } from "./survey.js";
import { TracedLand } from "./traced-land.js";
import type { WkbBuffer } from "./wkb.js";
import { type Part, PIXEL_M, sectionOf, settledSections, type World, wholeWorld } from "./world.js";

/** A field as the files have it. */
export interface FieldRow {
  readonly id: bigint;
  readonly kind: string;
  readonly rotation: Rotation;
  readonly phase: number;
  readonly areaM2: number;
  /** Append its polygon. */
  addTo(wkb: WkbBuffer): void;
  truth(): FieldTruth;
}

type SectionField = Omit<FieldRow, "id">;

const FIRST_COUNTY = 20_001;
/** Ids of one county: above 32 bits, as real ones are. */
const IDS_PER_COUNTY = 1_000_000;

/**
 * All fields of a part in the order of the files, county by county. Ids rise within a county,
 * with gaps; counties follow each other in no order of their numbers.
 */
export function* fieldRows(world: World, part: Part = wholeWorld(world)): Generator<FieldRow> {
  const counties = countiesAcross(world.columns) * Math.ceil(world.rows / COUNTY);
  const stride = coprimeNear(Math.floor(0.618 * counties), counties);
  const fieldsOf = world.shapes === "csb" ? tracedFields(world) : drawnFields(world);
  let county = -1;
  let next = 0n;
  for (const [sx, sy] of settledSections(world, part)) {
    const current = countyOf(sx, sy, world.columns);
    if (current !== county) {
      county = current;
      next = BigInt(FIRST_COUNTY + 2 * ((county * stride) % counties)) * BigInt(IDS_PER_COUNTY) + 10n;
    }
    for (const field of fieldsOf(sx, sy)) {
      yield { id: next, ...field };
      next += 7n;
    }
  }
}

type SectionFields = (sx: number, sy: number) => Iterable<SectionField>;

function drawnFields(world: World): SectionFields {
  const places = new FieldTruths(world);
  return function* (sx, sy) {
    const [x, y] = [world.landX + sx * world.sectionM, world.landY - sy * world.sectionM];
    for (const { kind, shape, rotation, phase } of sectionOf(world, sx, sy).fields) {
      const outline = shape.outline();
      const areaM2 = areaOf(outline);
      yield {
        kind,
        rotation,
        phase,
        areaM2,
        addTo: (wkb) => wkb.add(outline, x, y),
        truth: () => places.truthOf(shape, areaM2, x, y),
      };
    }
  };
}

function tracedFields(world: World): SectionFields {
  const land = new TracedLand(world);
  return function* (sx, sy) {
    const section = land.section(sx, sy);
    for (const [i, { kind, rotation, phase, pixels }] of section.fields.entries()) {
      yield {
        kind,
        rotation,
        phase,
        areaM2: pixels * PIXEL_M ** 2,
        addTo: (wkb) => land.addTo(wkb, section, i),
        truth: () => land.truthOf(section, i),
      };
    }
  };
}

function coprimeNear(start: number, modulus: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  let candidate = Math.max(1, start);
  while (gcd(candidate, modulus) !== 1) candidate++;
  return candidate;
}
