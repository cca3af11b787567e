import { PipelineError } from "../pipeline/errors.js";
import { createJson, writeJsonAtomic } from "../pipeline/json-file.js";
import { readDocument } from "../pipeline/small-file.js";
import type { BatchLayout } from "./layout.js";

/** Description of a batch, stored in its folder. */
export interface BatchFile {
  readonly version: 1;
  readonly command: readonly string[];
  readonly shell: boolean;
  readonly isolate: string;
  readonly image?: string | undefined;
  readonly valid: readonly string[];
  readonly items: { readonly path: string; readonly count: number; readonly id?: string | undefined };
  readonly createdAt: string;
}

/** What to do with outputs of an earlier command or input. */
export const CHANGED = ["keep", "redo"] as const;
export type Changed = (typeof CHANGED)[number];

/** @throws {PipelineError} input, if there is no batch or its file is corrupt. */
export function readBatchFile(layout: BatchLayout): BatchFile {
  const path = layout.file();
  try {
    const file = JSON.parse(readDocument(path).toString("utf8")) as BatchFile;
    if (file.version === 1 && Array.isArray(file.command)) return file;
  } catch (cause) {
    throw new PipelineError("input", "No batch in this folder, or its description is broken", { path }, { cause });
  }
  throw new PipelineError("input", "Not the description of a batch", { path });
}

/**
 * The folder's batch: described by the first runner, the same for all.
 *
 * @throws {PipelineError} usage, if the folder's items belong to another command and `changed` is not given.
 */
export function joinBatch(layout: BatchLayout, own: BatchFile, changed: Changed | undefined): void {
  const path = layout.file();
  if (createJson(path, own)) return;
  const there = readBatchFile(layout);
  const [was, is] = [there, own].map(({ command, shell }) => JSON.stringify([command, shell]));
  if (was !== is && changed === undefined) {
    throw new PipelineError(
      "usage",
      "The items in this folder are another command's; pass --changed keep or --changed redo",
      {
        out: layout.root,
        was,
        received: is,
      },
    );
  }
  if (JSON.stringify({ ...there, createdAt: "" }) !== JSON.stringify({ ...own, createdAt: "" })) {
    writeJsonAtomic(path, own);
  }
}
