import { renameSync, statSync } from "node:fs";
import { basename, dirname, join, parse } from "node:path";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { Run } from "../config/run.js";
import { checkRemote, remoteAccess } from "../network/remote-access.js";
import { isRemote } from "../network/remote-url.js";
import type { Context } from "../pipeline/context.js";
import { ensureStep } from "../pipeline/ensure.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { makeFolder } from "../pipeline/folder.js";
import { InputFiles } from "../pipeline/input-files.js";
import { redactedIdentity } from "../pipeline/redact.js";
import type { Step } from "../pipeline/step.js";
import { filesOf, isReadInPlace } from "./source-files.js";

type ImportFacts = { readonly rows: number };

/**
 * The same layout with the fields as one parquet file: that of `--fields-raw` itself, or, where it is another vector
 * source, several parquet files or at a URL, a copy of all its rows and columns in `data/fields/`. The copy is made once,
 * by one process, and made again when the source changes; what lies at a URL is not looked at again.
 *
 * @throws {PipelineError} input, as importFields; network, as fetchFile; usage, for a layer of a parquet file.
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
  if (isRemote(source)) return remoteStep(source, options, layout);
  const paths = filesOf(source).filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  if (paths.length === 0 || isReadInPlace(source, options)) return undefined;
  const files = new InputFiles();
  const digests = paths.map((path) => [basename(path), files.digest(path)]);
  return {
    ...copyStep(parse(source.split(",")[0] as string).name, fingerprint(digests), options, layout),
    files,
    run: (partial, ctx) => copyFields(source, partial, false, options, ctx),
  };
}

/** Download what lies at a URL, and copy it where it is not one parquet file already. */
function remoteStep(url: string, options: Options, layout: Layout): Step<ImportFacts> {
  const name = parse(checkRemote(url, "The source of the fields").pathname).name.replace(/[^\w.-]/g, "_") || "fields";
  return {
    ...copyStep(name, redactedIdentity(url), options, layout),
    resumable: true,
    async run(partial, ctx) {
      const { fetchFields } = await import("./remote-fields.js");
      const source = await fetchFields(url, dirname(partial), remoteAccess(options), ctx);
      return copyFields(source, partial, true, options, ctx);
    },
  };
}

/** @param isOurs  a download, which may be renamed. */
async function copyFields(
  source: string,
  partial: string,
  isOurs: boolean,
  options: Options,
  ctx: Context,
): Promise<ImportFacts> {
  const { importFields } = await import("./vector-source.js");
  const { openParquet } = await import("../table/parquet-file.js");
  const { layer, idColumn } = options;
  if (isOurs && isReadInPlace(source, options)) renameSync(source, partial);
  else await importFields(source, { layer, idColumn, attributes: true }, partial, ctx);
  return { rows: (await openParquet(partial)).rows };
}

/** What copies of all sources have in common. */
function copyStep(stem: string, source: string, options: Options, layout: Layout): Omit<Step<ImportFacts>, "run"> {
  const inputs = { source, layer: options.layer ?? null, idColumn: options.idColumn ?? null };
  const name = `${stem}_${fingerprint(inputs).slice(0, 12)}`;
  return {
    name: "fields",
    year: undefined,
    version: 1,
    target: join(layout.root, "data", "fields", `${name}.parquet`),
    record: join(layout.state, `fields_${name}.json`),
    errorKind: "failed",
    inFull: options.verifyInputs === "full",
    inputs,
    async validate() {},
    async verify(partial, facts) {
      const { openParquet } = await import("../table/parquet-file.js");
      const { rows } = await openParquet(partial);
      if (rows !== facts.rows) throw new Error(`${facts.rows} rows were written, ${rows} are there`);
    },
  };
}
