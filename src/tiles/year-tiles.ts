import type { Metadata } from "../archive/metadata.js";
import { rewriteMetadata } from "../archive/rewrite.js";
import { attributeStats, type Tilestats, withAttributes } from "../archive/tilestats.js";
import type { Run } from "../config/run.js";
import { includedNames } from "../fields/included.js";
import { includedTypes, readIncluded } from "../fields/included-values.js";
import { cropName } from "../legend/cdl-legend.js";
import { PipelineError } from "../pipeline/errors.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import type { Inputs } from "../pipeline/record.js";
import { archiveMetadata, type CropKeys, cropKeys } from "./archive-metadata.js";
import type { YearAttributes } from "./attribute-plan.js";
import { auditArchive } from "./audit.js";
import { ensureBase, idTypeOf, rowsOfLayer } from "./base.js";
import { type CropIndex, codesOfRows, indexCrops } from "./crop-index.js";
import { jsonValue } from "./properties.js";
import { checkSample } from "./rewrite-check.js";
import type { PassMember } from "./rewrite-pass.js";
import { joinArea, joinCrop, openFieldSources } from "./sources.js";

/** The content of an archive, and the inputs that are not in it. */
export type TilesFacts = {
  readonly rows: number;
  /** Fields whose polygon is in the highest zoom; the others are dirty or too thin to draw. */
  readonly featureCounts: { readonly fields: number; readonly centroids: number };
  /** Rows whose geometry cannot be drawn. */
  readonly notDrawn: number;
  /** Fields thinner than a tile unit: they have a centroid and no polygon at the highest zoom. */
  readonly tooThin: number;
  /** For several years, in their order. */
  readonly withoutCrop: number | readonly number[];
  /** Rows of one file only. */
  readonly unmatched: {
    readonly noArea: number;
    readonly areaOnly: number;
    readonly noZonal: number;
    readonly zonalOnly: number;
  };
  readonly engine: string;
};

/** A year's zonal table. */
export interface YearTable {
  readonly year: number;
  readonly path: string;
  readonly digest: string;
}

/**
 * Fill the crops of one or more years into the base's tiles.
 *
 * @param keys    attribute names, in the order of the years.
 * @param inputs  what the archive is made from; its digest goes into the metadata.
 * @throws {PipelineError} input: a table or a base that cannot be read; tool: the archive differs from the base; space.
 */
export async function rewriteYears(
  zonals: readonly YearTable[],
  keys: readonly CropKeys[],
  inputs: Inputs,
  partial: string,
  member: PassMember,
  run: Run,
): Promise<TilesFacts> {
  const { options, layout, pool, ctx } = run;
  const { region, minZoom, maxZoom } = options;
  const last = zonals.at(-1) as YearTable;
  // Another run may replace the base meanwhile.
  const made = new InputFiles();
  const { base, years, unmatched } = await member.inTurn(async () => {
    const base = await ensureBase(last.year, run);
    made.watch(base.path);
    const { fields } = await openFieldSources(layout, options);
    const [years, unmatched]: [CropIndex[], { noZonal: number; zonalOnly: number }] = [
      [],
      { noZonal: 0, zonalOnly: 0 },
    ];
    for (const { path } of zonals) {
      const crop = await joinCrop(fields, path, options, ctx);
      years.push(indexed(crop.values, path));
      unmatched.noZonal += crop.missing.rows;
      unmatched.zonalOnly += crop.extra.rows;
    }
    return { base, years, unmatched };
  });
  const attributes = years.map((crops, i) => ({ keys: keys[i] as CropKeys, crops }));
  const { engine, facts } = base;
  const metadata = archiveMetadata({
    region,
    years: zonals.map(({ year }) => year),
    inputs: fingerprint(inputs),
    minZoom,
    maxZoom,
    engine,
    cells: base.cells,
    idType: facts.idType ?? undefined,
    included: facts.included,
    crops: keys,
    codes: [...new Set(years.flatMap(({ codes }) => codes))].sort((a, b) => a - b),
  });
  const tilestats = base.tilestats && withCrops(base.tilestats, attributes, rowsOfLayer(base, "centroids"));
  const output = {
    path: partial,
    years: attributes,
    metadata: { ...metadata, ...(tilestats && { tilestats }) },
  };
  const report = await member.join(base, output, pool(), ctx);
  const compared = await checkSample(partial, { path: base.path, rows: facts.rows }, attributes, ctx);
  made.requireUnchanged();
  const { tiles, rewritten, gzip } = report;
  ctx.log.info("crops are in the tiles", { tiles, compared, gzip, ...(rewritten && { rewritten }) });
  const { rows, featureCounts, notDrawn, tooThin, noArea, areaOnly } = facts;
  const withoutCrop = years.map((crops) => crops.withoutCrop);
  return {
    rows,
    featureCounts,
    notDrawn,
    tooThin,
    withoutCrop: withoutCrop.length === 1 ? (withoutCrop[0] as number) : withoutCrop,
    unmatched: { noArea, areaOnly, ...unmatched },
    engine,
  };
}

