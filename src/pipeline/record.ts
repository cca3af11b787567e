import { rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Json } from "./fingerprint.js";
import { makeFolder } from "./folder.js";
import { publishFile } from "./output.js";
import { readDocument } from "./small-file.js";

export type Inputs = Readonly<Record<string, Json>>;
/** What a step found out and later steps or people need: counts, digests, notes. */
export type Facts = Readonly<Record<string, Json>>;

/** What is known of a step's finished output; one small JSON file per region, year and step. */
export interface StepRecord {
  readonly step: string;
  /** The step's own version when the output was made. */
  readonly version: number;
  readonly inputs: Inputs;
  readonly output: { readonly path: string; readonly digest: string };
  readonly facts: Facts;
  readonly finishedAt: string;
  readonly seconds: number;
  readonly host: string;
}

export function recordPath(stateDir: string, region: string, year: number, step: string): string {
  return join(stateDir, `${region}_${year}_${step}.json`);
}

/** The record, or undefined where there is none or it cannot be read (then the step is made again). */
export function readRecord(path: string): StepRecord | undefined {
  const record = readJson(path) as StepRecord | undefined;
  const whole =
    typeof record?.step === "string" && record.inputs && record.facts && typeof record.output?.digest === "string";
  return whole ? record : undefined;
}

/** What a JSON file holds; undefined where there is none or it cannot be read. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readDocument(path).toString("utf8")) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Write atomically; called after the output itself is in place. */
export function writeRecord(path: string, record: StepRecord): void {
  writeJsonAtomic(path, record);
}

/**
 * Small JSON file by temporary name, fsync and rename. The name is fixed, so that the next
 * write takes what a kill left; whoever writes holds the year's lock. Where several may write,
 * each gives a name of its own as `writer`.
 */
export function writeJsonAtomic(path: string, value: unknown, writer = ""): void {
  makeFolder(dirname(path));
  const partial = `${path}${writer && `.${writer}`}.partial`;
  try {
    // Never through what lies there: it may be another user's link.
    rmSync(partial, { force: true });
    writeFileSync(partial, `${JSON.stringify(value, null, 2)}\n`, { flag: "wx" });
    publishFile(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}
