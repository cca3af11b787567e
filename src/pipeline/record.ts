import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Json } from "./fingerprint.js";
import { makeFolder } from "./folder.js";
import type { FullDigest } from "./full-digest.js";
import { isTagGone, processTag } from "./holder.js";
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
  /** Inputs that are too large to be looked at in full each time, by path. */
  readonly files?: Readonly<Record<string, FullDigest>>;
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
 * Small JSON file by temporary name, fsync and rename. The name tells the process that writes: nobody else
 * uses it, and what a killed process of this machine left in the folder is removed by the next writer.
 */
export function writeJsonAtomic(path: string, value: unknown): void {
  makeFolder(dirname(path));
  for (const name of readdirSync(dirname(path))) {
    const [, writer] = PARTIAL.exec(name) ?? [];
    if (writer !== undefined && isTagGone(writer)) rmSync(join(dirname(path), name), { force: true });
  }
  const partial = `${path}.${processTag()}.${++written}.partial`;
  try {
    // Never through what lies there: it may be another user's link.
    writeFileSync(partial, `${JSON.stringify(value, null, 2)}\n`, { flag: "wx" });
    publishFile(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}

const PARTIAL = /\.json\.([0-9a-f]{8}-\d+-\d+)\.\d+\.partial$/;
let written = 0;