/** @param drawn  one bit per row: the fields in the tiles. */
function withCrops(tilestats: Tilestats, years: readonly YearAttributes[], drawn: Uint8Array): Tilestats {
  const fresh = years.flatMap(({ keys, crops }) => {
    // In tippecanoe's order: sorted as text.
    const codes = codesOfRows(crops, drawn).sort((a, b) => (String(a) < String(b) ? -1 : 1));
    if (codes.length === 0) return [];
    const names = [...new Set(codes.map(cropName))].sort();
    return [attributeStats(keys.code, codes), ...(keys.name === undefined ? [] : [attributeStats(keys.name, names)])];
  });
  return withAttributes(tilestats, fresh);
}

/**
 * Tile a year in full with tippecanoe.
 *
 * @throws {PipelineError} input: fields or a table that cannot be read; tool: tippecanoe failed or lost features; space.
 */
export async function tileYear(zonal: YearTable, inputs: Inputs, partial: string, run: Run): Promise<TilesFacts> {
  const { options, layout, pool, ctx } = run;
  const { region, minZoom, maxZoom, cropNames } = options;
  const sources = await openFieldSources(layout, options);
  const { fields } = sources;
  const area = await joinArea(sources, { ...run, ctx });
  const crop = await joinCrop(fields, zonal.path, options, ctx);
  const idType = await idTypeOf(fields, options);
  const names = includedNames(options.include);
  const attributes = {
    area: area.values.buffer as SharedArrayBuffer,
    crop: crop.values.buffer as SharedArrayBuffer,
    included: (await readIncluded(fields, names, jsonValue, options.batch, ctx.signal))?.columns,
    choice: { fieldId: idType !== null, cropName: cropNames },
  };
  const { tileFields } = await import("./tile-fields.js");
  const tiled = await tileFields(fields, attributes, partial, zonal.year, run);
  const { codes, withoutCrop } = indexed(crop.values, zonal.path);
  const metadata = archiveMetadata({
    region,
    years: [zonal.year],
    inputs: fingerprint(inputs),
    minZoom,
    maxZoom,
    engine: tiled.engine,
    cells: tiled.cells,
    idType: idType ?? undefined,
    included: includedTypes(fields, names),
    crops: [cropKeys(cropNames)],
    codes,
  });
  // tippecanoe's statistics are of this year's features.
  const change = ({ tilestats }: Metadata) => ({ ...metadata, ...(tilestats && { tilestats }) });
  await rewriteMetadata(tiled.path, partial, change, { signal: ctx.signal });
  const audit = await auditArchive(partial, tiled.status, crop.values, maxZoom, pool(), ctx);
  if (audit.thin > 0)
    ctx.log.warn(`${audit.thin} fields are too thin to draw at zoom ${maxZoom}`, {
      firstRows: audit.firstThin.join(" "),
    });
  return {
    rows: fields.rows,
    featureCounts: { fields: audit.fields, centroids: audit.centroids },
    notDrawn: fields.rows - tiled.drawn,
    tooThin: audit.thin,
    withoutCrop,
    unmatched: {
      noArea: area.missing.rows,
      areaOnly: area.extra.rows,
      noZonal: crop.missing.rows,
      zonalOnly: crop.extra.rows,
    },
    engine: tiled.engine,
  };
}

function indexed(crop: ArrayLike<number>, path: string): CropIndex {
  try {
    return indexCrops(crop);
  } catch (cause) {
    throw new PipelineError("input", "Crops cannot go into tiles", { path }, { cause });
  }
}
