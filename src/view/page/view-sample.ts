import type { YearMap } from "./year-map.js";

/** Distance of the places that are looked at, in pixels. */
const SPACING = 26;
/** Places between two breaths of the page. */
const AT_ONCE = 60;

/** What lies in the view: how many of the places that were looked at are of each crop. */
export interface ViewSample {
  readonly counts: ReadonlyMap<number, number>;
  /** Places in fields, those without a crop included. */
  readonly fields: number;
}

/**
 * Look at evenly spaced places of the view. At low zooms a view holds hundreds of thousands of fields:
 * looking at places costs the same at any zoom, and weighs by area as it is seen.
 *
 * @returns undefined when it was aborted.
 */
export async function sampleView(map: YearMap, signal: AbortSignal): Promise<ViewSample | undefined> {
  const { clientWidth, clientHeight } = map.view.getContainer();
  const counts = new Map<number, number>();
  let [fields, looked] = [0, 0];
  for (let y = SPACING / 2; y < clientHeight; y += SPACING) {
    for (let x = SPACING / 2; x < clientWidth; x += SPACING) {
      if (++looked % AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) return undefined;
      const feature = map.fieldAt([x, y]);
      if (feature === undefined) continue;
      fields++;
      const code = map.cropOf(feature);
      if (code !== undefined) counts.set(code, (counts.get(code) ?? 0) + 1);
    }
  }
  return { counts, fields };
}
