import { PipelineError } from "../pipeline/errors.js";

/**
 * The value of an option of a command's own.
 *
 * @param flag  as typed: `--width`.
 * @throws {PipelineError} usage, when the text is not a whole number from `min` to `max`.
 */
export function wholeNumber(flag: string, text: string | undefined, min: number, max?: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= min && value <= (max ?? value)) return value;
  const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`;
  throw new PipelineError("usage", `${flag} must be a whole number ${range}`, { received: text });
}
