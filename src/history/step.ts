import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { layoutOf } from "../config/config.js";
import type { Options } from "../config/options.js";
import { type AreaTable, findAreas } from "../fields/field-areas.js";
import { fieldsFileLayout } from "../fields/root-fields.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { publishFile, removeFile } from "../pipeline/output.js";
import type { Facts, StepRecord } from "../pipeline/record.js";
import { outputProblem, type Step } from "../pipeline/step.js";
import { openParquet } from "../table/parquet-file.js";
import { parquetOrigin } from "../table/parquet-origin.js";
import { type Areas, pixelAreas, polygonAreas, tableAreas, VALID_COLUMNS } from "./areas.js";
import { CropClasses } from "./crop-classes.js";
import { HISTORY_VERSION, type HistoryFiles, type HistoryHeader, historyFiles, historySchema } from "./format.js";
import { alsoAsCsv, type HistoryRows, writeHistory } from "./history-table.js";
import { makeLegend } from "./legend-file.js";
import { mergeYears } from "./merge.js";
import { rotationYears } from "./rotation.js";
import { cropAreaTable, rotationTable, transitionTable, writeSummary } from "./summary-tables.js";
import { Tally } from "./tally.js";
import { YearTable, type ZonalFile } from "./year-table.js";

/** A spreadsheet's rows. */
const SPREADSHEET_ROWS = 1_048_576;

export interface HistoryOptions {
  /** Every year that shall have columns, ascending. */
  readonly years: readonly number[];
  /** Write history_{region}.csv too. */
  readonly csv: boolean;
  /** Hectares of a pixel, for areas by pixels where there are no others. */
  readonly pixelHa?: number | undefined;
}

export interface HistoryFacts extends Facts {
  readonly rows: number;
  readonly years: readonly number[];
  readonly missing: readonly number[];
  readonly crops: number;
  readonly area: string;
  readonly fieldsWithoutArea: number;
  /** Years that rotations were looked for in. */
  readonly rotationYears: readonly number[];
  /** Fields without a crop in one of these. */
  readonly fieldsWithoutRotation: number;
  /** What the counts of rotations may lack; 0 unless there were over a million different ones. */
  readonly rotationsShortBy: number;
  /** Side files by name, and their digests. */
  readonly files: Readonly<Record<string, string>>;
}

