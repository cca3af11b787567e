import { GEOMETRY_TYPE } from "./mvt.js";

/** Commands of the vector tile specification 2.1, section 4.3. */
const MOVE_TO = 1;
const LINE_TO = 2;
const CLOSE_PATH = 7;
/** Larger coordinates are taken for damage; they would not fit 32 bits. */
const MAX_COORDINATE = 2 ** 31;

/** Coordinates that a tile's geometry may have, both ends included, in units of its extent. */
export interface TileRange {
  readonly low: number;
  readonly high: number;
}

/**
 * Walk a feature's geometry: commands known, whole and in order; rings closed, of three
 * vertices or more, an exterior first; every coordinate in `range`.
 *
 * @param type  a value of GEOMETRY_TYPE.
 * @returns what is wrong with it; undefined when nothing is.
 */
export function geometryFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  type: number,
  range: TileRange,
): string | undefined {
  const walk = new Walk(bytes, start, end, range);
  if (start === end) return "Geometry is empty";
  switch (type) {
    case GEOMETRY_TYPE.point: {
      const count = walk.command(MOVE_TO);
      return walk.fault ?? walk.moves(count) ?? (walk.done ? undefined : "Geometry goes on after its points");
    }
    case GEOMETRY_TYPE.line:
      return lines(walk);
    case GEOMETRY_TYPE.polygon:
      return rings(walk);
    default:
      return "Geometry is of no known type";
  }
}

function lines(walk: Walk): string | undefined {
  while (!walk.done) {
    const moves = walk.command(MOVE_TO);
    const fault = walk.fault ?? (moves === 1 ? walk.moves(1) : "A line begins at several points");
    if (fault !== undefined) return fault;
    const count = walk.command(LINE_TO);
    const rest = walk.fault ?? walk.moves(count);
    if (rest !== undefined) return rest;
  }
  return undefined;
}

function rings(walk: Walk): string | undefined {
  for (let first = true; !walk.done; first = false) {
    const moves = walk.command(MOVE_TO);
    const fault = walk.fault ?? (moves === 1 ? walk.moves(1) : "A ring begins at several points");
    if (fault !== undefined) return fault;
    walk.beginRing();
    const count = walk.command(LINE_TO);
    const rest = walk.fault ?? (count < 2 ? "A ring has too few vertices" : walk.moves(count));
    if (rest !== undefined) return rest;
    if (walk.done || walk.command(CLOSE_PATH) !== 1 || walk.fault !== undefined) return "A ring is not closed";
    if (first && walk.ringArea() <= 0) return "The first ring is no exterior";
  }
  return undefined;
}

class Walk {
  fault: string | undefined;
  #x = 0;
  #y = 0;
  #startX = 0;
  #startY = 0;
  #area = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
    private readonly end: number,
    private readonly range: TileRange,
  ) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  /** The count of the next command, which must be `wanted`. */
  command(wanted: number): number {
    const value = this.#next();
    const [id, count] = [value & 7, value >>> 3];
    if (this.fault !== undefined) return 0;
    if (id !== MOVE_TO && id !== LINE_TO && id !== CLOSE_PATH) this.fault = "Geometry has an unknown command";
    else if (id !== wanted) this.fault = "Geometry's commands are out of order";
    else if (count === 0) this.fault = "Geometry has a command without a count";
    return count;
  }

  /** Take `count` steps. */
  moves(count: number): string | undefined {
    const { low, high } = this.range;
    for (let i = 0; i < count; i++) {
      const [fromX, fromY] = [this.#x, this.#y];
      const [dx, dy] = [this.#next(), this.#next()];
      if (this.fault !== undefined) return this.fault;
      this.#x += (dx >>> 1) ^ -(dx & 1);
      this.#y += (dy >>> 1) ^ -(dy & 1);
      if (this.#x < low || this.#x > high || this.#y < low || this.#y > high) return "Geometry leaves its tile";
      this.#area += fromX * this.#y - this.#x * fromY;
    }
    return undefined;
  }

  beginRing(): void {
    [this.#startX, this.#startY, this.#area] = [this.#x, this.#y, 0];
  }

  /** Twice the area of the ring so far, closed: positive for exteriors (y grows southwards). */
  ringArea(): number {
    return this.#area + this.#x * this.#startY - this.#startX * this.#y;
  }

  #next(): number {
    let value = 0;
    for (let factor = 1; this.at < this.end; factor *= 128) {
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * factor;
      if (value >= 2 * MAX_COORDINATE) break;
      if (byte < 0x80) return value;
    }
    this.fault ??= value >= 2 * MAX_COORDINATE ? "Geometry has an invalid number" : "Geometry ends inside a command";
    return 0;
  }
}
