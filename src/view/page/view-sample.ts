import type { YearMap } from "./year-map.js";

/** Sample points: shares are accurate to about 1.5 % of the view. */
const PLACES = 1_200;
/** Points between two pauses for the page's other work. */
const AT_ONCE = 60;

/** Content of the view: the number of sample points by crop. */
export interface ViewSample {
  readonly counts: ReadonlyMap<number, number>;
  /** Points in fields, including fields without a crop. */
  readonly fields: number;
}

/**
 * Sample points all over the view, one per cell of a grid, at a random position in the cell because
 * fields form rows themselves. At low zooms a view contains hundreds of thousands of fields;
 * sampling costs the same at any zoom and weights by visible area.
 *
 * @returns undefined if it was aborted.
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
      const { code } = feature;
      if (code !== undefined) counts.set(code, (counts.get(code) ?? 0) + 1);
    }
  }
  return { counts, fields };
}

/** Same numbers every time, so that the legend does not flicker (a linear congruential generator). */
function seededRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
