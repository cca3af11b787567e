import { join } from "node:path";
import { type DataType, Field, Float32, Schema, Uint8, Uint16 } from "apache-arrow";
import type { LegendEntry } from "../legend/cdl-legend.js";

/** Raised when older readers would misread what newer writers write. */
export const HISTORY_VERSION = 1;

/** The key of the parquet file's metadata under which the header lies, as JSON. */
export const HEADER_KEY = "history";

/**
 * Where hectares come from. `clean`: the area column of the fields' table. `ellipsoid`: computed from their polygons.
 * `weights`: valid area of
 * the last year's zonal table, where that was weighted by area. `pixels`: valid pixels of the last
 * year that is there, times the area of a pixel that was given. `none`: they are not known.
 */
export type AreaSource = "clean" | "ellipsoid" | "weights" | "pixels" | "none";

/** What `history_{region}.parquet` says of itself. */
export interface HistoryHeader {
  readonly version: number;
  readonly region: string;
  /** Every year that has columns, ascending, without gaps unless they were asked for so. */
  readonly years: readonly number[];
  /** Those of them without a zonal table: their columns are null throughout. */
  readonly missing: readonly number[];
  readonly area: AreaSource;
}

/** The history's files, all in one folder. */
export interface HistoryFiles {
  readonly folder: string;
  /** One row per field; see historySchema. */
  readonly history: string;
  /** The same as CSV, where it was asked for. */
  readonly historyCsv: string;
  /** See HistoryLegend. */
  readonly legend: string;
  /** Fields and hectares of every crop in every year, `.parquet` and `.csv`. */
  readonly cropArea: TableFiles;
  /** What followed upon what, from one year to the next. */
  readonly transitions: TableFiles;
  /** The most frequent rotations of the last years. */
  readonly rotations: TableFiles;
}

export interface TableFiles {
  readonly parquet: string;
  readonly csv: string;
}

export function historyFiles(folder: string, region: string): HistoryFiles {
  const table = (name: string) => ({ parquet: join(folder, `${name}.parquet`), csv: join(folder, `${name}.csv`) });
  const history = table(`history_${region}`);
  return {
    folder,
    history: history.parquet,
    historyCsv: history.csv,
    legend: join(folder, "legend.json"),
    cropArea: table("crop_area"),
    transitions: table("transitions"),
    rotations: table("rotations"),
  };
}

export function cropColumn(year: number): string {
  return `crop_${year}`;
}

export function shareColumn(year: number): string {
  return `share_${year}`;
}

/**
 * Columns of history_{region}.parquet, one row per field in the order of the zonal tables,
 * which is that of the fields' file: the row number is also the MVT feature id.
 *
 *     field_id            as in the zonal tables
 *     area_ha             float32; null where it is not known
 *     crop_YYYY ...       uint16, the majority crop's code; null where there is none
 *     share_YYYY ...      uint8, percent of the field's valid pixels that are of it; null with the crop
 *
 * All crops stand before all shares, years ascending. A share is 100 only where every pixel
 * is of the crop; else it is rounded, to 99 at most.
 */
export function historySchema(idType: DataType, years: readonly number[]): Schema {
  return new Schema([
    new Field("field_id", idType, true),
    new Field("area_ha", new Float32(), true),
    ...years.map((year) => new Field(cropColumn(year), new Uint16(), true)),
    ...years.map((year) => new Field(shareColumn(year), new Uint8(), true)),
  ]);
}

/** By year, as `{"2020": 12}`; years without a zonal table are left out. */
export type ByYear = Readonly<Record<string, number>>;

/** A crop that occurs, with USDA's name and color. */
export interface LegendCrop extends LegendEntry {
  /** Fields whose majority it is; 0 where it does not occur in a year. */
  readonly fields: ByYear;
  /** The area of these fields, to 0.01 ha. Fields of unknown area add nothing. */
  readonly hectares: ByYear;
}

/**
 * legend.json: the crops that occur, and how much of each. Crops with codes that USDA does
 * not name are `Code N`, in gray.
 */
export interface HistoryLegend {
  readonly version: number;
  readonly region: string;
  readonly years: readonly number[];
  readonly missing: readonly number[];
  readonly area: AreaSource;
  /** Rows of the history. */
  readonly fields: number;
  /** Fields whose area is not known. */
  readonly fieldsWithoutArea: number;
  /** Ascending by code. */
  readonly crops: readonly LegendCrop[];
  /** Fields without a crop. */
  readonly noCrop: { readonly fields: ByYear; readonly hectares: ByYear };
}
