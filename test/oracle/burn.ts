import { float64s, int32s, uint32s } from "../../dist/fields/growing-array.js";
import { Polygons, readWkb, STATUS } from "../../dist/fields/wkb.js";
import type { AlbersConstants } from "../../dist/kernel/geometry.js";
import type { KernelGrid, PixelRule } from "../../dist/kernel/zonal.js";
import { CHUNK_COLS, CHUNK_ROWS, SHARE_UNITS, WEIGHTED_RUN } from "../../dist/kernel/zonal.js";
import { project } from "./albers.js";

// The same operations in the same order as native/zonal/burn.cc, which names the rules' source.

const NEAR = 1e-5;
const MAX_RUNS = 65535;
const REACH = 1e-6;
const WHOLE = 2 ** 32 - 1;

type CoverEdge = [x1: number, y1: number, x2: number, y2: number, sign: number];

const near = (a: number, b: number): boolean => Math.abs(a - b) < NEAR;
const { min, max } = Math;

/** Whether a closed ring of vertices [begin, end) turns clockwise, as OGRLinearRing::isClockwise has it. */
function isClockwise(xs: Float64Array, ys: Float64Array, begin: number, end: number): boolean {
  const n = end - begin;
  const x = (i: number): number => xs[begin + i] as number;
  const y = (i: number): number => ys[begin + i] as number;
  let fallback = false;
  let v = 0;
  for (let i = 1; i < n - 1; i++) {
    if (y(i) < y(v) || (y(i) === y(v) && x(i) > x(v))) {
      v = i;
      fallback = false;
    } else if (y(i) === y(v) && x(i) === x(v)) {
      fallback = true;
    }
  }
  const before = v === 0 ? n - 2 : v - 1;
  const after = v + 1 >= n - 1 ? 0 : v + 1;
  for (const beside of [before, after]) {
    if (near(x(beside), x(v)) && near(y(beside), y(v))) fallback = true;
  }
  const cross = (x(after) - x(v)) * (y(before) - y(v)) - (x(before) - x(v)) * (y(after) - y(v));
  if (!fallback && cross !== 0) return cross < 0;
  let sum = x(0) * (y(1) - y(n - 1));
  for (let i = 1; i < n - 1; i++) sum += x(i) * (y(i + 1) - y(i - 1));
  sum += x(n - 1) * (y(0) - y(n - 2));
  return sum < 0;
}

function roundColumn(value: number, limit: number): number {
  const f = Math.floor(value + 0.5);
  if (!(f > 0)) return 0;
  return min(f, limit);
}

/** All that a batch of fields burns. */
export class Burner {
  /** Entries, in parallel arrays; see native/zonal/burn.h. */
  readonly chunk = uint32s();
  readonly field = uint32s();
  readonly runBegin = uint32s();
  readonly runCount = uint32s();
  readonly parts = uint32s();
  readonly runs = uint32s();
  readonly extent = Float64Array.of(Infinity, Infinity, -Infinity, -Infinity);

  readonly #polygons = new Polygons();
  readonly #px = float64s();
  readonly #py = float64s();
  /** x1, y1, x2, y2 of an edge, y1 < y2; and the rows that it crosses. */
  readonly #edges = float64s();
  readonly #edgeRows = int32s();
  readonly #rowAt = uint32s();
  readonly #crossings = int32s();
  readonly #spanRow = uint32s();
  readonly #spanBegin = uint32s();
  readonly #spanEnd = uint32s();
  /** Of spans by coverage: where the shares of their pixels begin, or WHOLE; none by the other rules. */
  readonly #spanShare = uint32s();
  readonly #shares = float64s();
  /** x1, y1, x2, y2 and sign of an edge, by coverage. */
  readonly #coverEdges = float64s();
  #gain = new Float64Array(0);
  #gainBegin = 0;
  #gainEnd = 0;
  /** Spans are sorted and disjoint. */
  #ordered = true;
  /** The field's window in the raster. */
  #col0 = 0;
  #row0 = 0;
  #width = 0;
  #height = 0;

