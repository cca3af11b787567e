import { existsSync } from "node:fs";
import type { Run } from "../config/run.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import { recordPath } from "../pipeline/record.js";
import { outputProblem, type Step } from "../pipeline/step.js";
import { rasterDigest, rasterFiles, STANDIN } from "../raster/raster-file.js";
import type { RemoteRaster } from "../raster/remote-raster.js";
import { parquetOrigin } from "../table/parquet-origin.js";
import type { ZonalFacts, ZoneSource } from "./count-fields.js";
import { dirtyPath, publishDirtyRows } from "./dirty-list.js";
import { zonalRule } from "./rule.js";

/** A year's raster, from the download step's facts. */
export interface YearRaster {
  readonly path: string;
  readonly digest: string;
  readonly kept: boolean;
  /** Opens the remote original of a partial raster; undefined if the raster is complete. */
  readonly remote: (ctx: Context) => Promise<RemoteRaster | undefined>;
}

/**
 * The year's zonal step. This module loads only the code that judges the step; the code
 * that counts is loaded when it runs, so a valid year costs little.
 *
 * @throws {PipelineError} input, when the raster was changed after the download.
 */
export function zonalStep(year: number, raster: YearRaster, zoneSource: ZoneSource, run: Run): Step<ZonalFacts> {
  const { options, layout } = run;
  const fieldsPath = layout.fieldsRaw;
  const { idColumn, geometryColumn, fieldsCrs, nodata, ties } = options;
  const rule = zonalRule(options);
  // Parts of a remote raster are added during reading, all of one version.
  const isPart = existsSync(raster.path + STANDIN);
  const files = new InputFiles(...(isPart ? [] : rasterFiles(raster.path)));
  if (raster.kept && !isPart) for (const path of rasterFiles(raster.path)) files.recordSource(path);
  return {
    name: "zonal",
    year,
    version: 1,
    target: layout.zonal,
    record: recordPath(layout.state, options.region, year, "zonal"),
    originOf: parquetOrigin,
    errorKind: "failed",
    files,
    inFull: options.verifyInputs === "full",
    inputs: {
      fields: existsSync(fieldsPath) ? files.digest(fieldsPath) : "missing",
      idColumn: idColumn ?? null,
      geometryColumn: geometryColumn ?? null,
      fieldsCrs: fieldsCrs ?? null,
      include: options.include ?? null,
      raster: raster.digest,
      nodata,
      ties,
      pixels: rule.pixels,
      weights: options.weights ?? null,
    },
    async validate() {
      const { checkIncluded, includedNames } = await import("../fields/included.js");
      const { openFields } = await import("../fields/fields-file.js");
      const { openRaster } = await import("../raster/raster.js");
      checkIncluded(await openFields(fieldsPath, options), includedNames(options.include));
      openRaster(raster.path);
      if (rasterDigest(raster.path) === raster.digest) return;
      throw new PipelineError("input", "Raster was changed after the download stage", { path: raster.path });
    },
    async run(partial, ctx) {
      const { openFields } = await import("../fields/fields-file.js");
      const { openRaster } = await import("../raster/raster.js");
      const { countFields } = await import("./count-fields.js");
      const remote = await raster.remote(ctx);
      try {
        const target = { raster: remote?.raster() ?? openRaster(raster.path), out: partial };
        const fields = await openFields(fieldsPath, options, ctx.log);
        const [facts] = await countFields(fields, [target], zoneSource, rule, { ...run, ctx });
        return facts as ZonalFacts;
      } catch (error) {
        throw remote?.named(error) ?? error;
      }
    },
    async verify(partial, facts) {
      const { verifyZonalTable } = await import("./count-fields.js");
      await verifyZonalTable(partial, facts.rows, rule);
    },
    async finish(_facts, _ctx, scratch) {
      publishDirtyRows(layout.zonal, scratch);
    },
    sideFiles: ({ dirtyRows }) => (dirtyRows > 0 ? { [dirtyPath(layout.zonal)]: undefined } : {}),
    recheck(record) {
      const facts = record.facts as ZonalFacts;
      if (facts.dirtyRows > 0 && !existsSync(dirtyPath(layout.zonal))) return "the list of dirty rows is gone";
      if (facts.dirtyRows > options.maxDirty * facts.rows) return "more rows are dirty than --max-dirty allows";
      return outputProblem(layout.zonal, record);
    },
  };
}
