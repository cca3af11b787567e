import { type Canvas, createCanvas, type SKRSContext2D } from "@napi-rs/canvas";
import type { CropPalette } from "./crop-palette.js";
import type { FieldMap } from "./field-map.js";
import type { Frame } from "./frame.js";
import { drawLegend, type LegendRow, legendRows, ROW_HEIGHT } from "./legend-list.js";
import { Lettering } from "./lettering.js";
import { drawScaleBar } from "./scale-bar.js";
import { THEMES, type ThemeName } from "./theme.js";

const SHARE_NOTE = "% of the area drawn";
/** Widths and heights below are in pixels of a picture of this width. */
const REFERENCE_WIDTH = 1200;
const PANEL_WIDTH = 320;
const PADDING = 26;
const GAP = 14;
const STRIP_HEAD = 104;
/** Below a map narrower than this, a legend has no room for names, so all maps share one list. */
const MIN_LEGEND_WIDTH = 140;
const LEGEND_COLUMN_WIDTH = 230;
const STRIP_LEGEND_CROPS = 16;
/** Minimum and maximum height of a map relative to its width. */
const SHAPES = { least: 0.45, most: 1.3 } as const;

/** Positions of the maps on the picture, in pixels; its height is that of the maps and the legend. */
export interface Sheet {
  readonly width: number;
  /** The maps' upper left corners, and the size of each. */
  readonly maps: readonly { readonly x: number; readonly y: number }[];
  readonly mapWidth: number;
  readonly mapHeight: number;
}

/**
 * One map with a panel next to it, or several side by side with the legend below; only
 * maps if there is no font.
 *
 * @param shape  height / width of the maps' extent.
 */
export function planSheet(count: number, width: number, shape: number, withText: boolean): Sheet {
  const px = (reference: number) => Math.round((reference * width) / REFERENCE_WIDTH);
  const [panel, side, top] = !withText
    ? [0, 0, 0]
    : count === 1
      ? [px(PANEL_WIDTH), 0, 0]
      : [0, px(PADDING), px(STRIP_HEAD)];
  const room = width - panel - 2 * side - (count - 1) * px(GAP);
  const mapWidth = Math.max(1, Math.floor(room / count));
  const mapHeight = Math.max(1, Math.round(mapWidth * Math.min(Math.max(shape, SHAPES.least), SHAPES.most)));
  const maps = Array.from({ length: count }, (_, i) => ({ x: side + i * (mapWidth + px(GAP)), y: top }));
  return { width, maps, mapWidth, mapHeight };
}

export interface Labels {
  readonly title: string;
  readonly attribution: string;
  /** One per map; empty for none. */
  readonly years: readonly string[];
  /** Font family; undefined omits all text. */
  readonly font: string | undefined;
  readonly theme: ThemeName;
}

/** Assemble maps, titles and legends. */
export function drawSheet(
  sheet: Sheet,
  frame: Frame,
  maps: readonly FieldMap[],
  palette: CropPalette,
  labels: Labels,
): Canvas {
  const { width, mapWidth, mapHeight } = sheet;
  const theme = THEMES[labels.theme];
  const unit = width / REFERENCE_WIDTH;
  const top = sheet.maps[0]?.y ?? 0;
  const areas = sumOfAreas(maps);
  const isStrip = maps.length > 1;
  const legends = isStrip ? stripLegends(sheet, maps, palette, areas) : [];
  const legendHeight = Math.max(0, ...legends.map(heightOf)) + 2 * PADDING;
  const foot = isStrip && labels.font !== undefined ? Math.round(legendHeight * unit) : 0;
  const canvas = createCanvas(width, top + mapHeight + foot);
  const pen = canvas.getContext("2d");
  pen.fillStyle = theme.panel;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  for (const [i, { x, y }] of sheet.maps.entries()) {
    pen.fillStyle = theme.ground;
    pen.fillRect(x, y, mapWidth, mapHeight);
    const map = maps[i];
    if (map !== undefined) pen.drawImage(map.canvas, x, y);
  }
  if (labels.font === undefined) return canvas;
  const lettering = new Lettering(pen, labels.font, unit, theme);
  if (isStrip) drawHeadAndFoot(pen, lettering, sheet, legends, labels);
  else drawPanel(pen, lettering, sheet, (limit) => legendRows(palette, areas, limit), labels);
  drawScaleBar(pen, lettering, frame, sheet.maps[0] ?? { x: 0, y: 0 });
  return canvas;
}

