import { statSync } from "node:fs";
import { basename, join, parse } from "node:path";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { Run } from "../config/run.js";
import type { Context } from "../pipeline/context.js";
import { ensureStep } from "../pipeline/ensure.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { makeFolder } from "../pipeline/folder.js";
import { InputFiles } from "../pipeline/input-files.js";
import type { Step } from "../pipeline/step.js";
import { filesOf, isReadInPlace } from "./source-files.js";

type ImportFacts = { readonly rows: number };

/**
 * The same layout with the fields as one parquet file: that of `--fields-raw` itself, or, where it is another vector
 * source or several parquet files, a copy of all its rows and columns in `data/fields/`. The copy is made once, by one
 * process, and made again when the source changes.
 *
 * @throws {PipelineError} input, as importFields; usage, for a layer of a parquet file.
 */
export async function withFieldsFile(options: Options, layout: Layout, ctx: Context): Promise<Layout> {
  const step = importStep(options, layout);
  if (step === undefined) return layout;
  makeFolder(layout.state);
  await ensureStep(step, `${step.record}.lock`, ctx);
  return { ...layout, fieldsRaw: step.target };
}

/** The same for a run. */
export async function withRootFields(run: Run): Promise<Run> {
  return { ...run, layout: await withFieldsFile(run.options, run.layout, run.ctx) };
}

/** The same without making the copy. */
export function fieldsFileLayout(options: Options, layout: Layout): Layout {
  return { ...layout, fieldsRaw: importStep(options, layout)?.target ?? layout.fieldsRaw };
}

/** Undefined where the fields are read in place, or are not there at all. */
function importStep(options: Options, layout: Layout): Step<ImportFacts> | undefined {
  const source = layout.fieldsRaw;
  const paths = filesOf(source).filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  if (paths.length === 0 || isReadInPlace(source, options)) return undefined;
  const { layer, idColumn } = options;
  const files = new InputFiles();
  const digests = paths.map((path) => [basename(path), files.digest(path)]);
  const inputs = { source: fingerprint(digests), layer: layer ?? null, idColumn: idColumn ?? null };
  const name = `${parse(source.split(",")[0] as string).name}_${fingerprint(inputs).slice(0, 12)}`;
  return {
    name: "fields",
    year: undefined,
    version: 1,
    target: join(layout.root, "data", "fields", `${name}.parquet`),
    record: join(layout.state, `fields_${name}.json`),
    errorKind: "failed",
    files,
    inFull: options.verifyInputs === "full",
    inputs,
    async validate() {},
    async run(partial, ctx) {
      const { importFields } = await import("./vector-source.js");
      const { openParquet } = await import("../table/parquet-file.js");
      await importFields(source, { layer, idColumn, attributes: true }, partial, ctx);
      return { rows: (await openParquet(partial)).rows };
    },
    async verify(partial, facts) {
      const { openParquet } = await import("../table/parquet-file.js");
      const { rows } = await openParquet(partial);
      if (rows !== facts.rows) throw new Error(`${facts.rows} rows were written, ${rows} are there`);
    },
  };
}
