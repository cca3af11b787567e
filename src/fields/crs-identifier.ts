interface Projjson {
  readonly authority?: string;
  readonly code?: string | number;
}

/**
 * `OGC:CRS84` of PROJJSON that is cut down to type, name and id, as some writers have it; PROJ wants it whole.
 *
 * @throws {SyntaxError} when it begins as JSON does and is none.
 */
export function crsIdentifier(crs: string): string | undefined {
  if (!crs.startsWith("{")) return undefined;
  const { id, datum, datum_ensemble, conversion } = JSON.parse(crs) as Readonly<Record<string, Projjson | undefined>>;
  return id && !datum && !datum_ensemble && !conversion ? `${id.authority}:${id.code}` : undefined;
}

/** Whether a CRS is longitude and latitude on WGS 84 by its very identifier: GDAL, which takes long to load, need not be asked. */
export function isLngLat(crs: string): boolean {
  try {
    return ["OGC:CRS84", "EPSG:4326"].includes(crsIdentifier(crs) ?? crs);
  } catch {
    return false;
  }
}
