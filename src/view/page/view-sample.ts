import type { YearMap } from "./year-map.js";

/** Places to look at: shares are right to about 1.5 % of the view. */
const PLACES = 1_200;
/** Places between two breaths of the page. */
const AT_ONCE = 60;

/** What lies in the view: how many of the places that were looked at are of each crop. */
export interface ViewSample {
  readonly counts: ReadonlyMap<number, number>;
  /** Places in fields, those without a crop included. */
  readonly fields: number;
}

/**
 * Look at places all over the view, one in each cell of a grid; where in its cell is by chance, as
 * fields lie in rows themselves. At low zooms a view holds hundreds of thousands of fields:
 * looking at places costs the same at any zoom, and weighs by area as it is seen.
 *
 * @returns undefined when it was aborted.
 */
export async function sampleView(map: YearMap, signal: AbortSignal): Promise<ViewSample | undefined> {
  const { clientWidth, clientHeight } = map.view.getContainer();
  const counts = new Map<number, number>();
  let [fields, looked] = [0, 0];
  const cell = Math.sqrt((clientWidth * clientHeight) / PLACES);
  const random = seededRandom();
  for (let y = 0; y < clientHeight; y += cell) {
    for (let x = 0; x < clientWidth; x += cell) {
      if (++looked % AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) return undefined;
      const feature = map.fieldAt([x + cell * random(), y + cell * random()]);
      if (feature === undefined) continue;
      fields++;
      const code = map.cropOf(feature);
      if (code !== undefined) counts.set(code, (counts.get(code) ?? 0) + 1);
    }
  }
  return { counts, fields };
}

/** The same numbers every time, so that the legend does not flicker (a linear congruential generator). */
function seededRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
