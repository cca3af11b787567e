import { FIELD_STATUS, STATUS_OK, STATUS_OUTSIDE, STATUS_SMALL } from "../kernel/geometry.js";
import type { PixelRule } from "../kernel/zonal.js";
import { PipelineError } from "../pipeline/errors.js";

/** The options that choose a rule. */
export interface PixelOptions {
  readonly allTouched?: boolean;
  readonly smallFields?: "touched" | undefined;
  readonly coverage?: boolean;
}

/**
 * Which pixels belong to a field, as the options have it.
 *
 * @throws {PipelineError} usage, where they contradict one another.
 */
export function pixelRule({ allTouched, smallFields, coverage }: PixelOptions): PixelRule {
  const chosen = [
    { flag: "--all-touched", rule: "touched", on: allTouched },
    { flag: "--small-fields", rule: "small-touched", on: smallFields !== undefined },
    { flag: "--coverage", rule: "coverage", on: coverage },
  ] as const;
  const [first, ...more] = chosen.filter(({ on }) => on);
  if (more.length > 0) {
    const flags = [first, ...more].map((choice) => choice?.flag).join(" and ");
    throw new PipelineError("usage", `${flags} exclude each other`);
  }
  return first?.rule ?? "centre";
}

/** The rule by which a field of this status was answered: `centre`, `touched`. */
export function answeringRule(rule: PixelRule, status: number): string {
  if (rule === "small-touched") return status === STATUS_SMALL ? "touched" : "centre";
  return rule;
}

/**
 * Why a field has no crop.
 *
 * @param status   its FIELD_STATUS code.
 * @param covered  pixels of the raster under it.
 */
export function nullReason(status: number, covered: number): string {
  if (!hasPixels(status)) return FIELD_STATUS[status] as string;
  // The index may know pixels that this raster does not have.
  return covered === 0 ? (FIELD_STATUS[STATUS_OUTSIDE] as string) : ONLY_BACKGROUND;
}

export const ONLY_BACKGROUND = "only background or nodata";

/** Whether the index may hold pixels of a field of this status. */
export function hasPixels(status: number): boolean {
  return status === STATUS_OK || status === STATUS_SMALL;
}
