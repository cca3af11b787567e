import { join, resolve } from "node:path";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { OPTIONS, type OptionName, type Options } from "./config/options.js";
import type { Run } from "./config/run.js";
import type { RemoteAccess } from "./network/remote-access.js";
import { isRemote } from "./network/remote-url.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import type { InputFiles } from "./pipeline/input-files.js";
import { checkOutput } from "./pipeline/output-origin.js";
import { type Division, divisionOf, PART_OPTIONS, type Part, partPath } from "./pipeline/part.js";
import type { Grid } from "./raster/grid.js";
import type { Base } from "./tiles/base.js";

/** What is made once per field set: its base archive under the root, or a zone index wherever it is wanted. */
async function prepare(args: Arguments, ctx: Context) {
  const division = divisionOf(args.own.part, args.own.join);
  if (division !== undefined && (args.own.years !== undefined || args.own.base === true))
    throw new PipelineError("usage", "--part and --join are for a zone index: --fields, --raster and --out");
  if (args.own.years !== undefined) return prepareShared(args, ctx);
  if (args.own.until !== undefined) throw new PipelineError("usage", "--until goes with --years");
  if (args.own.base === true) {
    await ctx.keepOptions?.(ctx);
    return prepareBase(args, ctx);
  }
  if (args.own.pmtiles !== undefined) throw new PipelineError("usage", "--pmtiles needs --base");
  return prepareIndex(args, division, ctx);
}

/** What some years of a root share. */
async function prepareShared({ options, own }: Arguments, ctx: Context) {
  await ctx.keepOptions?.(ctx);
  const { parseYears } = await import("./config/years.js");
  const { stageOf } = await import("./year/stages.js");
  const { prepareYears } = await import("./year/prepare-years.js");
  const years = parseYears(own.years as string) as [number, ...number[]];
  return prepareYears(years, own.until === undefined ? undefined : stageOf(own.until as string), options, ctx);
}

/** Tile the root's fields without any year's crops, into the precompressed tiles that every year is made from. */
async function prepareBase({ options, own }: Arguments, ctx: Context) {
  const { withRun } = await import("./config/run.js");
  const { withRootFields } = await import("./fields/root-fields.js");
  const { ensureBase } = await import("./tiles/base.js");
  const out = typeof own.pmtiles === "string" ? resolve(own.pmtiles) : undefined;
  if (out !== undefined) await checkBaseArchive(out, options, own.force === true);
  return withRun({ ...options, base: undefined }, undefined, ctx, async (opened) => {
    const run = await withRootFields(opened);
    const base = await ensureBase(undefined, run);
    const { path, facts } = base;
    const { seen: _seen, ...known } = facts;
    ctx.log.info(`${facts.rows} fields: ${path}`);
    if (out !== undefined) await writeBaseArchive(base, out, run);
    return { out: path, ...known };
  });
}

async function checkBaseArchive(out: string, options: Options, force: boolean) {
  const { layoutOf } = await import("./config/config.js");
  const { archiveOrigin } = await import("./archive/origin.js");
  const { fieldsRaw, fieldsClean } = layoutOf(options, 0);
  await checkOutput(out, { inputs: [fieldsRaw, fieldsClean], originOf: archiveOrigin, force });
}

/** The base's tiles as PMTiles. */
async function writeBaseArchive(base: Base, out: string, run: Run) {
  const { verifyArchive } = await import("./archive/verify.js");
  const { makeOutput } = await import("./pipeline/output.js");
  const { LAYERS } = await import("./tiles/archive-metadata.js");
  const { exportBase } = await import("./tiles/base.js");
  const { minZoom, maxZoom } = run.options;
  await makeOutput(out, run.ctx, async ({ partial }, ctx) => {
    await exportBase(base, partial, { ...run, ctx });
    await verifyArchive(partial, { minZoom, maxZoom, layers: LAYERS }, { sample: 0, kind: "tool" });
  });
  run.ctx.log.info(`base tiles: ${out}`);
}

