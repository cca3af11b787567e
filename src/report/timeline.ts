import type { DoneStep } from "./collect.js";

const WIDTH = 960;
const LEFT = 70;
const ROW = 20;
const TOP = 8;
/** Share of the busy time beyond which a pause is cut out. */
const LONGEST_PAUSE = 0.04;
/** Pixels that a pause which was cut out takes. */
const CUT = 14;

export const STEP_COLORS: Readonly<Record<string, string>> = {
  download: "#4477aa",
  zonal: "#228833",
  tiles: "#ccbb44",
  column: "#aa3377",
  publish: "#ee6677",
  "publish column": "#ee6677",
};
const OTHER = "#777777";

/** Steps as bars, a line for what is made once and one a year, as SVG. Pauses between runs are cut out. */
export function timelineSvg(steps: readonly DoneStep[], years: readonly number[]): string {
  const lines = [undefined, ...years];
  const at = axis(steps);
  const height = TOP + lines.length * ROW + 24;
  const bars = steps.flatMap((step) => {
    const line = lines.indexOf(step.year);
    if (line < 0) return [];
    const [x, end] = [at.place(step.began), at.place(step.finished)];
    const color = STEP_COLORS[step.step] ?? OTHER;
    const title = `${step.year ?? "once"}: ${step.step}, ${step.seconds.toFixed(1)} s`;
    const width = Math.max(1.5, end - x).toFixed(1);
    return [
      `<rect x="${x.toFixed(1)}" y="${TOP + line * ROW + 3}" width="${width}" height="${ROW - 6}" fill="${color}"><title>${title}</title></rect>`,
    ];
  });
  const labels = lines.map(
    (year, i) => `<text x="${LEFT - 8}" y="${TOP + i * ROW + 14}" text-anchor="end">${year ?? "once"}</text>`,
  );
  const cuts = at.cuts.map(
    (x) => `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${TOP}" y2="${TOP + lines.length * ROW}" class="cut"/>`,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Steps by time; the table below has the same in numbers">${[...cuts, ...labels, ...bars].join("")}<text x="${LEFT}" y="${height - 6}">${at.busySeconds.toFixed(0)} s in which a step ran; dashed lines are pauses</text></svg>`;
}

/** Maps a time to pixels: busy stretches at one scale, longer pauses cut. */
function axis(steps: readonly DoneStep[]) {
  const stretches: [number, number][] = [];
  for (const { began, finished } of [...steps].sort((a, b) => a.began - b.began)) {
    const last = stretches.at(-1);
    if (last !== undefined && began <= last[1]) last[1] = Math.max(last[1], finished);
    else stretches.push([began, finished]);
  }
  const busy = Math.max(
    1,
    stretches.reduce((sum, [from, to]) => sum + to - from, 0),
  );
  const joined: [number, number][] = [];
  for (const [from, to] of stretches) {
    const last = joined.at(-1);
    if (last !== undefined && from - last[1] < busy * LONGEST_PAUSE) last[1] = to;
    else joined.push([from, to]);
  }
  const total = Math.max(
    1,
    joined.reduce((sum, [from, to]) => sum + to - from, 0),
  );
  const scale = Math.max(0, WIDTH - LEFT - 4 - CUT * (joined.length - 1)) / total;
  const starts: number[] = [];
  let x = LEFT;
  for (const [from, to] of joined) {
    starts.push(x);
    x += (to - from) * scale + CUT;
  }
  return {
    busySeconds: busy / 1000,
    cuts: starts.slice(1).map((start) => start - CUT / 2),
    place(time: number): number {
      let i = joined.length - 1;
      while (i > 0 && (joined[i] as [number, number])[0] > time) i--;
      const [from, to] = joined[i] ?? [0, 0];
      return (starts[i] ?? LEFT) + Math.min(Math.max(0, time - from), to - from) * scale;
    },
  };
}
