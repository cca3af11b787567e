import { PipelineError, type Where } from "../pipeline/errors.js";
import type { Log } from "../pipeline/log.js";

const TAIL_LINES = 50;

/** The exit codes of tippecanoe's errors.hpp, in words. */
const EXIT_NAMES: Readonly<Record<number, string>> = {
  100: "incomplete: tiles could not be made small enough, the archive ends at a lower zoom",
  101: "wrong arguments",
  102: "a file could not be closed",
  103: "broken CSV",
  104: "the output exists already",
  105: "a filter failed",
  106: "internal error, as of shards that are not a power of two",
  107: "broken JSON in its input",
  108: "out of memory",
  109: "broken vector tile",
  110: "no data: no feature was read, or no zoom could be made",
  111: "a file could not be opened, as of too many open files",
  112: "broken protobuf",
  113: "a thread or a limit could not be had",
  114: "reading failed",
  115: "seeking failed",
  116: "SQLite failed",
  117: "a file's state could not be read",
  118: "a file could not be removed",
  119: "input is not UTF-8",
  120: "writing failed",
  121: "impossible geometry",
};
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
const NO_SPACE = /No space left on device|Disk quota exceeded|database or disk is full|ENOSPC/i;

/** Reads tippecanoe's stderr: passes on progress and keeps the last lines for an error. */
export class StderrTail {
  readonly lines: string[] = [];
  #rest = "";

  constructor(
    private readonly log: Log,
    private readonly onProgress?: (percent: number) => void,
  ) {}

  add(chunk: Buffer): void {
    const pieces = (this.#rest + chunk.toString("utf8")).split(/[\r\n]+/);
    this.#rest = pieces.pop() ?? "";
    for (const piece of pieces) this.#take(piece.trim());
  }

  /** The last lines, oldest first, as one text. */
  text(): string {
    return [...this.lines, this.#rest.trim()].filter(Boolean).join(" | ");
  }

  #take(line: string): void {
    if (line === "") return;
    const percent = /^\{"progress":\s*([\d.]+)/.exec(line)?.[1];
    if (percent !== undefined) {
      this.onProgress?.(Math.min(100, Number(percent)));
      return;
    }
    this.log.debug("tippecanoe says", { line });
    this.lines.push(line);
    if (this.lines.length > TAIL_LINES) this.lines.shift();
  }
}

/** How a child process ended. */
export interface Ending {
  readonly exitCode?: number | undefined;
  /** The signal that killed it. */
  readonly signal?: string | undefined;
  /** ENOENT or similar, if it did not start. */
  readonly code?: string | undefined;
}

/**
 * The error for a process's exit; undefined if it succeeded.
 *
 * @param complete  whether all input was written.
 */
export function failureOf(
  ending: Ending,
  lastWords: string,
  complete: boolean,
  where: Where,
): PipelineError | undefined {
  const { exitCode, signal, code } = ending;
  const said = { ...where, stderr: lastWords === "" ? undefined : lastWords };
  if (exitCode === 0) {
    return complete
      ? undefined
      : new PipelineError("tool", "tippecanoe ended before it had read all features, and called it success", said);
  }
  if (NO_SPACE.test(lastWords)) return new PipelineError("space", "tippecanoe ran out of space", said);
  if (signal === "SIGBUS") {
    return new PipelineError("space", "tippecanoe was killed by SIGBUS: no room for a file that it had mapped", said);
  }
  if (signal !== undefined) {
    const hint = signal === "SIGKILL" ? "by hand, or for want of memory" : undefined;
    return new PipelineError("tool", `tippecanoe was killed by ${signal}`, { ...said, hint });
  }
  if (exitCode === undefined || exitCode === NOT_FOUND || exitCode === NOT_EXECUTABLE) {
    return new PipelineError("tool", "tippecanoe cannot be started; containers/install-tippecanoe.sh installs it", {
      ...said,
      code,
    });
  }
  const name = EXIT_NAMES[exitCode] ?? "unknown code";
  return new PipelineError("tool", `tippecanoe failed: ${name}`, { exitCode, ...said });
}
