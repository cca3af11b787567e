import { existsSync } from "node:fs";
import { fileDigest } from "./fingerprint.js";
import { hashFile, standingOf } from "./full-digest.js";
import type { StepRecord } from "./record.js";

/** A file that is not as its step's record says. */
export interface ChangedFile {
  readonly path: string;
  readonly problem: string;
}

/** Other bytes under the same inode, size and time: a disk, a transfer or a tool that hides its writes. */
export const DAMAGED = "has other bytes, though its size and time are as they were";
const CHANGED = "was changed since";
const GONE = "is gone";

/** What a caller does while files are read, and where they lie now. */
interface Look {
  readonly signal?: AbortSignal | undefined;
  /** Called with each file before it is read. */
  readonly onFile?: (path: string) => void;
  /** Where a path of the record lies now. */
  readonly placeOf?: (path: string) => string;
}

/** Inputs of a record that have other bytes than were read. */
export async function changedInputs(record: StepRecord, look: Look = {}): Promise<ChangedFile[]> {
  const changed: ChangedFile[] = [];
  for (const [recorded, { standing, sha256, mayGo }] of Object.entries(record.files ?? {})) {
    const path = look.placeOf?.(recorded) ?? recorded;
    if (!existsSync(path)) {
      if (mayGo !== true) changed.push({ path, problem: GONE });
      continue;
    }
    look.onFile?.(path);
    if ((await hashFile(path, look.signal)) === sha256) continue;
    changed.push({ path, problem: standingOf(path) === standing ? DAMAGED : CHANGED });
  }
  return changed;
}

/** The output of a record and its side files, where they have other bytes than were written. */
export async function changedOutputs(
  { output, sideFiles }: StepRecord,
  target: string,
  look: Look = {},
): Promise<ChangedFile[]> {
  const changed: ChangedFile[] = [];
  const check = async (path: string, isSame: () => Promise<boolean>) => {
    if (!existsSync(path)) changed.push({ path, problem: GONE });
    else {
      look.onFile?.(path);
      if (!(await isSame())) changed.push({ path, problem: CHANGED });
    }
  };
  // Records of earlier versions have no digest of all bytes.
  await check(target, async () =>
    output.sha256 === undefined
      ? fileDigest(target) === output.digest
      : (await hashFile(target, look.signal)) === output.sha256,
  );
  for (const [recorded, sha256] of Object.entries(sideFiles ?? {})) {
    const path = look.placeOf?.(recorded) ?? recorded;
    await check(path, async () => (await hashFile(path, look.signal)) === sha256);
  }
  return changed;
}
