import type { Options } from "../config/options.js";
import type { PixelRule } from "../kernel/kernel.js";
import { pixelRule } from "../zones/pixel-rule.js";
import type { AnswerRule } from "./answers.js";
import { type OutputColumn, parseColumns } from "./columns.js";

/** What is counted, how a histogram becomes an answer, and what is written of it. */
export interface ZonalRule extends AnswerRule {
  /** Which pixels belong to a field; the zone index is made by it. */
  readonly pixels: PixelRule;
  /** Undefined: all, as they are. */
  readonly columns?: readonly OutputColumn[];
}

/**
 * @param classes  write every field's whole histogram.
 * @param columns  as `--columns` is typed.
 * @throws {PipelineError} usage.
 */
export function zonalRule(options: Options, classes = false, columns?: string): ZonalRule {
  const rule = { ties: options.ties, classes, pixels: pixelRule(options) };
  return columns === undefined ? rule : { ...rule, columns: parseColumns(columns, columnNames(rule)) };
}

/** The columns of a zonal table, in order. */
export function columnNames({ classes }: AnswerRule): string[] {
  return [
    "field_id",
    "crop_code",
    "crop_pixels",
    "valid_pixels",
    "crop_share",
    "second_code",
    "second_pixels",
    "rule",
    "null_reason",
    ...(classes ? ["class_codes", "class_pixels"] : []),
  ];
}
