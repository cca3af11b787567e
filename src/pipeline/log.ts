export type LogFields = Readonly<Record<string, unknown>>;

/** One line each, with fields; a person reads them on stderr, a program in the log file. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  with(fields: LogFields): Log;
}

/** A log that says nothing; for library use. */
export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => SILENT_LOG };
