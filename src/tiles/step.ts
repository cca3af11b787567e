import { join } from "node:path";
import type { Options } from "../config/options.js";
import type { Run } from "../config/run.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { type Inputs, recordPath } from "../pipeline/record.js";
import type { Step } from "../pipeline/step.js";
import { cropKeys, LAYERS } from "./archive-metadata.js";
import { baseInputs } from "./base-inputs.js";
import type { PassMember } from "./rewrite-pass.js";
import type { TilesFacts, YearTable } from "./year-tiles.js";

/**
 * The year's tiles, as a verified archive: its crops are filled into the base's tiles, or tippecanoe tiles geometry,
 * area and crop (`--tiles=full`).
 *
 * This module loads only the code that judges the step; the code that makes tiles is loaded when the step runs.
 *
 * @param member  of a pass that the year shares with others.
 */
export function tilesStep(zonal: YearTable, run: Run, member?: PassMember): Step<TilesFacts> {
  const { options, layout } = run;
  const { year } = zonal;
  const files = new InputFiles(zonal.path);
  const inputs = { ...baseInputs(layout, options, files), zonal: zonal.digest, ...styleOf(options) };
  return {
    ...commonStep([zonal], inputs, files, run),
    year,
    target: layout.archive,
    record: recordPath(layout.state, options.region, year, "tiles"),
    async run(partial, ctx) {
      const { rewriteYears, tileYear } = await import("./year-tiles.js");
      if (options.tiles === "full") return tileYear(zonal, inputs, partial, { ...run, ctx });
      const alone = member ?? (await passOfOne());
      return rewriteYears([zonal], [cropKeys(options.cropNames)], inputs, partial, alone, { ...run, ctx });
    },
  };
}

/** All years' crops in one archive, as crop_2008, crop_2009 ... */
export function singleArchiveStep(zonals: readonly YearTable[], run: Run): Step<TilesFacts> {
  const { options, layout } = run;
  const [first, last] = [zonals[0] as YearTable, zonals.at(-1) as YearTable];
  const years = Object.fromEntries(zonals.map(({ year, digest }) => [`zonal_${year}`, digest]));
  const files = new InputFiles(...zonals.map(({ path }) => path));
  const inputs = { ...baseInputs(layout, options, files), ...years, ...styleOf(options) };
  const span = `${first.year}-${last.year}`;
  const keys = zonals.map(({ year }) => cropKeys(options.cropNames, year));
  return {
    ...commonStep(zonals, inputs, files, run),
    year: last.year,
    target: join(layout.root, "outputs", "tiles", `fields_${options.region}_${span}_full.pmtiles`),
    record: join(layout.state, `${options.region}_${span}_tiles.json`),
    async run(partial, ctx) {
      const { rewriteYears } = await import("./year-tiles.js");
      return rewriteYears(zonals, keys, inputs, partial, await passOfOne(), { ...run, ctx });
    },
  };
}

async function passOfOne(): Promise<PassMember> {
  const { RewritePass } = await import("./rewrite-pass.js");
  return new RewritePass().member();
}

function styleOf({ tiles, cropNames }: Options): Inputs {
  return { tiles, cropNames };
}

function commonStep(zonals: readonly YearTable[], inputs: Inputs, files: InputFiles, { options, layout }: Run) {
  const { minZoom, maxZoom } = options;
  return {
    name: "tiles",
    version: 3,
    originOf: async (path: string) => (await import("../archive/origin.js")).archiveOrigin(path),
    errorKind: "failed",
    files,
    inFull: options.verifyInputs === "full",
    inputs,
    async validate() {
      const { openFieldSources } = await import("./sources.js");
      const { openParquet } = await import("../table/parquet-file.js");
      await openFieldSources(layout, options);
      for (const { path, year, digest } of zonals) {
        await openParquet(path);
        if (fileDigest(path) !== digest)
          throw new PipelineError("input", "Zonal table was changed since it was made", { path, year });
      }
    },
    async verify(partial: string) {
      const { verifyArchive } = await import("../archive/verify.js");
      // The content of the tiles was checked when they were made.
      await verifyArchive(partial, { minZoom, maxZoom, layers: LAYERS }, { sample: 0, kind: "tool" });
    },
  } as const;
}
