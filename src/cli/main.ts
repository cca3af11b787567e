import { keepRootOptions } from "../config/root-options.js";
import type { Context } from "../pipeline/context.js";
import { EXIT_CODES, isSystemError, PipelineError, unexpectedError } from "../pipeline/errors.js";
import { redact, redactAll } from "../pipeline/redact.js";
import { readArguments } from "./arguments.js";
import type { Arguments, Command } from "./command.js";
import { markOf, type OpenLog, openLog } from "./log.js";
import { asTyped, versionText } from "./program.js";
import { TerminalProgress } from "./progress.js";

/** How long cleanup may take after a first signal before the process ends anyway. */
const CLEANUP_LIMIT_MS = 20_000;

export interface MainOptions {
  /** The log file, where the command keeps one; from its arguments. */
  readonly logFile?: (args: Arguments) => string | undefined;
}

/** What a command's body may need beyond its context. */
export interface CommandTools {
  /** The context's log, with a file of its own. */
  readonly logTo: (file: string) => OpenLog;
}

/**
 * Run a command: arguments in, exit code out.
 *
 * SIGTERM and SIGINT abort the context's signal, and the command ends its
 * children and removes its scratch on the way out; a second signal ends at once.
 * SIGUSR1 aborts the context's drain.
 *
 * @param body  returns what `--json` prints on stdout (undefined for nothing).
 */
export async function main(
  command: Command,
  body: (args: Arguments, ctx: Context, tools: CommandTools) => Promise<unknown>,
  options: MainOptions = {},
): Promise<void> {
  ignoreClosedPipes();
  let json = false;
  /** Options that the command could not use are not the root's. */
  let takeBack = async () => {};
  let signal: AbortSignal | undefined;
  let report = (message: string) => {
    process.stderr.write(`${asTyped(`${markOf("error")}${message}`)}\n`);
  };
  try {
    const argv = process.argv.slice(2);
    if (argv[0] === "--version" || argv[0] === "-V") {
      process.stdout.write(await versionText());
      return;
    }
    const args = readArguments(command, argv);
    if (args === undefined) return;
    json = args.options.json;
    const file = options.logFile?.(args);
    let clear = () => {};
    const { quiet } = args.options;
    const logTo = (path?: string) => openLog({ ...(path && { file: path }), quiet, beforeLine: () => clear() });
    const log = logTo(file);
    const progress = new TerminalProgress((line) => log.info(line), quiet ? false : undefined);
    clear = () => progress.clear();
    report = (message) => log.error(message);
    signal = signalOnTermination();
    const drain = drainOnNotice(() => log.warn("SIGUSR1: finishing work in progress; starting nothing new"));
    let kept: ReturnType<typeof keepRootOptions> | undefined;
    const keepOptions = async (held: Context) => {
      kept ??= keepRootOptions(args.options, args.given, held);
      await kept;
    };
    takeBack = async () => (await kept)?.();
    const ctx = { signal, drain, log, progress, ...(command.rootOptions === "keep" && { keepOptions }) };
    const result = await body(args, ctx, { logTo });
    if (json && result !== undefined) process.stdout.write(`${JSON.stringify(result, replacer)}\n`);
  } catch (error) {
    const known = endedBy(signal, unexpectedError(error, "Unexpected error"));
    report(known.message);
    if (known.kind === "usage" || known.kind === "input")
      await takeBack().catch((failed: Error) => report(failed.message));
    if (known.kind === "failed" && error instanceof Error && !isSystemError(error)) {
      process.stderr.write(`${redact(error.stack ?? "")}\n`);
    }
    if (json)
      process.stdout.write(
        `${JSON.stringify(redactAll({ error: known.sentence, kind: known.kind, ...known.where }), replacer)}\n`,
      );
    process.exitCode = known.exitCode;
  }
  // Ctrl-C is the normal end of commands that run until stopped; SIGTERM always sets the exit code.
  const reason = signal?.reason as PipelineError | undefined;
  if (reason?.kind === "terminated") process.exitCode = reason.exitCode;
  // A native handle or a pool that lingers must not keep a finished command from ending.
  setTimeout(() => process.exit(), 2_000).unref();
}

/** After a signal every error is the signal's doing, whatever broke on the way out. */
function endedBy(signal: AbortSignal | undefined, error: PipelineError): PipelineError {
  if (!signal?.aborted) return error;
  const reason = signal.reason as PipelineError;
  return error.kind === reason.kind ? error : reason;
}

/** A reader that ends early, as `head` does, ends no work: what is left to say is dropped. */
function ignoreClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
}

function signalOnTermination(): AbortSignal {
  const controller = new AbortController();
  for (const [name, kind] of [
    ["SIGINT", "interrupted"],
    ["SIGTERM", "terminated"],
  ] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT_CODES[kind]);
      controller.abort(new PipelineError(kind, `Ended by ${name}; finished work is kept`));
      setTimeout(() => process.exit(EXIT_CODES[kind]), CLEANUP_LIMIT_MS).unref();
    });
  }
  return controller.signal;
}

/**
 * Listens also for commands that have nothing to drain: without a listener Node takes SIGUSR1
 * for a request to open its debugger, to anybody on the machine.
 */
function drainOnNotice(told: () => void): AbortSignal {
  const controller = new AbortController();
  process.on("SIGUSR1", () => {
    if (controller.signal.aborted) return;
    told();
    controller.abort(new PipelineError("paused", "Stopped early by SIGUSR1; run the same command to resume"));
  });
  return controller.signal;
}

function replacer(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
