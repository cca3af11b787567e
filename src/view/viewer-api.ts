import type { LegendEntry } from "../legend/cdl-legend.js";

/** What the viewer's page and its server say to each other, as JSON. */

/** `api/years`: what there is to see. */
export interface ViewerYears {
  readonly region: string;
  /** Those that are listed, ascending. */
  readonly years: readonly ViewerYear[];
  readonly legend: readonly LegendEntry[];
  /** Fields can be found by id, and areas asked for: the server has the fields themselves and their history. */
  readonly asks: boolean;
  /** Tag of the files behind `api/areas` and `api/fields/`; null where there is no history. */
  readonly history: string | null;
}

/** Either its archive, or why there is none. */
export type ViewerYear =
  | { readonly year: number; readonly archive: ViewerArchive }
  | { readonly year: number; readonly missing: string };

export interface ViewerArchive {
  /** Relative to the page. The file behind it never changes: a replaced archive has another URL. Of a column, its codes. */
  readonly url: string;
  /** Of a year that is published as a column: where its base is. */
  readonly column?: ViewerColumn;
  /** Property of a field that holds this year's crop code: `crop_code`, or `crop_2020` in an archive of many years. */
  readonly attribute: string;
  /** west, south, east, north in degrees. */
  readonly bounds: readonly [number, number, number, number];
  /** A place with many fields: longitude, latitude. */
  readonly center: readonly [number, number];
  /** Below zoom 9, tiles hold cells in the true shares of the crops; else a few of the fields, which tell no shares. */
  readonly cells: boolean;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** Undefined where neither manifest nor archive says. */
  readonly fields?: number;
  /** Crop codes that occur, as the archive's legend lists them; empty where it has none. */
  readonly codes: readonly number[];
}

/** What a year's crop codes are put into; URLs as above. */
export interface ViewerColumn {
  readonly year: number;
  readonly archive: string;
  readonly blocks: string;
  readonly fingerprint: string;
}

/** `api/areas`: areas of the crops by year, of all fields. */
export interface ViewerAreas {
  readonly years: readonly number[];
  readonly crops: readonly ViewerCropArea[];
}

export interface ViewerCropArea extends LegendEntry {
  /** By year, as `{"2020": 9120.25}`; years without a zonal table are left out. */
  readonly hectares: Readonly<Record<string, number>>;
}

/** `api/fields/ROW.json`: a field's crops. */
export interface ViewerField {
  /** Feature id in the tiles. */
  readonly row: number;
  /** The field's own id, as text; null where it has none. */
  readonly id: string | null;
  readonly areaHa: number | null;
  readonly crops: readonly ViewerFieldYear[];
}

export interface ViewerFieldYear {
  readonly year: number;
  /** Null where the field has no crop, or the year no table. */
  readonly code: number | null;
  /** Percent of the field's pixels that are of this crop; null where not known. */
  readonly share: number | null;
}

/** A state or county of the United States. */
export interface ViewerPlace {
  /** FIPS code: two digits for a state, five for a county. */
  readonly id: string;
  /** `Kansas`, `Riley County, Kansas` */
  readonly name: string;
  /** west, south, east, north in degrees. */
  readonly bounds: readonly [number, number, number, number];
}

/** `api/find/ID.json`: fields with this id; more than one only in dirty data. */
export interface ViewerFound {
  readonly fields: readonly {
    readonly row: number;
    readonly bounds: readonly [number, number, number, number] | null;
  }[];
}

/** `api/ask/AREA.json`: crops of all fields whose middle lies in an area. */
export interface ViewerAnswer {
  readonly name: string;
  /** Of the area, in degrees: rings of longitude and latitude. */
  readonly rings: readonly (readonly (readonly [number, number])[])[];
  readonly fields: number;
  /** Fields whose area is not known: they are counted, and in no sum of hectares. */
  readonly withoutArea: number;
  readonly years: readonly number[];
  /** Largest first, over all years; the code is null for fields without a crop. */
  readonly crops: readonly {
    readonly code: number | null;
    readonly name: string;
    /** In the order of the years. */
    readonly hectares: readonly number[];
    readonly fields: readonly number[];
  }[];
}
