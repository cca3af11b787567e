import type { ViewerAreas, ViewerCropArea } from "../viewer-api.js";
import type { CropColors } from "./crop-colors.js";
import { byId, chip, make, makeSvg } from "./dom.js";
import { type AreaUnit, inUnit, UNIT_NAMES } from "./numbers.js";
import { niceScale } from "./scale.js";
import type { StateStore } from "./state.js";

/** Crops with their own color in the chart; the others are summed. */
const CROPS = 9;
const OTHERS = "#8b939c";
const SIZE = { width: 280, height: 190, left: 34, bottom: 18, top: 6 } as const;
const NOTE = "Areas of the fields with this majority crop, from all fields. Counts are not official acreage.";

interface Band {
  readonly name: string;
  readonly color: string;
  /** In the chosen unit. */
  readonly area: (year: number) => number;
}

/** Crop areas by year, as a chart and as a table. */
export class AreasPanel {
  #data: { readonly areas: ViewerAreas | undefined; readonly colors: CropColors } | undefined;

  /** @param panel  the element that contains it. */
  constructor(
    private readonly state: StateStore,
    private readonly panel: HTMLElement = byId("areas"),
  ) {
    state.onChange((now, before) => {
      if (now.year !== before.year || now.isolated !== before.isolated || now.unit !== before.unit) this.#draw();
    });
  }

  update(areas: ViewerAreas | undefined, colors: CropColors): void {
    this.#data = { areas, colors };
    this.#draw();
  }

  #draw(): void {
    if (this.#data === undefined) return;
    const { areas, colors } = this.#data;
    if (areas === undefined || areas.crops.length === 0) {
      const text =
        "There is no history of these years yet. node dist/history.js makes it; the chart is then drawn here.";
      this.panel.replaceChildren(make("p", {}, text));
      return;
    }
    const { isolated, unit } = this.state.now;
    const heading = `${UNIT_NAMES[unit][0]?.toUpperCase()}${UNIT_NAMES[unit].slice(1)}`;
    const open = this.panel.querySelector("details")?.open ?? false;
    const alone = isolated === undefined ? undefined : areas.crops.find(({ code }) => code === isolated);
    const bands = alone === undefined ? stack(areas, unit, colors) : [band(alone, unit, colors)];
    const title = alone === undefined ? `${heading} by crop and year` : `${heading} of ${alone.name} by year`;
    this.panel.replaceChildren(
      make("h2", {}, title),
      this.#chart(areas, bands, title),
      key(bands),
      make("p", {}, NOTE),
      table(areas, bands, unit, open),
    );
  }

  #chart({ years }: ViewerAreas, bands: readonly Band[], title: string): SVGElement {
    const { width, height, left, bottom, top } = SIZE;
    const totals = years.map((year) => sum(bands, year));
    const scale = niceScale(Math.max(...totals));
    const y = (area: number) => height - bottom - (area / scale.end) * (height - bottom - top);
    const step = (width - left) / years.length;
    const svg = makeSvg("svg", {
      class: "chart",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${title}; the table below has the numbers`,
    });
    for (const value of scale.values) {
      svg.append(
        makeSvg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }),
        makeSvg("text", { x: left - 4, y: y(value) + 3.5, "text-anchor": "end" }, shortArea(value)),
      );
    }
    const every = Math.ceil(28 / step);
    for (const [i, year] of years.entries()) {
      const x = left + i * step;
      const column = makeSvg("g", { class: `column${year === this.state.now.year ? " now" : ""}` });
      column.append(makeSvg("rect", { class: "back", x, y: 0, width: step, height: height - bottom }));
      let base = 0;
      for (const { color, area } of bands) {
        const value = area(year);
        const [from, to] = [y(base), y(base + value)];
        base += value;
        if (from - to > 0.05)
          column.append(
            makeSvg("rect", { x: x + step * 0.12, y: to, width: step * 0.76, height: from - to, fill: color }),
          );
      }
      const missing = totals[i] === 0 && bands.length > 1;
      if (missing)
        column.append(
          makeSvg("line", { class: "absent", x1: x + step / 2, x2: x + step / 2, y1: top, y2: height - bottom }),
        );
      if (i % every === 0) {
        column.append(
          makeSvg(
            "text",
            { x: x + step / 2, y: height - 4, "text-anchor": "middle" },
            step < 24 ? `’${String(year).slice(2)}` : String(year),
          ),
        );
      }
      column.append(
        makeSvg(
          "title",
          {},
          missing ? `${year}: not there` : `${year}: ${shortArea(totals[i] as number)} ${this.state.now.unit}`,
        ),
      );
      column.addEventListener("click", () => this.state.set({ year, playing: false }));
      svg.append(column);
    }
    return svg;
  }
}

function band({ code, name, hectares }: ViewerCropArea, unit: AreaUnit, colors: CropColors): Band {
  return { name, color: colors.colorOf(code), area: (year) => inUnit(hectares[year] ?? 0, unit) };
}

/** The crops with the most area over all years, largest first, and the sum of all others. */
function stack({ crops }: ViewerAreas, unit: AreaUnit, colors: CropColors): Band[] {
  const all = ranked(crops);
  const bands = all.slice(0, CROPS).map((crop) => band(crop, unit, colors));
  const rest = all.slice(CROPS);
  if (rest.length === 0) return bands;
  const area = (year: number) =>
    inUnit(
      rest.reduce((total, crop) => total + (crop.hectares[year] ?? 0), 0),
      unit,
    );
  return [...bands, { name: `${rest.length} others`, color: OTHERS, area }];
}

/** Crops by their area over all years. */
export function ranked(crops: readonly ViewerCropArea[]): ViewerCropArea[] {
  const total = ({ hectares }: ViewerCropArea) => Object.values(hectares).reduce((all, value) => all + value, 0);
  return [...crops].sort((a, b) => total(b) - total(a) || a.code - b.code);
}

function sum(bands: readonly Band[], year: number): number {
  return bands.reduce((total, { area }) => total + area(year), 0);
}

function key(bands: readonly Band[]): HTMLElement {
  const entries = bands.map(({ name, color }) => make("li", {}, chip(color), make("span", { class: "name" }, name)));
  return make("ul", { class: "key", "aria-hidden": "true" }, ...entries);
}

function table({ years }: ViewerAreas, bands: readonly Band[], unit: AreaUnit, open: boolean): HTMLElement {
  const heading = (text: string, scope: string) => make("th", { scope }, text);
  const head = make("tr", {}, heading(UNIT_NAMES[unit], "col"), ...years.map((year) => heading(String(year), "col")));
  const rows = bands.map(({ name, area }) =>
    make(
      "tr",
      {},
      heading(name, "row"),
      ...years.map((year) => make("td", {}, sum(bands, year) > 0 ? Math.round(area(year)).toLocaleString("en") : "–")),
    ),
  );
  const content = make(
    "table",
    {},
    make("caption", { class: "unseen" }, "Crop areas by year"),
    make("thead", {}, head),
    make("tbody", {}, ...rows),
  );
  const wide = make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Crop areas by year" }, content);
  return make("details", open ? { open: true } : {}, make("summary", {}, "As a table"), wide);
}

function shortArea(area: number): string {
  if (area >= 1e6) return `${Number((area / 1e6).toPrecision(3))} M`;
  return area >= 1e3 ? `${Number((area / 1e3).toPrecision(3))} k` : String(Number(area.toPrecision(3)));
}
