import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { openPool } from "../parallel/pool.js";
import { availableThreads } from "../parallel/threads.js";
import type { Context } from "../pipeline/context.js";
import { makeFolder } from "../pipeline/folder.js";
import { withLock } from "../pipeline/lock.js";
import { runStep, type Step } from "../pipeline/step.js";
import { buildLookup, lookupFingerprint } from "./build-lookup.js";
import { LookupFile } from "./lookup-file.js";

type LookupFacts = { readonly rows: number; readonly withoutPolygon: number };

/**
 * The lookup index of these fields, from `data/zones/` beside the zone index; made where there
 * is none, by one process, for which others wait.
 */
export async function ensureLookup(
  fields: FieldsFile,
  options: Options,
  layout: Layout,
  ctx: Context,
): Promise<LookupFile> {
  const print = lookupFingerprint(fields);
  const name = `${options.region}_${print.slice(0, 12)}`;
  const path = join(layout.root, "data", "zones", `${name}.lookup`);
  const found = await openIfWhole(path, print);
  if (found !== undefined) return found;
  makeFolder(layout.state);
  return withLock(
    join(layout.state, `lookup_${print.slice(0, 12)}.lock`),
    ctx,
    async (own) => {
      // Another process may have made it while this one waited.
      const made = await openIfWhole(path, print);
      if (made !== undefined) return made;
      await runStep(lookupStep(fields, print, path, join(layout.state, `lookup_${name}.json`), options), own, {
        force: true,
      });
      return LookupFile.open(path, print);
    },
    { wait: true },
  );
}

/** Undefined where there is none, or one of another version or cut short, to be made anew. */
async function openIfWhole(path: string, print: string): Promise<LookupFile | undefined> {
  return existsSync(path) ? LookupFile.open(path, print).catch(() => undefined) : undefined;
}

function lookupStep(
  fields: FieldsFile,
  print: string,
  target: string,
  record: string,
  options: Options,
): Step<LookupFacts> {
  return {
    name: "lookup",
    year: undefined,
    version: 1,
    target,
    record,
    errorKind: "failed",
    inputs: { fields: print },
    async validate() {},
    async run(partial, ctx) {
      const pool = openPool(availableThreads(options.threads));
      try {
        const { rows, withoutPolygon } = await buildLookup(fields, partial, options.batch, pool, ctx);
        return { rows, withoutPolygon };
      } finally {
        await pool.close();
      }
    },
    async verify(partial) {
      const file = await LookupFile.open(partial, print);
      try {
        await file.verify();
      } finally {
        await file.close();
      }
    },
  };
}
