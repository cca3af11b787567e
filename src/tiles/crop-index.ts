/** A year's crops, one small number per field. */
export interface CropIndex {
  /** Codes that occur, ascending. */
  readonly codes: readonly number[];
  /** Fields of each code. */
  readonly counts: readonly number[];
  /** Shared; by row, 0 for no crop, else 1 + the code's position in `codes`; bytes for up to 255 codes. */
  readonly index: Uint8Array | Uint16Array;
  readonly withoutCrop: number;
}

/** Codes that are counted in a table; others are rare, or from another kind of raster. */
const TABLE_CODES = 2 ** 16;
const MAX_CODES = 2 ** 16 - 1;

/**
 * @param crop  code by row, NaN if there is none.
 * @throws {RangeError} if there are more distinct codes than 16 bits can represent.
 */
export function indexCrops(crop: ArrayLike<number>): CropIndex {
  const table = new Uint32Array(TABLE_CODES);
  const others = new Map<number, number>();
  let withoutCrop = 0;
  for (let row = 0; row < crop.length; row++) {
    const code = crop[row] as number;
    if (isInTable(code)) table[code] = (table[code] as number) + 1;
    else if (Number.isNaN(code)) withoutCrop++;
    else others.set(code, (others.get(code) ?? 0) + 1);
  }
  const codes = [...table.keys()].filter((code) => table[code] !== 0);
  codes.push(...others.keys());
  codes.sort((a, b) => a - b);
  if (codes.length > MAX_CODES)
    throw new RangeError(`${codes.length} different crops, at most ${MAX_CODES} can be told apart`);
  const counts = codes.map((code) => (isInTable(code) ? (table[code] as number) : (others.get(code) as number)));
  for (const [place, code] of codes.entries()) {
    if (isInTable(code)) table[code] = place + 1;
    else others.set(code, place + 1);
  }
  const narrow = codes.length < 2 ** 8;
  const shared = new SharedArrayBuffer(crop.length * (narrow ? 1 : 2));
  const index = narrow ? new Uint8Array(shared) : new Uint16Array(shared);
  for (let row = 0; row < crop.length; row++) {
    const code = crop[row] as number;
    if (isInTable(code)) index[row] = table[code] as number;
    else if (!Number.isNaN(code)) index[row] = others.get(code) as number;
  }
  return { codes, counts, index, withoutCrop };
}

/** Codes that occur in some rows, ascending. @param rows  one bit per row. */
export function codesOfRows({ codes, index }: CropIndex, rows: Uint8Array): number[] {
  const there = new Uint8Array(codes.length + 1);
  for (let row = 0; row < index.length; row++) {
    if (((rows[row >> 3] as number) >> (row & 7)) & 1) there[index[row] as number] = 1;
  }
  return codes.filter((_, place) => there[place + 1] === 1);
}

function isInTable(code: number): boolean {
  return code >= 0 && code < TABLE_CODES && Number.isInteger(code);
}
