import { createCanvas, type SKRSContext2D } from "@napi-rs/canvas";
import { findFont } from "../dist/view/picture/font.js";
import { outcomeOf, type Results, workCpu } from "./results.js";
import { type Curve, curvesOf, speedUp } from "./scaling.js";
import { spread } from "./statistics.js";

const WIDTH = 900;
const HEIGHT = 520;
const PLOT = { left: 80, top: 70, right: 640, bottom: 450 };
const COLORS = ["#2b6cb0", "#c05621", "#2f855a", "#805ad5"];
const INK = "#1a202c";
const FAINT = "#cbd5e0";

/** Speed-up by threads with the fitted law; undefined where one number of threads was measured. */
export function scalingChart(results: Results): Buffer | undefined {
  const curves = curvesOf(results);
  if (curves.length === 0) return undefined;
  const most = Math.max(...curves.flatMap(({ wallS }) => [...wallS.keys()]));
  const { canvas, pen } = newChart("Speed-up by worker threads", results);
  const x = (threads: number) => PLOT.left + ((threads - 1) / Math.max(1, most - 1)) * (PLOT.right - PLOT.left);
  const y = (gain: number) => PLOT.bottom - ((gain - 1) / Math.max(1, most - 1)) * (PLOT.bottom - PLOT.top);
  for (const threads of ticks(most)) {
    line(
      pen,
      [
        [x(threads), PLOT.top],
        [x(threads), PLOT.bottom],
      ],
      FAINT,
    );
    line(
      pen,
      [
        [PLOT.left, y(threads)],
        [PLOT.right, y(threads)],
      ],
      FAINT,
    );
    write(pen, String(threads), x(threads), PLOT.bottom + 22, { align: "center" });
    write(pen, `${threads}×`, PLOT.left - 10, y(threads) + 5, { align: "right" });
  }
  write(pen, "worker threads", (PLOT.left + PLOT.right) / 2, PLOT.bottom + 48, { align: "center" });
  line(
    pen,
    [
      [x(1), y(1)],
      [x(most), y(most)],
    ],
    INK,
    [6, 6],
  );
  for (const [i, curve] of curves.entries()) drawCurve(pen, curve, most, x, y, i);
  write(pen, "dashed: ideal; lines: Amdahl's law", PLOT.right + 20, PLOT.bottom, { size: 13 });
  return canvas.toBuffer("image/png");
}

function drawCurve(
  pen: SKRSContext2D,
  curve: Curve,
  most: number,
  x: (threads: number) => number,
  y: (gain: number) => number,
  i: number,
): void {
  const color = COLORS[i % COLORS.length] as string;
  const { fit, name, wallS } = curve;
  if (fit !== undefined) {
    const law = (n: number) => (fit.serialS + fit.parallelS) / (fit.serialS + fit.parallelS / n);
    const steps = Array.from({ length: 65 }, (_, k) => 1 + (k / 64) * (most - 1));
    line(
      pen,
      steps.map((n) => [x(n), y(law(n))]),
      color,
    );
  }
  pen.fillStyle = color;
  for (const threads of wallS.keys()) {
    pen.beginPath();
    pen.arc(x(threads), y(Math.max(1, speedUp(curve, threads))), 5, 0, 2 * Math.PI);
    pen.fill();
  }
  const share = fit === undefined ? "" : `, ${(100 * fit.serialShare).toFixed(0)} % serial`;
  write(pen, `${name}${share}`, PLOT.right + 20, PLOT.top + 12 + 26 * i, { color });
}

/** Fields per CPU second of ours and of the peers, on a logarithmic scale. */
export function peersChart(results: Results): Buffer {
  const bars = [
    ["rasterio.mask per field", "rasterio.mask per field"],
    ["exactextract", "exactextract"],
    ["end to end, no index", "direct tiled 1"],
    ["building the index", "build tiled 1"],
    ["from the index", "scan tiled 1"],
  ].flatMap(([label, key]) => {
    const outcome = outcomeOf(results, key as string);
    return outcome ? [{ label: label as string, rate: outcome.fields / spread(workCpu(outcome)).median }] : [];
  });
  const { canvas, pen } = newChart("Fields per CPU second", results);
  const [left, right] = [250, WIDTH - 130];
  const logs = bars.map(({ rate }) => Math.log10(rate));
  const [low, high] = [Math.floor(Math.min(...logs) - 0.5), Math.max(...logs)];
  const x = (rate: number) => left + ((Math.log10(rate) - low) / (high - low)) * (right - left);
  for (let power = low; power <= high; power++) {
    line(
      pen,
      [
        [x(10 ** power), PLOT.top],
        [x(10 ** power), PLOT.bottom],
      ],
      FAINT,
    );
    write(pen, (10 ** power).toLocaleString("en"), x(10 ** power), PLOT.bottom + 22, { align: "center" });
  }
  const step = (PLOT.bottom - PLOT.top) / bars.length;
  bars.forEach(({ label, rate }, i) => {
    const top = PLOT.top + i * step + step * 0.2;
    pen.fillStyle = COLORS[i < bars.length - 3 ? 1 : 0] as string;
    pen.fillRect(left, top, x(rate) - left, step * 0.6);
    write(pen, label, left - 12, top + step * 0.3 + 5, { align: "right" });
    write(pen, Number(rate.toPrecision(3)).toLocaleString("en"), x(rate) + 8, top + step * 0.3 + 5, {});
  });
  write(pen, "logarithmic; work alone, without start-up", left, PLOT.bottom + 48, { size: 13 });
  return canvas.toBuffer("image/png");
}

function newChart(title: string, { machine, date, quick }: Results) {
  const canvas = createCanvas(WIDTH, HEIGHT);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  write(pen, title, 24, 34, { size: 20 });
  const where = `${machine.cpu}, ${machine.cores} cores, ${date.slice(0, 10)}, ${machine.commit}`;
  write(pen, quick ? `quick run, figures mean little: ${where}` : where, 24, 54, { size: 13, color: "#4a5568" });
  return { canvas, pen };
}

/** Powers of two, and the end. */
function ticks(most: number): number[] {
  const found: number[] = [];
  for (let n = 1; n < most; n *= 2) if (n * 1.4 < most || n === 1) found.push(n);
  return [...found, most];
}

interface Style {
  readonly size?: number;
  readonly color?: string;
  readonly align?: "left" | "right" | "center";
}

function write(
  pen: SKRSContext2D,
  text: string,
  x: number,
  y: number,
  { size = 15, color = INK, align = "left" }: Style,
): void {
  pen.font = `${size}px "${findFont() ?? "sans-serif"}"`;
  pen.fillStyle = color;
  pen.textAlign = align;
  pen.fillText(text, x, y);
}

function line(
  pen: SKRSContext2D,
  points: readonly (readonly [number, number])[],
  color: string,
  dash: number[] = [],
): void {
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.setLineDash(dash);
  pen.beginPath();
  points.forEach(([x, y], i) => {
    if (i === 0) pen.moveTo(x, y);
    else pen.lineTo(x, y);
  });
  pen.stroke();
}
