import { join } from "node:path";
import type { Json } from "./fingerprint.js";
import type { FullDigest } from "./full-digest.js";
import { readJson, writeJsonAtomic } from "./json-file.js";

export type Inputs = Readonly<Record<string, Json>>;
/** What a step found out and later steps or people need: counts, digests, notes. */
export type Facts = Readonly<Record<string, Json>>;

/** What is known of a step's finished output; one small JSON file per region, year and step. */
export interface StepRecord {
  readonly step: string;
  /** The step's own version when the output was made. */
  readonly version: number;
  readonly inputs: Inputs;
  /** Inputs by path. */
  readonly files?: Readonly<Record<string, FullDigest>>;
  readonly output: {
    readonly path: string;
    readonly digest: string;
    /** SHA-256 of every byte. */
    readonly sha256?: string;
  };
  /** Files next to the output, or copies of it: SHA-256 by path. */
  readonly sideFiles?: Readonly<Record<string, string>>;
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

/** Write atomically; called after the output itself is in place. */
export function writeRecord(path: string, record: StepRecord): void {
  writeJsonAtomic(path, record);
}