/** Years that have a zonal table under the root, ascending. */
export function yearsThere(options: Options): number[] {
  const folder = dirname(layoutOf(options, 0).zonal);
  if (!existsSync(folder)) return [];
  const [head, tail] = [`zonal_${options.region}_`, ".parquet"];
  return readdirSync(folder)
    .filter((name) => name.startsWith(head) && name.endsWith(tail))
    .map((name) => name.slice(head.length, -tail.length))
    .filter((text) => /^\d{4}$/.test(text))
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * The step that joins all years.
 *
 * Its output is the table of fields; the other files are put next to it before it is recorded,
 * so that a kill in between makes all of them again.
 *
 * @throws {PipelineError} input, when no year has a zonal table.
 */
export async function historyStep(options: Options, own: HistoryOptions): Promise<Step<HistoryFacts>> {
  const { region } = options;
  const zonal: ZonalFile[] = own.years
    .map((year) => ({ year, path: layoutOf(options, year).zonal }))
    .filter(({ path }) => existsSync(path));
  const last = zonal.at(-1);
  if (last === undefined) {
    throw new PipelineError("input", "No zonal table of these years; make them first, as node dist/year.js YEAR does", {
      years: own.years.join(" ") || "none",
      expected: layoutOf(options, own.years[0] ?? 2020).zonal,
    });
  }
  const layout = layoutOf(options, last.year);
  const files = historyFiles(layout.history, region);
  const source = fieldsFileLayout(options, layout);
  const areas = await findAreas(source, options);
  // Pixels are asked for by their size; else they are exact in no more than some rasters.
  const polygons =
    areas === undefined && own.pixelHa === undefined && existsSync(source.fieldsRaw) ? source.fieldsRaw : undefined;
  const missing = own.years.filter((year) => !zonal.some((file) => file.year === year));
  const inputs = new InputFiles();
  return {
    name: "history",
    year: undefined,
    version: 2,
    target: files.history,
    record: join(layout.state, `${region}_history.json`),
    originOf: parquetOrigin,
    errorKind: "failed",
    files: inputs,
    inFull: options.verifyInputs === "full",
    inputs: {
      zonal: Object.fromEntries(zonal.map(({ year, path }) => [year, inputs.digest(path)])),
      missing,
      areas: areas ? inputs.digest(areas.table.path) : null,
      areaColumn: areas?.column ?? null,
      hectares: areas?.hectares ?? null,
      idColumn: options.idColumn ?? null,
      polygons: polygons === undefined ? null : inputs.digest(polygons),
      pixelHa: areas ? null : (own.pixelHa ?? null),
      csv: own.csv,
    },
    async validate(ctx) {
      if (missing.length > 0) {
        ctx.log.warn(`no zonal table, so these columns are null: ${missing.join(" ")}`);
      }
    },
    run: (partial, ctx) =>
      makeHistory(
        { zonal, areas, polygons, missing, options, own, files: historyFiles(dirname(partial), region) },
        ctx,
      ),
    verify: (partial, facts) => verifyHistory(partial, facts, region),
    async finish(_facts, _ctx, scratch) {
      const made = sideFiles(historyFiles(scratch, region), own.csv);
      sideFiles(files, own.csv).forEach((path, i) => {
        publishFile(made[i] as string, path);
      });
      if (!own.csv) removeFile(files.historyCsv);
    },
    sideFiles: (facts) =>
      Object.fromEntries(Object.keys(facts.files).map((name) => [join(files.folder, name), undefined])),
    recheck: (record: StepRecord) => {
      for (const [name, digest] of Object.entries((record.facts as HistoryFacts).files)) {
        const path = join(files.folder, name);
        if (!existsSync(path)) return `${name} is gone`;
        if (fileDigest(path) !== digest) return `${name} was changed since it was made`;
      }
      return outputProblem(files.history, record);
    },
  };
}

interface HistoryTask {
  readonly zonal: readonly ZonalFile[];
  readonly missing: readonly number[];
  readonly areas: AreaTable | undefined;
  /** The fields' file, where areas are computed from it. */
  readonly polygons: string | undefined;
  readonly options: Options;
  readonly own: HistoryOptions;
  readonly files: HistoryFiles;
}

async function makeHistory(task: HistoryTask, ctx: Context): Promise<HistoryFacts> {
  const { zonal, missing, areas: areaTable, polygons, options, own, files } = task;
  const tables: YearTable[] = [];
  const present = zonal.map(({ year }) => year);
  for (const [i, file] of zonal.entries()) {
    tables.push(
      await YearTable.open(
        file,
        areaTable === undefined && polygons === undefined && i === zonal.length - 1 ? VALID_COLUMNS : [],
      ),
    );
  }
  const last = tables.at(-1) as YearTable;
  const areas = areaTable
    ? await tableAreas(last, areaTable, options, ctx)
    : polygons !== undefined
      ? await polygonAreas(last, polygons, options, ctx)
      : pixelAreas(last, tables.length - 1, own.pixelHa, ctx);
  const header: HistoryHeader = {
    version: HISTORY_VERSION,
    region: options.region,
    years: own.years,
    missing,
    area: areas.source,
  };
  const classes = new CropClasses();
  const lookedAt = rotationYears(present);
  const tally = new Tally(present, lookedAt, classes);
  const rows = last.shape.rows;
  let batches = watched(tallied(mergeYears(tables, classes, ctx), areas, tally), rows, ctx);
  if (own.csv) {
    if (rows >= SPREADSHEET_ROWS) {
      ctx.log.warn("the CSV has more rows than a spreadsheet takes", { rows, most: SPREADSHEET_ROWS });
    }
    batches = alsoAsCsv(files.historyCsv, own.years, present, batches);
  }
  await writeHistory(files.history, last.idType, header, present, batches);
  await writeSummary(cropAreaTable(tally, present), files.cropArea);
  await writeSummary(transitionTable(tally), files.transitions);
  await writeSummary(rotationTable(tally, classes.codes), files.rotations);
  writeFileSync(files.legend, `${JSON.stringify(makeLegend(tally, header), null, 1)}\n`);
  return {
    rows,
    years: own.years,
    missing,
    crops: classes.codes.length,
    area: areas.source,
    fieldsWithoutArea: tally.rowsWithoutArea,
    rotationYears: lookedAt,
    fieldsWithoutRotation: tally.sequences.incomplete,
    rotationsShortBy: tally.sequences.shortBy,
    files: Object.fromEntries(sideFiles(files, own.csv).map((path) => [basename(path), fileDigest(path)])),
  };
}

async function* tallied(
  merged: ReturnType<typeof mergeYears>,
  areas: Areas,
  tally: Tally,
): AsyncGenerator<HistoryRows> {
  for await (const batch of merged) {
    const hectares = areas.of(batch);
    tally.add(batch, hectares);
    yield { ...batch, areas: hectares };
  }
}

async function* watched(batches: AsyncIterable<HistoryRows>, total: number, ctx: Context): AsyncGenerator<HistoryRows> {
  const task = ctx.progress.start("fields joined", total);
  try {
    for await (const batch of batches) {
      yield batch;
      task.update(batch.firstRow + batch.rows);
      // Neither reader nor encoder ever waits: without a turn of the event loop no signal would be seen.
      await new Promise(setImmediate);
    }
  } finally {
    task.end();
  }
}

function sideFiles(files: HistoryFiles, csv: boolean): string[] {
  const { legend, cropArea, transitions, rotations, historyCsv } = files;
  const tables = [cropArea, transitions, rotations].flatMap((table) => [table.parquet, table.csv]);
  return [legend, ...tables, ...(csv ? [historyCsv] : [])];
}

async function verifyHistory(partial: string, facts: HistoryFacts, region: string): Promise<void> {
  const shape = await openParquet(partial);
  const idType = shape.columns.get("field_id");
  const expected = idType === undefined ? [] : historySchema(idType, facts.years).fields.map(({ name }) => name);
  const legend = JSON.parse(readFileSync(historyFiles(dirname(partial), region).legend, "utf8")) as {
    crops: unknown[];
  };
  if (shape.rows === facts.rows && expected.join() === [...shape.columns.keys()].join()) {
    if (legend.crops.length === facts.crops) return;
  }
  throw new PipelineError("failed", "The history is not what was written", {
    path: partial,
    expected: `${facts.rows} rows, ${facts.crops} crops`,
    received: `${shape.rows} rows, ${legend.crops.length} crops`,
  });
}
