import type { Options } from "../config/options.js";
import { type PixelRule, SHARE_UNITS } from "../kernel/zonal.js";
import { PipelineError } from "../pipeline/errors.js";
import { pixelRule } from "../zones/pixel-rule.js";
import type { AnswerRule } from "./answers.js";
import type { OutputColumn } from "./columns.js";
import { parseStatistics, type Statistic } from "./statistics.js";

/** Areas are summed as integers in units of this fraction of a square meter, so sums do not depend on order. */
export const AREA_UNITS = 1024;
const M2_PER_HA = 10_000;

/** The pixels to count, the decision from a histogram, and the columns to write. */
export interface ZonalRule extends AnswerRule {
  /** Which pixels belong to a field; part of the zone index. */
  readonly pixels: PixelRule;
  /** Weigh pixels by their area on the ellipsoid; answers are in hectares. */
  readonly area: boolean;
  /** Written after the other columns. */
  readonly stats: readonly Statistic[];
  /** Undefined: all columns, unchanged. */
  readonly columns?: readonly OutputColumn[];
}

/**
 * @param lists  write every field's full histogram.
 * @param stats  the value of `--stats`.
 * @throws {PipelineError} usage.
 */
export function zonalRule(options: Options, lists = false, stats?: string): ZonalRule {
  const pixels = pixelRule(options);
  const area = options.weights === "area";
  const unit = area ? 1 / AREA_UNITS / M2_PER_HA : pixels === "coverage" ? 1 / SHARE_UNITS : undefined;
  const statistics = stats === undefined ? [] : parseStatistics(stats);
  return { ties: options.ties, lists, stats: statistics, pixels, area, unit };
}

/** @throws {PipelineError} usage: statistics of a second raster without one, or one without them. */
export function checkValueStatistics({ stats }: ZonalRule, hasValues: boolean): void {
  const [first] = stats.filter(({ over }) => over !== "classes");
  if ((first !== undefined) === hasValues) return;
  throw hasValues
    ? new PipelineError("usage", "--values is for statistics of its raster", {
        expected: "--stats value_mean or --stats crop_value_mean",
      })
    : new PipelineError("usage", "--stats names a statistic of a second raster; pass it as --values", {
        received: first?.name,
      });
}

/** Name of a pixel column if pixels are weighted by area. */
export function amountName(name: string, { area }: Pick<ZonalRule, "area">): string {
  return area ? name.replace(/_pixels$/, "_area_ha") : name;
}

/** The columns of a zonal table, in order. */
export function columnNames(rule: Pick<ZonalRule, "lists" | "stats" | "area">): string[] {
  const names = [
    "field_id",
    "crop_code",
    "crop_pixels",
    "valid_pixels",
    "crop_share",
    "second_code",
    "second_pixels",
    "rule",
    "null_reason",
    ...(rule.lists ? ["class_codes", "class_pixels"] : []),
    ...rule.stats.map(({ name }) => name),
  ];
  return names.map((name) => amountName(name, rule));
}

/** Whether any column needs full histograms. */
export function needsHistogramColumns(rule: ZonalRule): boolean {
  const names = rule.columns?.map(({ source }) => source) ?? columnNames(rule);
  return names.some((name) => name.startsWith("class_") || rule.stats.some((one) => one.name === name));
}
