import { isArea } from "./area-text.js";

/** The content of a link to the map. */
export interface MapLink {
  readonly year: number;
  readonly zoom: number;
  readonly lat: number;
  readonly lng: number;
  /** Feature id of the selected field; undefined for none. */
  readonly row: number | undefined;
  /** The selected area; see areaText. */
  readonly area?: string | undefined;
}

/** `#2018/11.25/39.20672/-97.21802/1234&area=20161` */
export function formatLink({ year, zoom, lat, lng, row, area }: MapLink): string {
  // As many digits as a pixel at this zoom needs.
  const digits = Math.max(0, Math.ceil((zoom * Math.LN2 + Math.log(512 / 360 / 0.5)) / Math.LN10));
  const parts = [String(year), String(Math.round(zoom * 100) / 100), fixed(lat, digits), fixed(lng, digits)];
  const more = area === undefined ? "" : `&area=${area}`;
  return `#${[...parts, ...(row === undefined ? [] : [String(row)])].join("/")}${more}`;
}

/** Avoids the sign of a value that rounds to zero. */
function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text;
}

/** @returns undefined if the text is not a valid link; people edit links by hand. */
export function parseLink(hash: string): MapLink | undefined {
  const match =
    /^#(\d{4})\/(\d+(?:\.\d+)?)\/(-?\d+(?:\.\d+)?)\/(-?\d+(?:\.\d+)?)(?:\/(\d{1,15}))?(?:&area=([\d.,;-]+))?$/.exec(
      hash,
    );
  if (match === null) return undefined;
  const [year, zoom, lat, lng] = match.slice(1, 5).map(Number) as [number, number, number, number];
  if (zoom > 24 || Math.abs(lat) > 85.06 || Math.abs(lng) > 180) return undefined;
  const area = match[6] !== undefined && isArea(match[6]) ? match[6] : undefined;
  const row = match[5] === undefined ? undefined : Number(match[5]);
  return { year, zoom, lat, lng, row, ...(area !== undefined && { area }) };
}
