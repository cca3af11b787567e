import type { ViewerAreas, ViewerField, ViewerYears } from "../viewer-api.js";

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

/** @returns undefined for 404. */
async function ask(path: string): Promise<Response | undefined> {
  const response = await fetch(path, { cache: "no-cache" });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}
