import type { Progress, Task } from "../pipeline/progress.js";

/** Seconds between two lines where there is no terminal. */
const LINE_INTERVAL_S = 10;
const BAR_INTERVAL_S = 0.1;
const BAR_CELLS = 24;
/** Ends the label of what is counted in percent. */
const PERCENT = " %";

export class TerminalProgress implements Progress {
  #line = "";

  /** @param write  where lines go when there is no terminal; the log, as a rule. */
  constructor(
    private readonly write: (line: string) => void,
    private readonly bar: boolean = process.stderr.isTTY === true && process.env.TERM !== "dumb",
  ) {}

  start(label: string, total?: number, from = 0): Task {
    const began = performance.now();
    let last = began;
    const show = (done: number, force: boolean) => {
      const now = performance.now();
      const interval = this.bar ? BAR_INTERVAL_S : LINE_INTERVAL_S;
      if (!force && (now - last) / 1000 < interval) return;
      last = now;
      const text = progressText(label, done, total, (now - began) / 1000, from);
      if (this.bar) this.#draw(text);
      else this.write(text);
    };
    return {
      update: (done) => show(done, false),
      end: () => this.clear(),
    };
  }

  /** Take the bar off the terminal's line, so that something else can be printed there. */
  clear(): void {
    if (this.#line === "") return;
    process.stderr.write(`\r${" ".repeat(this.#line.length)}\r`);
    this.#line = "";
  }

  #draw(text: string): void {
    const width = (process.stderr.columns ?? 80) - 1;
    const line = text.slice(0, width);
    process.stderr.write(`\r${line.padEnd(this.#line.length)}`);
    this.#line = line;
  }
}

/** `fields burned ██████░░░ 61 % 122,000/200,000 410,000/s ETA 0:12` */
function progressText(label: string, done: number, total: number | undefined, seconds: number, from = 0): string {
  const rate = seconds > 0 ? (done - from) / seconds : 0;
  if (label.endsWith(PERCENT)) {
    const left = rate > 0 && total !== undefined ? `, ETA ${clock((total - done) / rate)}` : "";
    return `${label.slice(0, -PERCENT.length)} ${Math.floor(done)} %${left}`;
  }
  const count =
    total === undefined ? done.toLocaleString("en") : `${done.toLocaleString("en")}/${total.toLocaleString("en")}`;
  const speed = `${Math.round(rate).toLocaleString("en")}/s`;
  if (total === undefined || total === 0) return `${label} ${count} ${speed}`;
  const share = Math.min(1, done / total);
  const cells = Math.round(share * BAR_CELLS);
  const bar = "█".repeat(cells) + "░".repeat(BAR_CELLS - cells);
  const eta = rate > 0 ? ` ETA ${clock((total - done) / rate)}` : "";
  return `${label} ${bar} ${Math.floor(share * 100)} % ${count} ${speed}${eta}`;
}

/** Seconds as `m:ss` or `h:mm:ss`. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}
