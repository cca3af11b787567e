import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { FieldsFile } from "../fields/fields-file.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { withLock } from "../pipeline/lock.js";
import { runStep, type Step } from "../pipeline/step.js";
import type { Raster } from "../raster/raster.js";
import { buildZones, zoneFingerprint } from "./build-zones.js";
import { ZoneReader } from "./zone-reader.js";

type ZoneFacts = { readonly rows: number; readonly runs: number };

/**
 * The zone index of a field set on a raster's grid, kept under `data/zones/` and made
 * where it is missing. It serves every year on that grid: one process makes it, others
 * that start at the same time wait for it.
 */
export async function ensureZones(
  fields: FieldsFile,
  raster: Raster,
  year: number,
  options: Options,
  layout: Layout,
  pool: Pool,
  ctx: Context,
): Promise<ZoneReader> {
  const print = zoneFingerprint(fields, raster.grid);
  const name = `${options.region}_${print.slice(0, 12)}`;
  const target = join(layout.root, "data", "zones", `${name}.zones`);
  const step: Step<ZoneFacts> = {
    name: "zones",
    year,
    version: 1,
    target,
    record: join(layout.state, `zones_${name}.json`),
    errorKind: "failed",
    resumable: true,
    inputs: { fingerprint: print },
    async validate() {},
    async run(partial, own) {
      const { rows, runs } = await buildZones(fields, raster.grid, partial, options, pool, own);
      return { rows, runs };
    },
    async verify(partial) {
      await (await ZoneReader.open(partial, print)).close();
    },
    // Its own checks on opening are cheaper than a digest, and tell more.
    recheck: () => (existsSync(target) ? indexProblem(target, print) : "output is gone"),
  };
  await withLock(join(layout.state, `zones_${name}.lock`), ctx, (own) => runStep(step, own), { wait: true });
  return ZoneReader.open(target, print);
}

async function indexProblem(path: string, print: string): Promise<string | undefined> {
  try {
    await (await ZoneReader.open(path, print)).close();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
