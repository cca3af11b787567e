import { FIELD_STATUS, type PixelRule, STATUS_OK, STATUS_OUTSIDE, STATUS_SMALL } from "../kernel/kernel.js";
import { PipelineError } from "../pipeline/errors.js";

/** The options that choose a rule. */
export interface PixelOptions {
  readonly allTouched?: boolean;
  readonly smallFields?: "touched" | undefined;
}

/**
 * Which pixels belong to a field, as the options have it.
 *
 * @throws {PipelineError} usage, where they contradict one another.
 */
export function pixelRule({ allTouched, smallFields }: PixelOptions): PixelRule {
  if (allTouched && smallFields !== undefined) {
    throw new PipelineError("usage", "--all-touched and --small-fields exclude each other");
  }
  if (allTouched) return "touched";
  return smallFields === undefined ? "centre" : "small-touched";
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
  return covered === 0 ? (FIELD_STATUS[STATUS_OUTSIDE] as string) : "only background or nodata";
}

function hasPixels(status: number): boolean {
  return status === STATUS_OK || status === STATUS_SMALL;
}
