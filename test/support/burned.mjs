// What a kernel's burn() says, for tests: as segments for count(), and as plain pixels.
import assert from "node:assert/strict";
import { CHUNK_COLS, CHUNK_ROWS } from "../../dist/kernel/zonal.js";

/** A batch's runs as count() takes them, for a window that is the whole raster. */
export function segmentsOf(burned, gridWidth) {
  const across = Math.ceil(gridWidth / CHUNK_COLS);
  const words = new Uint32Array(2 * burned.field.length + burned.run.length);
  const layout = new Uint32Array(7 * burned.chunks.length);
  let at = 0;
  burned.chunks.forEach((chunk, k) => {
    const [e0, e1] = [k === 0 ? 0 : burned.entryEnd[k - 1], burned.entryEnd[k]];
    const [r0, r1] = [k === 0 ? 0 : burned.runEnd[k - 1], burned.runEnd[k]];
    const entries = e1 - e0;
    words.set(burned.field.subarray(e0, e1), at);
    words.set(burned.shape.subarray(e0, e1), at + entries);
    words.set(burned.run.subarray(r0, r1), at + 2 * entries);
    const row = Math.floor(chunk / across) * CHUNK_ROWS;
    const col = (chunk % across) * CHUNK_COLS;
    layout.set([at, at + entries, at + 2 * entries, entries, r1 - r0, row, col], 7 * k);
    at += 2 * entries + (r1 - r0);
  });
  return { words, layout };
}

/** Arrays that count() and merge() write. */
export function answerArrays(rows, PixelArray) {
  const counts = () => new Uint32Array(new SharedArrayBuffer(4 * rows));
  const codes = () => new PixelArray(new SharedArrayBuffer(PixelArray.BYTES_PER_ELEMENT * rows));
  return {
    code: codes(),
    second: codes(),
    pixels: counts(),
    valid: counts(),
    covered: counts(),
    secondPixels: counts(),
  };
}

/** The answer of a row: {code, pixels, valid, second, secondPixels}; code null when none. */
function answerOf(arrays, row) {
  const [pixels, secondPixels] = [arrays.pixels[row], arrays.secondPixels[row]];
  return {
    code: pixels > 0 ? arrays.code[row] : null,
    pixels,
    valid: arrays.valid[row],
    second: secondPixels > 0 ? arrays.second[row] : null,
    secondPixels,
  };
}

/** Counts of a batch over a whole raster, by field. Fields that chunks share are added up here, and by the kernel. */
export function countFields(kernel, burned, pixels, gridWidth, skip) {
  const { words, layout } = segmentsOf(burned, gridWidth);
  const arrays = answerArrays(Math.max(0, ...burned.field) + 1, pixels.constructor);
  const partial = kernel.count(pixels, gridWidth, words, layout, Float64Array.from(skip), false, arrays);
  const histograms = new Map();
  partial.field.forEach((field, i) => {
    const histogram = histograms.get(field) ?? new Map();
    histograms.set(field, histogram);
    for (let k = i === 0 ? 0 : partial.end[i - 1]; k < partial.end[i]; k++) {
      histogram.set(partial.code[k], (histogram.get(partial.code[k]) ?? 0) + partial.pixels[k]);
    }
  });
  const open = kernel.merge([partial], arrays, false);
  assert.equal(open.field.length, 0);
  const answers = new Map([...new Set(burned.field)].map((field) => [field, answerOf(arrays, field)]));
  for (const [field, histogram] of histograms) {
    const [first, second] = [...histogram].sort(([c, n], [d, m]) => m - n || c - d);
    const valid = [...histogram.values()].reduce((sum, n) => sum + n, 0);
    assert.deepEqual(answers.get(field), {
      code: first?.[0] ?? null,
      pixels: first?.[1] ?? 0,
      valid,
      second: second?.[0] ?? null,
      secondPixels: second?.[1] ?? 0,
    });
  }
  return answers;
}

/** Every field's pixels in the raster: field → sorted `row × width + col`. Also checks how runs are ordered. */
export function pixelsOf(burned, gridWidth) {
  const across = Math.ceil(gridWidth / CHUNK_COLS);
  const fields = new Map();
  let entry = 0;
  let run = 0;
  burned.chunks.forEach((chunk, k) => {
    const [row0, col0] = [Math.floor(chunk / across) * CHUNK_ROWS, (chunk % across) * CHUNK_COLS];
    for (; entry < burned.entryEnd[k]; entry++) {
      const pixels = fields.get(burned.field[entry]) ?? [];
      fields.set(burned.field[entry], pixels);
      for (const end = run + (burned.shape[entry] >>> 16); run < end; run++) {
        const packed = burned.run[run];
        const row = row0 + (packed >>> 22);
        const col = col0 + ((packed >>> 11) & 2047);
        for (let c = col; c <= col + (packed & 2047); c++) pixels.push(row * gridWidth + c);
      }
    }
    if (run !== burned.runEnd[k]) throw new Error(`chunk ${chunk}: runs end at ${run}, not ${burned.runEnd[k]}`);
  });
  for (const pixels of fields.values()) pixels.sort((a, b) => a - b);
  return fields;
}
