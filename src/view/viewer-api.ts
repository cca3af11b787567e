import type { LegendEntry } from "../legend/cdl-legend.js";

/** The JSON that the viewer's page and its server exchange. */

/** `api/years`: the published years. */
export interface ViewerYears {
  readonly region: string;
  /** The listed years, ascending. */
  readonly years: readonly ViewerYear[];
  readonly legend: readonly LegendEntry[];
  /** Whether the server has the fields and their history, to find fields by id and answer areas. */
  readonly asks: boolean;
  /** Tag of the files behind `api/areas` and `api/fields/`; null without a history. */
  readonly history: string | null;
}

/** Its archive, or why there is none. */
export type ViewerYear =
  | { readonly year: number; readonly archive: ViewerArchive }
  | { readonly year: number; readonly missing: string };

export interface ViewerArchive {
  /** Relative to the page. The file behind it never changes: a replaced archive has another URL. For a column, its codes. */
  readonly url: string;
  /** The base of a year that is published as a column. */
  readonly column?: ViewerColumn;
  /** Property with this year's crop code: `crop_code`, or `crop_2020` in an archive of several years. */
  readonly attribute: string;
  /** west, south, east, north in degrees. */
  readonly bounds: readonly [number, number, number, number];
  /** A place with many fields: longitude, latitude. */
  readonly center: readonly [number, number];
  /** Whether tiles below zoom 9 contain cells in the crops' true shares, instead of a few of the fields. */
  readonly cells: boolean;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** Undefined if neither manifest nor archive has it. */
  readonly fields?: number;
  /** Crop codes that occur, from the archive's legend; empty if it has none. */
  readonly codes: readonly number[];
}

/** The base for a year's crop codes; URLs as above. */
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
  /** By year, as `{"2020": 9120.25}`; years without a zonal table are missing. */
  readonly hectares: Readonly<Record<string, number>>;
}

/** `api/fields/ROW.json`: a field's crops. */
export interface ViewerField {
  /** Feature id in the tiles. */
  readonly row: number;
  /** The field's id, as text; null if it has none. */
  readonly id: string | null;
  readonly areaHa: number | null;
  readonly crops: readonly ViewerFieldYear[];
}

export interface ViewerFieldYear {
  readonly year: number;
  /** Null if the field has no crop or the year no table. */
  readonly code: number | null;
  /** Percent of the field's pixels with this crop; null if unknown. */
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

/** `api/ask/AREA.json`: crops of all fields whose bounding-box center is in an area. */
export interface ViewerAnswer {
  readonly name: string;
  /** The area's rings of longitude and latitude, in degrees. */
  readonly rings: readonly (readonly (readonly [number, number])[])[];
  readonly fields: number;
  /** Fields of unknown area: they are counted, but not in hectares. */
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
