import { existsSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import type { Context } from "./context.js";
import { asPipelineError, type ErrorKind, PipelineError } from "./errors.js";
import { fileDigest, fingerprint } from "./fingerprint.js";
import { fullDigest, hashFile, isSampled, standingOf } from "./full-digest.js";
import type { InputFiles } from "./input-files.js";
import { clearScratch, endScratch, openScratch, publishFile, requireHeld } from "./output.js";
import { checkStepOutput, type OriginOf } from "./output-origin.js";
import { type Facts, type Inputs, readRecord, type StepRecord, writeRecord } from "./record.js";
import { changedInputs, changedOutputs, DAMAGED } from "./recorded-files.js";

/**
 * One arrow of the data's way: files in, one file out. `runStep` owns skipping,
 * scratch, rename and record; a step only says what it depends on and does the work.
 */
export interface Step<F extends Facts = Facts> {
  readonly name: string;
  /** Undefined for an output that is of no one year. */
  readonly year: number | undefined;
  /** Raised whenever the same inputs would give another output. */
  readonly version: number;
  /** Absolute path of the output. */
  readonly target: string;
  /** Absolute path of the record. */
  readonly record: string;
  /** Kind of an error that is not yet a PipelineError. */
  readonly errorKind: ErrorKind;
  /** Everything the output depends on: digests of inputs, options. Cheap. */
  readonly inputs: Inputs;
  /** The files that it reads, watched since before `inputs` were taken; a change while it runs fails it. */
  readonly files?: InputFiles;
  /** Judge by every byte of the inputs and the output, not by samples: `--verify-inputs full`. */
  readonly inFull?: boolean;
  /** Cheap checks before any work, with errors that name what is wrong. */
  validate(ctx: Context): Promise<void>;
  /** Make the output as `partial`; other files may lie next to it (in the same scratch folder) until the end. */
  run(partial: string, ctx: Context): Promise<F>;
  /** Read `partial` back: footer, header, counts. Throws when it is not what `facts` say. */
  verify(partial: string, facts: F, ctx: Context): Promise<void>;
  /**
   * Whether the output that lies there may stand in, beyond fingerprint and digest;
   * a reason why not, else undefined. A download whose raster was given back says
   * here whether it is still needed.
   */
  recheck?(record: StepRecord): Promise<string | undefined> | string | undefined;
  /** Who made the file at `target`; left out where nobody but this program writes such a path. */
  readonly originOf?: OriginOf;
  /** True when scratch of an ended run is worth keeping (a download to resume). */
  readonly resumable?: boolean;
  /**
   * Last acts once the output is in its place: side files, things that it replaces.
   * The record is written after it: a kill in between makes the step again, side files included.
   *
   * @param scratch  the folder that the output was made in.
   */
  finish?(facts: F, ctx: Context, scratch: string): Promise<void>;
  /** What `finish` or `run` put elsewhere: paths, and SHA-256 where it is known. */
  sideFiles?(facts: F): Readonly<Record<string, string | undefined>>;
}

/** What `runStep` would do, and why. */
export interface Verdict {
  readonly skip: boolean;
  readonly reason: string;
  readonly record?: StepRecord;
}

/** Judge without doing: is the output there and valid for these inputs and options? */
export async function judgeStep(step: Step, force: boolean): Promise<Verdict> {
  const no = (reason: string, record?: StepRecord): Verdict => ({ skip: false, reason, ...(record && { record }) });
  const record = readRecord(step.record);
  if (force) return no("forced", record);
  if (record === undefined) return no(existsSync(step.target) ? "output has no record" : "no output yet");
  if (record.version !== step.version)
    return no(`made by version ${record.version} of this step, now ${step.version}`, record);
  if (step.inFull) await requireSound(record);
  const change = firstChange(record.inputs, step.inputs);
  if (change !== undefined) return no(change, record);
  const hidden = await hiddenChange(step, record);
  if (hidden !== undefined) return no(hidden, record);
  const recheck = await step.recheck?.(record);
  if (recheck !== undefined) return no(recheck, record);
  if (step.recheck === undefined) {
    const missing = outputProblem(step.target, record);
    if (missing !== undefined) return no(missing, record);
  }
  if (step.inFull) {
    const [changed] = await changedOutputs(record, step.target);
    if (changed !== undefined) return no(`${changed.path} ${changed.problem}`, record);
  }
  return { skip: true, reason: "valid", record };
}

/** Why the file on disk is not the one that the record speaks of; undefined when it is. */
export function outputProblem(path: string, record: StepRecord): string | undefined {
  if (!existsSync(path)) return "output is gone";
  return fileDigest(path) === record.output.digest ? undefined : "output was changed since it was made";
}

/** A file that was replaced or written to since may differ where the samples of its digest do not look. */
async function hiddenChange(step: Step, record: StepRecord): Promise<string | undefined> {
  for (const [path, before] of Object.entries(record.files ?? {})) {
    if (!existsSync(path) || !isSampled(path) || before.standing === standingOf(path)) continue;
    const now = await fullDigest(path, dirname(step.record));
    if (now.sha256 !== before.sha256) return `${path} was changed since it was read`;
  }
  return undefined;
}

function firstChange(before: Inputs, now: Inputs): string | undefined {
  for (const key of new Set([...Object.keys(now), ...Object.keys(before)])) {
    const [was, is] = [before[key], now[key]];
    if (fingerprint(was ?? null) === fingerprint(is ?? null)) continue;
    const short = (value: unknown) => {
      const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "none");
      return text.length > 60 ? `${text.slice(0, 57)}...` : text;
    };
    return `${key} changed: ${short(was)} -> ${short(is)}`;
  }
  return undefined;
}

