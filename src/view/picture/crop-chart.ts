import { type Canvas, createCanvas, type SKRSContext2D } from "@napi-rs/canvas";
import type { HistoryLegend } from "../../history/format.js";
import type { Context } from "../../pipeline/context.js";
import { PipelineError } from "../../pipeline/errors.js";
import { findFont } from "./font.js";
import { Lettering } from "./lettering.js";
import { writePng } from "./png-file.js";
import { THEMES, type ThemeName } from "./theme.js";

/** All crops without their own color. */
const REST = { name: "other crops", color: "#6b7178" };
const NOTE = "Area of the fields of which it is the majority crop; no official acreage. USDA NASS Cropland Data Layer";

/** Lengths are in pixels of a picture of this width. */
const REFERENCE_WIDTH = 1200;
const HEIGHT = 640;
const FRAME = { left: 84, top: 92, right: 330, bottom: 78 } as const;
const ROW_HEIGHT = 29;
const BAR_SHARE = 0.74;
const GRID_LINES = 5;

export interface ChartOptions {
  readonly out: string;
  readonly width: number;
  /** Crops with their own color; the others are summed. */
  readonly top: number;
  /** Default: those of the legend. */
  readonly years: readonly number[];
  readonly title: string | undefined;
  readonly theme: ThemeName;
}

/** A crop's band through the years. */
export interface Band {
  readonly name: string;
  readonly color: string;
  /** Hectares, in the order of the years; null in a year without a zonal table. */
  readonly hectares: readonly (number | null)[];
}

export interface Chart {
  readonly out: string;
  readonly width: number;
  readonly height: number;
  readonly font: string;
  /** From bottom to top. */
  readonly bands: readonly Band[];
  readonly years: readonly number[];
  /** Position of a year's bar on the picture, pixels. */
  readonly bars: readonly { readonly year: number; readonly x: number; readonly width: number }[];
  /** Position of 0 and of the axis' end on the picture, and the end's value. */
  readonly axis: { readonly y0: number; readonly y1: number; readonly hectares: number };
}

/**
 * Draw hectares of the largest crops by year as stacked bars in USDA's colors.
 *
 * @throws {PipelineError} input: a year is not in the history, or no area is known; failed: no font.
 */
export async function drawChart(legend: HistoryLegend, options: ChartOptions, ctx: Context): Promise<Chart> {
  ctx.signal.throwIfAborted();
  const { out, width, years } = options;
  const unknown = years.find((year) => !legend.years.includes(year));
  if (unknown !== undefined) {
    throw new PipelineError("input", "The history does not have this year", {
      year: unknown,
      expected: legend.years.join(" "),
    });
  }
  const font = findFont();
  if (font === undefined) {
    throw new PipelineError("failed", "No font found: Debian and Ubuntu: apt-get install fonts-dejavu-core");
  }
  const bands = chartBands(legend, years, options.top);
  const totals = years.map((_, i) => bands.reduce((sum, { hectares }) => sum + (hectares[i] ?? 0), 0));
  const most = Math.max(...totals);
  if (!(most > 0))
    throw new PipelineError("input", "The history knows no area in these years", { years: years.join(" ") });
  const unit = width / REFERENCE_WIDTH;
  const canvas = createCanvas(width, Math.round(HEIGHT * unit));
  const pen = canvas.getContext("2d");
  const lettering = new Lettering(pen, font, unit, THEMES[options.theme]);
  pen.fillStyle = lettering.theme.panel;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const plot = plotOf(canvas, unit);
  pen.fillStyle = lettering.theme.ground;
  pen.fillRect(plot.left, plot.top, plot.right - plot.left, plot.bottom - plot.top);
  const end = niceStep(most / GRID_LINES) * Math.ceil(most / niceStep(most / GRID_LINES));
  drawAxis(pen, lettering, plot, end, niceStep(most / GRID_LINES));
  const bars = drawBars(pen, lettering, plot, bands, years, end);
  drawLegend(pen, lettering, plot, bands, totals);
  const title = options.title ?? "Crop area by year";
  lettering.write(title, plot.left, 46 * unit, {
    size: 24,
    color: lettering.theme.strong,
    room: canvas.width - 2 * plot.left,
  });
  lettering.write(NOTE, plot.left, canvas.height - 20 * unit, { size: 12, color: lettering.theme.faint });
  await writePng(canvas, out, ctx);
  const axis = { y0: plot.bottom, y1: plot.top, hectares: end };
  return { out, width, height: canvas.height, font, bands, years, bars, axis };
}

/** The largest crops over all years, largest first, and the sum of the others. */
function chartBands(legend: HistoryLegend, years: readonly number[], top: number): Band[] {
  const bands = legend.crops
    .map(({ name, color, code, hectares }) => ({ name, color, code, hectares: years.map((y) => hectares[y] ?? null) }))
    .map((band) => ({ ...band, sum: band.hectares.reduce<number>((sum, value) => sum + (value ?? 0), 0) }))
    .filter(({ sum }) => sum > 0)
    .sort((a, b) => b.sum - a.sum || a.code - b.code);
  const shown = bands.length > top + 1 ? bands.slice(0, top) : bands;
  const rest = bands.slice(shown.length);
  const plain = shown.map(({ name, color, hectares }) => ({ name, color, hectares }));
  if (rest.length === 0) return plain;
  const sums = years.map((year, i) =>
    legend.missing.includes(year) ? null : rest.reduce((sum, { hectares }) => sum + (hectares[i] ?? 0), 0),
  );
  return [...plain, { name: `${rest.length} ${REST.name}`, color: REST.color, hectares: sums }];
}

