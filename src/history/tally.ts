import { type CropClasses, MAX_CROPS, NO_CROP } from "./crop-classes.js";
import type { MergedRows } from "./merge.js";
import { SequenceCounter } from "./rotation-counter.js";

/** A number of fields, and their hectares. */
export interface Amount {
  readonly fields: number;
  readonly hectares: number;
}

export interface Transition extends Amount {
  /** The later of the two years. */
  readonly year: number;
  readonly from: number;
  readonly to: number;
}

/** A byte's classes, and one for none. */
const STRIDE = MAX_CROPS + 1;

/** Adds up crops, transitions and rotations over all fields; its size does not depend on their number. */
export class Tally {
  rows = 0;
  rowsWithoutArea = 0;
  readonly sequences: SequenceCounter;
  readonly #fields: Float64Array;
  readonly #hectares: Float64Array;
  /** By pair of years. */
  readonly #steps: readonly { readonly year: number; readonly from: number; readonly to: number }[];
  readonly #stepFields: Uint32Array;
  readonly #stepHectares: Float64Array;
  readonly #sequenceColumns: readonly number[];

  /**
   * @param years          that have a table, ascending.
   * @param rotationYears  those of them that rotations are looked for in.
   */
  constructor(
    private readonly years: readonly number[],
    rotationYears: readonly number[],
    private readonly classes: CropClasses,
  ) {
    this.#fields = new Float64Array(years.length * STRIDE);
    this.#hectares = new Float64Array(years.length * STRIDE);
    this.#steps = years.flatMap((year, to) => (years[to - 1] === year - 1 ? [{ year, from: to - 1, to }] : []));
    this.#stepFields = new Uint32Array(this.#steps.length * MAX_CROPS ** 2);
    this.#stepHectares = new Float64Array(this.#steps.length * MAX_CROPS ** 2);
    this.#sequenceColumns = rotationYears.map((year) => years.indexOf(year));
    this.sequences = new SequenceCounter(rotationYears.length);
  }

  /** @param areas  hectares by row of the batch; NaN where unknown. */
  add({ rows, years }: MergedRows, areas: Float32Array): void {
    this.rows += rows;
    for (let row = 0; row < rows; row++) if (Number.isNaN(areas[row])) this.rowsWithoutArea++;
    years.forEach(({ classes }, year) => {
      for (let row = 0; row < rows; row++) {
        const cropClass = classes[row] as number;
        const slot = year * STRIDE + (cropClass === NO_CROP ? MAX_CROPS : cropClass);
        this.#fields[slot] = (this.#fields[slot] as number) + 1;
        this.#hectares[slot] = (this.#hectares[slot] as number) + known(areas[row] as number);
      }
    });
    this.#steps.forEach(({ from, to }, step) => {
      const [before, after] = [classesOf(years, from), classesOf(years, to)];
      for (let row = 0; row < rows; row++) {
        const [a, b] = [before[row] as number, after[row] as number];
        if (a === NO_CROP || b === NO_CROP) continue;
        const slot = (step * MAX_CROPS + a) * MAX_CROPS + b;
        this.#stepFields[slot] = (this.#stepFields[slot] as number) + 1;
        this.#stepHectares[slot] = (this.#stepHectares[slot] as number) + known(areas[row] as number);
      }
    });
    if (this.#sequenceColumns.length === 0) return;
    const columns = this.#sequenceColumns.map((i) => classesOf(years, i));
    for (let row = 0; row < rows; row++) this.sequences.add(columns, row, areas[row] as number);
  }

  /** Hectares of the fields with this crop in a year; `undefined`: of the fields without a crop. */
  amount(year: number, code: number | undefined): Amount {
    const cropClass = code === undefined ? MAX_CROPS : this.classes.classOf(code);
    const slot = this.years.indexOf(year) * STRIDE + cropClass;
    return { fields: this.#fields[slot] as number, hectares: this.#hectares[slot] as number };
  }

  /** Crops that occur, ascending. */
  get codes(): number[] {
    return [...this.classes.codes].sort((a, b) => a - b);
  }

  /** Those that occur, by year, crop before, crop. */
  *transitions(): Generator<Transition> {
    const { codes } = this;
    for (const [step, { year }] of this.#steps.entries()) {
      for (const from of codes) {
        for (const to of codes) {
          const slot = (step * MAX_CROPS + this.classes.classOf(from)) * MAX_CROPS + this.classes.classOf(to);
          const fields = this.#stepFields[slot] as number;
          if (fields > 0) yield { year, from, to, fields, hectares: this.#stepHectares[slot] as number };
        }
      }
    }
  }
}

function classesOf(years: MergedRows["years"], i: number): Int16Array {
  return (years[i] as MergedRows["years"][number]).classes;
}

function known(area: number): number {
  return Number.isNaN(area) ? 0 : area;
}
