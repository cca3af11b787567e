import { PipelineError } from "../pipeline/errors.js";

/** As many as a byte holds; the Cropland Data Layer is a raster of bytes. */
export const MAX_CROPS = 256;
/** Codes are kept in 16 bits. */
const MAX_CODE = 65_535;

/** The class of a field without a crop. */
export const NO_CROP = -1;

/** Crops that occur, numbered as they come, so that counts lie in small arrays. */
export class CropClasses {
  /** Code by class. */
  readonly codes: number[] = [];
  readonly #classes = new Int16Array(MAX_CODE + 1).fill(NO_CROP);

  /** @throws {PipelineError} input: a code that is no whole number from 0 to 65535, or one crop too many. */
  classOf(code: number): number {
    const known = this.#classes[code];
    if (known !== undefined && known !== NO_CROP) return known;
    if (known === undefined) {
      throw new PipelineError("input", "A crop code does not fit the history", {
        expected: `a whole number from 0 to ${MAX_CODE}`,
        received: code,
      });
    }
    if (this.codes.length === MAX_CROPS) {
      throw new PipelineError("input", "Too many different crops for a history", {
        expected: `at most ${MAX_CROPS}`,
        code,
      });
    }
    this.#classes[code] = this.codes.length;
    return this.codes.push(code) - 1;
  }
}
