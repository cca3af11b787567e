import { type BigIntStats, statSync } from "node:fs";
import { PipelineError } from "./errors.js";
import { fileDigest } from "./fingerprint.js";
import { type FullDigest, fullDigest, hashFile, isSampled, standingOf } from "./full-digest.js";

/**
 * Files that an output is made from, and how they stood when they were first looked at. Before
 * the output is put in its place they must still stand so: a file that was exchanged or written
 * while it was read gives an answer that belongs to neither.
 */
export class InputFiles {
  readonly #before = new Map<string, BigIntStats | undefined>();
  readonly #recorded = new Set<string>();
  readonly #mayGo = new Set<string>();
  readonly #linked = new Set<string>();

  /** @param paths  to watch from now on. */
  constructor(...paths: readonly string[]) {
    for (const path of paths) this.watch(path);
  }

  /** Look at a file, which may be missing; later looks do not count. */
  watch(path: string): void {
    if (!this.#before.has(path)) this.#before.set(path, standing(path));
  }

  /**
   * `fileDigest` of a file that is watched from before its first byte is read.
   *
   * @param isOwn  an output of ours, which is as large as it is: samples will do.
   */
  digest(path: string, isOwn = false): string {
    this.watch(path);
    if (!isOwn) this.#recorded.add(path);
    return fileDigest(path);
  }

  /** Put the digest of all of a year's raster or zip on record, which the user may remove after use. */
  recordSource(path: string): void {
    this.watch(path);
    if (this.#before.get(path) === undefined) return;
    this.#recorded.add(path);
    this.#mayGo.add(path);
  }

  /**
   * A hard link to the file was made as output. Making and removing links moves its time of change, which no longer
   * counts: the link holds the watched file itself, even if that was moved away and back.
   */
  linked(path: string, link: string): void {
    const [before, now] = [this.#before.get(path), standing(link)];
    if (before?.dev === now?.dev && before?.ino === now?.ino) this.#linked.add(path);
  }

  /**
   * Digests of all bytes of the recorded files.
   *
   * @param folder  of records, where those of large files are remembered.
   */
  async fullDigests(folder: string, signal: AbortSignal): Promise<Record<string, FullDigest>> {
    const digests: Record<string, FullDigest> = {};
    for (const path of this.#recorded) {
      const digest = isSampled(path)
        ? await fullDigest(path, folder, signal)
        : { standing: standingOf(path), sha256: await hashFile(path, signal) };
      digests[path] = { ...digest, ...(this.#mayGo.has(path) && { mayGo: true }) };
    }
    return digests;
  }

  /** @throws {PipelineError} input, naming the first file that is not as it was. */
  requireUnchanged(): void {
    for (const [path, before] of this.#before) {
      const change = changeOf(before, standing(path), this.#linked.has(path));
      if (change === undefined) continue;
      throw new PipelineError("input", "Input changed while it was read; the output was discarded, run again", {
        path,
        change,
      });
    }
  }
}

function standing(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

/**
 * What happened to a file; undefined when it holds what it held. The digest is no answer: the old
 * content may have been put back. Nor is the time of change alone: links and permissions move it
 * too. But a file that was renamed away and back has nothing else to show for it.
 */
function changeOf(
  before: BigIntStats | undefined,
  now: BigIntStats | undefined,
  isLinked: boolean,
): string | undefined {
  if (before === undefined) return now && "it was not there";
  if (now === undefined) return "it is gone";
  if (before.dev !== now.dev || before.ino !== now.ino) return "another file has taken its place";
  if (before.size !== now.size) return `it had ${before.size} bytes, now ${now.size}`;
  if (before.mtimeNs !== now.mtimeNs) return "it was written to";
  const attributes = ({ mode, nlink, uid, gid }: BigIntStats) => `${mode} ${nlink} ${uid} ${gid}`;
  const moved = !isLinked && before.ctimeNs !== now.ctimeNs && attributes(before) === attributes(now);
  return moved ? "it was moved, or written to and dated back" : undefined;
}
