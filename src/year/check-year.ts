import type { Run } from "../config/run.js";
import { type FieldsFile, openFields } from "../fields/fields-file.js";
import { spatialReference } from "../fields/projection.js";
import { PipelineError, unexpectedError } from "../pipeline/errors.js";
import { openTarget } from "../publish/open-target.js";
import { fileSystemOf } from "../system/file-system.js";
import { lacksBase } from "../tiles/base.js";
import { tippecanoeVersion } from "../tiles/preflight.js";
import { openFieldSources } from "../tiles/sources.js";
import { estimateFirstYear } from "./space.js";
import { STAGES, type Stage } from "./stages.js";

/** The first year of the Cropland Data Layer; until 2007 of some states alone. */
const FIRST_YEAR = 1997;

/**
 * Look at all that the stages which are going to run will need, before the first of them does anything.
 *
 * @param begin  called with each stage before its checks.
 * @throws {PipelineError} usage: a year that no server has; input: fields, areas, their columns or CRS; tool: no
 *   tiler; publish: the target cannot be reached or written to; space.
 */
export async function checkYear(
  year: number,
  stages: ReadonlySet<Stage>,
  run: Run,
  begin: (stage: Stage) => void,
): Promise<void> {
  const checks: Readonly<Record<Stage, () => Promise<void>>> = {
    download: async () => checkPublished(year, run.options.cdlSource),
    zonal: () => checkFields(run),
    tiles: () => checkTiling(stages, run),
    publish: () => checkTarget(run),
  };
  for (const stage of STAGES.filter((one) => stages.has(one))) {
    begin(stage);
    try {
      await checks[stage]();
    } catch (error) {
      throw unexpectedError(error, "The year cannot be checked", { step: stage });
    }
  }
}

async function checkFields({ options, layout }: Run): Promise<void> {
  const fields = await openFields(layout.fieldsRaw, options);
  spatialReference(fields.crs);
}

async function checkTiling(stages: ReadonlySet<Stage>, run: Run): Promise<void> {
  const { options, layout } = run;
  const { fields } = await openFieldSources(layout, options);
  const base = await lacksBase(run);
  if (base && stages.has("download")) await checkSpace(fields, run);
  const byTippecanoe = (base && options.tiler === "tippecanoe") || options.tiles === "full";
  if (byTippecanoe) await tippecanoeVersion(options.tippecanoe);
}

async function checkTarget({ options, layout, ctx }: Run): Promise<void> {
  const target = await openTarget({ ...options, retries: 1 }, layout);
  await target.probe(keyOf(layout.archive), ctx);
}

/** Sources on a disk are looked at as they are. */
function checkPublished(year: number, source: string): void {
  if (!/^https?:/i.test(source)) return;
  const latest = new Date().getFullYear();
  if (year >= FIRST_YEAR && year <= latest) return;
  throw new PipelineError("usage", "The Cropland Data Layer does not cover this year", {
    expected: `${FIRST_YEAR} to ${latest}`,
    received: year,
  });
}

/** A first estimate; each stage looks again at what it needs itself. */
async function checkSpace(fields: FieldsFile, { options, layout }: Run): Promise<void> {
  const { madeBytes } = estimateFirstYear(fields, options);
  const { freeBytes } = await fileSystemOf(layout.root);
  if (freeBytes >= madeBytes) return;
  throw new PipelineError("space", "Not enough space for a first year of these fields", {
    path: layout.root,
    neededMiB: Math.ceil(madeBytes / 2 ** 20),
    freeMiB: Math.floor(freeBytes / 2 ** 20),
  });
}

function keyOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
