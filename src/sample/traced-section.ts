import { hash, noise, Random } from "./random.js";
import { drawRotation, type Rotation } from "./rotation.js";

/** Pixels along a traced section's side: 1620 m, a mile as near as pixels come. */
export const SECTION_PIXELS = 54;
const AREA = SECTION_PIXELS * SECTION_PIXELS;

/** How a traced field came to be; the truth file names it. */
export type TracedKind = "section" | "half" | "quarter" | "eighty" | "forty" | "strip" | "pivot" | "corners" | "range";

export interface TracedField {
  readonly kind: TracedKind;
  readonly rotation: Rotation;
  readonly phase: number;
  /** Pixels of the field. */
  readonly pixels: number;
}

/** One square mile of pixels, and the fields that they belong to. */
export interface TracedSection {
  readonly sx: number;
  readonly sy: number;
  /** Row by row from the northwest: 0, or 1 + the field's number in `fields`. */
  readonly labels: Uint8Array;
  /** In the order of their first pixels. Each is one 4-connected piece. */
  readonly fields: readonly TracedField[];
}

const PLAN = 41;
const REGION = 2;
const ROADS = 42;
const ROTATION = 43;
/** Smoothness of the farming regions, in sections. */
const REGION_SIZE = 14;
/** Pieces smaller than this are no fields: USDA drops those under 2.5 acres (1 ha). */
const MIN_PIXELS = 11;
const MAX_FIELDS = 255;

/** Average number of fields of a section, by which a world's size is first guessed. */
export const TRACED_FIELDS_PER_SECTION = 8.3;

/** Of 256 section lines, those with a road that takes the pixels along them. */
const ROAD_SHARE = 110;
/** Of 1000 sections: nothing farmed; all of it range, with holes of trees and ponds. */
const IDLE = 50;
const RANGE = 30;
/** Of 1000 pixels along a border between fields, those where it moves over by one. */
const JAGGED = 330;
/** Farthest that such a border moves away from its line. */
const JAGGED_REACH = 2;

const LAYOUTS = { quarters: 860, halves: 90, whole: 50 };
const QUARTERS = { quarter: 220, pivot: 110, eighties: 270, forties: 260, strips: 140 };

const NO_LABELS = new Uint8Array(AREA);

/** A section in which nothing is farmed. */
export function emptySection(sx: number, sy: number): TracedSection {
  return { sx, sy, labels: NO_LABELS, fields: [] };
}

/** The section's fields, as a classifier that looks at single pixels would find them. */
export function planTracedSection(seed: number, sx: number, sy: number): TracedSection {
  const random = new Random(hash(seed, sx, sy, PLAN));
  const use = random.next() * 1000;
  if (use < IDLE) return emptySection(sx, sy);
  const canvas = new Canvas(random);
  if (use < IDLE + RANGE) canvas.range();
  else canvas.farm();
  if ((hash(seed, sx, 0, ROADS) & 0xff) < ROAD_SHARE) canvas.clear(0, 0, 1, SECTION_PIXELS);
  if ((hash(seed, sy, 1, ROADS) & 0xff) < ROAD_SHARE) canvas.clear(0, 0, SECTION_PIXELS, 1);
  const region = noise(seed, sx / REGION_SIZE, sy / REGION_SIZE, REGION);
  const { labels, pieces } = canvas.pieces();
  const fields = pieces.map(({ kind, pixels }, i): TracedField => {
    const draw = new Random(hash(seed, AREA * sx + i, sy, ROTATION));
    const rotation = drawRotation(draw, region, kind === "pivot");
    return { kind, rotation, phase: draw.whole(0, rotation.length - 1), pixels };
  });
  return { sx, sy, labels, fields };
}

interface Piece {
  readonly kind: TracedKind;
  readonly pixels: number;
}

/** Box of pixels, its end exclusive. */
interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** Room for a section's runs of pixels, used again: to make it anew costs as much as to fill it. */
const RUNS = {
  starts: new Uint16Array(AREA),
  ends: new Uint16Array(AREA),
  parent: new Uint16Array(AREA),
  pixels: new Uint16Array(AREA),
  label: new Uint8Array(AREA),
};

/** The pixels of a section while it is divided. */
class Canvas {
  readonly #owner = new Uint8Array(AREA).fill(1);
  /** By owner. */
  readonly #kinds: TracedKind[] = ["section", "section"];

  constructor(private readonly random: Random) {}

  clear(x0: number, y0: number, x1: number, y1: number): void {
    for (let y = y0; y < y1; y++) this.#owner.fill(0, y * SECTION_PIXELS + x0, y * SECTION_PIXELS + x1);
  }

  /** One large field with many holes. */
  range(): void {
    this.#kinds[1] = "range";
    for (let i = this.random.whole(6, 34); i > 0; i--) this.#spot(this.random.whole(2, 26));
  }

