import type { FeatureCollection } from "geojson";
import type { ViewerAnswer, ViewerAreas, ViewerField, ViewerFound, ViewerPlace, ViewerYears } from "../viewer-api.js";

/** @throws when the server is away. */
export async function fetchYears(): Promise<ViewerYears> {
  const response = await ask("api/years");
  if (response === undefined) throw new Error("The server has no list of years");
  return (await response.json()) as ViewerYears;
}

/** @returns undefined where there is no history. */
export async function fetchAreas(): Promise<ViewerAreas | undefined> {
  return (await (await ask("api/areas"))?.json()) as ViewerAreas | undefined;
}

/** @returns undefined where there is no history, or the field is not in it. */
export async function fetchField(row: number): Promise<ViewerField | undefined> {
  return (await (await ask(`api/fields/${row}.json`))?.json()) as ViewerField | undefined;
}

/** States and counties, by name. */
export async function fetchPlaces(): Promise<readonly ViewerPlace[]> {
  return ((await (await ask("api/places.json"))?.json()) ?? []) as readonly ViewerPlace[];
}

/** Lines between states or counties, and points with their names. */
export async function fetchLines(layer: "states" | "counties"): Promise<FeatureCollection> {
  const empty = { type: "FeatureCollection", features: [] };
  return ((await (await ask(`api/lines/${layer}.json`))?.json()) ?? empty) as FeatureCollection;
}

/** @returns undefined where the server has no fields to look in. */
export async function fetchFound(id: string): Promise<ViewerFound | undefined> {
  return (await (await ask(`api/find/${encodeURIComponent(id)}.json`))?.json()) as ViewerFound | undefined;
}

/**
 * @param area  a place's id, or a polygon as `lng,lat;lng,lat;...`
 * @returns undefined where the server cannot answer, or knows no such area.
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
