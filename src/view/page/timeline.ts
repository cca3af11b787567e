import type { ViewerYear } from "../viewer-api.js";
import { byId, make } from "./dom.js";
import type { StateStore } from "./state.js";

/** Minimum time per year during play. */
const STEP_MS = 1_300;
/** Maximum time to wait for a year's tiles. */
const LONGEST_STEP_MS = 15_000;
/** Width of a tick label, in pixels. */
const LABEL_WIDTH = 42;

/** The slider of years and the play button. */
export class Timeline {
  readonly #slider = byId<HTMLInputElement>("year-slider");
  readonly #play = byId<HTMLButtonElement>("play");
  #years: readonly ViewerYear[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts starts and stops of play; a step from before is abandoned. */
  #runs = 0;

  /** @param ready  resolves once the requested year is on the map and the next one is loaded. */
  constructor(
    private readonly state: StateStore,
    private readonly ready: () => Promise<unknown>,
  ) {
    this.#slider.addEventListener("input", () => state.set({ year: this.#snapped(), playing: false }));
    this.#play.addEventListener("click", () => this.toggle());
    new ResizeObserver(() => this.#drawTicks()).observe(this.#slider);
    state.onChange((now, before) => {
      if (now.year !== before.year || now.playing !== before.playing) this.#draw();
      if (now.playing !== before.playing) this.#run();
    });
  }

  update(years: readonly ViewerYear[]): void {
    this.#years = years;
    this.#draw();
  }

  toggle(): void {
    this.state.set({ playing: !this.state.now.playing });
  }

  /** The slider's year, or the next one in its direction if that year has no data. */
  #snapped(): number {
    const [wanted, now] = [Number(this.#slider.value), this.state.now.year];
    const years = this.#years.map(({ year }) => year);
    const next = wanted > now ? years.find((year) => year >= wanted) : years.findLast((year) => year <= wanted);
    return next ?? wanted;
  }

  #draw(): void {
    const { year, playing } = this.state.now;
    const entry = this.#years.find((candidate) => candidate.year === year);
    const missing = entry === undefined || "missing" in entry;
    this.#slider.min = String(this.#years[0]?.year ?? year);
    this.#slider.max = String(this.#years.at(-1)?.year ?? year);
    this.#slider.value = String(year);
    this.#slider.setAttribute("aria-valuetext", missing ? `${year}, no data` : String(year));
    const label = byId<HTMLOutputElement>("year");
    label.value = String(year);
    label.classList.toggle("missing", missing);
    this.#play.classList.toggle("playing", playing);
    this.#play.setAttribute("aria-label", playing ? "Stop playing the years" : "Play the years");
    this.#play.title = playing ? "Stop (space)" : "Play the years (space)";
    this.#play.disabled = this.#published().length < 2;
    this.#drawTicks();
  }

  /** As many labels as fit, always with the first and the last. */
  #drawTicks(): void {
    const [first, last] = [this.#years[0]?.year ?? 0, this.#years.at(-1)?.year ?? 0];
    const span = Math.max(1, last - first);
    const ticks = byId("ticks");
    const every = Math.max(1, Math.ceil(LABEL_WIDTH / Math.max(1, ticks.clientWidth / span)));
    const shown = this.#years.filter(
      ({ year }) => year === last || ((year - first) % every === 0 && last - year >= every),
    );
    ticks.replaceChildren(
      ...shown.map((entry) => {
        const kind = ["missing" in entry && "missing", entry.year === this.state.now.year && "now"]
          .filter(Boolean)
          .join(" ");
        const tick = make("span", { class: kind }, String(entry.year));
        tick.style.left = `${((entry.year - first) / span) * 100}%`;
        return tick;
      }),
    );
  }

  #published(): number[] {
    return this.#years.filter((year) => "archive" in year).map(({ year }) => year);
  }

  /** Step through the years, each only once it is on the map; skip missing ones; stop at the last. */
  #run(): void {
    clearTimeout(this.#timer);
    const run = ++this.#runs;
    if (!this.state.now.playing) return;
    const last = this.#published().at(-1);
    const step = async () => {
      const { year } = this.state.now;
      const next = this.#published().find((candidate) => candidate > year);
      if (next === undefined) return this.state.set({ playing: false });
      this.state.set({ year: next });
      await Promise.race([this.ready(), new Promise((resolve) => setTimeout(resolve, LONGEST_STEP_MS))]);
      if (run === this.#runs) this.#timer = setTimeout(step, STEP_MS);
    };
    // At the end, start over.
    if (last !== undefined && this.state.now.year >= last) this.state.set({ year: this.#published()[0] as number });
    this.#timer = setTimeout(step, this.state.now.year === last ? 0 : STEP_MS / 2);
  }
}
