import { SECTION_PIXELS, type TracedSection } from "./traced-section.js";

/** One pixel of the neighbors' labels on every side. */
const SIDE = SECTION_PIXELS + 2;
/** Neighbors' labels, and those of no field, are told from the section's own. */
const OTHER_SECTION = 256;
/** Steps by heading: east, south, west, north. */
const STEP = [1, SIDE, -1, -SIDE] as const;
const STEP_X = [1, 0, -1, 0] as const;
const STEP_Y = [0, 1, 0, -1] as const;

/** The rings of one section's fields as corners of pixels, counted from the section's northwest corner. */
export interface TracedRings {
  /** `x, y, x, y, ...`; rings follow each other, not closed. Valid until the next section is traced. */
  readonly corners: Uint8Array;
  /** Per ring: its first corner and its end in `corners`, in corners. */
  readonly starts: readonly number[];
  /** Per field: numbers of its rings, the outer one first. */
  readonly ofField: readonly (readonly number[])[];
}

/**
 * Follows the borders of pixels.
 *
 * A ring has a corner where it turns, and where a border between two others meets
 * it: neighbors share every corner that lies on both. Pixels of a field hang
 * together by their sides, so its interior is connected; where two of them touch at a
 * corner only, the border goes on along the other's: rings touch in points, and no
 * ring touches itself.
 */
export class RingTracer {
  readonly #labels = new Uint16Array(SIDE * SIDE);
  readonly #traced = new Uint8Array(SIDE * SIDE);
  #corners = new Uint8Array(1 << 14);
  #length = 0;

  /**
   * @param neighbors  sections to the north, east, south and west; their fields' borders give corners too.
   * @returns rings that run clockwise on a map, holes the other way.
   */
  trace(section: TracedSection, neighbors: readonly TracedSection[]): TracedRings {
    this.#fill(section, neighbors);
    this.#length = 0;
    const starts = [0];
    const ofField: number[][] = section.fields.map(() => []);
    const labels = this.#labels;
    for (let y = 1; y <= SECTION_PIXELS; y++) {
      for (let at = y * SIDE + 1, end = at + SECTION_PIXELS; at < end; at++) {
        const label = labels[at] as number;
        if (label === 0 || labels[at - SIDE] === label || this.#traced[at] === 1) continue;
        (ofField[label - 1] as number[]).push(starts.length - 1);
        this.#follow(label, at);
        starts.push(this.#length / 2);
      }
    }
    return { corners: this.#corners, starts, ofField };
  }

  #fill(section: TracedSection, [north, east, south, west]: readonly TracedSection[]): void {
    const labels = this.#labels;
    labels.fill(0);
    this.#traced.fill(0);
    const last = SECTION_PIXELS - 1;
    const other = (neighbor: TracedSection | undefined, x: number, y: number, side: number) => {
      const label = neighbor?.labels[y * SECTION_PIXELS + x] ?? 0;
      return label === 0 ? 0 : OTHER_SECTION * side + label;
    };
    for (let i = 0; i < SECTION_PIXELS; i++) {
      labels.set(section.labels.subarray(i * SECTION_PIXELS, (i + 1) * SECTION_PIXELS), (i + 1) * SIDE + 1);
      labels[i + 1] = other(north, i, last, 1);
      labels[(i + 1) * SIDE + SIDE - 1] = other(east, 0, i, 2);
      labels[(SIDE - 1) * SIDE + i + 1] = other(south, i, 0, 3);
      labels[(i + 1) * SIDE] = other(west, last, i, 4);
    }
  }

  /** From the northwestern corner of the pixel at `start`, eastwards; the field lies to the right. */
  #follow(label: number, start: number): void {
    const labels = this.#labels;
    if (this.#corners.length < this.#length + 8 * SIDE * SIDE) {
      const larger = new Uint8Array(2 * this.#corners.length + 8 * SIDE * SIDE);
      larger.set(this.#corners);
      this.#corners = larger;
    }
    const corners = this.#corners;
    let length = this.#length;
    let heading = 0;
    // The pixel to the right of the edge that was just walked, and the corner where that edge ends.
    let right = start;
    let x = start % SIDE;
    let y = (start - x) / SIDE - 1;
    do {
      if (heading === 0) this.#traced[right] = 1;
      const step = STEP[heading as 0 | 1 | 2 | 3];
      const left = right + STEP[((heading + 3) & 3) as 0 | 1 | 2 | 3];
      let turned = heading;
      if (labels[left + step] === label) {
        turned = (heading + 3) & 3;
        right = left + step;
      } else if (labels[right + step] === label) {
        if (labels[left] !== labels[left + step]) turned = -1;
        right += step;
      } else {
        turned = (heading + 1) & 3;
      }
      if (turned !== heading) {
        corners[length++] = x;
        corners[length++] = y;
        if (turned >= 0) heading = turned;
      }
      x += STEP_X[heading as 0 | 1 | 2 | 3];
      y += STEP_Y[heading as 0 | 1 | 2 | 3];
    } while (right !== start || heading !== 0);
    this.#length = length;
  }
}
