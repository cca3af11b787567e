import { type AttributeStats, attributeStats, type LayerStats, type Tilestats } from "../archive/tilestats.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { type IncludedValue, type IncludedValues, NO_VALUE } from "../fields/included-values.js";
import { streamIds } from "../fields/stream-ids.js";
import { STATUS_OK } from "../kernel/geometry.js";

export interface TilerAttributes {
  /** Shared; hectares as floats by row, NaN if unknown. */
  readonly area: SharedArrayBuffer;
  /** Features carry `field_id`. */
  readonly fieldId: boolean;
  /** Columns of `--include`; values are messages `Value`. */
  readonly included?: IncludedValues | undefined;
}

/** Limit of distinct values in statistics, from the format. */
const MAX_VALUES = 1000;

/** Statistics of the attributes that are the same every year, for both layers. */
export async function tilestatsOf(
  fields: FieldsFile,
  { area, fieldId, included }: TilerAttributes,
  status: Uint8Array,
  batch: number,
): Promise<Tilestats> {
  const attributes = [areaStats(new Float32Array(area), status)];
  if (fieldId) attributes.push(await idStats(fields, status, batch));
  if (included !== undefined) attributes.push(...includedStats(included, status));
  const known = attributes.filter((stats) => stats !== undefined);
  const count = status.reduce((sum, code) => sum + (code === STATUS_OK ? 1 : 0), 0);
  const layer = (name: string, geometry: string): LayerStats => ({
    layer: name,
    count,
    geometry,
    attributeCount: known.length,
    attributes: known,
  });
  return {
    layerCount: 2,
    layers: [layer("centroids", "Point"), layer("fields", "Polygon")],
  };
}

/** Values are sorted as text, as in tippecanoe. */
function byText(a: number | string, b: number | string): number {
  return String(a) < String(b) ? -1 : 1;
}

function areaStats(area: Float32Array, status: Uint8Array): AttributeStats | undefined {
  const values = new Set<number>();
  let [min, max] = [Infinity, -Infinity];
  area.forEach((value, row) => {
    if (status[row] !== STATUS_OK || !Number.isFinite(value)) return;
    const hectares = Math.round(value * 100) / 100;
    if (hectares < min) min = hectares;
    if (hectares > max) max = hectares;
    if (values.size < MAX_VALUES) values.add(hectares);
  });
  if (values.size === 0) return undefined;
  return { ...attributeStats("area_ha", [...values].sort(byText)), min, max };
}

function includedStats({ columns, list }: IncludedValues, status: Uint8Array): (AttributeStats | undefined)[] {
  return columns.keys.map((key, c) => {
    const drawn = new Set<number>();
    (columns.index[c] as Uint32Array).forEach((number, row) => {
      if (number !== NO_VALUE && status[row] === STATUS_OK) drawn.add(number);
    });
    const values = Array.from(drawn, (number) => list[number] as IncludedValue).map((value) =>
      typeof value === "bigint" ? Number(value) : value,
    );
    if (values.length === 0) return undefined;
    return attributeStats(key, values.sort(byText) as number[]);
  });
}

async function idStats(fields: FieldsFile, status: Uint8Array, batch: number): Promise<AttributeStats | undefined> {
  const values = new Set<number | string>();
  let [min, max] = [Infinity, -Infinity];
  for await (const { firstRow, rows, id } of streamIds(fields, batch)) {
    for (let i = 0; i < rows; i++) {
      const value = status[firstRow + i] === STATUS_OK ? id(i) : null;
      if (value === null) continue;
      const shown = typeof value === "bigint" ? Number(value) : value;
      if (typeof shown === "number") [min, max] = [Math.min(min, shown), Math.max(max, shown)];
      if (values.size < MAX_VALUES) values.add(shown);
    }
  }
  if (values.size === 0) return undefined;
  const stats = attributeStats("field_id", [...values].sort(byText) as number[]);
  return stats.type === "number" ? { ...stats, min, max } : stats;
}
