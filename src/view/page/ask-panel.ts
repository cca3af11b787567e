import type { ViewerAnswer, ViewerAreas, ViewerPlace, ViewerYears } from "../viewer-api.js";
import { areaText, isInside, type Ring, ringOf } from "./area-text.js";
import { AreasPanel } from "./areas.js";
import type { CropColors } from "./crop-colors.js";
import { announce, byId, make } from "./dom.js";
import { drawArea } from "./draw-area.js";
import { countText, inUnit } from "./numbers.js";
import { placesNamed } from "./place-names.js";
import { asFileName, csvText, saveText } from "./save.js";
import { fetchAnswer, fetchPlaces } from "./server-data.js";
import type { StateStore } from "./state.js";
import type { YearMap } from "./year-map.js";

const FROM_VIEW =
  "From the fields on the screen, of this year alone: this server does not have the fields themselves. Zoom to 9 or more, with the whole area in view.";
const FROM_ALL = "All fields whose middle lies in the area count in full.";

/** An area's crops by year. The area is a drawn box or polygon, the view, or a state or county. */
export class AskPanel {
  readonly #areas: AreasPanel;
  readonly #about = byId("ask-about");
  readonly #csv = byId<HTMLButtonElement>("ask-csv");
  #places: readonly ViewerPlace[] | undefined;
  #answer: ViewerAnswer | undefined;
  #drawing: AbortController | undefined;
  /** Counts requests; a stale answer is dropped. */
  #asked = 0;