  constructor(
    private readonly grid: KernelGrid,
    private readonly albers: AlbersConstants | null,
    private readonly rule: PixelRule,
  ) {}

  /** Burn one geometry and append its entries and runs; its FIELD_STATUS. */
  burn(field: number, wkb: Uint8Array): number {
    const polygons = this.#polygons;
    const status = readWkb(wkb, polygons);
    if (status !== STATUS.ok) return status;
    if (this.albers !== null && !project(this.albers, polygons)) return STATUS.notFinite;
    if (!this.#placeWindow()) return STATUS.outside;

    for (const list of [this.#spanRow, this.#spanBegin, this.#spanEnd, this.#spanShare, this.#shares]) list.clear();
    if (this.rule === "coverage") {
      this.#cover();
      if (this.#spanRow.length === 0) return STATUS.noTouch;
      this.#place(field);
      return STATUS.ok;
    }
    this.#ordered = polygons.partEnd.length === 1;
    let ring = 0;
    for (let part = 0; part < polygons.partEnd.length; part++) {
      const end = polygons.partEnd.data[part] as number;
      this.#burnPart(ring, end);
      ring = end;
    }
    const small = this.#spanRow.length === 0;
    if (this.rule === "touched" || (small && this.rule === "small-touched")) this.#touchEdges();
    if (this.#spanRow.length === 0) return this.rule === "centre" ? STATUS.noCenter : STATUS.noTouch;
    this.#emit(field);
    return small && this.rule === "small-touched" ? STATUS.small : STATUS.ok;
  }

  /** Entry numbers by chunk, then as they came. */
  order(): Uint32Array {
    const chunk = this.chunk.data;
    return Uint32Array.from({ length: this.chunk.length }, (_, i) => i).sort(
      (a, b) => (chunk[a] as number) - (chunk[b] as number) || a - b,
    );
  }

  /** The crop window, and the vertices relative to its corner. False when no pixel is in it. */
  #placeWindow(): boolean {
    const { grid, extent } = this;
    const { x, y } = this.#polygons;
    const n = x.length;
    const idet = 1 / (grid.a * grid.e);
    const ia = grid.e * idet;
    const ie = grid.a * idet;
    const ic = -grid.c * ia;
    const jf = -grid.f * ie;
    let [minCol, maxCol, minRow, maxRow] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const col = (x.data[i] as number) * ia + ic;
      const row = (y.data[i] as number) * ie + jf;
      minCol = min(minCol, col);
      maxCol = max(maxCol, col);
      minRow = min(minRow, row);
      maxRow = max(maxRow, row);
    }
    extent[0] = min(extent[0] as number, minCol);
    extent[1] = min(extent[1] as number, minRow);
    extent[2] = max(extent[2] as number, maxCol);
    extent[3] = max(extent[3] as number, maxRow);
    this.#col0 = max(Math.floor(minCol), 0);
    this.#row0 = max(Math.floor(minRow), 0);
    this.#width = min(Math.ceil(maxCol), grid.width) - this.#col0;
    this.#height = min(Math.ceil(maxRow), grid.height) - this.#row0;
    if (!(this.#width > 0 && this.#height > 0)) return false;

    const gx = grid.c + (this.#col0 * grid.a + grid.c - grid.c);
    const gy = grid.f + (this.#row0 * grid.e + grid.f - grid.f);
    const rx = 1 / grid.a;
    const ry = 1 / grid.e;
    const ox = -gx / grid.a;
    const oy = -gy / grid.e;
    this.#px.reserve(n);
    this.#py.reserve(n);
    for (let i = 0; i < n; i++) {
      this.#px.data[i] = ox + (x.data[i] as number) * rx;
      this.#py.data[i] = oy + (y.data[i] as number) * ry;
    }
    return true;
  }

  #burnPart(firstRing: number, endRing: number): void {
    const py = this.#py.data;
    const first = this.#polygons.ringBegin(firstRing);
    const end = this.#polygons.ringBegin(endRing);
    let minY = py[first] as number;
    let maxY = minY;
    for (let i = first + 1; i < end; i++) {
      minY = min(minY, py[i] as number);
      maxY = max(maxY, py[i] as number);
    }
    const last = this.#height - 1;
    if (!(maxY > -1 && minY < last + 1)) return;
    const rowMin = minY < 0 ? 0 : Math.trunc(min(minY, last + 1));
    const rowMax = Math.trunc(min(maxY, last));
    if (rowMin > rowMax) return;
    this.#collectEdges(firstRing, endRing, rowMin, rowMax);
    this.#sortCrossings(rowMin);
    this.#fillRows(rowMin, rowMax - rowMin + 1);
  }

  /** Edges by the rows whose center they cross, how many cross each row, and what horizontal edges fill. */
  #collectEdges(firstRing: number, endRing: number, rowMin: number, rowMax: number): void {
    const { x, y } = this.#polygons;
    const [px, py] = [this.#px.data, this.#py.data];
    const rows = rowMax - rowMin + 1;
    this.#edges.clear();
    this.#edgeRows.clear();
    this.#rowAt.reserve(rows + 1);
    const rowAt = this.#rowAt.data.fill(0, 0, rows + 1);
    const rowOf = (v: number): number => {
      const row = Math.ceil(v - 0.5);
      return row <= rowMin ? rowMin : row > rowMax ? rowMax + 1 : row;
    };
    for (let ring = firstRing; ring < endRing; ring++) {
      const begin = this.#polygons.ringBegin(ring);
      const stop = this.#polygons.ringBegin(ring + 1);
      let clockwise: boolean | undefined;
      for (let i = begin; i < stop; i++) {
        const j = i === begin ? stop - 1 : i - 1;
        const [x1, y1, x2, y2] = [px[j] as number, py[j] as number, px[i] as number, py[i] as number];
        if (y1 === y2) {
          const row = y1 - 0.5;
          if (x1 === x2 || row !== Math.floor(row) || row < rowMin || row > rowMax) continue;
          clockwise ??= isClockwise(x.data, y.data, begin, stop);
          if (x1 > x2 === clockwise) this.#fillHorizontal(row, min(x1, x2), max(x1, x2));
          continue;
        }
        const [from, to] = y1 < y2 ? [rowOf(y1), rowOf(y2)] : [rowOf(y2), rowOf(y1)];
        if (from >= to) continue;
        const edge = y1 < y2 ? [x1, y1, x2, y2] : [x2, y2, x1, y1];
        for (const value of edge) this.#edges.push(value);
        this.#edgeRows.push(from - rowMin);
        this.#edgeRows.push(to - rowMin);
        for (let r = from - rowMin; r < to - rowMin; r++) (rowAt[r] as number)++;
      }
    }
    let total = 0;
    for (let r = 0; r <= rows; r++) {
      const n = rowAt[r] as number;
      rowAt[r] = total;
      total += n;
    }
    this.#crossings.reserve(total);
  }

  #fillHorizontal(row: number, x1: number, x2: number): void {
    const a = roundColumn(x1, this.#width);
    const b = roundColumn(x2, this.#width);
    if (a >= b) return;
    this.#pushSpan(this.#row0 + row, this.#col0 + a, this.#col0 + b);
    this.#ordered = false;
  }

  /** Crossings of all edges, row by row; `rowAt[r]` becomes the end of row r. */
  #sortCrossings(rowMin: number): void {
    const edges = this.#edges.data;
    const rowAt = this.#rowAt.data;
    const crossings = this.#crossings.data;
    for (let i = 0, k = 0; i < this.#edges.length; i += 4, k += 2) {
      const [x1, y1] = [edges[i] as number, edges[i + 1] as number];
      const dx = (edges[i + 2] as number) - x1;
      const dy = (edges[i + 3] as number) - y1;
      const end = this.#edgeRows.data[k + 1] as number;
      for (let r = this.#edgeRows.data[k] as number; r < end; r++) {
        const cy = rowMin + r + 0.5;
        crossings[(rowAt[r] as number)++] = roundColumn(((cy - y1) * dx) / dy + x1, this.#width);
      }
    }
  }

  #fillRows(rowMin: number, rows: number): void {
    const crossings = this.#crossings.data;
    let at = 0;
    for (let r = 0; r < rows; r++) {
      const stop = this.#rowAt.data[r] as number;
      crossings.subarray(at, stop).sort();
      const row = this.#row0 + rowMin + r;
      for (; at + 1 < stop; at += 2) {
        const [a, b] = [crossings[at] as number, crossings[at + 1] as number];
        if (a >= b) continue;
        const [from, to] = [this.#col0 + a, this.#col0 + b];
        const joins = this.#ordered && this.#spanRow.length > 0;
        if (joins && this.#spanRow.last() === row && this.#spanEnd.last() === from) {
          this.#spanEnd.data[this.#spanEnd.length - 1] = to;
        } else {
          this.#pushSpan(row, from, to);
        }
      }
      at = stop;
    }
  }

  /** Pixels that an edge passes through, by more than REACH; see native/zonal/burn.cc. */
  #touchEdges(): void {
    const [px, py] = [this.#px.data, this.#py.data];
    const held = (v: number, limit: number): number => (v > 0 ? (v < limit ? v : limit) : 0);
    this.#ordered = false;
    for (let ring = 0; ring < this.#polygons.ringEnd.length; ring++) {
      const stop = this.#polygons.ringBegin(ring + 1);
      for (let i = this.#polygons.ringBegin(ring) + 1; i < stop; i++) {
        const [upper, lower] = (py[i] as number) < (py[i - 1] as number) ? [i, i - 1] : [i - 1, i];
        const [x1, y1, x2, y2] = [px[upper], py[upper], px[lower], py[lower]] as [number, number, number, number];
        const [least, most] = x1 < x2 ? [x1, x2] : [x2, x1];
        const slope = y1 < y2 ? (x2 - x1) / (y2 - y1) : 0;
        const rowEnd = held(Math.ceil(y2 - REACH), this.#height);
        for (let r = held(Math.floor(y1 + REACH), rowEnd); r < rowEnd; r++) {
          const xa = y1 < r ? x1 + (r - y1) * slope : x1;
          const xb = y2 > r + 1 ? x1 + (r + 1 - y1) * slope : x2;
          const [left, right] = xa < xb ? [xa, xb] : [xb, xa];
          const a = held(Math.floor((left > least ? left : least) + REACH), this.#width);
          const b = held(Math.ceil((right < most ? right : most) - REACH), this.#width);
          if (a < b) this.#pushSpan(this.#row0 + r, this.#col0 + a, this.#col0 + b);
        }
      }
    }
  }

  #pushSpan(row: number, begin: number, end: number): void {
    this.#spanRow.push(row);
    this.#spanBegin.push(begin);
    this.#spanEnd.push(end);
  }

  /** Sort spans and join those that touch. */
  #joinSpans(): void {
    const [row, begin, end] = [this.#spanRow.take(), this.#spanBegin.take(), this.#spanEnd.take()];
    const order = Uint32Array.from(row, (_, i) => i).sort(
      (a, b) => (row[a] as number) - (row[b] as number) || (begin[a] as number) - (begin[b] as number),
    );
    for (const list of [this.#spanRow, this.#spanBegin, this.#spanEnd]) list.clear();
    for (const i of order) {
      const [r, from, to] = [row[i] as number, begin[i] as number, end[i] as number];
      if (this.#spanRow.length > 0 && this.#spanRow.last() === r && from <= this.#spanEnd.last()) {
        this.#spanEnd.data[this.#spanEnd.length - 1] = max(this.#spanEnd.last(), to);
      } else {
        this.#pushSpan(r, from, to);
      }
    }
  }

  /** Spans as disjoint runs in row order, cut at chunk edges. */
  #emit(field: number): void {
    if (!this.#ordered) this.#joinSpans();
    this.#place(field);
  }

  /** Spans in row order, disjoint, as entries by chunk. */
  #place(field: number): void {
    const [rows, begins, ends] = [this.#spanRow.data, this.#spanBegin.data, this.#spanEnd.data];
    const count = this.#spanRow.length;
    const firstEntry = this.chunk.length;
    const across = Math.ceil(this.grid.width / CHUNK_COLS);
    let [left, right] = [Infinity, 0];
    for (let i = 0; i < count; i++) {
      left = min(left, Math.floor((begins[i] as number) / CHUNK_COLS));
      right = max(right, Math.floor(((ends[i] as number) - 1) / CHUNK_COLS));
    }
    const chunkRow = (i: number): number => Math.floor((rows[i] as number) / CHUNK_ROWS);
    for (let from = 0, to = 0; from < count; from = to) {
      while (to < count && chunkRow(to) === chunkRow(from)) to++;
      for (let chunkCol = left; chunkCol <= right; chunkCol++) {
        const first = chunkCol * CHUNK_COLS;
        for (let i = from; i < to; i++) {
          const a = max(begins[i] as number, first);
          const b = min(ends[i] as number, first + CHUNK_COLS);
          if (a >= b) continue;
          const share = this.#spanShare.length === 0 ? WHOLE : (this.#spanShare.data[i] as number);
          const words = share === WHOLE ? 1 : 1 + b - a;
          this.#openEntry(field, firstEntry, chunkRow(from) * across + chunkCol, words);
          const run = (((rows[i] as number) % CHUNK_ROWS) << 22) | ((a - first) << 11) | (b - a - 1);
          this.runs.push(share === WHOLE ? run : run | WEIGHTED_RUN);
          if (share !== WHOLE) this.#pushShares(share + a - (begins[i] as number), b - a);
        }
      }
    }
    const parts = min(this.chunk.length - firstEntry, MAX_RUNS);
    for (let i = firstEntry; i < this.chunk.length; i++) this.parts.push(parts);
  }

  /** The last entry is one of this field and chunk, with room for some words more. */
  #openEntry(field: number, firstEntry: number, chunk: number, words: number): void {
    const last = this.chunk.length - 1;
    if (last < firstEntry || this.chunk.last() !== chunk || this.runCount.last() + words > MAX_RUNS) {
      this.chunk.push(chunk);
      this.field.push(field);
      this.runBegin.push(this.runs.length);
      this.runCount.push(0);
    }
    (this.runCount.data[this.runCount.length - 1] as number) += words;
  }

  #pushShares(begin: number, count: number): void {
    const bits = new Uint32Array(Float32Array.from(this.#shares.data.subarray(begin, begin + count)).buffer);
    for (const word of bits) this.runs.push(word);
  }

  /** The covered share of every pixel; see native/zonal/burn.cc. */
  #cover(): void {
    const polygons = this.#polygons;
    const [px, py] = [this.#px.data, this.#py.data];
    const held = (v: number, limit: number): number => (v > 0 ? (v < limit ? v : limit) : 0);
    const edgesOfRow: number[][] = Array.from({ length: this.#height }, () => []);
    this.#coverEdges.clear();
    let ring = 0;
    for (let part = 0; part < polygons.partEnd.length; part++) {
      const partEnd = polygons.partEnd.data[part] as number;
      for (let shell = true; ring < partEnd; ring++, shell = false) {
        const [begin, stop] = [polygons.ringBegin(ring), polygons.ringBegin(ring + 1)];
        const [x0, y0] = [px[begin] as number, py[begin] as number];
        let area = 0;
        for (let i = begin + 1; i < stop; i++) {
          const [xa, ya, xb, yb] = [px[i - 1], py[i - 1], px[i], py[i]] as [number, number, number, number];
          area += (xa - x0) * (yb - y0) - (xb - x0) * (ya - y0);
        }
        const sign = area < 0 === shell ? 1 : -1;
        for (let i = begin + 1; i < stop; i++) {
          const down = (py[i - 1] as number) < (py[i] as number);
          const [upper, lower] = down ? [i - 1, i] : [i, i - 1];
          const [y1, y2] = [py[upper] as number, py[lower] as number];
          const to = held(Math.ceil(y2), this.#height);
          const from = held(Math.floor(y1), to);
          if (from >= to || y1 === y2) continue;
          for (let r = from; r < to; r++) edgesOfRow[r]?.push(this.#coverEdges.length);
          for (const v of [px[upper] as number, y1, px[lower] as number, y2, down ? sign : -sign])
            this.#coverEdges.push(v);
        }
      }
    }
    this.#gain = new Float64Array(this.#width + 2);
    for (let r = 0; r < this.#height; r++) {
      [this.#gainBegin, this.#gainEnd] = [this.#width, 0];
      for (const at of edgesOfRow[r] as number[]) this.#spreadEdge(r, at);
      this.#keepRow(r);
    }
  }

  #spreadEdge(r: number, at: number): void {
    const [x1, y1, x2, y2, sign] = this.#coverEdges.data.subarray(at, at + 5) as unknown as CoverEdge;
    const [least, most] = x1 < x2 ? [x1, x2] : [x2, x1];
    const slope = (x2 - x1) / (y2 - y1);
    const top = y1 < r ? r : y1;
    const bottom = y2 > r + 1 ? r + 1 : y2;
    const xa = y1 < r ? x1 + (r - y1) * slope : x1;
    const xb = y2 > r + 1 ? x1 + (r + 1 - y1) * slope : x2;
    const [left, right] = xa < xb ? [xa, xb] : [xb, xa];
    this.#spread(left > least ? left : least, right < most ? right : most, (bottom - top) * sign);
  }

  /** Of an edge that spans `height` of a row between two columns. */
  #spread(left: number, right: number, height: number): void {
    const gain = this.#gain;
    const limit = this.#width;
    if (left >= limit) {
      this.#gainEnd = limit;
      return;
    }
    if (!(right > 0)) {
      (gain[0] as number) += height;
      this.#gainBegin = 0;
      this.#gainEnd = max(this.#gainEnd, 1);
      return;
    }
    const length = right - left;
    if (left < 0) (gain[0] as number) += height * (-left / length);
    const begin = left > 0 ? left : 0;
    const end = right < limit ? right : limit;
    let col = Math.trunc(begin);
    this.#gainBegin = min(this.#gainBegin, col);
    do {
      const a = begin > col ? begin : col;
      const b = end < col + 1 ? end : col + 1;
      const part = length > 0 ? height * ((b - a) / length) : height;
      const beside = (a + b) / 2 - col;
      (gain[col] as number) += part * (1 - beside);
      (gain[col + 1] as number) += part * beside;
      col++;
    } while (col < end);
    this.#gainEnd = max(this.#gainEnd, right > limit ? limit : min(col + 1, limit));
  }

  /** A row's shares as spans, whole pixels apart from others. */
  #keepRow(row: number): void {
    let share = 0;
    for (let col = this.#gainBegin; col < this.#gainEnd; col++) {
      share += this.#gain[col] as number;
      const units = Math.floor(min(max(share, 0), 1) * SHARE_UNITS + 0.5);
      if (!(units > 0)) continue;
      const whole = units === SHARE_UNITS;
      const [r, c] = [this.#row0 + row, this.#col0 + col];
      const follows = this.#spanRow.length > 0 && this.#spanRow.last() === r && this.#spanEnd.last() === c;
      if (follows && (this.#spanShare.last() === WHOLE) === whole) {
        this.#spanEnd.data[this.#spanEnd.length - 1] = c + 1;
      } else {
        this.#pushSpan(r, c, c + 1);
        this.#spanShare.push(whole ? WHOLE : this.#shares.length);
      }
      if (!whole) this.#shares.push(units / SHARE_UNITS);
    }
    this.#gain.fill(0, this.#gainBegin, this.#gainEnd + 1);
  }
}
