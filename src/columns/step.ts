import { statSync } from "node:fs";
import type { Run } from "../config/run.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { recordPath, type StepRecord } from "../pipeline/record.js";
import { outputProblem, type Step } from "../pipeline/step.js";
import { openParquet } from "../table/parquet-file.js";
import { ensureBase } from "../tiles/base.js";
import { baseInputs } from "../tiles/base-inputs.js";
import { type CropIndex, indexCrops } from "../tiles/crop-index.js";
import { joinCrop, openFieldSources } from "../tiles/sources.js";
import type { YearTable } from "../tiles/year-tiles.js";
import { ensureColumnBase, fingerprintOf } from "./base-step.js";
import { writeColumnIndex } from "./column-file.js";
import { BlocksFile, ColumnFile, columnOrigin, storedBlock, writeColumnFile } from "./stored-file.js";

/** The base of a year's codes, and the inputs that are not in them. */
export type ColumnFacts = {
  readonly rows: number;
  readonly bytes: number;
  /** Fingerprint of the base. */
  readonly fingerprint: string;
  /** The base's files. */
  readonly blocks: string;
  readonly archive: string;
  readonly withoutCrop: number;
  readonly unmatched: { readonly noZonal: number; readonly zonalOnly: number };
};

/**
 * The year's crop codes as a column of the base's fields; its base is made if missing.
 *
 * @throws {PipelineError} usage, with crop names; input, when the zonal table was changed.
 */
export function columnStep(zonal: YearTable, run: Run): Step<ColumnFacts> {
  const { options, layout } = run;
  const { year } = zonal;
  const files = new InputFiles(zonal.path);
  return {
    name: "column",
    year,
    version: 1,
    target: layout.column,
    record: recordPath(layout.state, options.region, year, "column"),
    errorKind: "failed",
    originOf: columnOrigin,
    files,
    inputs: { ...baseInputs(layout, options, files), zonal: zonal.digest },
    recheck(record) {
      return outputProblem(layout.column, record) ?? baseProblem(record);
    },
    async validate() {
      if (options.cropNames) {
        throw new PipelineError("usage", "Columns hold crop codes alone; their names are in the manifest's legend", {
          expected: "--publish-as archives, or no --crop-names",
        });
      }
      await openFieldSources(layout, options);
      await openParquet(zonal.path);
      if (fileDigest(zonal.path) !== zonal.digest)
        throw new PipelineError("input", "Zonal table was changed since it was made", { path: zonal.path, year });
    },
    async run(partial, ctx) {
      const own = { ...run, ctx };
      const base = await ensureBase(year, own);
      files.watch(base.path);
      const { fingerprint, blocks, archive } = await ensureColumnBase(base, own);
      const { fields } = await openFieldSources(layout, options);
      const { values, missing, extra } = await joinCrop(fields, zonal.path, options, ctx);
      const crops = indexed(values, zonal.path);
      writeColumn(partial, year, crops, blocks.path);
      checkColumn(partial, crops, blocks.path);
      return {
        rows: fields.rows,
        bytes: statSync(partial).size,
        fingerprint,
        blocks: blocks.path,
        archive: archive.path,
        withoutCrop: crops.withoutCrop,
        unmatched: { noZonal: missing.rows, zonalOnly: extra.rows },
      };
    },
    async verify(partial, facts) {
      verifyColumn(partial, facts.blocks);
    },
  };
}

/** Why a year's unchanged codes must be made again; undefined if they need not. */
function baseProblem(record: StepRecord): string | undefined {
  const { blocks, archive, fingerprint } = record.facts as ColumnFacts;
  try {
    if (fingerprintOf(blocks) !== fingerprint) return "the base was made anew";
    return statSync(archive, { throwIfNoEntry: false }) === undefined ? "the base's archive is gone" : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function writeColumn(path: string, year: number, { codes, index }: CropIndex, blocksPath: string): void {
  const blocks = new BlocksFile(blocksPath);
  try {
    const width = index.BYTES_PER_ELEMENT as 1 | 2;
    const stored = Array.from({ length: blocks.index.count }, (_, block) => {
      const ids = blocks.ids(block);
      const content = Buffer.alloc(ids.length * width);
      ids.forEach((id, i) => {
        if (width === 1) content[i] = index[id] as number;
        else content.writeUInt16LE(index[id] as number, 2 * i);
      });
      return storedBlock(content);
    });
    const lengths = stored.map(({ length }) => length);
    writeColumnFile(
      path,
      "column",
      writeColumnIndex({ year, codes, width }, lengths),
      stored,
      blocks.prelude.fingerprint,
    );
  } finally {
    blocks.close();
  }
}

/** Read the column back and compare every field's code with the intended one. */
function checkColumn(path: string, { index, codes }: CropIndex, blocksPath: string): void {
  forEachCode(path, blocksPath, (id, code) => {
    const place = index[id] as number;
    const expected = place === 0 ? undefined : codes[place - 1];
    if (code !== expected) {
      throw new PipelineError("failed", "Column differs from the crops it was made of", {
        path,
        row: id,
        expected: expected ?? "none",
        received: code ?? "none",
      });
    }
  });
}

/**
 * Read a column in full against its base's blocks.
 *
 * @returns counts of fields with and without a crop.
 * @throws {PipelineError} input, naming file and block: damaged, or for another base.
 */
export function verifyColumn(path: string, blocksPath: string) {
  let [fields, withoutCrop] = [0, 0];
  const { year, fingerprint } = forEachCode(path, blocksPath, (_, code) => {
    fields++;
    if (code === undefined) withoutCrop++;
  });
  return { year, fingerprint, fields, withoutCrop };
}

/** Calls `visit` with each field's id and code; undefined for a field without one. */
export function forEachCode(path: string, blocksPath: string, visit: (id: number, code: number | undefined) => void) {
  const blocks = new BlocksFile(blocksPath);
  try {
    const column = new ColumnFile(path);
    try {
      requireSameBase(column, blocks);
      const { year, codes } = column.index;
      for (let block = 0; block < blocks.index.count; block++) {
        const ids = blocks.ids(block);
        const places = column.places(block, ids.length);
        for (const [i, id] of ids.entries()) visit(id, codes[(places[i] as number) - 1]);
      }
      return { year, fingerprint: column.prelude.fingerprint };
    } finally {
      column.close();
    }
  } finally {
    blocks.close();
  }
}

function requireSameBase(column: ColumnFile, blocks: BlocksFile): void {
  const [expected, received] = [blocks.prelude.fingerprint, column.prelude.fingerprint];
  const where = { path: column.path, blocks: blocks.path };
  if (expected !== received) {
    throw new PipelineError("input", "Codes are of another base than the blocks", {
      ...where,
      expected: expected.slice(0, 12),
      received: received.slice(0, 12),
    });
  }
  if (column.index.count !== blocks.index.count) {
    throw new PipelineError("input", "Codes have another number of blocks than their base", {
      ...where,
      expected: blocks.index.count,
      received: column.index.count,
    });
  }
}

function indexed(crop: ArrayLike<number>, path: string): CropIndex {
  try {
    return indexCrops(crop);
  } catch (cause) {
    throw new PipelineError("input", "Crops cannot go into a column", { path }, { cause });
  }
}