  constructor(
    private readonly state: StateStore,
    private readonly map: YearMap,
    private readonly years: () => ViewerYears,
    private readonly colors: () => CropColors,
  ) {
    this.#areas = new AreasPanel(state, byId("ask-areas"));
    byId("ask-box").addEventListener("click", () => void this.#draw("box"));
    byId("ask-polygon").addEventListener("click", () => void this.#draw("polygon"));
    byId("ask-view").addEventListener("click", () => this.#askView());
    byId("ask-clear").addEventListener("click", () => state.set({ area: undefined }));
    byId("ask-place").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#askPlace(byId<HTMLInputElement>("ask-name").value);
    });
    this.#csv.addEventListener("click", () => this.#takeAway());
    state.onChange((now, before) => {
      if (now.area !== before.area) void this.show();
      // Counts from the screen belong to the year on the screen.
      else if (now.year !== before.year && now.area !== undefined && !this.years().asks) void this.show();
    });
  }

  get isDrawing(): boolean {
    return this.#drawing !== undefined;
  }

  stopDrawing(): void {
    this.#drawing?.abort();
  }

  /** Request the crops of the state's area and show them. */
  async show(): Promise<void> {
    const asked = ++this.#asked;
    const { area } = this.state.now;
    this.#answer = undefined;
    byId("ask-clear").hidden = area === undefined;
    this.#csv.hidden = true;
    byId("ask-areas").replaceChildren();
    this.map.outline([]);
    if (area === undefined) {
      this.#about.textContent = "";
      return;
    }
    this.#about.textContent = "Counting …";
    const ring = ringOf(area);
    if (ring !== undefined) this.map.outline([ring]);
    const answer = await this.#ask(area, ring).catch((error: unknown) => String(error));
    if (asked !== this.#asked) return;
    if (answer === undefined || typeof answer === "string") {
      this.#about.textContent = answer ?? "This area cannot be asked for here: the server does not have the fields.";
      return;
    }
    this.#answer = answer;
    this.map.outline(answer.rings);
    const note = this.years().asks ? FROM_ALL : FROM_VIEW;
    const count = `${countText(answer.fields)} ${answer.fields === 1 ? "field" : "fields"}`;
    const unknown = answer.withoutArea > 0 ? `, ${countText(answer.withoutArea)} of them of unknown area` : "";
    this.#about.replaceChildren(make("strong", {}, answer.name), ` ${count}${unknown}. ${note}`);
    this.#csv.hidden = false;
    this.redraw();
    announce(`${answer.name}: ${count}`);
  }

  /** Redraw the answer with the current colors. */
  redraw(): void {
    if (this.#answer !== undefined) this.#areas.update(asAreas(this.#answer, this.colors()), this.colors());
  }

  async #ask(area: string, ring: Ring | undefined): Promise<ViewerAnswer | undefined> {
    if (this.years().asks) return fetchAnswer(area);
    return ring && this.#fromView(ring);
  }

  /** If the server cannot answer: the crops of this year in the tiles on the screen. */
  async #fromView(ring: Ring): Promise<ViewerAnswer> {
    const { year } = this.state.now;
    await this.map.shown;
    const sums = new Map<number | null, { fields: number; hectares: number }>();
    let [fields, withoutArea] = [0, 0];
    for (const { lng, lat, code, areaHa } of this.map.fieldsOnScreen()) {
      if (!isInside(ring, lng, lat)) continue;
      const sum = sums.get(code) ?? { fields: 0, hectares: 0 };
      sums.set(code, { fields: sum.fields + 1, hectares: sum.hectares + (areaHa ?? 0) });
      fields++;
      if (areaHa === null) withoutArea++;
    }
    const crops = [...sums].map(([code, { fields: count, hectares }]) => ({
      code,
      name: code === null ? "no crop" : this.colors().nameOf(code),
      fields: [count],
      hectares: [hectares],
    }));
    crops.sort((a, b) => (b.hectares[0] as number) - (a.hectares[0] as number));
    return { name: "Drawn area", rings: [ring], fields, withoutArea, years: [year], crops };
  }

  async #draw(shape: "box" | "polygon"): Promise<void> {
    this.stopDrawing();
    const drawing = new AbortController();
    this.#drawing = drawing;
    this.state.set({ area: undefined });
    this.#about.textContent =
      shape === "box"
        ? "Click two opposite corners on the map. Escape gives up."
        : "Click the corners on the map, and the first one again, or press Enter, to end. Escape gives up.";
    announce(this.#about.textContent);
    const ring = await drawArea(this.map.view, shape, drawing.signal).catch((error: unknown) => {
      this.#about.textContent = String(error);
      return undefined;
    });
    if (this.#drawing !== drawing) return;
    this.#drawing = undefined;
    if (ring !== undefined) this.state.set({ area: areaText(ring) });
    else if (drawing.signal.aborted) this.#about.textContent = "";
  }

  #askView(): void {
    this.stopDrawing();
    const bounds = this.map.view.getBounds();
    const [west, south, east, north] = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
    const corners = [west, south, east, south, east, north, west, north] as const;
    this.state.set({ area: areaText([0, 2, 4, 6].map((i) => [corners[i] as number, corners[i + 1] as number])) });
  }

  async #askPlace(name: string): Promise<void> {
    this.#places ??= await fetchPlaces().catch(() => []);
    const [place] = placesNamed(this.#places, name, 1);
    if (place === undefined) {
      this.#about.textContent = "No state or county of that name.";
      announce(this.#about.textContent);
      return;
    }
    const [west, south, east, north] = place.bounds;
    this.map.fit({ west, south, east, north });
    this.state.set({ area: place.id });
  }

  #takeAway(): void {
    const answer = this.#answer;
    if (answer === undefined) return;
    const rows = answer.crops.flatMap(({ code, name, hectares, fields }) =>
      answer.years.map((year, i) => {
        const area = hectares[i] as number;
        return [answer.name, year, code, name, fields[i] as number, area.toFixed(2), inUnit(area, "acres").toFixed(2)];
      }),
    );
    const header = ["area", "year", "crop_code", "crop_name", "fields", "area_ha", "area_acres"];
    saveText(`crops_${asFileName(answer.name)}.csv`, "text/csv", csvText(header, rows));
  }
}

function asAreas({ years, crops }: ViewerAnswer, colors: CropColors): ViewerAreas {
  return {
    years,
    crops: crops.flatMap(({ code, name, hectares }) =>
      code === null
        ? []
        : [
            {
              code,
              name,
              color: colors.colorOf(code),
              hectares: Object.fromEntries(years.map((year, i) => [year, hectares[i] as number])),
            },
          ],
    ),
  };
}
