import { Marker } from "maplibre-gl";
import type { ViewerArchive, ViewerAreas, ViewerYear, ViewerYears } from "../viewer-api.js";
import { FULL_ZOOM, readField } from "./archives.js";
import { isInUnitedStates, rememberedUnit, rememberUnit } from "./area-unit.js";
import { AreasPanel, ranked } from "./areas.js";
import { AskPanel } from "./ask-panel.js";
import type { LngLat } from "./coordinates.js";
import { CropColors } from "./crop-colors.js";
import { announce, byId, make } from "./dom.js";
import { FieldCard, type FieldCrop, type FieldFacts } from "./field-card.js";
import { FindBox } from "./find-box.js";
import type { Box } from "./graticule.js";
import { Legend } from "./legend.js";
import { formatLink, parseLink } from "./link.js";
import { drawMapPicture } from "./map-picture.js";
import { type AreaUnit, countText, percentText } from "./numbers.js";
import { followPointer } from "./pointer.js";
import { remember, remembered } from "./remembered.js";
import { asFileName, csvText, save, saveText } from "./save.js";
import { fetchAreas, fetchField, fetchYears } from "./server-data.js";
import { isShown, type State, StateStore } from "./state.js";
import { startTabs } from "./tabs.js";
import { onThemeChange, readTheme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { loadTurf } from "./turf.js";
import { sampleView, type ViewSample } from "./view-sample.js";
import { type Shown, YearMap } from "./year-map.js";

const POLL_MS = 10_000;
const MIN_POLL_MS = 1_500;
const RING_ZOOM = 12;
/** Zoom for coordinates that were searched. */
const FOUND_ZOOM = 13;
const FIELD_ZOOM = 15;
/** Message for a year that is not listed. */
const NOT_THERE = "no data";

/** The whole page: the state, the map, and the panels around it. */
export class Viewer {
  #years: ViewerYears;
  #areas: ViewerAreas | undefined;
  #sample: ViewSample | undefined;
  /** The map shows a few of the fields, not in their true shares. */
  #thinned = false;
  /** Codes of the safe palette; without a history they come from the first view and stay. */
  #ranking: readonly number[] | undefined;
  #colors: CropColors;
  #facts: FieldFacts | undefined;
  /** Where the selected field was clicked. */
  #spot: { readonly place: LngLat; readonly zoom: number } | undefined;
  #sampling = new AbortController();
  #polling = false;
  /** The neighboring years are prefetched, because the timeline was used. */
  #ahead = false;
  /** Counts changes of the map. */
  #settling = 0;
  #shown: Promise<boolean> = Promise.resolve(true);
  #settled: Promise<void> = Promise.resolve();
  readonly #state: StateStore;
  readonly #map: YearMap;
  readonly #legend: Legend;
  readonly #timeline: Timeline;
  readonly #areasPanel: AreasPanel;
  readonly #ask: AskPanel;
  readonly #card: FieldCard;
  readonly #ringElement = make("div", { class: "ring", "aria-hidden": "true" });
  readonly #ring = new Marker({ element: this.#ringElement });

  constructor(years: ViewerYears) {
    this.#years = years;
    const place = parseLink(location.hash);
    const [first, last] = [years.years[0]?.year ?? 0, years.years.at(-1)?.year ?? 0];
    const within = place !== undefined && place.year >= first && place.year <= last;
    // The page starts once a year is published.
    const latest = published(years).at(-1) as Published;
    const year = within ? place.year : latest.year;
    const none = { isolated: undefined, hidden: new Set<number>(), safe: false, playing: false };
    const unit = rememberedUnit(latest.archive.center);
    this.#state = new StateStore({ ...none, unit, year, row: place?.row, area: place?.area });
    this.#colors = this.#newColors();
    this.#map = new YearMap(byId("map"), boundsOf(years), lowestZoom(years), place, this.#coloring());
    this.#legend = new Legend(this.#state);
    this.#timeline = new Timeline(this.#state, () => this.#settled);
    this.#areasPanel = new AreasPanel(this.#state);
    this.#ask = new AskPanel(
      this.#state,
      this.#map,
      () => this.#years,
      () => this.#colors,
    );
    this.#card = new FieldCard({
      close: () => this.#select(undefined),
      goTo: (chosen) => this.#state.set({ year: chosen }),
      saveHistory: () => this.#saveHistory(),
      saveOutline: () => void this.#saveOutline(),
    });
  }

  async start(): Promise<void> {
    startTabs();
    this.#startUnit();
    new FindBox(boundsOf(this.#years), () => this.#years.asks, {
      toCoordinates: (place) => {
        this.#map.pin(place);
        this.#map.view.jumpTo({ center: place, zoom: Math.max(FOUND_ZOOM, this.#map.view.getZoom()) });
      },
      toPlace: ({ bounds: [west, south, east, north] }) => {
        this.#map.pin(undefined);
        this.#map.fit({ west, south, east, north });
      },
      toField: ({ row, bounds }) => this.#goToField(row, bounds),
    });
    const skip = byId("skip");
    skip.addEventListener("click", (event) => {
      event.preventDefault();
      this.#map.view.getCanvas().focus();
    });
    this.#state.onChange((now, before) => this.#follow(now, before));
    const { view } = this.#map;
    view.on("error", ({ error }) => this.#problem(error));
    await new Promise<void>((resolve) => {
      view.once("style.load", () => resolve());
    });
    this.#map.addHatch();
    byId("notice").hidden = true;
    followPointer(
      this.#map,
      () => this.#colors,
      () => this.#state.now.unit,
    );
    view.on("click", ({ point, lngLat }) => this.#pick(point, lngLat));
    view.on("moveend", () => this.#writePlace());
    view.on("zoom", () => this.#showRing());
    this.#showRing();
    view.on("idle", () => void this.#lookAtView());
    view.on("sourcedataloading", ({ sourceId }) => {
      if (sourceId === this.#map.shownSource) byId("map").setAttribute("data-loading", "");
    });
    view.on("moveend", () => !this.#map.loaded && byId("map").setAttribute("data-loading", ""));
    view.on("idle", () => byId("map").toggleAttribute("data-loading", !this.#map.loaded));
    for (const turned of ["pointerenter", "focusin"])
      document.querySelector(".timeline")?.addEventListener(turned, () => this.#loadAhead());
    onThemeChange(() => this.#map.recolor(this.#coloring()));
    addEventListener("hashchange", () => this.#readPlace());
    addEventListener("keydown", (event) => this.#key(event));
    byId("save-picture").addEventListener("click", () => void this.#savePicture());
    byId("share").addEventListener("click", () => void this.#share());
    this.#describe();
    this.#timeline.update(this.#years.years);
    this.#showYear();
    this.#writePlace();
    await this.#loadAreas();
    if (this.#state.now.row !== undefined) void this.#open(this.#state.now.row);
    if (this.#state.now.area !== undefined) {
      byId("tab-ask").click();
      void this.#ask.show();
    }
    void this.#settled.then(() => this.#startNames());
    setInterval(() => void this.#poll(), POLL_MS);
    document.addEventListener("visibilitychange", () => void this.#poll());
  }

  #follow(now: State, before: State): void {
    if (now.year !== before.year) {
      this.#ahead = true;
      this.#showYear();
      const entry = this.#entry(now.year);
      announce("missing" in entry ? `${now.year}: ${entry.missing}` : String(now.year));
    }
    if (now.safe !== before.safe) {
      this.#colors = this.#newColors();
      this.#drawAround();
    }
    if (now.unit !== before.unit) {
      rememberUnit(now.unit);
      this.#map.setUnit(now.unit);
    }
    if (now.year !== before.year || now.safe !== before.safe || now.unit !== before.unit) this.#showFacts();
    if (now.safe !== before.safe || now.isolated !== before.isolated || now.hidden !== before.hidden) {
      this.#map.recolor(this.#coloring());
      void this.#settle();
    }
    if (now.row !== before.row || now.year !== before.year || now.area !== before.area) this.#writePlace();
  }

  #showFacts(): void {
    const { year, unit } = this.#state.now;
    if (this.#facts !== undefined) this.#card.show(this.#facts, year, unit, this.#colors);
  }

  #startUnit(): void {
    const select = byId<HTMLSelectElement>("area-unit");
    select.value = this.#state.now.unit;
    select.addEventListener("change", () => this.#state.set({ unit: select.value as AreaUnit }));
    this.#map.setUnit(this.#state.now.unit);
  }

  /** Shown by default if possible: the atlas covers the United States. */
  async #startNames(): Promise<void> {
    const [latest] = published(this.#years).slice(-1);
    const names = byId<HTMLInputElement>("names");
    const usual = latest !== undefined && isInUnitedStates(latest.archive.center);
    names.checked = usual && remembered("names") !== "off";
    names.disabled = !usual;
    names.addEventListener("change", () => {
      remember("names", names.checked ? "on" : "off");
      void this.#map.showNames(names.checked);
    });
    if (names.checked) await this.#map.showNames(true);
    byId("map").dataset.names = names.checked ? "on" : "off";
  }

  #goToField(row: number, bounds: readonly [number, number, number, number] | null): void {
    this.#map.pin(undefined);
    if (bounds !== null) {
      const [west, south, east, north] = bounds;
      this.#map.view.fitBounds([west, south, east, north], { maxZoom: FIELD_ZOOM, padding: 90, animate: false });
      this.#spot = { place: this.#map.view.getCenter(), zoom: this.#map.view.getZoom() };
    }
    this.#select(row);
  }

  #newColors(): CropColors {
    this.#ranking ??= this.#areas ? ranked(this.#areas.crops).map(({ code }) => code) : this.#seenMost();
    return new CropColors({ legend: this.#years.legend, safe: this.#state.now.safe, ranking: this.#ranking ?? [] });
  }

  /** Undefined before the view was sampled. */
  #seenMost(): number[] | undefined {
    if (this.#sample === undefined) return undefined;
    return [...this.#sample.counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([code]) => code);
  }

  #coloring() {
    const { isolated, hidden } = this.#state.now;
    return { colors: this.#colors, shown: (code: number) => isShown({ isolated, hidden }, code) };
  }

  #entry(year: number): ViewerYear {
    const entry = this.#years.years.find((candidate) => candidate.year === year);
    return entry ?? { year, missing: NOT_THERE };
  }

  /** For a missing year, the fields of the nearest one, without crops. */
  #toShow(year: number): Shown {
    const entry = this.#entry(year);
    if ("archive" in entry) return { archive: entry.archive, blank: false };
    const distance = (other: number) => Math.abs(other - year);
    const nearest = published(this.#years).reduce((a, b) => (distance(b.year) < distance(a.year) ? b : a));
    return { archive: nearest.archive, blank: true };
  }

  #showYear(): void {
    const { year } = this.#state.now;
    const entry = this.#entry(year);
    const notice = byId("notice");
    notice.hidden = "archive" in entry;
    if ("missing" in entry) {
      // Do not show another year's shares either.
      this.#sampling.abort();
      this.#sample = undefined;
      this.#drawAround();
      notice.textContent = `No data for ${year}${entry.missing === NOT_THERE ? "" : `: ${entry.missing}`}`;
    }
    this.#shown = this.#map.show(this.#toShow(year), () => this.#neighbors());
    this.#settled = this.#settle();
  }

  /** Using the timeline means that another year will be needed. */
  #loadAhead(): void {
    if (this.#ahead) return;
    this.#ahead = true;
    this.#map.loadAhead(this.#neighbors());
  }

  /** The neighbors of the current year, which are prefetched. */
  #neighbors(): ViewerArchive[] {
    const { year } = this.#state.now;
    return (this.#ahead ? [year + 1, year - 1] : [])
      .map((near) => this.#entry(near))
      .flatMap((near) => ("archive" in near ? [near.archive] : []));
  }

  /** Set attributes of the map element when the year is shown and the map is idle. */
  async #settle(): Promise<void> {
    const wish = ++this.#settling;
    const container = byId("map");
    container.setAttribute("aria-busy", "true");
    await this.#shown;
    await new Promise<void>((resolve) => {
      this.#map.view.once("idle", () => resolve());
      this.#map.view.triggerRepaint();
    });
    if (wish !== this.#settling) return;
    container.dataset.year = String(this.#state.now.year);
    container.setAttribute("aria-busy", "false");
  }

  #describe(): void {
    const years = published(this.#years);
    const counts = years.map(({ archive }) => archive.fields).filter((count) => count !== undefined);
    const span =
      years.length === 0 ? "" : years.length === 1 ? String(years[0]?.year) : `${years[0]?.year}–${years.at(-1)?.year}`;
    const fields = counts.length > 0 ? ` · ${countText(Math.max(...counts))} fields` : "";
    byId("subtitle").textContent = `${this.#years.region.toUpperCase()} · ${span}${fields}`;
  }

  #drawAround(): void {
    const [sample, thinned] = [this.#sample, this.#thinned];
    this.#legend.update({ years: this.#years, areas: this.#areas, sample, thinned, colors: this.#colors });
    this.#areasPanel.update(this.#areas, this.#colors);
    this.#ask.redraw();
  }

  async #loadAreas(): Promise<void> {
    this.#areas = this.#years.history === null ? undefined : await fetchAreas().catch(() => undefined);
    if (this.#areas !== undefined) this.#ranking = undefined;
    this.#colors = this.#newColors();
    if (this.#state.now.safe) this.#map.recolor(this.#coloring());
    this.#drawAround();
  }

  async #lookAtView(): Promise<void> {
    this.#sampling.abort();
    this.#sampling = new AbortController();
    this.#thinned = this.#map.view.getZoom() < FULL_ZOOM && !this.#toShow(this.#state.now.year).archive.cells;
    const sample = this.#thinned ? undefined : await sampleView(this.#map, this.#sampling.signal);
    if (sample === undefined && !this.#thinned) return;
    this.#sample = sample;
    if (this.#ranking === undefined) this.#colors = this.#newColors();
    this.#drawAround();
  }

  /** A click never moves the map. */
  #pick(point: { x: number; y: number }, place: LngLat): void {
    if (this.#ask.isDrawing) return;
    const feature = this.#map.fieldAt([point.x, point.y]);
    if (feature?.row !== undefined) {
      this.#spot = { place: { lng: place.lng, lat: place.lat }, zoom: this.#map.view.getZoom() };
      this.#select(feature.row);
    } else this.#select(undefined);
  }

  #select(row: number | undefined): void {
    const before = this.#state.now.row;
    this.#state.set({ row });
    if (row !== undefined) void this.#open(row);
    else {
      this.#facts = undefined;
      this.#spot = undefined;
      this.#ring.remove();
      this.#map.mark("selected", undefined);
      this.#card.hide();
      if (before !== undefined) {
        announce("Field closed");
        this.#map.view.getCanvas().focus({ preventScroll: true });
      }
    }
  }

  /** Show a field's data from the history, or without one from the tiles of every year. */
  async #open(row: number): Promise<void> {
    const card = this.#card;
    this.#map.mark("selected", row);
    card.showWaiting(row);
    await this.#shown;
    const spot = this.#spot ?? this.#find(row);
    if (spot !== undefined) this.#ring.setLngLat(spot.place).addTo(this.#map.view);
    else this.#ring.remove();
    const facts = await this.#factsOf(row, spot).catch((error: unknown) => String(error));
    if (this.#state.now.row !== row) return;
    if (facts === undefined || typeof facts === "string") {
      card.showProblem(`Field ${row}`, facts ?? "Nothing is known of this field here.");
      return;
    }
    this.#facts = facts;
    this.#showFacts();
    const now = facts.crops.find(({ year }) => year === this.#state.now.year)?.code ?? null;
    announce(`Field ${facts.id}, ${now === null ? "no crop" : this.#colors.nameOf(now)} in ${this.#state.now.year}`);
  }

  async #factsOf(row: number, spot: { place: LngLat; zoom: number } | undefined): Promise<FieldFacts | undefined> {
    const years = this.#years.years;
    const history = this.#years.history === null ? undefined : await fetchField(row);
    const known = new Map(history?.crops.map((crop) => [crop.year, crop]));
    // A year that was published after the history is read from its tiles.
    const read = await Promise.all(
      years.map(async (entry) => {
        if (known.has(entry.year) || "missing" in entry || spot === undefined) return undefined;
        const { archive } = entry;
        const feature = await readField(archive, row, spot.place, [archive.maxZoom, spot.zoom]);
        return feature && { feature, code: feature.properties[archive.attribute] };
      }),
    );
    const found = read.find((entry) => entry !== undefined)?.feature;
    if (history === undefined && found === undefined) return undefined;
    const all = [...new Set([...years.map(({ year }) => year), ...known.keys()])].sort((a, b) => a - b);
    const crops = all.map((year): FieldCrop => {
      const own = known.get(year);
      const tile = read[years.findIndex((entry) => entry.year === year)];
      const code = own?.code ?? (typeof tile?.code === "number" ? tile.code : null);
      const missing = code === null && tile === undefined && "missing" in this.#entry(year);
      return { year, code, share: own?.share ?? null, missing };
    });
    const area = found?.properties.area_ha;
    return {
      id: history?.id ?? String(found?.properties.field_id ?? row),
      areaHa: history?.areaHa ?? (typeof area === "number" ? area : null),
      crops,
    };
  }

  /** A point inside the link's field, if it is in view. */
  #find(row: number): { place: LngLat; zoom: number } | undefined {
    const place = this.#map.placeOf(row);
    return place && { place, zoom: this.#map.view.getZoom() };
  }

  #writePlace(): void {
    const { lng, lat } = this.#map.view.getCenter();
    const { year, row, area } = this.#state.now;
    const hash = formatLink({ year, row, area, lng, lat, zoom: this.#map.view.getZoom() });
    if (hash !== location.hash) history.replaceState(history.state, "", hash);
  }

  /** A link was pasted into the open page. */
  #readPlace(): void {
    const place = parseLink(location.hash);
    if (place === undefined) {
      this.#writePlace();
      return;
    }
    this.#map.view.jumpTo({ center: [place.lng, place.lat], zoom: place.zoom });
    this.#spot = undefined;
    this.#state.set({ year: place.year, area: place.area, playing: false });
    if (place.area !== undefined) byId("tab-ask").click();
    if (place.row !== this.#state.now.row) this.#select(place.row);
  }

  #saveHistory(): void {
    const facts = this.#facts;
    if (facts === undefined) return;
    const rows = facts.crops.map(({ year, code, share }) => {
      return [facts.id, facts.areaHa, year, code, code === null ? null : this.#colors.nameOf(code), share];
    });
    const header = ["field_id", "area_ha", "year", "crop_code", "crop_name", "share_percent"];
    saveText(`field_${asFileName(facts.id)}.csv`, "text/csv", csvText(header, rows));
  }

  /** From the tiles on the screen, with its pieces joined. */
  async #saveOutline(): Promise<void> {
    const [facts, { row }] = [this.#facts, this.#state.now];
    const pieces = row === undefined ? [] : this.#map.piecesOf(row);
    if (facts === undefined || pieces.length === 0 || this.#map.view.getZoom() < FULL_ZOOM) {
      announce("The field's outline is not on the screen: zoom in to it");
      return;
    }
    const { feature, featureCollection, union } = await loadTurf();
    const joined = pieces.length > 1 ? union(featureCollection(pieces.map((piece) => feature(piece)))) : null;
    const crops = Object.fromEntries(facts.crops.map(({ year, code }) => [`crop_${year}`, code]));
    const properties = { field_id: facts.id, area_ha: facts.areaHa, ...crops };
    const outline = feature(joined?.geometry ?? (pieces[0] as (typeof pieces)[number]), properties);
    const text = JSON.stringify(featureCollection([outline]));
    saveText(`field_${asFileName(facts.id)}.geojson`, "application/geo+json", text);
  }

  async #savePicture(): Promise<void> {
    const { year } = this.#state.now;
    const counts = [...(this.#sample?.counts ?? [])].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    const scale = document.querySelector<HTMLElement>(".maplibregl-ctrl-scale");
    const { panel, name, text } = readTheme();
    const canvas = await this.#map.picture((map) =>
      drawMapPicture(map, {
        title: String(year),
        subtitle: total > 0 ? "Crops by their share of the fields in view" : "",
        source: "Crops: USDA NASS Cropland Data Layer",
        rows: counts.map(([code, count]) => ({
          color: this.#colors.colorOf(code),
          name: this.#colors.nameOf(code),
          value: percentText(count / total),
        })),
        scale: { width: scale?.offsetWidth ?? 0, text: scale?.textContent ?? "" },
        colors: { panel, ink: name, soft: text },
      }),
    );
    canvas.toBlob((blob) => {
      if (blob !== null) save(`crops_${year}.png`, blob);
    }, "image/png");
  }

  async #share(): Promise<void> {
    this.#writePlace();
    const button = byId("share");
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
      announce("The link to this view is copied");
    } catch {
      // Only pages from https or localhost have a clipboard.
      button.textContent = "See address";
      announce("The address bar holds the link to this view");
    }
    setTimeout(() => {
      button.textContent = "Copy link";
    }, 2_000);
  }

  /** At higher zooms, the field's outline is enough. */
  #showRing(): void {
    this.#ringElement.hidden = this.#map.view.getZoom() >= RING_ZOOM;
  }

  #key(event: KeyboardEvent): void {
    const target = event.target as Element;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && !typing) this.#escape();
    else if (event.key === " " && !typing && !target.matches("button, summary, input")) {
      event.preventDefault();
      this.#timeline.toggle();
    } else if (event.key === "Enter" && target === this.#map.view.getCanvas()) {
      const { clientWidth, clientHeight } = this.#map.view.getContainer();
      this.#pick({ x: clientWidth / 2, y: clientHeight / 2 }, this.#map.view.getCenter());
    }
  }

  /** Close one thing at a time: play, the field, the isolated crop. */
  #escape(): void {
    const { playing, row, isolated } = this.#state.now;
    if (this.#ask.isDrawing) this.#ask.stopDrawing();
    else if (playing) this.#state.set({ playing: false });
    else if (row !== undefined) this.#select(undefined);
    else if (isolated !== undefined) this.#state.set({ isolated: undefined });
  }

  /** Tiles fail if the archive was replaced or the server is unreachable. */
  #problem(error: { readonly message: string }): void {
    console.warn(error.message);
    void this.#poll();
  }

  /** Load newly published years. A hundred tiles that fail at the same time cause one request. */
  async #poll(): Promise<void> {
    if (document.hidden || this.#polling) return;
    this.#polling = true;
    const years = await fetchYears().catch(() => undefined);
    setTimeout(() => {
      this.#polling = false;
    }, MIN_POLL_MS);
    if (years === undefined || JSON.stringify(years) === JSON.stringify(this.#years)) return;
    if (published(years).length === 0) return;
    const before = this.#years;
    this.#years = years;
    this.#describe();
    this.#timeline.update(years.years);
    this.#showYear();
    if (years.history !== before.history) await this.#loadAreas();
    else this.#drawAround();
    if (this.#state.now.row !== undefined) void this.#open(this.#state.now.row);
    announce("The published years have changed");
  }
}

type Published = Extract<ViewerYear, { readonly archive: unknown }>;

function published({ years }: ViewerYears): Published[] {
  return years.filter((year) => "archive" in year);
}

function boundsOf(years: ViewerYears): Box {
  const all = published(years).map(({ archive }) => archive.bounds);
  return {
    west: Math.min(...all.map(([west]) => west)),
    south: Math.min(...all.map(([, south]) => south)),
    east: Math.max(...all.map(([, , east]) => east)),
    north: Math.max(...all.map(([, , , north]) => north)),
  };
}

/** Below the archives' lowest zoom there are no tiles, and the map would be empty. */
function lowestZoom(years: ViewerYears): number {
  return Math.min(...published(years).map(({ archive }) => archive.minZoom));
}
