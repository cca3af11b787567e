import type { SKRSContext2D } from "@napi-rs/canvas";
import { type CropPalette, NO_CROP } from "./crop-palette.js";
import type { Lettering } from "./lettering.js";

export interface LegendRow {
  readonly name: string;
  /** `#rrggbb`; undefined for the row of all other crops. */
  readonly color?: string;
  /** Share of the drawn area of all crops; undefined writes none. */
  readonly share?: number;
}

/** Height of a row, in pixels of a picture 1200 wide. */
export const ROW_HEIGHT = 25;
const TEXT = { size: 15 } as const;

/**
 * Crops by drawn area, largest first. If there are more than `limit`, the last row
 * sums the rest.
 *
 * @param areas    by class of the palette.
 * @param ranking  areas that determine crops and order; the sum of all maps, so that the lists of maps side by side agree.
 */
export function legendRows(
  palette: CropPalette,
  areas: Float64Array,
  limit: number,
  ranking: Float64Array = areas,
): LegendRow[] {
  const drawn = palette.crops
    .map((crop, cropClass) => ({ crop, area: areas[cropClass] ?? 0, rank: ranking[cropClass] ?? 0 }))
    .filter(({ rank }, cropClass) => cropClass > NO_CROP && rank > 0)
    .sort((a, b) => b.rank - a.rank || a.crop.code - b.crop.code);
  const total = drawn.reduce((sum, { area }) => sum + area, 0);
  const shown = drawn.length > limit ? Math.max(0, limit - 1) : drawn.length;
  const rows: LegendRow[] = drawn
    .slice(0, shown)
    .map(({ crop, area }) => ({ name: crop.name, color: crop.color, share: area / total }));
  const rest = drawn.slice(shown);
  if (rest.length > 0) {
    rows.push({ name: `${rest.length} more`, share: rest.reduce((sum, { area }) => sum + area, 0) / total });
  }
  return rows;
}

/** Draw rows from top to bottom, then in the next column. */
export function drawLegend(
  pen: SKRSContext2D,
  lettering: Lettering,
  rows: readonly LegendRow[],
  { x, y, width, columns }: { x: number; y: number; width: number; columns: number },
): void {
  const { unit } = lettering;
  const perColumn = Math.ceil(rows.length / columns);
  const gap = 28 * unit;
  const columnWidth = (width - gap * (columns - 1)) / columns;
  for (const [i, { name, color, share }] of rows.entries()) {
    const left = x + Math.floor(i / perColumn) * (columnWidth + gap);
    const middle = y + ((i % perColumn) + 0.5) * ROW_HEIGHT * unit;
    if (color !== undefined) {
      pen.fillStyle = color;
      pen.beginPath();
      pen.roundRect(left, middle - 7.5 * unit, 15 * unit, 15 * unit, 3 * unit);
      pen.fill();
    }
    const percent = share === undefined ? "" : percentText(share);
    const [text, base] = [left + 24 * unit, middle + 5.5 * unit];
    const room = columnWidth - (24 + 46) * unit;
    lettering.write(name, text, base, {
      ...TEXT,
      room,
      color: color === undefined ? lettering.theme.faint : lettering.theme.plain,
    });
    lettering.write(percent, left + columnWidth, base, { ...TEXT, align: "right", color: lettering.theme.faint });
  }
}

function percentText(share: number): string {
  if (share >= 0.0995) return `${Math.round(100 * share)} %`;
  if (share >= 0.0005) return `${(100 * share).toFixed(1)} %`;
  return share > 0 ? "< 0.1 %" : "–";
}
