import type { ViewerFieldYear } from "../viewer-api.js";
import { type CropColors, isDoubleCrop } from "./crop-colors.js";
import { byId, chip, make } from "./dom.js";
import { type AreaUnit, areaText } from "./numbers.js";
import { rotationOf, rotationText } from "./rotation.js";

/** The data of a field. */
export interface FieldFacts {
  /** The field's id, as text; its row if it has none. */
  readonly id: string;
  readonly areaHa: number | null;
  /** Ascending by year; unpublished years have neither code nor share. */
  readonly crops: readonly FieldCrop[];
}

export interface FieldCrop extends ViewerFieldYear {
  /** There is no data for this year. */
  readonly missing: boolean;
}

export interface FieldCardActions {
  readonly close: () => void;
  readonly goTo: (year: number) => void;
  readonly saveHistory: () => void;
  readonly saveOutline: () => void;
}

/** The card of the clicked field: its crops by year, their shares of its pixels, its rotation. */
export class FieldCard {
  readonly #card = byId("field");

  constructor(private readonly actions: FieldCardActions) {}

  hide(): void {
    this.#card.hidden = true;
    this.#card.replaceChildren();
  }

  showWaiting(row: number): void {
    this.#card.hidden = false;
    this.#card.setAttribute("aria-busy", "true");
    this.#card.replaceChildren(this.#header(`Field ${row}`, "…"));
  }

  showProblem(title: string, text: string): void {
    this.#card.hidden = false;
    this.#card.removeAttribute("aria-busy");
    this.#card.replaceChildren(this.#header(title, ""), make("p", { class: "rotation" }, text));
  }

  show(facts: FieldFacts, year: number, unit: AreaUnit, colors: CropColors): void {
    const { id, areaHa, crops } = facts;
    const scrolled = this.#card.querySelector(".scroll")?.scrollTop;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.focus : undefined;
    this.#card.hidden = false;
    this.#card.removeAttribute("aria-busy");
    const area =
      areaHa === null
        ? "area not known"
        : units(unit)
            .map((each) => areaText(areaHa, each))
            .join(" · ");
    const withShares = crops.some(({ share }) => share !== null);
    const table = make(
      "table",
      { class: "history" },
      make("caption", { class: "unseen" }, `Crops of field ${id} by year`),
      make("thead", {}, make("tr", {}, ...headings(withShares))),
      // People look for the latest year first.
      make("tbody", {}, ...[...crops].reverse().map((crop) => this.#row(crop, year, withShares, colors))),
    );
    const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Crops by year" }, table);
    this.#card.replaceChildren(
      this.#header(`Field ${id}`, area),
      make(
        "p",
        { class: "rotation" },
        rotationText(rotationOf(crops), (code) => colors.nameOf(code)),
      ),
      scroll,
      make(
        "div",
        { class: "ways" },
        this.#button("Save as CSV", "csv", this.actions.saveHistory),
        this.#button("Outline as GeoJSON", "geojson", this.actions.saveOutline),
      ),
      ...(withShares ? [] : [make("p", { class: "note" }, "Shares are not known here: there is no history.")]),
    );
    if (scrolled !== undefined) scroll.scrollTop = scrolled;
    else scroll.querySelector("tr.now")?.scrollIntoView({ block: "nearest" });
    if (focused !== undefined) this.#card.querySelector<HTMLElement>(`[data-focus="${focused}"]`)?.focus();
  }

  focus(): void {
    this.#card.focus({ preventScroll: true });
  }

  #header(title: string, subtitle: string): HTMLElement {
    const close = make(
      "button",
      {
        type: "button",
        class: "close",
        "aria-label": "Close the field",
        title: "Close (Escape)",
        "data-focus": "close",
      },
      "×",
    );
    close.addEventListener("click", this.actions.close);
    return make("header", {}, make("h2", {}, title, make("small", {}, subtitle)), close);
  }

  #button(text: string, focus: string, action: () => void): HTMLElement {
    const button = make("button", { type: "button", class: "plain", "data-focus": focus }, text);
    button.addEventListener("click", action);
    return button;
  }

  #row({ year, code, share, missing }: FieldCrop, now: number, withShares: boolean, colors: CropColors): HTMLElement {
    const button = make(
      "button",
      { type: "button", "aria-label": `Show ${year}`, "data-focus": `year-${year}` },
      String(year),
    );
    button.addEventListener("click", () => this.actions.goTo(year));
    const name = code === null ? (missing ? "not published" : "no crop") : colors.nameOf(code);
    const crop = make("span", { class: "crop" }, make("span", {}, name));
    if (!missing) crop.prepend(chip(code === null ? undefined : colors.colorOf(code), isDoubleCrop(name)));
    return make(
      "tr",
      year === now ? { class: "now", "aria-current": "true" } : {},
      make("th", { scope: "row" }, button),
      make("td", {}, crop),
      ...(withShares ? [make("td", { class: "share" }, ...shareCell(share))] : []),
    );
  }
}

/** Both units, the chosen one first. */
function units(chosen: AreaUnit): AreaUnit[] {
  return chosen === "ha" ? ["ha", "acres"] : ["acres", "ha"];
}

function headings(withShares: boolean): HTMLElement[] {
  const names = ["Year", "Crop"].map((name) => make("th", { scope: "col" }, name));
  const title = "Share of the field's pixels that are of this crop";
  return withShares ? [...names, make("th", { scope: "col", class: "share", title }, "Share")] : names;
}

function shareCell(share: number | null): (HTMLElement | string)[] {
  if (share === null) return ["–"];
  const meter = make("meter", {
    min: 0,
    max: 100,
    low: 50,
    high: 75,
    optimum: 100,
    value: share,
    "aria-hidden": "true",
  });
  return [meter, `${share} %`];
}