  farm(): void {
    const all: Box = { x0: 0, y0: 0, x1: SECTION_PIXELS, y1: SECTION_PIXELS };
    const { random } = this;
    const layout = random.weighted(LAYOUTS);
    if (layout === "halves") {
      const upright = random.next() < 0.5;
      this.#name("half", this.#split(1, all, upright, SECTION_PIXELS / 2));
      this.#kinds[1] = "half";
    } else if (layout === "quarters") {
      const south = this.#split(1, all, false, SECTION_PIXELS / 2);
      const [north, below] = cutBox(all, false, SECTION_PIXELS / 2);
      for (const [owner, box] of [
        [1, north],
        [south, below],
      ] as const) {
        const east = this.#split(owner, box, true, SECTION_PIXELS / 2);
        const [left, right] = cutBox(box, true, SECTION_PIXELS / 2);
        this.#quarter(owner, left);
        this.#quarter(east, right);
      }
    }
    if (random.next() < 0.14) this.#creek();
    for (let i = random.whole(0, 3); i > 0; i--) this.#spot(random.whole(2, 14));
  }

  /** Fields as 4-connected pieces, those that are too small left out. */
  pieces(): { labels: Uint8Array; pieces: Piece[] } {
    const owner = this.#owner;
    // Runs of pixels of one owner within a row: their start, end, and the lowest run that they hang together with.
    const { starts, ends, parent, pixels, label } = RUNS;
    const root = (of: number): number => {
      let at = of;
      while (parent[at] !== at) at = parent[at] as number;
      return at;
    };
    let runs = 0;
    for (let y = 0, before = 0; y < SECTION_PIXELS; y++) {
      const [first, rowEnd] = [runs, (y + 1) * SECTION_PIXELS];
      for (let at = y * SECTION_PIXELS; at < rowEnd; ) {
        const own = owner[at] as number;
        const start = at;
        while (at < rowEnd && owner[at] === own) at++;
        if (own === 0) continue;
        starts[runs] = start;
        ends[runs] = at;
        parent[runs] = runs;
        // The row above has its runs in order, and both rows are gone through once.
        while (before < first && (ends[before] as number) + SECTION_PIXELS <= start) before++;
        for (let above = before; above < first && (starts[above] as number) + SECTION_PIXELS < at; above++) {
          if (owner[starts[above] as number] !== own) continue;
          const [a, b] = [root(runs), root(above)];
          parent[Math.max(a, b)] = Math.min(a, b);
        }
        runs++;
      }
      before = first;
    }
    pixels.fill(0, 0, runs);
    for (let run = runs - 1; run >= 0; run--) {
      const here = (pixels[run] as number) + (ends[run] as number) - (starts[run] as number);
      pixels[run] = here;
      const of = parent[run] as number;
      if (of !== run) pixels[of] = (pixels[of] as number) + here;
    }
    const labels = new Uint8Array(AREA);
    label.fill(0, 0, runs);
    const pieces: Piece[] = [];
    for (let run = 0; run < runs; run++) {
      const of = parent[run] as number;
      if (of !== run) label[run] = label[of] as number;
      else if ((pixels[run] as number) >= MIN_PIXELS && pieces.length < MAX_FIELDS) {
        const kind = this.#kinds[owner[starts[run] as number] as number] as TracedKind;
        pieces.push({ kind, pixels: pixels[run] as number });
        label[run] = pieces.length;
      }
      if (label[run] !== 0) labels.fill(label[run] as number, starts[run], ends[run]);
    }
    return { labels, pieces };
  }

