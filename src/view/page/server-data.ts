import type { FeatureCollection } from "geojson";
import type { ViewerAnswer, ViewerAreas, ViewerField, ViewerFound, ViewerPlace, ViewerYears } from "../viewer-api.js";

/** @throws if the server is unreachable. */
export async function fetchYears(): Promise<ViewerYears> {
  const response = await ask("api/years");
  if (response === undefined) throw new Error("The server has no list of years");
  return (await response.json()) as ViewerYears;
}

/** @returns undefined where there is no history. */
export async function fetchAreas(): Promise<ViewerAreas | undefined> {
  return (await (await ask("api/areas"))?.json()) as ViewerAreas | undefined;
}

/** @returns undefined without a history, or if the field is not in it. */
export async function fetchField(row: number): Promise<ViewerField | undefined> {
  return (await (await ask(`api/fields/${row}.json`))?.json()) as ViewerField | undefined;
}

/** States and counties, by name. */
export async function fetchPlaces(): Promise<readonly ViewerPlace[]> {
  return ((await (await ask("api/places.json"))?.json()) ?? []) as readonly ViewerPlace[];
}

/** Borders between states or counties, and points with their names. */
export async function fetchLines(layer: "states" | "counties"): Promise<FeatureCollection> {
  const empty = { type: "FeatureCollection", features: [] };
  return ((await (await ask(`api/lines/${layer}.json`))?.json()) ?? empty) as FeatureCollection;
}

/** @returns undefined if the server has no fields. */
export async function fetchFound(id: string): Promise<ViewerFound | undefined> {
  return (await (await ask(`api/find/${encodeURIComponent(id)}.json`))?.json()) as ViewerFound | undefined;
}

/**
 * @param area  a place's id, or a polygon as `lng,lat;lng,lat;...`
 * @returns undefined if the server cannot answer or does not know the area.
 */
export async function fetchAnswer(area: string): Promise<ViewerAnswer | undefined> {
  return (await (await ask(`api/ask/${area}.json`))?.json()) as ViewerAnswer | undefined;
}

/** @returns undefined for 404. */
async function ask(path: string): Promise<Response | undefined> {
  const response = await fetch(path, { cache: "no-cache" });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}
