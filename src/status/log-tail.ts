import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** A line of a year's log. */
export interface LogLine {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
}

export interface LogTail {
  readonly last: LogLine | undefined;
  /** Warnings and errors of the last run that stand in the tail, oldest first. */
  readonly problems: readonly LogLine[];
}

/** Enough for some hundred lines; a log of days is not read whole. */
const TAIL_BYTES = 128 * 1024;
/** pino's numbers. */
const LEVELS: Readonly<Record<number, LogLine["level"]>> = { 20: "debug", 30: "info", 40: "warn", 50: "error" };

/**
 * The end of a year's log of JSON lines. A line that is cut or no JSON is passed over.
 *
 * @param since  ISO 8601; problems before it are an earlier run's.
 * @returns undefined where there is no log.
 */
export function readLogTail(path: string, since = ""): LogTail | undefined {
  const text = tailOf(path);
  if (text === undefined) return undefined;
  const lines = text.split("\n").flatMap(parseLine);
  const problems = lines.filter(({ level, time }) => (level === "warn" || level === "error") && time >= since);
  return { last: lines.findLast(({ level }) => level !== "debug"), problems };
}

function tailOf(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const bytes = readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, bytes);
  } finally {
    closeSync(fd);
  }
}

function parseLine(line: string): LogLine[] {
  try {
    const { time, level, msg } = JSON.parse(line) as { time?: unknown; level?: number; msg?: unknown };
    const name = LEVELS[level ?? 0];
    return typeof time === "string" && typeof msg === "string" && name ? [{ time, level: name, message: msg }] : [];
  } catch {
    return [];
  }
}
