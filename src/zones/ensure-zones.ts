import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../config/run.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { ensureMade } from "../pipeline/ensure.js";
import { PipelineError } from "../pipeline/errors.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { makeFolder } from "../pipeline/folder.js";
import { InputFiles } from "../pipeline/input-files.js";
import { clearEndedScratch, clearScratch } from "../pipeline/output.js";
import { runStep, type Step } from "../pipeline/step.js";
import type { Grid } from "../raster/grid.js";
import { buildZones, fieldsFingerprint } from "./build-zones.js";
import { fitRaster } from "./fit.js";
import { ZoneReader } from "./zone-reader.js";

/** `file`: digest of the fields' file, by which years' records know it. */
type ZoneFacts = { readonly rows: number; readonly runs: number; readonly file: string };

/**
 * A zone index of these fields that serves a grid, from `data/zones/`, made where there is
 * none. It serves every year whose pixels coincide; one process makes it, others that
 * start at the same time wait for it.
 *
 * @param year  for the log alone.
 */
export async function ensureZones(fields: FieldsFile, grid: Grid, year: number, run: Run): Promise<ZoneReader> {
  const { options, layout, ctx } = run;
  const folder = join(layout.root, "data", "zones");
  makeFolder(folder);
  const files = new InputFiles(fields.path);
  const fieldsDigest = fieldsFingerprint(fields, options);
  const lock = join(layout.state, `zones_${fieldsDigest.slice(0, 12)}.lock`);
  return ensureMade(
    lock,
    ctx,
    () => findZones(folder, fieldsDigest, grid),
    async (own) => {
      const step = zonesStep(fields, files, fieldsDigest, grid, folder, year, run);
      try {
        await runStep(step, own, { force: true });
      } catch (error) {
        // Mended fields have another fingerprint: nobody would go on from there.
        if (error instanceof PipelineError && error.kind === "input") clearScratch(step.target);
        throw error;
      }
      return ZoneReader.open(step.target, fieldsDigest);
    },
  );
}

async function findZones(folder: string, fieldsDigest: string, grid: Grid): Promise<ZoneReader | undefined> {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".zones")) continue;
    const path = join(folder, name);
    try {
      const zones = await ZoneReader.open(path, fieldsDigest);
      if (fitRaster(zones.header, grid) !== undefined) {
        // A kill between the rename and the clean-up leaves it.
        clearEndedScratch(path);
        return zones;
      }
      await zones.close();
    } catch {
      // Made from other fields, by another version, or damaged: a new index gets a name of its own.
    }
  }
  return undefined;
}

function zonesStep(
  fields: FieldsFile,
  files: InputFiles,
  fieldsDigest: string,
  grid: Grid,
  folder: string,
  year: number,
  { options, layout, pool }: Run,
): Step<ZoneFacts> {
  const name = `${options.region}_${fingerprint({ print: fieldsDigest, grid: { ...grid } }).slice(0, 12)}`;
  return {
    name: "zones",
    year,
    version: 1,
    target: join(folder, `${name}.zones`),
    record: join(layout.state, `zones_${name}.json`),
    errorKind: "failed",
    resumable: true,
    files,
    inputs: { fields: fieldsDigest, grid: { ...grid } },
    async validate() {},
    async run(partial, ctx) {
      const { rows, runs } = await buildZones(fields, grid, partial, options, pool(), ctx);
      return { rows, runs, file: files.digest(fields.path) };
    },
    async verify(partial) {
      await (await ZoneReader.open(partial, fieldsDigest)).close();
    },
  };
}