/** A list of crops below the maps; the widths are in pixels of the picture. */
interface StripLegend {
  readonly rows: readonly LegendRow[];
  readonly x: number;
  readonly width: number;
  readonly columns: number;
}

function heightOf({ rows, columns }: StripLegend): number {
  return Math.ceil(rows.length / columns) * ROW_HEIGHT;
}

/** Each map's shares below it, for the same crops in the same order; without room for that, one list of crops. */
function stripLegends(
  { width, maps: places, mapWidth }: Sheet,
  maps: readonly FieldMap[],
  palette: CropPalette,
  areas: Float64Array,
): StripLegend[] {
  const unit = width / REFERENCE_WIDTH;
  const columnsOf = (room: number) => Math.max(1, Math.floor(room / unit / LEGEND_COLUMN_WIDTH));
  if (mapWidth / unit >= MIN_LEGEND_WIDTH) {
    return places.map(({ x }, i) => ({
      rows: legendRows(palette, (maps[i] as FieldMap).areas, STRIP_LEGEND_CROPS, areas),
      x,
      width: mapWidth,
      columns: columnsOf(mapWidth),
    }));
  }
  const names = legendRows(palette, areas, STRIP_LEGEND_CROPS).map(({ name, color }) => ({
    name,
    ...(color !== undefined && { color }),
  }));
  const room = width - 2 * PADDING * unit;
  return [{ rows: names, x: PADDING * unit, width: room, columns: columnsOf(room) }];
}

function sumOfAreas(maps: readonly FieldMap[]): Float64Array {
  const sums = new Float64Array(maps[0]?.areas.length ?? 0);
  for (const { areas } of maps) {
    for (const [i, area] of areas.entries()) sums[i] = (sums[i] as number) + area;
  }
  return sums;
}

function drawPanel(
  pen: SKRSContext2D,
  lettering: Lettering,
  { width: sheetWidth, mapWidth, mapHeight }: Sheet,
  rowsWithin: (limit: number) => LegendRow[],
  { title, years, attribution }: Labels,
): void {
  const { unit } = lettering;
  const x = mapWidth + PADDING * unit;
  const width = sheetWidth - x - PADDING * unit;
  let y = PADDING * unit;
  const year = years[0] ?? "";
  if (year !== "") {
    y += 36 * unit;
    lettering.write(year, x, y, { size: 48, bold: true, color: lettering.theme.strong });
    y += 12 * unit;
  }
  const heading = { size: 18, color: lettering.theme.plain };
  for (const line of lettering.lines(title, heading, width)) {
    y += 22 * unit;
    lettering.write(line, x, y, heading);
  }
  y += 22 * unit;
  const note = { size: 12, color: lettering.theme.faint };
  const notes = [SHARE_NOTE, ...lettering.lines(attribution, note, width)];
  const notesTop = mapHeight - PADDING * unit - (notes.length - 1) * 17 * unit;
  const limit = Math.floor((notesTop - PADDING * unit - y) / (ROW_HEIGHT * unit));
  drawLegend(pen, lettering, rowsWithin(limit), { x, y, width, columns: 1 });
  for (const [i, line] of notes.entries()) lettering.write(line, x, notesTop + i * 17 * unit, note);
}

function drawHeadAndFoot(
  pen: SKRSContext2D,
  lettering: Lettering,
  { width: sheetWidth, maps, mapHeight }: Sheet,
  legends: readonly StripLegend[],
  { title, years, attribution }: Labels,
): void {
  const { unit } = lettering;
  const [x, width] = [PADDING * unit, sheetWidth - 2 * PADDING * unit];
  const note = { size: 12, color: lettering.theme.faint, align: "right" } as const;
  const withShares = legends.some(({ rows }) => rows.some(({ share }) => share !== undefined));
  const notes = withShares ? `${SHARE_NOTE}, each year's own.  ${attribution}` : attribution;
  const room = width - lettering.width(notes, note) - PADDING * unit;
  lettering.write(title, x, 46 * unit, { size: 22, color: lettering.theme.plain, room });
  lettering.write(notes, x + width, 46 * unit, note);
  for (const [i, map] of maps.entries()) {
    lettering.write(years[i] ?? "", map.x, map.y - 12 * unit, { size: 28, bold: true, color: lettering.theme.strong });
  }
  const y = (maps[0]?.y ?? 0) + mapHeight + PADDING * unit;
  for (const { rows, ...place } of legends) drawLegend(pen, lettering, rows, { ...place, y });
}
