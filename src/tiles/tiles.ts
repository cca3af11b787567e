import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Metadata } from "../archive/metadata.js";
import { rewriteMetadata } from "../archive/rewrite.js";
import { verifyArchive } from "../archive/verify.js";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import { type FieldsFile, findColumn, openFields, openParquet, type ParquetShape } from "../fields/fields-file.js";
import { type Joined, joinColumn } from "../fields/join.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { fileDigest, fingerprint } from "../pipeline/fingerprint.js";
import { recordPath } from "../pipeline/record.js";
import type { Step } from "../pipeline/step.js";
import { archiveMetadata, LAYERS } from "./archive-metadata.js";
import { takeCensus } from "./census.js";
import { FeatureStream } from "./feature-stream.js";
import { preflight } from "./preflight.js";
import { tempDirName } from "./temp-dir.js";
import { runTippecanoe } from "./tippecanoe.js";

/** What an archive holds, and what of the inputs did not get into it. */
export type TilesFacts = {
  readonly rows: number;
  /** Fields whose polygon is in the highest zoom; the others are dirty, or too thin to draw. */
  readonly featureCounts: { readonly fields: number; readonly centroids: number };
  /** Rows whose geometry cannot be drawn. */
  readonly notDrawn: number;
  /** Fields thinner than a tile unit: they have a centroid and no polygon at the highest zoom. */
  readonly tooThin: number;
  readonly withoutCrop: number;
  /** Rows of one file only. */
  readonly unmatched: {
    readonly noArea: number;
    readonly areaOnly: number;
    readonly noZonal: number;
    readonly zonalOnly: number;
  };
  readonly engine: string;
};

const ID_NAMES = ["field_id", "id", "fid", "CSBID"];

/** The year's tiles: geometry, area and crop in step into tippecanoe, and out as a verified archive. */
export function tilesStep(
  year: number,
  zonal: { readonly path: string; readonly digest: string },
  options: Options,
  layout: Layout,
  pool: () => Pool,
): Step<TilesFacts> {
  const { region, minZoom, maxZoom, idColumn, geometryColumn, areaColumn, fieldsCrs } = options;
  const digest = (path: string) => (existsSync(path) ? fileDigest(path) : "missing");
  const inputs = {
    raw: digest(layout.fieldsRaw),
    clean: digest(layout.fieldsClean),
    zonal: zonal.digest,
    idColumn: idColumn ?? null,
    geometryColumn: geometryColumn ?? null,
    areaColumn,
    fieldsCrs: fieldsCrs ?? null,
    minZoom,
    maxZoom,
  };
  return {
    name: "tiles",
    year,
    version: 1,
    target: layout.archive,
    record: recordPath(layout.state, region, year, "tiles"),
    errorKind: "failed",
    inputs,
    async validate() {
      await openSources(layout, zonal.path, options);
    },
    async run(partial, ctx) {
      const sources = await openSources(layout, zonal.path, options);
      const [area, crop] = await joinSources(sources, options, ctx);
      const stream = new FeatureStream(
        sources.fields,
        { area: area.values.buffer as SharedArrayBuffer, crop: crop.values.buffer as SharedArrayBuffer },
        options,
        pool(),
        ctx,
      );
      const tiled = join(dirname(partial), "tippecanoe.pmtiles");
      const ready = await preflight({
        program: options.tippecanoe,
        output: tiled,
        maxZoom,
        inputBytes: await stream.estimateBytes(),
        threads: pool().threads,
        scratch: options.scratch,
        tempDirName: tempDirName(layout.root, region, year),
      });
      ctx.log.info("tippecanoe", { version: ready.version, threads: ready.plan.threads, tempDir: ready.tempDir.path });
      const task = ctx.progress.start("tiles, % done", 100);
      try {
        await runTippecanoe({
          features: stream,
          output: tiled,
          tempDir: ready.tempDir.path,
          minZoom,
          maxZoom,
          program: ready.program,
          plan: ready.plan,
          signal: ctx.signal,
          log: ctx.log,
          stallMs: options.stallSeconds === 0 ? undefined : options.stallSeconds * 1000,
          onProgress: (percent) => task.update(percent),
        });
      } finally {
        task.end();
      }
      const metadata = {
        region,
        year,
        inputs: fingerprint(inputs),
        minZoom,
        maxZoom,
        engine: ready.version,
        crops: presentCrops(crop),
      };
      // tippecanoe's statistics are of this very year's features.
      const change = ({ tilestats }: Metadata) => ({ ...archiveMetadata(metadata), ...(tilestats && { tilestats }) });
      await rewriteMetadata(tiled, partial, change, { signal: ctx.signal });
      const census = await takeCensus(partial, stream.status, crop.values, maxZoom, pool(), ctx);
      if (census.thin > 0)
        ctx.log.warn(`${census.thin} fields are too thin to draw at zoom ${maxZoom}`, {
          firstRows: census.firstThin.join(" "),
        });
      return {
        rows: sources.fields.rows,
        featureCounts: { fields: census.fields, centroids: census.centroids },
        notDrawn: sources.fields.rows - stream.drawn,
        tooThin: census.thin,
        withoutCrop: countMissing(crop),
        unmatched: {
          noArea: area.missing.rows,
          areaOnly: area.extra.rows,
          noZonal: crop.missing.rows,
          zonalOnly: crop.extra.rows,
        },
        engine: ready.version,
      };
    },
    async verify(partial) {
      // The census has opened every tile already.
      await verifyArchive(partial, { minZoom, maxZoom, layers: LAYERS }, { sample: 0, kind: "tool" });
    },
  };
}

interface Sources {
  readonly fields: FieldsFile;
  readonly clean: ParquetShape;
  readonly zonal: ParquetShape;
}

async function openSources(layout: Layout, zonalPath: string, options: Options): Promise<Sources> {
  const fields = await openFields(layout.fieldsRaw, options);
  const clean = await openParquet(layout.fieldsClean);
  findColumn(clean, "id", options.idColumn, ID_NAMES);
  findColumn(clean, "area", options.areaColumn, []);
  return { fields, clean, zonal: await openParquet(zonalPath) };
}

async function joinSources(
  { fields, clean, zonal }: Sources,
  options: Options,
  ctx: Context,
): Promise<[Joined, Joined]> {
  const cleanId = findColumn(clean, "id", options.idColumn, ID_NAMES);
  const area = await joinColumn(fields, clean, cleanId, options.areaColumn, "float32", options.batch, ctx);
  const crop = await joinColumn(fields, zonal, "field_id", "crop_code", "float64", options.batch, ctx);
  report(ctx, area, fields.path, clean.path);
  report(ctx, crop, fields.path, zonal.path);
  return [area, crop];
}

function report(ctx: Context, { missing, extra }: Joined, fields: string, table: string): void {
  if (missing.rows > 0) ctx.log.warn(`${missing.rows} fields are not in ${table}`, { firstIds: missing.ids.join(" ") });
  if (extra.rows > 0)
    ctx.log.warn(`${extra.rows} rows of ${table} are not in ${fields}`, { firstIds: extra.ids.join(" ") });
}

function countMissing({ values }: Joined): number {
  let count = 0;
  for (const value of values) if (Number.isNaN(value)) count++;
  return count;
}

function presentCrops(crop: Joined): number[] {
  const codes = new Set<number>();
  for (const code of crop.values) if (!Number.isNaN(code)) codes.add(code);
  return [...codes].sort((a, b) => a - b);
}
