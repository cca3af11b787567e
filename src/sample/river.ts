import { hash } from "./random.js";
import type { Curve } from "./shapes.js";
import { SECTION_M } from "./survey.js";

/** Sections from one river to the next, north to south. */
const SPACING = 11;
const PURPOSE = 11;

/** Sine waves that make a line wander: amplitude and length in meters. */
const WAVES = [
  [1.6 * SECTION_M, 37 * SECTION_M],
  [330, 3300],
  [110, 1130],
] as const;
const REACH_M = WAVES.reduce((sum, [amplitude]) => sum + amplitude, 0);

/** A river where it crosses a section. */
export interface River {
  readonly line: WindingLine;
  /** From its middle to the water's edge, along `v`. */
  readonly waterM: number;
  /** From its middle to where fields begin: the trees of the banks lie between. */
  readonly banksM: number;
}

/** The river that touches a section with its banks, if one does. */
export function riverThrough(seed: number, sx: number, sy: number): River | undefined {
  const nearest = Math.round((sy + 0.5) / SPACING - 0.5);
  const middle = (nearest + 0.5) * SPACING * SECTION_M;
  const north = sy * SECTION_M;
  if (Math.abs(north + SECTION_M / 2 - middle) > REACH_M + SECTION_M) return undefined;
  const phases = WAVES.map((_, i) => (hash(seed, nearest, i, PURPOSE) / 2 ** 32) * 2 * Math.PI);
  const waterM = 22 + (hash(seed, nearest, 10, PURPOSE) % 24);
  const banksM = waterM + 18 + (hash(seed, nearest, 11, PURPOSE) % 30);
  const line = new WindingLine(middle - north, WAVES, phases, sx * SECTION_M);
  for (let u = 0; u <= SECTION_M; u += SECTION_M / 48) {
    const v = line.exact(u);
    if (v > -banksM && v < SECTION_M + banksM) return { line, waterM, banksM };
  }
  return undefined;
}

/** Distance of the points between which a winding line is straight. */
const STEP_M = 4;

/** A sum of sine waves, which a painter asks for at the same places row after row: worked out once for each. */
export class WindingLine implements Curve {
  readonly #amplitudes: Float64Array;
  readonly #frequencies: Float64Array;
  readonly #phases: Float64Array;
  readonly #known = new Float64Array(Math.ceil(SECTION_M / STEP_M) + 2).fill(Number.NaN);

  /** @param offset  `u` at which the waves begin. */
  constructor(
    private readonly middle: number,
    waves: readonly (readonly [amplitude: number, length: number])[],
    phases: readonly number[],
    offset = 0,
  ) {
    this.#amplitudes = Float64Array.from(waves, ([amplitude]) => amplitude);
    this.#frequencies = Float64Array.from(waves, ([, length]) => (2 * Math.PI) / length);
    this.#phases = Float64Array.from(phases, (phase, i) => phase + offset * (this.#frequencies[i] as number));
  }

  /** Within the section: from the nearest two points. */
  at(u: number): number {
    const place = Math.min(SECTION_M, Math.max(0, u)) / STEP_M;
    const i = Math.floor(place);
    const west = this.#point(i);
    return west + (this.#point(i + 1) - west) * (place - i);
  }

  #point(i: number): number {
    const known = this.#known[i] as number;
    if (!Number.isNaN(known)) return known;
    const v = this.exact(i * STEP_M);
    this.#known[i] = v;
    return v;
  }

  exact(u: number): number {
    let v = this.middle;
    for (let i = 0; i < this.#amplitudes.length; i++) {
      const angle = u * (this.#frequencies[i] as number) + (this.#phases[i] as number);
      v += (this.#amplitudes[i] as number) * Math.sin(angle);
    }
    return v;
  }
}
