import { constants } from "node:os";
import { redact } from "./redact.js";

/**
 * What went wrong, by who can mend it. Each kind is one exit code, so that a
 * script (or a Slurm loop) can tell a bad zip from a full disk.
 */
export const EXIT_CODES = {
  done: 0,
  /** A bug, or an operating-system error that fits no other kind. */
  failed: 1,
  /** An option or a configuration key is wrong. */
  usage: 2,
  /** Some of several years failed. */
  partial: 3,
  /** An input file cannot be used: missing, truncated, wrong type, no overlap. */
  input: 4,
  /** More dirty rows than `--max-dirty` allows. */
  dirty: 5,
  /** Another live process works on this year. */
  locked: 6,
  /** No space left on a device. */
  space: 7,
  /** An external program is missing, failed or was killed. */
  tool: 8,
  /** A download failed after all retries. */
  network: 9,
  /** Upload, manifest or invalidation failed. */
  publish: 10,
  /** Ended early by SIGUSR1, before a time limit; the same command goes on from there. */
  paused: 11,
  interrupted: 130,
  terminated: 143,
} as const;

export type ErrorKind = keyof typeof EXIT_CODES;

/** Where it happened: file, year, field, block, expected, received ... in the order to print. */
export type Where = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/**
 * An error that a user can act on.
 *
 * `message` is the sentence plus `where` in brackets:
 * `Cannot read block (path=lc.tif, year=2003, block=7, window=512,0 512×512)`.
 */
export class PipelineError extends Error {
  override readonly name = "PipelineError";

  constructor(
    readonly kind: ErrorKind,
    readonly sentence: string,
    readonly where: Where = {},
    options: { cause?: unknown } = {},
  ) {
    super(describe(sentence, where, options.cause), options);
  }

  /** The same error with more context in front; used where a caller knows the year or the step. */
  at(where: Where): PipelineError {
    return new PipelineError(this.kind, this.sentence, { ...where, ...this.where }, { cause: this.cause });
  }

  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }
}

function describe(sentence: string, where: Where, cause: unknown): string {
  const pairs = Object.entries(where)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`);
  const context = pairs.length > 0 ? ` (${pairs.join(", ")})` : "";
  const reason = cause instanceof Error && cause.message ? `: ${cause.message}` : "";
  return redact(`${sentence}${context}${reason}`);
}

/**
 * True for an error of the operating system, such as EACCES: its sentence says all, a stack trace nothing. Errors
 * that crossed from a worker have nothing but their sentence left.
 */
export function isSystemError(error: unknown): boolean {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    const { errno, syscall } = e as NodeJS.ErrnoException;
    const code = SYSTEM_SENTENCE.exec(e.message)?.[1];
    if ((errno !== undefined && syscall !== undefined) || (code ?? "") in constants.errno) return true;
  }
  return false;
}

/** As Node says it: `EIO: i/o error, write`. */
const SYSTEM_SENTENCE = /(?:^|: )(E[A-Z0-9]+): [^:,]+, [a-z_]+(?: '|$)/;

/** Any thrown value as a PipelineError; ENOSPC and EDQUOT become kind `space` wherever they appear. */
export function asPipelineError(error: unknown, kind: ErrorKind, sentence: string, where: Where = {}): PipelineError {
  if (error instanceof PipelineError) return error.at(where);
  if (isOverQuota(error)) return new PipelineError("space", "Disk quota exceeded", where, { cause: error });
  if (isNoSpace(error)) return new PipelineError("space", "No space left on device", where, { cause: error });
  const fault = FAULTS[faultOf(error) ?? ""];
  // What came from a worker may say it already.
  const isSaid = fault !== undefined && error instanceof Error && error.message.includes(fault);
  return new PipelineError(kind, fault === undefined || isSaid ? sentence : `${sentence}; ${fault}`, where, {
    cause: error,
  });
}

/**
 * An error that no step gave a kind: bad input where a file that was to be read is missing, is a folder or may not
 * be read, as a path on the command line can be; else kind `failed`.
 */
export function unexpectedError(error: unknown, sentence: string, where: Where = {}): PipelineError {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    if (e instanceof PipelineError) break;
    const { code = "", path, syscall = "" } = e as NodeJS.ErrnoException;
    const fault = PATH_FAULTS[code];
    if (fault !== undefined && LOOKS.has(syscall))
      return new PipelineError("input", fault, { ...where, path }, { cause: error });
  }
  return asPipelineError(error, "failed", sentence, where);
}

const PATH_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "File not found",
  ENOTDIR: "Not a folder: a file with this name exists",
  EISDIR: "Not a file but a folder",
  EACCES: "No permission to read the file",
  EPERM: "No permission to read the file",
  ENAMETOOLONG: "The file name is too long",
  ELOOP: "Links lead to each other",
};

/** System calls that look at a file and change nothing, or may. */
const LOOKS = new Set(["access", "lstat", "open", "opendir", "read", "realpath", "scandir", "stat"]);

/** Faults of the machine, not of what was asked for. */
const FAULTS: Readonly<Record<string, string>> = {
  EIO: "the disk or file system reports a fault, so look at its logs",
  EROFS: "the file system is read-only",
};

function faultOf(error: unknown): string | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    const code = (e as NodeJS.ErrnoException).code ?? /(?:^|: )(EIO|EROFS):/.exec(e.message)?.[1];
    if (code !== undefined && code in FAULTS) return code;
  }
  return undefined;
}

/** True for ENOSPC and EDQUOT, also deep in a chain of causes (and when only a message survived). */
export function isNoSpace(error: unknown): boolean {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === "ENOSPC" || /ENOSPC|No space left on device/.test(e.message)) return true;
  }
  return isOverQuota(error);
}

/** EDQUOT, which libuv has no name for: Node calls it UNKNOWN. */
function isOverQuota(error: unknown): boolean {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    const { code, errno } = e as NodeJS.ErrnoException;
    if (code === "EDQUOT" || errno === -constants.errno.EDQUOT) return true;
    if (/EDQUOT|Disk quota exceeded|UNKNOWN: unknown error, write/.test(e.message)) return true;
  }
  return false;
}