interface Plot {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

function plotOf({ width, height }: Canvas, unit: number): Plot {
  return {
    left: Math.round(FRAME.left * unit),
    top: Math.round(FRAME.top * unit),
    right: Math.round(width - FRAME.right * unit),
    bottom: Math.round(height - FRAME.bottom * unit),
  };
}

/** The next 1, 2 or 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5].find((step) => step * power >= least) ?? 10) * power;
}

function drawAxis(pen: SKRSContext2D, lettering: Lettering, plot: Plot, end: number, step: number): void {
  const { unit } = lettering;
  const [scale, name] = end >= 2e6 ? [1e6, "million ha"] : end >= 2e3 ? [1e3, "thousand ha"] : [1, "ha"];
  lettering.write(name, plot.left, plot.top - 12 * unit, { size: 13, color: lettering.theme.faint });
  for (let value = 0; value <= end * 1.000001; value += step) {
    const y = plot.bottom - (value / end) * (plot.bottom - plot.top);
    pen.fillStyle = lettering.theme.grid;
    pen.fillRect(plot.left, Math.round(y), plot.right - plot.left, Math.max(1, unit));
    const label = Number((value / scale).toPrecision(6)).toLocaleString("en");
    lettering.write(label, plot.left - 10 * unit, y + 5 * unit, {
      size: 14,
      color: lettering.theme.faint,
      align: "right",
    });
  }
}

function drawBars(
  pen: SKRSContext2D,
  lettering: Lettering,
  plot: Plot,
  bands: readonly Band[],
  years: readonly number[],
  end: number,
): Chart["bars"] {
  const { unit } = lettering;
  const slot = (plot.right - plot.left) / years.length;
  const width = Math.max(1, Math.round(Math.min(slot * BAR_SHARE, 90 * unit)));
  const label = { size: 14, align: "center" } as const;
  // Every year if there is room, else every second, third ...
  const every = Math.ceil((lettering.width("2020", label) + 12 * unit) / slot);
  return years.map((year, i) => {
    const middle = plot.left + (i + 0.5) * slot;
    const x = Math.round(middle - width / 2);
    let below = 0;
    for (const { color, hectares } of bands) {
      const value = hectares[i] ?? 0;
      const [y0, y1] = [below, below + value].map((h) => plot.bottom - (h / end) * (plot.bottom - plot.top)) as [
        number,
        number,
      ];
      below += value;
      pen.fillStyle = color;
      pen.fillRect(x, y1, width, y0 - y1);
      // Crops share colors, so a line separates adjacent ones.
      if (y0 - y1 > 3 * unit) {
        pen.fillStyle = lettering.theme.ground;
        pen.fillRect(x, y1, width, Math.max(1, unit));
      }
    }
    const isMissing = bands.every(({ hectares }) => hectares[i] === null);
    if (isMissing) {
      lettering.write("–", middle, plot.bottom - 8 * unit, { size: 16, align: "center", color: lettering.theme.faint });
    }
    if ((years.length - 1 - i) % every === 0) {
      const color = isMissing ? lettering.theme.faint : lettering.theme.plain;
      lettering.write(String(year), middle, plot.bottom + 22 * unit, { ...label, color });
    }
    return { year, x, width };
  });
}

/** Largest at the bottom, as in the bars; shares cover all years. */
function drawLegend(
  pen: SKRSContext2D,
  lettering: Lettering,
  plot: Plot,
  bands: readonly Band[],
  totals: readonly number[],
): void {
  const { unit } = lettering;
  const all = totals.reduce((sum, total) => sum + total, 0);
  const left = plot.right + 30 * unit;
  const right = plot.right + (FRAME.right - 26) * unit;
  lettering.write("% of the area, all years", right, plot.top - 12 * unit, {
    size: 12,
    color: lettering.theme.faint,
    align: "right",
  });
  const step = Math.min(ROW_HEIGHT * unit, (plot.bottom - plot.top) / bands.length);
  for (const [i, { name, color, hectares }] of bands.entries()) {
    const middle = plot.bottom - (i + 0.5) * step;
    pen.fillStyle = color;
    pen.beginPath();
    pen.roundRect(left, middle - 8 * unit, 16 * unit, 16 * unit, 3 * unit);
    pen.fill();
    const share = (100 * hectares.reduce<number>((sum, value) => sum + (value ?? 0), 0)) / all;
    const percent = share >= 9.95 ? share.toFixed(0) : share >= 0.05 ? share.toFixed(1) : "< 0.1";
    const base = middle + 5.5 * unit;
    lettering.write(name, left + 26 * unit, base, { size: 15, room: right - left - 80 * unit });
    lettering.write(percent, right, base, { size: 15, align: "right", color: lettering.theme.faint });
  }
}
