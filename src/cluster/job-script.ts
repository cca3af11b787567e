import { readFileSync } from "node:fs";
import { PipelineError } from "../pipeline/errors.js";

/** Options of sbatch by their long names; true if one takes no value. */
export type Directives = Readonly<Record<string, string | true>>;

/**
 * The `#SBATCH` lines of a script.
 *
 * @throws {PipelineError} input, for a line that is not one long option (what sbatch would make of it
 *   could not be checked).
 */
export function scriptDirectives(path: string): Directives {
  const directives: Record<string, string | true> = {};
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (!line.startsWith("#")) {
      // sbatch also reads up to the first command.
      if (line.trim() !== "") break;
      continue;
    }
    if (!line.startsWith("#SBATCH")) continue;
    const match = /^#SBATCH\s+--([a-z-]+)(?:=(\S+))?\s*$/.exec(line);
    if (match === null) {
      throw new PipelineError("input", "#SBATCH line must hold one long option", { path, received: line });
    }
    directives[match[1] as string] = match[2] ?? true;
  }
  return directives;
}

/** The script with these directives instead of its own: some of sbatch's options cannot be overridden by others. */
export function renderScript(path: string, directives: Directives): string {
  const lines = readFileSync(path, "utf8").split("\n");
  const own = Object.entries(directives).map(
    ([name, value]) => `#SBATCH --${name}${value === true ? "" : `=${value}`}`,
  );
  const first = lines.findIndex((line) => line.startsWith("#SBATCH"));
  const rest = lines.slice(first).filter((line) => !line.startsWith("#SBATCH"));
  return [...lines.slice(0, first), ...own, ...rest].join("\n");
}