/** Burn a field set once, on the grid of a raster, into a zone index that every year on that grid uses. */
async function prepareIndex(args: Arguments, division: Division, ctx: Context) {
  const { options, own } = args;
  const [fieldsPath, rasterPath, whole] = ["fields", "raster", "out"].map((flag) => {
    const value = own[flag];
    if (typeof value !== "string") throw new PipelineError("usage", `--${flag} is missing`);
    return isRemote(value) ? value : resolve(value);
  }) as [string, string, string];
  const { openRaster } = await import("./raster/raster.js");
  const { withFieldsParquet } = await import("./fields/vector-source.js");
  const { zonePartOrigin } = await import("./zones/zone-part.js");
  const { zonesOrigin } = await import("./zones/zone-reader.js");
  const { rasterFiles } = await import("./raster/raster-file.js");
  const { InputFiles: Inputs } = await import("./pipeline/input-files.js");
  const { remoteAccess } = await import("./network/remote-access.js");
  const { withLocalFields } = await import("./fields/remote-fields.js");
  const access = remoteAccess(options);
  const rasters = isRemote(rasterPath) ? new Inputs() : new Inputs(...rasterFiles(rasterPath));
  const grid = isRemote(rasterPath) ? await remoteGrid(rasterPath, access, ctx) : openRaster(rasterPath).grid;
  const { part, join: joined } = { part: undefined, join: undefined, ...division };
  const out = part === undefined ? whole : partPath(whole, part);
  const originOf = part === undefined ? zonesOrigin : zonePartOrigin;
  await checkOutput(out, { inputs: [fieldsPath, rasterPath], originOf, force: own.force === true });
  const vector = { layer: options.layer, idColumn: options.idColumn };
  const { withOutputLocks } = await import("./pipeline/output.js");
  return withOutputLocks([out], ctx, (locked) =>
    withLocalFields(fieldsPath, out, access, locked, (local) =>
      withFieldsParquet<object>(local, vector, out, locked, (parquet) =>
        part === undefined
          ? makeIndex(parquet, grid, rasters, out, joined, options, locked)
          : makePart(parquet, grid, rasters, out, part, options, locked),
      ),
    ),
  );
}

/** Grid of a raster at a URL; only its header is read where possible. */
async function remoteGrid(url: string, access: RemoteAccess, ctx: Context): Promise<Grid> {
  const { mkdtempSync } = await import("node:fs");
  const { tmpdir } = await import("node:os");
  const { RemoteRaster } = await import("./raster/remote-raster.js");
  const { removeTree } = await import("./pipeline/remove-tree.js");
  const folder = mkdtempSync(join(tmpdir(), "fields-pipeline-raster-"));
  try {
    return (await RemoteRaster.open(url, join(folder, "raster"), access, ctx)).raster().grid;
  } finally {
    removeTree(folder);
  }
}

async function makeIndex(
  fieldsPath: string,
  grid: Grid,
  rasters: InputFiles,
  out: string,
  join: number | undefined,
  options: Options,
  ctx: Context,
) {
  const { withRun } = await import("./config/run.js");
  const { openFields } = await import("./fields/fields-file.js");
  const { InputFiles: Inputs } = await import("./pipeline/input-files.js");
  const { endScratch, openScratch, publishFile, requireHeld } = await import("./pipeline/output.js");
  const { buildZones, fieldsFingerprint, joinZones } = await import("./zones/build-zones.js");
  const { fitRaster } = await import("./zones/fit.js");
  const { ZoneReader } = await import("./zones/zone-reader.js");
  const files = new Inputs(fieldsPath);
  const fields = await openFields(fieldsPath, options, ctx.log);
  const fieldsDigest = fieldsFingerprint(fields, options);
  const before = await ZoneReader.open(out, fieldsDigest).catch(() => undefined);
  await before?.close();
  if (before !== undefined && fitRaster(before.header, grid) !== undefined) {
    ctx.log.info(`valid, nothing to do: ${out}`);
    return { out, rows: before.header.rows, runs: before.header.runs, made: false };
  }
  const scratch = openScratch(out, true);
  let keep = false;
  try {
    const { rows, runs } = await withRun(options, undefined, ctx, ({ pool }) =>
      join === undefined
        ? buildZones(fields, grid, scratch.partial, options, pool(), ctx)
        : joinZones(fields, grid, out, join, scratch.partial, options, pool(), ctx),
    );
    await (await ZoneReader.open(scratch.partial, fieldsDigest)).close();
    for (const inputs of [files, rasters]) inputs.requireUnchanged();
    requireHeld(ctx);
    publishFile(scratch.partial, out);
    ctx.log.info(`${rows} fields, ${runs} runs of pixels: ${out}`);
    return { out, rows, runs, made: true };
  } catch (error) {
    // When this run is ended the next one goes on from its checkpoint; of wrong fields nobody would.
    keep = ctx.signal.aborted || !(error instanceof PipelineError && error.kind === "input");
    throw ctx.signal.aborted ? ctx.signal.reason : error;
  } finally {
    endScratch(scratch, keep, ctx);
  }
}