/**
 * Make a step's output unless a valid one is there.
 *
 * @returns the facts of the output, fresh or on record.
 * @throws {PipelineError} naming step and year; the old output, if any, still stands.
 *   paused, when the step would have to begin while the context drains.
 */
export async function runStep<F extends Facts>(
  step: Step<F>,
  ctx: Context,
  options: { force?: boolean } = {},
): Promise<F> {
  const log = ctx.log.with({ year: step.year, step: step.name });
  const own: Context = { ...ctx, log };
  try {
    ctx.signal.throwIfAborted();
    const verdict = await judgeStep(step, options.force ?? false);
    if (verdict.skip) {
      // A kill between the record and the clean-up leaves it; so does a failed --force of a resumable step.
      clearScratch(step.target);
      log.info(`valid, skipped: ${step.target}`);
      return verdict.record?.facts as F;
    }
    ctx.drain?.throwIfAborted();
    if (step.originOf !== undefined && !options.force) {
      await checkStepOutput(step.target, step.originOf, verdict.record !== undefined);
    }
    log.info(`started (${verdict.reason})`);
    await step.validate(own);
    // A step that has begun comes to its end with all that it is made of: a base, say, that its year waits for.
    const { drain: _, ...begun } = own;
    return await make(step, begun);
  } catch (error) {
    const reason =
      ctx.signal.aborted && !(error instanceof PipelineError && error.kind === "space") ? ctx.signal.reason : error;
    const where = { year: step.year, step: step.name };
    if (reason instanceof PipelineError) throw reason.at(where);
    throw asPipelineError(reason, step.errorKind, `Step ${step.name} failed`, { ...where, output: step.target });
  }
}

/** @throws {PipelineError} input, when an input has other bytes though nobody seems to have written to it. */
async function requireSound(record: StepRecord): Promise<void> {
  for (const { path, problem } of await changedInputs(record)) {
    if (problem === DAMAGED)
      throw new PipelineError("input", "Input is damaged: restore it from a copy, or replace it", { path, problem });
  }
}

async function digestsOf(files: Readonly<Record<string, string | undefined>>, signal: AbortSignal) {
  const digests: Record<string, string> = {};
  for (const [path, known] of Object.entries(files)) digests[path] = known ?? (await hashFile(path, signal));
  return digests;
}

async function make<F extends Facts>(step: Step<F>, ctx: Context): Promise<F> {
  const began = performance.now();
  const scratch = openScratch(step.target, step.resumable);
  const { partial } = scratch;
  let keep = false;
  try {
    // Read while the workers read it too.
    const reading = step.files?.fullDigests(dirname(step.record), ctx.signal);
    reading?.catch(() => {});
    const facts = await step.run(partial, ctx);
    ctx.signal.throwIfAborted();
    await step.verify(partial, facts, ctx);
    ctx.signal.throwIfAborted();
    const [digest, sha256] = [fileDigest(partial), await hashFile(partial, ctx.signal)];
    const files = await reading;
    step.files?.requireUnchanged();
    requireHeld(ctx);
    // An old record with a new output would be a lie; none at all is only work done twice.
    rmSync(step.record, { force: true });
    publishFile(partial, step.target);
    await step.finish?.(facts, ctx, scratch.path);
    const sideFiles = await digestsOf(step.sideFiles?.(facts) ?? {}, ctx.signal);
    requireHeld(ctx);
    const seconds = Math.round((performance.now() - began) / 10) / 100;
    writeRecord(step.record, {
      step: step.name,
      version: step.version,
      inputs: step.inputs,
      ...(files && Object.keys(files).length > 0 && { files }),
      output: { path: step.target, digest, sha256 },
      ...(Object.keys(sideFiles).length > 0 && { sideFiles }),
      facts,
      finishedAt: new Date().toISOString(),
      seconds,
      host: hostname(),
    });
    ctx.log.info(`done in ${seconds} s: ${step.target}`, { seconds, facts });
    return facts;
  } catch (error) {
    keep = step.resumable === true;
    // What was made of an input that changed is of no use to anybody; that is the error then, whatever came of it.
    if (!ctx.signal.aborted) {
      try {
        step.files?.requireUnchanged();
      } catch (change) {
        keep = false;
        throw change;
      }
    }
    throw error;
  } finally {
    endScratch(scratch, keep, ctx);
  }
}
