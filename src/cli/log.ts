import { createRequire } from "node:module";
import { dirname } from "node:path";
import type pino from "pino";
import { makeFolder } from "../pipeline/folder.js";
import type { Log, LogFields } from "../pipeline/log.js";
import { redact, redactAll } from "../pipeline/redact.js";
import { asTyped } from "./program.js";

export interface LogOptions {
  /** JSON lines are appended here (one file per year); created with its folder. */
  readonly file?: string;
  /** Nothing but warnings and errors on stderr. */
  readonly quiet?: boolean;
  /** Called before a line goes to stderr, to clear a progress bar that stands there. */
  readonly beforeLine?: () => void;
}

/** A log whose file may be closed; nothing is written to it afterwards. */
export interface OpenLog extends Log {
  close(): void;
}

const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const;
type Level = keyof typeof LEVELS;

/**
 * Open a log: text on stderr, JSON lines in `options.file`.
 *
 * The file is written synchronously: its last line before a crash is the one
 * that people look for.
 */
export function openLog(options: LogOptions = {}): OpenLog {
  let file: pino.Logger | undefined;
  let close = () => {};
  if (options.file !== undefined) {
    makeFolder(dirname(options.file));
    // Only commands with a log file need it.
    const pino = createRequire(import.meta.url)("pino") as typeof import("pino").default;
    const destination = pino.destination({ dest: options.file, append: true, sync: true });
    // A full disk must not take the run down with the log: the error that matters comes from the output itself.
    destination.on("error", () => {});
    close = () => destination.end();
    file = pino({ level: "debug", base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  }
  return { ...childLog(file, options, {}), close };
}

function childLog(file: pino.Logger | undefined, options: LogOptions, bound: LogFields): Log {
  const write = (level: Level, text: string, fields: LogFields = {}) => {
    const all = redactAll({ ...bound, ...fields }) as LogFields;
    const message = redact(text);
    file?.[level](jsonSafe(all), message);
    if (level === "debug" || (options.quiet && LEVELS[level] < LEVELS.warn)) return;
    options.beforeLine?.();
    process.stderr.write(`${asTyped(textLine(level, message, all))}\n`);
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
    with: (fields) => childLog(file, options, { ...bound, ...fields }),
  };
}

/** `ERROR `, in red where a terminal shows colors and NO_COLOR does not forbid it (no-color.org). */
export function markOf(level: Level): string {
  if (level === "info") return "";
  const mark = level.toUpperCase();
  const color = { debug: 2, warn: 33, error: 31 }[level];
  const plain = !process.stderr.isTTY || process.env.TERM === "dumb" || (process.env.NO_COLOR ?? "") !== "";
  return plain ? `${mark} ` : `\x1b[${color}m${mark}\x1b[0m `;
}

function textLine(level: Level, message: string, fields: LogFields): string {
  const { year, step, ...rest } = fields;
  const place = [year, step].filter((part) => typeof part === "number" || typeof part === "string").join(" ");
  const pairs = Object.entries(rest)
    .filter(([, value]) => value !== undefined && typeof value !== "object")
    .map(([key, value]) => `${key}=${value}`);
  return [place && `[${place}]`, markOf(level) + message, pairs.length > 0 && `(${pairs.join(", ")})`]
    .filter(Boolean)
    .join(" ");
}

function jsonSafe(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, typeof v === "bigint" ? v.toString() : v]));
}
