import type { ViewerAreas, ViewerYears } from "../viewer-api.js";
import { type CropColors, isDoubleCrop } from "./crop-colors.js";
import { announce, byId, chip, make } from "./dom.js";
import { areaText, percentText, UNIT_NAMES } from "./numbers.js";
import { isShown, type StateStore } from "./state.js";
import type { ViewSample } from "./view-sample.js";

/** The legend's data, in addition to the state. */
export interface LegendData {
  readonly years: ViewerYears;
  readonly areas: ViewerAreas | undefined;
  readonly sample: ViewSample | undefined;
  /** There is no sample, because the drawn features do not have the true shares. */
  readonly thinned: boolean;
  readonly colors: CropColors;
}

interface Row {
  readonly code: number;
  readonly name: string;
  /** Largest first. */
  readonly weight: number;
  readonly value: string;
}

interface Item {
  readonly element: HTMLLIElement;
  readonly toggle: HTMLInputElement;
  readonly button: HTMLButtonElement;
  readonly parts: { chip: HTMLElement; readonly name: HTMLElement; readonly value: HTMLElement };
}

/** The list of crops: colors, search, order, toggles, and isolating one crop. */
export class Legend {
  readonly #list = byId<HTMLUListElement>("crops");
  readonly #search = byId<HTMLInputElement>("crop-search");
  readonly #order = byId<HTMLSelectElement>("crop-order");
  readonly #items = new Map<number, Item>();
  #data: LegendData | undefined;

  constructor(private readonly state: StateStore) {
    this.#search.addEventListener("input", () => this.#draw());
    this.#order.addEventListener("change", () => this.#draw());
    this.#list.addEventListener("keydown", (event) => this.#step(event));
    byId("show-all").addEventListener("click", () => {
      state.set({ isolated: undefined, hidden: new Set() });
      announce("All crops are shown");
      this.#search.focus();
    });
    byId<HTMLInputElement>("safe-colors").addEventListener("change", (event) => {
      state.set({ safe: (event.target as HTMLInputElement).checked });
    });
    state.onChange(() => this.#draw());
  }

  update(data: LegendData): void {
    this.#data = data;
    this.#draw();
  }

  #draw(): void {
    if (this.#data === undefined) return;
    const { areas } = this.#data;
    const byArea = this.#order.querySelector<HTMLOptionElement>('[value="area"]') as HTMLOptionElement;
    byArea.disabled = areas === undefined;
    if (areas === undefined && this.#order.value === "area") this.#order.value = "view";
    const rows = this.#rows(this.#data);
    const items = rows.map((row) => this.#item(row));
    this.#place(items.map(({ element }) => element));
    const { isolated, hidden } = this.state.now;
    byId("show-all").hidden = isolated === undefined && hidden.size === 0;
    byId("crops-note").textContent = this.#note(rows.length);
  }

  #rows({ years, areas, sample, colors }: LegendData): Row[] {
    const { year, unit } = this.state.now;
    const order = this.#order.value;
    const total = [...(sample?.counts.values() ?? [])].reduce((sum, count) => sum + count, 0);
    const hectares = new Map(areas?.crops.map((crop) => [crop.code, crop.hectares[year]]));
    const text = this.#search.value.trim().toLowerCase();
    const rows = [...codesThatOccur(years, areas, sample)].map((code): Row => {
      const [seen, area] = [sample?.counts.get(code) ?? 0, hectares.get(code) ?? 0];
      const name = colors.nameOf(code);
      if (order === "area") return { code, name, weight: area, value: area > 0 ? areaText(area, unit) : "" };
      return { code, name, weight: order === "name" ? 0 : seen, value: seen > 0 ? percentText(seen / total) : "" };
    });
    return rows
      .filter(({ code, name }) => text === "" || name.toLowerCase().includes(text) || String(code) === text)
      .sort((a, b) => b.weight - a.weight || a.name.localeCompare(b.name) || a.code - b.code);
  }

  #note(rows: number): string {
    if (this.#search.value.trim() !== "" && rows === 0) return "No crop of that name occurs.";
    if (this.#order.value === "area") {
      const unit = UNIT_NAMES[this.state.now.unit];
      return `${unit[0]?.toUpperCase()}${unit.slice(1)} of all fields with this crop, on and off the screen.`;
    }
    if (this.#data?.thinned) return "Zoom in to see shares: at low zooms these tiles hold few of the fields.";
    return "Share of the fields’ area in view, about.";
  }

  #item({ code, name, value }: Row): Item {
    const item = this.#items.get(code) ?? this.#newItem(code);
    this.#items.set(code, item);
    const { colors } = this.#data as LegendData;
    const { isolated, hidden } = this.state.now;
    const fresh = chip(colors.colorOf(code), isDoubleCrop(name));
    item.parts.chip.replaceWith(fresh);
    item.parts.chip = fresh;
    item.parts.name.textContent = name;
    item.parts.value.textContent = value;
    item.button.title = name;
    item.button.setAttribute("aria-pressed", String(isolated === code));
    item.toggle.checked = !hidden.has(code);
    item.toggle.setAttribute("aria-label", `Show ${name}`);
    item.element.classList.toggle("isolated", isolated === code);
    item.element.classList.toggle("off", !isShown({ isolated, hidden }, code));
    item.element.classList.toggle("absent", value === "");
    return item;
  }

  #newItem(code: number): Item {
    const toggle = make("input", { type: "checkbox" });
    const parts = {
      chip: chip(undefined),
      name: make("span", { class: "name" }),
      value: make("span", { class: "value" }),
    };
    const button = make("button", { type: "button", "data-code": code }, parts.chip, parts.name, parts.value);
    toggle.addEventListener("change", () => this.#toggle(code, toggle.checked));
    button.addEventListener("click", () => this.#isolate(code));
    return { element: make("li", {}, toggle, button), toggle, button, parts };
  }

  #toggle(code: number, show: boolean): void {
    const hidden = new Set(this.state.now.hidden);
    if (show) hidden.delete(code);
    else hidden.add(code);
    this.state.set({ hidden, isolated: undefined });
    announce(`${this.#data?.colors.nameOf(code)} ${show ? "shown" : "hidden"}`);
  }

  #isolate(code: number): void {
    const isolated = this.state.now.isolated === code ? undefined : code;
    this.state.set({ isolated });
    announce(isolated === undefined ? "All crops are shown" : `Only ${this.#data?.colors.nameOf(code)} is shown`);
  }

  /** Put the elements in this order and keep the focus. */
  #place(elements: readonly HTMLElement[]): void {
    const now = [...this.#list.children];
    if (now.length === elements.length && now.every((element, i) => element === elements[i])) return;
    const focused = document.activeElement;
    this.#list.replaceChildren(...elements);
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** Up and down move between crops. */
  #step(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const item = (event.target as Element).closest("li");
    if (step === undefined || item === null) return;
    const next = step > 0 ? item.nextElementSibling : item.previousElementSibling;
    next?.querySelector("button")?.focus();
    event.preventDefault();
  }
}

function codesThatOccur(
  years: ViewerYears,
  areas: ViewerAreas | undefined,
  sample: ViewSample | undefined,
): Set<number> {
  const ofArchives = years.years.flatMap((year) => ("archive" in year ? year.archive.codes : []));
  return new Set([...ofArchives, ...(areas?.crops.map(({ code }) => code) ?? []), ...(sample?.counts.keys() ?? [])]);
}
