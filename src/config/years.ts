import { PipelineError } from "../pipeline/errors.js";

/**
 * Years as people write them: `2020`, `2018,2020`, `2008-2024`.
 *
 * @throws {PipelineError} usage, when the text does not name years.
 */
export function parseYears(text: string): number[] {
  const years = text.split(",").flatMap((part) => {
    const match = /^(\d{4})(?:-(\d{4}))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (!match || last < first) {
      throw new PipelineError("usage", `Not a year: ${JSON.stringify(text)}; use 2020, 2018,2020 or 2008-2024`);
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return [...new Set(years)];
}
