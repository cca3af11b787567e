import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { archiveOrigin } from "../archive/origin.js";
import { verifyArchive } from "../archive/verify.js";
import type { Run } from "../config/run.js";
import { ensureStep } from "../pipeline/ensure.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { hashFile } from "../pipeline/full-digest.js";
import { InputFiles } from "../pipeline/input-files.js";
import { readRecord } from "../pipeline/record.js";
import type { Step } from "../pipeline/step.js";
import { LAYERS } from "../tiles/archive-metadata.js";
import { type Base, exportBase } from "../tiles/base.js";
import { type BlocksFacts, makeBlocks } from "./make-blocks.js";
import { BlocksFile, columnOrigin } from "./stored-file.js";

/** The files of a base that are published once and that every year's codes refer to. */
export interface ColumnBase {
  /** Fingerprint of the blocks; the archive's metadata, each column and the manifest contain it. */
  readonly fingerprint: string;
  readonly blocks: BaseFile;
  readonly archive: BaseFile;
}

/** A finished file, with the data for publishing, so that its gigabytes are not read again. */
export interface BaseFile {
  readonly path: string;
  /** Its `fileDigest`. */
  readonly digest: string;
  /** SHA-256 of the whole file, 64 hex digits. */
  readonly checksum: string;
}

type ChecksumFacts = { readonly checksum: string };

/**
 * The blocks and the published archive of a base; made if missing. One process makes them; others that
 * start at the same time wait for it.
 */
export async function ensureColumnBase(base: Base, run: Run): Promise<ColumnBase> {
  const { layout, options, ctx } = run;
  const name = baseName(base, options.region);
  const blocks = blocksStep(base, name, run);
  await ensureStep(blocks, join(layout.state, `${name}.blocks.lock`), ctx);
  const fingerprint = fingerprintOf(blocks.target);
  const archive = archiveStep(base, fingerprint, blocks.target, run);
  await ensureStep(archive, join(layout.state, `${name}.archive.lock`), ctx);
  return { fingerprint, blocks: finished(blocks), archive: finished(archive) };
}

/**
 * The last result of `ensureColumnBase` for the blocks of a column.
 *
 * @param fingerprint  from the column.
 * @throws {PipelineError} input, if it is missing or was changed.
 */
export function standingColumnBase(
  blocks: string,
  archive: string,
  fingerprint: string,
  run: Pick<Run, "layout">,
): ColumnBase {
  const found = fingerprintOf(blocks);
  if (found !== fingerprint) {
    throw new PipelineError("input", "The blocks are another base's than the year's codes; make the codes again", {
      path: blocks,
      expected: fingerprint.slice(0, 12),
      received: found.slice(0, 12),
    });
  }
  const file = (path: string): BaseFile => {
    const record = readRecord(recordOf(path, run));
    const digest = fileDigest(path);
    if (record?.output.digest !== digest) {
      throw new PipelineError("input", "File of the base was changed since it was made; make the codes again", {
        path,
      });
    }
    return { path, digest, checksum: (record.facts as ChecksumFacts).checksum };
  };
  return { fingerprint, blocks: file(blocks), archive: file(archive) };
}

/** Fingerprint in a blocks file. */
export function fingerprintOf(blocks: string): string {
  const file = new BlocksFile(blocks);
  file.close();
  return file.prelude.fingerprint;
}

function baseName({ facts }: Base, region: string): string {
  return `${region}_${facts.fields.slice(0, 12)}`;
}

/** `blocks_us_0123456789ab.json` of a blocks file, `base-archive_us_0123456789ab.json` of an archive. */
function recordOf(target: string, { layout }: Pick<Run, "layout">): string {
  const name = basename(target).replace(/^fields_/, "");
  const record = name.endsWith(".blocks")
    ? `blocks_${name.replace(/\.blocks$/, "")}`
    : `base-archive_${name.replace(/_base\.pmtiles$/, "")}`;
  return join(layout.state, `${record}.json`);
}

function finished(step: Step): BaseFile {
  const record = readRecord(step.record);
  if (record === undefined) throw new PipelineError("failed", "Record of the base is gone", { path: step.record });
  return { path: step.target, digest: record.output.digest, checksum: (record.facts as ChecksumFacts).checksum };
}

function blocksStep(base: Base, name: string, run: Run): Step<BlocksFacts & ChecksumFacts> {
  const { layout, pool } = run;
  const files = new InputFiles(base.path);
  const target = join(layout.root, "outputs", "tiles", `fields_${name}.blocks`);
  return {
    name: "blocks",
    year: undefined,
    version: 1,
    target,
    record: recordOf(target, run),
    errorKind: "failed",
    originOf: columnOrigin,
    files,
    inputs: { base: files.digest(base.path, true) },
    async validate() {},
    async run(partial, ctx) {
      const facts = await makeBlocks({ path: base.path, rows: base.facts.rows }, partial, pool(), ctx);
      return { ...facts, checksum: await hashFile(partial, ctx.signal) };
    },
    async verify(partial, { rows }) {
      verifyBlocks(partial, rows);
    },
  };
}

/** The base's tiles as PMTiles; its metadata contains the fingerprint of the blocks. */
function archiveStep(
  base: Base,
  fingerprint: string,
  blocks: string,
  run: Run,
): Step<ChecksumFacts & { bytes: number }> {
  const { layout, options } = run;
  const { minZoom, maxZoom, region } = options;
  const files = new InputFiles(base.path, blocks);
  const target = join(layout.root, "outputs", "tiles", `fields_${region}_${fingerprint.slice(0, 12)}_base.pmtiles`);
  return {
    name: "base archive",
    year: undefined,
    version: 1,
    target,
    record: recordOf(target, run),
    errorKind: "failed",
    originOf: archiveOrigin,
    files,
    inputs: { base: files.digest(base.path, true), fingerprint },
    async validate() {},
    async run(partial, ctx) {
      await exportBase(base, partial, { ...run, ctx }, { base: undefined, columns: { fingerprint } });
      return { checksum: await hashFile(partial, ctx.signal), bytes: statSync(partial).size };
    },
    async verify(partial) {
      await verifyArchive(partial, { minZoom, maxZoom, layers: LAYERS }, { sample: 0, kind: "tool" });
    },
  };
}

/**
 * Read every block back: each row is in exactly one of them.
 *
 * @throws {PipelineError} input, naming file and block.
 */
export function verifyBlocks(path: string, rows?: number): { fingerprint: string; rows: number; blocks: number } {
  const file = new BlocksFile(path);
  try {
    const { index, prelude } = file;
    if (rows !== undefined && index.rows !== rows) {
      throw new PipelineError("input", "Blocks are of another number of fields", {
        path,
        expected: rows,
        received: index.rows,
      });
    }
    const seen = new Uint8Array(index.rows);
    for (let block = 0; block < index.count; block++) {
      for (const id of file.ids(block)) {
        if (seen[id] === 1) throw new PipelineError("input", "A field is in two blocks", { path, block, row: id });
        seen[id] = 1;
      }
    }
    return { fingerprint: prelude.fingerprint, rows: index.rows, blocks: index.count };
  } finally {
    file.close();
  }
}