  #quarter(owner: number, box: Box): void {
    const { random } = this;
    const upright = random.next() < 0.5;
    const kind = random.weighted(QUARTERS);
    if (kind === "eighties") this.#halve(owner, box, upright, "eighty");
    else if (kind === "forties") {
      const [first, second] = this.#halve(owner, box, upright, "forty");
      this.#halve(...first, !upright, "forty");
      this.#halve(...second, !upright, "forty");
    } else if (kind === "strips") this.#strips(owner, box, upright);
    else if (kind === "pivot") this.#pivot(owner, box);
    else this.#kinds[owner] = "quarter";
  }

  /** @returns both parts with their boxes. */
  #halve(owner: number, box: Box, upright: boolean, kind: TracedKind): [[number, Box], [number, Box]] {
    const [from, to] = upright ? [box.x0, box.x1] : [box.y0, box.y1];
    const at = Math.round(from + (to - from) * this.random.between(0.4, 0.6));
    const other = this.#split(owner, box, upright, at);
    this.#kinds[owner] = kind;
    this.#name(kind, other);
    const [first, second] = cutBox(box, upright, at);
    return [
      [owner, first],
      [other, second],
    ];
  }

  #strips(owner: number, box: Box, upright: boolean): void {
    const count = this.random.whole(3, 4);
    const [from, to] = upright ? [box.x0, box.x1] : [box.y0, box.y1];
    this.#kinds[owner] = "strip";
    let rest = owner;
    for (let i = 1; i < count; i++) {
      const at = Math.round(from + ((to - from) * i) / count);
      rest = this.#split(rest, box, upright, at);
      this.#name("strip", rest);
    }
  }

  /** A circle in its quarter; the corners are farmed by themselves, or left in grass. */
  #pivot(owner: number, box: Box): void {
    const farmed = this.random.next() < 0.3;
    this.#kinds[owner] = "pivot";
    const corners = farmed ? this.#kinds.push("corners") - 1 : 0;
    const [x, y] = [(box.x0 + box.x1 - 1) / 2, (box.y0 + box.y1 - 1) / 2];
    const radius = Math.min(box.x1 - box.x0, box.y1 - box.y0) / 2 - this.random.between(0, 0.8);
    this.#each(owner, box, (px, py) => (px - x) ** 2 + (py - y) ** 2 > radius ** 2, corners);
  }

  /** Pixels of `owner` behind a jagged line become another's. @returns the other. */
  #split(owner: number, box: Box, upright: boolean, at: number): number {
    const other = this.#kinds.push(this.#kinds[owner] as TracedKind) - 1;
    const pixels = this.#owner;
    const { random } = this;
    let offset = 0;
    const grown = grow(box);
    const [from, to] = upright ? [grown.y0, grown.y1] : [grown.x0, grown.x1];
    for (let along = from; along < to; along++) {
      const draw = random.next() * 1000;
      if (draw < JAGGED) {
        const step = draw < JAGGED / 2 ? -1 : 1;
        if (Math.abs(offset + step) <= JAGGED_REACH) offset += step;
      }
      const end = upright ? grown.x1 : grown.y1;
      for (let across = at + offset; across < end; across++) {
        const place = upright ? along * SECTION_PIXELS + across : across * SECTION_PIXELS + along;
        if (pixels[place] === owner) pixels[place] = other;
      }
    }
    return other;
  }

  /** A line of trees and water from one side of the section to the other, one or two pixels wide. */
  #creek(): void {
    const { random } = this;
    const upright = random.next() < 0.5;
    let across = random.whole(12, SECTION_PIXELS - 13);
    for (let along = 0; along < SECTION_PIXELS; along++) {
      const draw = random.next();
      const before = across;
      across = Math.min(SECTION_PIXELS - 2, Math.max(1, across + (draw < 0.25 ? -1 : draw > 0.75 ? 1 : 0)));
      const [from, to] = [Math.min(before, across), Math.max(before, across) + 1];
      if (upright) this.clear(from, along, to, along + 1);
      else this.clear(along, from, along + 1, to);
    }
  }

  /** A wet or bare spot of about so many pixels. */
  #spot(pixels: number): void {
    const { random } = this;
    let [x, y] = [random.whole(1, SECTION_PIXELS - 2), random.whole(1, SECTION_PIXELS - 2)];
    for (let i = 0; i < pixels; i++) {
      this.#owner[y * SECTION_PIXELS + x] = 0;
      const draw = random.whole(0, 3);
      x = Math.min(SECTION_PIXELS - 1, Math.max(0, x + (draw === 0 ? -1 : draw === 1 ? 1 : 0)));
      y = Math.min(SECTION_PIXELS - 1, Math.max(0, y + (draw === 2 ? -1 : draw === 3 ? 1 : 0)));
    }
  }

  #each(owner: number, box: Box, wanted: (x: number, y: number) => boolean, other: number): void {
    const grown = grow(box);
    for (let y = grown.y0; y < grown.y1; y++) {
      for (let x = grown.x0; x < grown.x1; x++) {
        const at = y * SECTION_PIXELS + x;
        if (this.#owner[at] === owner && wanted(x, y)) this.#owner[at] = other;
      }
    }
  }

  #name(kind: TracedKind, owner: number): void {
    this.#kinds[owner] = kind;
  }
}

function cutBox(box: Box, upright: boolean, at: number): [Box, Box] {
  return upright
    ? [
        { ...box, x1: at },
        { ...box, x0: at },
      ]
    : [
        { ...box, y1: at },
        { ...box, y0: at },
      ];
}

/** A part may reach over its box where its border is jagged. */
function grow({ x0, y0, x1, y1 }: Box): Box {
  return {
    x0: Math.max(0, x0 - JAGGED_REACH),
    y0: Math.max(0, y0 - JAGGED_REACH),
    x1: Math.min(SECTION_PIXELS, x1 + JAGGED_REACH),
    y1: Math.min(SECTION_PIXELS, y1 + JAGGED_REACH),
  };
}
