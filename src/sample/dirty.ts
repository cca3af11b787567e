import { WkbBuffer } from "./wkb.js";
import { PIXEL_M, type World } from "./world.js";

/** A row that a pipeline must count and report without failing. */
export interface DirtyRow {
  readonly id: bigint;
  /** The problem's name in the truth file. */
  readonly fault: string;
  /** Null for a null geometry. */
  readonly wkb: Uint8Array | null;
  /** Files with the row. */
  readonly files: readonly ("raw" | "clean")[];
}

const FIRST_ID = 99_999_000_000n;
const AREA_M = 300;

/** One row per fault, placed after the good rows. */
export function dirtyRows(world: World, firstId: bigint): DirtyRow[] {
  // In the middle of the raster; where exactly does not matter, the rows have no planted crop.
  const [x, y] = [world.originX + (world.width / 2) * PIXEL_M, world.originY - (world.height / 2) * PIXEL_M];
  const polygon = (ring: number[]) => {
    const buffer = new WkbBuffer();
    buffer.add([[ring]], x, y);
    return buffer.take();
  };
  const square = () => polygon([0, 0, AREA_M, 0, AREA_M, AREA_M, 0, AREA_M]);
  const both = ["raw", "clean"] as const;
  const rows: Omit<DirtyRow, "id">[] = [
    { fault: "null geometry", wkb: null, files: both },
    { fault: "empty polygon", wkb: Uint8Array.of(1, 3, 0, 0, 0, 0, 0, 0, 0), files: both },
    { fault: "truncated WKB", wkb: square().subarray(0, 50), files: both },
    { fault: "not a polygon", wkb: point(-98.5, 39.2), files: both },
    { fault: "NaN coordinate", wkb: withCoordinate(square(), Number.NaN), files: both },
    { fault: "infinite coordinate", wkb: withCoordinate(square(), Number.POSITIVE_INFINITY), files: both },
    { fault: "self-intersecting", wkb: polygon([0, 0, AREA_M, AREA_M, AREA_M, 0, 0, AREA_M]), files: both },
    { fault: "only in fields_raw", wkb: square(), files: ["raw"] },
    { fault: "only in fields_clean", wkb: square(), files: ["clean"] },
  ];
  const numbered = rows.map((row, i) => ({ ...row, id: FIRST_ID + BigInt(i) }));
  return [...numbered, { id: firstId, fault: "duplicate id", wkb: square(), files: both }];
}

function point(lng: number, lat: number): Uint8Array {
  const wkb = new Uint8Array(21);
  const view = new DataView(wkb.buffer);
  view.setUint8(0, 1);
  view.setUint32(1, 1, true);
  view.setFloat64(5, lng, true);
  view.setFloat64(13, lat, true);
  return wkb;
}

/** The third point's longitude, replaced. */
function withCoordinate(wkb: Uint8Array, value: number): Uint8Array {
  const headers = 1 + 4 + 4 + 4;
  new DataView(wkb.buffer).setFloat64(headers + 2 * 16, value, true);
  return wkb;
}