/** Burn one part of a field set; the parts are joined later. */
async function makePart(
  fieldsPath: string,
  grid: Grid,
  rasters: InputFiles,
  out: string,
  part: Part,
  options: Options,
  ctx: Context,
) {
  const { withRun } = await import("./config/run.js");
  const { openFields } = await import("./fields/fields-file.js");
  const { InputFiles: Inputs } = await import("./pipeline/input-files.js");
  const { endScratch, openScratch, publishFile, requireHeld } = await import("./pipeline/output.js");
  const { buildZonePart, hasZonePart } = await import("./zones/build-zones.js");
  const files = new Inputs(fieldsPath);
  const fields = await openFields(fieldsPath, options, ctx.log);
  return withRun(options, undefined, ctx, async ({ pool }) => {
    const name = { part: part.number, parts: part.count };
    if (await hasZonePart(out, fields, grid, part, options, pool(), ctx)) {
      ctx.log.info(`valid, nothing to do: ${out}`);
      return { out, ...name, made: false };
    }
    const scratch = openScratch(out, true);
    let done = false;
    try {
      const rows = await buildZonePart(fields, grid, part, scratch.partial, options, pool(), ctx);
      for (const inputs of [files, rasters]) inputs.requireUnchanged();
      requireHeld(ctx);
      publishFile(scratch.partial, out);
      done = true;
      ctx.log.info(`${rows} of ${fields.rows} fields: ${out}`);
      return { out, ...name, rows, made: true };
    } catch (error) {
      throw ctx.signal.aborted ? ctx.signal.reason : error;
    } finally {
      endScratch(scratch, !done, ctx);
    }
  });
}

await main(
  {
    name: "node dist/prepare.js",
    summary:
      "Make what a field set needs once: its zone index (which pixels belong to which field; once per raster grid), or, with --base, the base: precompressed tiles that every year's archive is made from.",
    rootOptions: "keep",
    // --base is what this command makes.
    options: (Object.keys(OPTIONS) as OptionName[]).filter((name) => name !== "base"),
    own: {
      years: { type: "string", help: "make what these years of the root share: zone index, first zonal table, base" },
      until: { type: "string", help: "with --years: the last stage that they are made to" },
      base: { type: "boolean", help: "make the precompressed tiles of the root's fields, in data/base under the root" },
      pmtiles: { type: "string", help: "with --base: also write the tiles, without any year's crops, to this archive" },
      fields: { type: "string", help: "parquet of polygons (WKB), or any vector source that GDAL opens" },
      raster: { type: "string", help: "a raster on the grid that the years share" },
      out: { type: "string", help: "zone index to write" },
      ...PART_OPTIONS,
      force: { type: "boolean", help: "replace a file at --out or --pmtiles, whoever made it" },
    },
    examples: [
      "node dist/prepare.js --years 2018-2020 --root work/demo",
      "node dist/prepare.js --fields work/demo/data/fields_raw.parquet --raster work/demo/data/cdl/us_2020/2020_30m_cdls.tif --out work/us.zones",
    ],
  },
  prepare,
);
