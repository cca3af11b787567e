import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../config/run.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { ensureMade } from "../pipeline/ensure.js";
import { InputFiles } from "../pipeline/input-files.js";
import { clearEndedScratch } from "../pipeline/output.js";
import { runStep, type Step } from "../pipeline/step.js";
import { buildLookup, lookupFingerprint } from "./build-lookup.js";
import { LookupFile } from "./lookup-file.js";

type LookupFacts = { readonly rows: number; readonly withoutPolygon: number };

/**
 * The lookup index of these fields, from `data/zones/`, next to the zone index; made where there
 * is none, by one process, for which others wait.
 */
export async function ensureLookup(fields: FieldsFile, run: Run): Promise<LookupFile> {
  const { options, layout, ctx } = run;
  const files = new InputFiles(fields.path);
  const fieldsDigest = lookupFingerprint(fields);
  const name = `${options.region}_${fieldsDigest.slice(0, 12)}`;
  const path = join(layout.root, "data", "zones", `${name}.lookup`);
  const lock = join(layout.state, `lookup_${fieldsDigest.slice(0, 12)}.lock`);
  return ensureMade(
    lock,
    ctx,
    () => openIfWhole(path, fieldsDigest),
    async (own) => {
      const record = join(layout.state, `lookup_${name}.json`);
      await runStep(lookupStep(fields, files, fieldsDigest, path, record, run), own, { force: true });
      return LookupFile.open(path, fieldsDigest);
    },
  );
}

/** Undefined where there is none, or one of another version or cut short, to be made anew. */
async function openIfWhole(path: string, fieldsDigest: string): Promise<LookupFile | undefined> {
  const found = existsSync(path) ? await LookupFile.open(path, fieldsDigest).catch(() => undefined) : undefined;
  // A kill between the rename and the clean-up leaves it.
  if (found !== undefined) clearEndedScratch(path);
  return found;
}

function lookupStep(
  fields: FieldsFile,
  files: InputFiles,
  fieldsDigest: string,
  target: string,
  record: string,
  { options, pool }: Run,
): Step<LookupFacts> {
  return {
    name: "lookup",
    year: undefined,
    version: 1,
    target,
    record,
    errorKind: "failed",
    files,
    inputs: { fields: fieldsDigest },
    async validate() {},
    async run(partial, ctx) {
      const { rows, withoutPolygon } = await buildLookup(fields, partial, options.batch, pool(), ctx);
      return { rows, withoutPolygon };
    },
    async verify(partial) {
      const file = await LookupFile.open(partial, fieldsDigest);
      try {
        await file.verify();
      } finally {
        await file.close();
      }
    },
  };
}
