import type { CropLayer, CropLayerStyle, CropView } from "fields-pipeline/maplibre";
import type { MultiPolygon, Polygon } from "geojson";
import {
  type CustomLayerInterface,
  type GeoJSONSource,
  type LayerSpecification,
  Map as MapView,
  Marker,
  NavigationControl,
  ScaleControl,
  type StyleSpecification,
  setWorkerUrl,
} from "maplibre-gl";
import type { ViewerArchive } from "../viewer-api.js";
import { baseKey, columnsOf, registerProtocol, sourceOf } from "./archives.js";
import type { Ring } from "./area-text.js";
import type { LngLat } from "./coordinates.js";
import type { CropColors } from "./crop-colors.js";
import { make } from "./dom.js";
import { type Box, graticule } from "./graticule.js";
import type { MapLink } from "./link.js";
import type { AreaUnit } from "./numbers.js";
import { fetchLines } from "./server-data.js";
import { readTheme, type Theme } from "./theme.js";

const LAYER = "fields";
/** From this zoom on fields have borders; below it borders would cover them. */
const BORDER_ZOOM = 11;
const PICK_ZOOM = 10;
const FADE_MS = 280;
/** After this time a year is shown even if some tiles are missing. */
const LOAD_LIMIT_MS = 12_000;
/** Space for the timeline, so that it covers nothing at first. */
const PADDING = { top: 24, left: 24, right: 24, bottom: 96 } as const;

/** The current colors of fields. */
export interface Coloring {
  readonly colors: CropColors;
  readonly shown: (code: number) => boolean;
}

/** A field at a point of the map. */
export interface PickedField {
  readonly row: number | undefined;
  /** Undefined if it has no crop or the year is missing. */
  readonly code: number | undefined;
  readonly areaHa: number | undefined;
}

/** A year's layers on the map. Years that share an archive share its source; columns of one base share all layers. */
interface Slot {
  /** Draws columns. */
  readonly layer?: CropLayer;
  readonly key: string;
  readonly source: string;
  readonly archive: ViewerArchive;
  /** Fields without crops, because the year is missing. */
  readonly blank: boolean;
}

/** The view to show: an archive's crops, or only its fields if the year is missing. */
export interface Shown {
  readonly archive: ViewerArchive;
  readonly blank: boolean;
}

/** A year's layers, from bottom to top, each with the property that shows it. */
const OPACITIES = {
  fill: "fill-opacity",
  hatch: "fill-opacity",
  border: "line-opacity",
  halo: "line-opacity",
  pick: "line-opacity",
} as const;

/** Layers for orientation above the crops, from bottom to top. */
const NAME_LAYERS = ["counties lines", "counties names", "states lines", "states names"] as const;

type Part = keyof typeof OPACITIES;

function layerIds({ key, layer }: Slot): string[] {
  // A layer of columns hatches its fields itself.
  const parts = Object.keys(OPACITIES).filter((part) => layer === undefined || part !== "hatch");
  return parts.map((part) => `${part} ${key}`);
}

/**
 * The map. A year is put on top of the previous one once its tiles are loaded, so that nothing
 * flickers; neighboring years are loaded invisibly.
 */
export class YearMap {
  readonly view: MapView;
  readonly #slots = new Map<string, Slot>();
  readonly #scale = new ScaleControl({ maxWidth: 110 });
  readonly #marked: { selected?: number; hover?: number } = {};
  #current: Slot | undefined;
  #names = false;
  /** The lowest of the layers above the years: names, an outline. */
  #bottomOfOverlay: string | undefined;
  #shown: Promise<unknown> = Promise.resolve();
  readonly #pin = new Marker({
    element: make("div", { class: "pin", "aria-hidden": "true" }, make("span")),
    anchor: "bottom",
  });
  #coloring: Coloring;
  #theme: Theme = readTheme();
  /** Counts requests; a stale one is dropped. */
  #wish = 0;

  constructor(container: HTMLElement, bounds: Box, minZoom: number, place: MapLink | undefined, coloring: Coloring) {
    setWorkerUrl(new URL("vendor/maplibre-gl-worker.mjs", document.baseURI).href);
    registerProtocol();
    this.#coloring = coloring;
    const { west, south, east, north } = bounds;
    this.view = new MapView({
      container,
      style: this.#style(bounds),
      ...(place === undefined
        ? { bounds: [west, south, east, north], fitBoundsOptions: { padding: PADDING } }
        : { center: [place.lng, place.lat], zoom: place.zoom }),
      minZoom,
      maxZoom: 18,
      maxPitch: 0,
      dragRotate: false,
      pitchWithRotate: false,
      attributionControl: false,
      maplibreLogo: false,
      renderWorldCopies: false,
      fadeDuration: 0,
      locale: {
        "Map.Title": "Map of the fields. Arrow keys move it, plus and minus zoom, Enter opens the field in the middle.",
        "NavigationControl.ZoomIn": "Zoom in",
        "NavigationControl.ZoomOut": "Zoom out",
      },
    });
    this.view.touchZoomRotate.disableRotation();
    this.view.keyboard.disableRotation();
    this.view.addControl(new NavigationControl({ showCompass: false }), "top-right");
    this.view.addControl(
      fitControl(() => this.fit(bounds)),
      "top-right",
    );
    this.view.addControl(this.#scale, "bottom-left");
    this.view.on("load", () => this.#drawGraticule());
    this.view.on("moveend", () => this.#drawGraticule());
  }

  setUnit(unit: AreaUnit): void {
    this.#scale.setUnit(unit === "acres" ? "imperial" : "metric");
  }

  fit({ west, south, east, north }: Box): void {
    this.view.fitBounds([west, south, east, north], { padding: PADDING });
  }

  /** Show a year; resolves to false if another one was requested before it was ready. */
  show(shown: Shown, neighbors: () => readonly ViewerArchive[]): Promise<boolean> {
    const showing = this.#show(shown, neighbors);
    this.#shown = showing;
    return showing;
  }

  async #show(shown: Shown, neighbors: () => readonly ViewerArchive[]): Promise<boolean> {
    const wish = ++this.#wish;
    const slot = this.#slot(shown.archive, shown.blank);
    // The first year's tiles appear as they arrive. A year without data never shows another year's crops, not even
    // while its fields are loading.
    if (this.#current === undefined || shown.blank) this.#putOnTop(slot, 0);
    await (slot.layer === undefined ? this.#loaded(slot.source) : withLimit(slot.layer.show(viewOf(slot))));
    if (wish !== this.#wish) return false;
    const before = this.#current;
    this.#putOnTop(slot, matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : FADE_MS);
    this.#keep([slot, ...(before === undefined ? [] : [before]), ...this.#load(neighbors())]);
    return true;
  }

  /** Load archives invisibly. */
  loadAhead(archives: readonly ViewerArchive[]): void {
    // While the first year is loading, `show` does this afterwards.
    if (this.#current === undefined || !this.view.isSourceLoaded(this.#current.source)) return;
    this.#load(archives);
  }

  #load(archives: readonly ViewerArchive[]): Slot[] {
    const years = new Map<CropLayer, number[]>();
    const slots = archives.map((archive) => {
      const slot = this.#slot(archive, false);
      if (slot.layer !== undefined && archive.column !== undefined)
        years.set(slot.layer, [...(years.get(slot.layer) ?? []), archive.column.year]);
      return slot;
    });
    for (const [layer, ahead] of years) layer.loadAhead(ahead);
    return slots;
  }

  /** Whether all tiles of the current year in view are drawn. */
  get loaded(): boolean {
    return this.#current?.layer?.loaded ?? true;
  }

  get shownSource(): string | undefined {
    return this.#current?.source;
  }

  /** Borders and names of states and counties above the crops; fetched at first use. */
  async showNames(wanted: boolean): Promise<void> {
    this.#names = wanted;
    if (wanted && this.view.getSource("states") === undefined) {
      const layers = await Promise.all(
        (["states", "counties"] as const).map(async (name) => ({ name, data: await fetchLines(name) })),
      );
      if (this.view.getSource("states") !== undefined) return;
      for (const { name, data } of layers) this.view.addSource(name, { type: "geojson", data });
      for (const { name } of layers.toReversed()) for (const layer of this.#nameLayers(name)) this.view.addLayer(layer);
      if (this.view.getLayer("asked halo") !== undefined)
        for (const id of ["asked halo", "asked line"]) this.view.moveLayer(id);
      this.#bottomOfOverlay = "counties lines";
    }
    if (this.view.getSource("states") === undefined) return;
    for (const id of NAME_LAYERS) this.view.setLayoutProperty(id, "visibility", this.#names ? "visible" : "none");
  }

  #nameLayers(name: "states" | "counties"): LayerSpecification[] {
    const { ground, name: ink } = this.#theme;
    const isState = name === "states";
    return [
      {
        id: `${name} lines`,
        type: "line",
        source: name,
        ...(isState ? {} : { minzoom: 6.5 }),
        filter: ["!=", ["geometry-type"], "Point"],
        paint: { "line-color": ink, "line-width": isState ? 1.6 : 0.8, "line-opacity": isState ? 0.85 : 0.6 },
      },
      {
        id: `${name} names`,
        type: "symbol",
        source: name,
        ...(isState ? { maxzoom: 7 } : { minzoom: 7.5 }),
        filter: ["==", ["geometry-type"], "Point"],
        layout: { "text-field": ["get", "name"], "text-size": isState ? 14 : 12.5, "text-max-width": 7 },
        paint: { "text-color": ink, "text-halo-color": ground, "text-halo-width": 1.8 },
      },
    ];
  }

  /** Outline an area given by its rings; without rings, remove the outline. */
  outline(rings: readonly Ring[]): void {
    const lines = rings.map((ring) => [...ring, ring[0] as Ring[number]].map((point) => [...point]));
    const data = { type: "MultiLineString" as const, coordinates: lines };
    const source = this.view.getSource<GeoJSONSource>("asked");
    if (source !== undefined) {
      void source.setData(data);
      return;
    }
    this.view.addSource("asked", { type: "geojson", data });
    for (const [id, color, width] of [
      ["asked halo", "#ffffff", 5],
      ["asked line", "#0b62c4", 2.5],
    ] as const)
      this.view.addLayer({ id, type: "line", source: "asked", paint: { "line-color": color, "line-width": width } });
    this.#bottomOfOverlay ??= "asked halo";
  }

  /** Fields of the current year in the tiles on the screen, each once, by their centroids. */
  fieldsOnScreen(): { lng: number; lat: number; code: number | null; areaHa: number | null }[] {
    if (this.#current === undefined) return [];
    const { source, archive, blank, layer } = this.#current;
    if (layer !== undefined)
      return layer.featuresOnScreen().map(({ lng, lat, areaHa, codeOf }) => ({
        lng,
        lat,
        code: (blank ? undefined : codeOf(archive.column?.year as number)) ?? null,
        areaHa: areaHa ?? null,
      }));
    const seen = new Map<unknown, { lng: number; lat: number; code: number | null; areaHa: number | null }>();
    for (const { id, geometry, properties } of this.view.querySourceFeatures(source, { sourceLayer: "centroids" })) {
      if (geometry.type !== "Point" || seen.has(id)) continue;
      const [lng, lat] = geometry.coordinates as [number, number];
      const [code, area]: unknown[] = [properties[archive.attribute], properties.area_ha];
      const areaHa = typeof area === "number" ? area : null;
      seen.set(id, { lng, lat, code: typeof code === "number" && !blank ? code : null, areaHa });
    }
    return [...seen.values()];
  }

  /** A field's centroid, if it is on the screen. */
  placeOf(row: number): LngLat | undefined {
    if (this.#current === undefined) return undefined;
    const { source, layer } = this.#current;
    if (layer !== undefined) return layer.featuresOnScreen().find((feature) => feature.row === row);
    const filter: ["==", ["id"], number] = ["==", ["id"], row];
    const [point] = this.view.querySourceFeatures(source, { sourceLayer: "centroids", filter });
    if (point?.geometry.type !== "Point") return undefined;
    const [lng, lat] = point.geometry.coordinates as [number, number];
    return { lng, lat };
  }

  /** The polygons of a field in the tiles on the screen, cut at tile sides. */
  piecesOf(row: number): (Polygon | MultiPolygon)[] {
    if (this.#current === undefined) return [];
    const found = this.view.querySourceFeatures(this.#current.source, {
      sourceLayer: LAYER,
      filter: ["==", ["id"], row],
    });
    return found.flatMap(({ geometry }) =>
      geometry.type === "Polygon" || geometry.type === "MultiPolygon" ? [geometry] : [],
    );
  }

  /** The current picture, copied by `copy` to another canvas; the map's canvas is empty after each frame. */
  picture<T>(copy: (canvas: HTMLCanvasElement) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.view.once("render", () => {
        try {
          resolve(copy(this.view.getCanvas()));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      this.view.triggerRepaint();
    });
  }

  /** Resolves once the requested year is on the map. */
  get shown(): Promise<unknown> {
    return this.#shown;
  }

  /** Mark a found place; undefined removes the mark. */
  pin(place: LngLat | undefined): void {
    if (place === undefined) this.#pin.remove();
    else this.#pin.setLngLat(place).addTo(this.view);
  }

  #putOnTop(slot: Slot, fade: number): void {
    const before = this.#current;
    this.#current = slot;
    if (before?.key === slot.key) return;
    for (const id of layerIds(slot)) this.view.moveLayer(id, this.#bottomOfOverlay);
    this.#setOpacity(slot, 1, fade);
    if (before === undefined) return;
    if (slot.blank) this.#setOpacity(before, 0, 0);
    else setTimeout(() => this.#current?.key !== before.key && this.#setOpacity(before, 0, 0), fade + 60);
  }

  recolor(coloring: Coloring): void {
    this.#coloring = coloring;
    this.#theme = readTheme();
    const { ground, graticule: line, text, border, name } = this.#theme;
    this.view.setPaintProperty("ground", "background-color", ground);
    for (const layer of ["graticule", "extent"]) this.view.setPaintProperty(layer, "line-color", line);
    this.view.setPaintProperty("degrees", "text-color", text);
    this.view.setPaintProperty("degrees", "text-halo-color", ground);
    if (this.view.getSource("states") !== undefined) {
      for (const id of NAME_LAYERS.filter((layer) => layer.endsWith("names"))) {
        this.view.setPaintProperty(id, "text-color", name);
        this.view.setPaintProperty(id, "text-halo-color", ground);
      }
      for (const id of NAME_LAYERS.filter((layer) => layer.endsWith("lines")))
        this.view.setPaintProperty(id, "line-color", name);
    }
    for (const slot of this.#slots.values()) {
      if (slot.layer === undefined) {
        this.view.setPaintProperty(`fill ${slot.key}`, "fill-color", this.#fill(slot));
        this.view.setFilter(`hatch ${slot.key}`, this.#hatched(slot));
      } else slot.layer.setStyle(this.#layerStyle());
      this.view.setPaintProperty(`border ${slot.key}`, "line-color", border);
    }
  }

  /** The current year's field at a point of the canvas, in CSS pixels. */
  fieldAt(point: [number, number]): PickedField | undefined {
    if (this.#current === undefined) return undefined;
    const { key, archive, blank, layer } = this.#current;
    if (layer !== undefined) {
      const field = layer.featureAt(point);
      return field && { ...field, code: blank ? undefined : field.codeOf(archive.column?.year as number) };
    }
    const [feature] = this.view.queryRenderedFeatures(point, { layers: [`fill ${key}`] });
    if (feature === undefined) return undefined;
    const { [archive.attribute]: code, area_ha: area }: Record<string, unknown> = feature.properties;
    return {
      row: typeof feature.id === "number" ? feature.id : undefined,
      code: typeof code === "number" && !blank ? code : undefined,
      areaHa: typeof area === "number" ? area : undefined,
    };
  }

  /** Label of a field without a crop code. */
  get nameOfNone(): string {
    return this.#current?.blank ? "crop not known" : "no crop";
  }

  /** Outline a field in every year; undefined removes the outline. */
  mark(kind: "selected" | "hover", row: number | undefined): void {
    const before = this.#marked[kind];
    if (before === row) return;
    const sources = new Set([...this.#slots.values()].map(({ source }) => source));
    for (const source of sources) {
      if (before !== undefined) this.view.removeFeatureState({ source, sourceLayer: LAYER, id: before }, kind);
      if (row !== undefined) this.view.setFeatureState({ source, sourceLayer: LAYER, id: row }, { [kind]: true });
    }
    if (row === undefined) delete this.#marked[kind];
    else this.#marked[kind] = row;
  }

  /** The slot of an archive; missing layers are added invisibly. */
  #slot(archive: ViewerArchive, blank: boolean): Slot {
    const { column } = archive;
    const source = column === undefined ? archive.url : baseKey(column);
    const key = column === undefined ? `${archive.attribute} ${archive.url}${blank ? " blank" : ""}` : source;
    const known = this.#slots.get(key);
    const columns = column && columnsOf(archive, column);
    if (known?.layer !== undefined && columns?.replaced !== undefined) known.layer.reload(columns.replaced);
    if (known !== undefined) {
      for (const id of layerIds(known)) this.view.setLayoutProperty(id, "visibility", "visible");
      return { ...known, archive, blank };
    }
    const layer = columns?.crops.layer(`fill ${key}`, this.#layerStyle());
    layer?.setVisible(false);
    const slot: Slot = { key, source, archive, blank, ...(layer && { layer }) };
    if (this.view.getSource(source) === undefined) {
      this.view.addSource(source, sourceOf(archive));
      for (const [kind, row] of Object.entries(this.#marked)) {
        this.view.setFeatureState({ source, sourceLayer: LAYER, id: row }, { [kind]: true });
      }
    }
    const under = (this.#current && layerIds(this.#current)[0]) ?? this.#bottomOfOverlay;
    for (const layer of this.#layers(slot)) this.view.addLayer(layer, under);
    this.#slots.set(key, slot);
    return slot;
  }

  /** Release the tiles of all other slots. */
  #keep(slots: readonly Slot[]): void {
    const kept = new Set(slots.map(({ key }) => key));
    for (const slot of this.#slots.values()) {
      if (kept.has(slot.key)) continue;
      for (const id of layerIds(slot)) this.view.setLayoutProperty(id, "visibility", "none");
    }
  }

  #layers(slot: Slot): (LayerSpecification | CustomLayerInterface)[] {
    const { key, source, layer } = slot;
    const common = { source, "source-layer": LAYER } as const;
    const marked = (kind: string) => ["boolean", ["feature-state", kind], false] as const;
    const width = (selected: number, hover: number) =>
      ["case", marked("selected"), selected, marked("hover"), hover, 0] as unknown as number;
    const fills: LayerSpecification[] = [
      {
        id: `fill ${key}`,
        type: "fill",
        ...common,
        paint: { "fill-color": this.#fill(slot), "fill-opacity": 0, "fill-antialias": false },
      },
      {
        id: `hatch ${key}`,
        type: "fill",
        ...common,
        minzoom: BORDER_ZOOM,
        filter: this.#hatched(slot),
        paint: { "fill-pattern": "hatch", "fill-opacity": 0, "fill-antialias": false },
      },
    ];
    return [
      ...(layer === undefined ? fills : [layer as unknown as CustomLayerInterface]),
      {
        id: `border ${key}`,
        type: "line",
        ...common,
        minzoom: BORDER_ZOOM,
        paint: {
          "line-color": this.#theme.border,
          "line-width": ["interpolate", ["linear"], ["zoom"], BORDER_ZOOM, 0.3, 14, 1, 18, 1.5],
          "line-opacity": 0,
        },
      },
      {
        id: `halo ${key}`,
        type: "line",
        ...common,
        minzoom: PICK_ZOOM,
        layout: { "line-join": "round" },
        paint: { "line-color": this.#theme.halo, "line-width": width(6, 4), "line-opacity": 0 },
      },
      {
        id: `pick ${key}`,
        type: "line",
        ...common,
        minzoom: PICK_ZOOM,
        layout: { "line-join": "round" },
        paint: { "line-color": this.#theme.select, "line-width": width(3, 2), "line-opacity": 0 },
      },
    ];
  }

  #layerStyle(): CropLayerStyle {
    const { colors, shown } = this.#coloring;
    const { fabric } = this.#theme;
    const doubled = new Set(colors.doubleCrops.filter(shown));
    return {
      color: (value, { kind }) => (kind === "fields" ? fabric : colors.onMap(value - 1, shown, fabric)),
      hatched: (value, { kind }) => kind === "year" && doubled.has(value - 1),
      hatchZoom: BORDER_ZOOM,
    };
  }

  #fill({ archive, blank }: Slot) {
    const { colors, shown } = this.#coloring;
    return blank ? this.#theme.fabric : colors.fill(archive.attribute, shown, this.#theme.fabric);
  }

  #hatched({ archive, blank }: Slot): ["in", ["get", string], ["literal", number[]]] {
    const { colors, shown } = this.#coloring;
    return ["in", ["get", archive.attribute], ["literal", blank ? [] : colors.doubleCrops.filter(shown)]];
  }

  #setOpacity(slot: Slot, opacity: number, fadeMs: number): void {
    const transition = { duration: fadeMs, delay: 0 };
    for (const id of layerIds(slot)) {
      const part = id.slice(0, id.indexOf(" ")) as Part;
      if (part === "fill" && slot.layer !== undefined) {
        slot.layer.setVisible(opacity > 0);
        continue;
      }
      const property = OPACITIES[part];
      this.view.setPaintProperty(id, `${property}-transition`, transition);
      this.view.setPaintProperty(id, property, opacity);
    }
  }

  /** Resolves once the tiles in view are loaded, or at the timeout. */
  #loaded(source: string): Promise<void> {
    const { view } = this;
    return new Promise((resolve) => {
      let frames = 0;
      const done = () => {
        clearTimeout(timer);
        view.off("render", look);
        resolve();
      };
      const timer = setTimeout(done, LOAD_LIMIT_MS);
      // A source reports that it is loaded until the first frame after a layer was added.
      const look = () => {
        if (++frames < 3) view.triggerRepaint();
        else if (view.isSourceLoaded(source)) done();
      };
      view.on("render", look);
      view.triggerRepaint();
    });
  }

  #style({ west, south, east, north }: Box): StyleSpecification {
    const { ground, graticule: line, text } = this.#theme;
    const empty = { type: "FeatureCollection" as const, features: [] };
    const ring = [
      [west, south],
      [east, south],
      [east, north],
      [west, north],
      [west, south],
    ];
    return {
      version: 8,
      sources: {
        graticule: { type: "geojson", data: empty },
        extent: {
          type: "geojson",
          data: { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: ring } },
        },
      },
      layers: [
        { id: "ground", type: "background", paint: { "background-color": ground } },
        {
          id: "graticule",
          type: "line",
          source: "graticule",
          filter: ["==", ["geometry-type"], "LineString"],
          paint: { "line-color": line, "line-width": 1 },
        },
        {
          id: "degrees",
          type: "symbol",
          maxzoom: BORDER_ZOOM,
          source: "graticule",
          filter: ["==", ["geometry-type"], "Point"],
          layout: {
            "text-field": ["get", "label"],
            "text-size": 11,
            "text-anchor": ["match", ["get", "anchor"], "top", "top", "left"],
            "text-offset": [0.5, 0.5],
            "text-allow-overlap": true,
          },
          paint: { "text-color": text, "text-halo-color": ground, "text-halo-width": 1.5 },
        },
        {
          id: "extent",
          type: "line",
          source: "extent",
          paint: { "line-color": line, "line-width": 1.5, "line-dasharray": [4, 3] },
        },
      ],
    };
  }

  #drawGraticule(): void {
    const bounds = this.view.getBounds();
    const source = this.view.getSource<GeoJSONSource>("graticule");
    const box = { west: bounds.getWest(), south: bounds.getSouth(), east: bounds.getEast(), north: bounds.getNorth() };
    void source?.setData(graticule(box));
  }

  /** The hatching of double crops, drawn here because the page loads no pictures. */
  addHatch(): void {
    const side = 8;
    const data = new Uint8Array(side * side * 4);
    for (let i = 0; i < side * side; i++) {
      const diagonal = ((i % side) + Math.floor(i / side)) % side;
      data[4 * i + 3] = diagonal < 2 ? 150 : 0;
    }
    this.view.addImage("hatch", { width: side, height: side, data });
  }
}

function viewOf({ archive, blank }: Slot): CropView {
  return blank || archive.column === undefined ? { kind: "fields" } : { kind: "year", year: archive.column.year };
}

/** At the timeout, the year is shown without the tiles that are missing. */
function withLimit(shown: Promise<unknown>): Promise<unknown> {
  return Promise.race([shown, new Promise((resolve) => setTimeout(resolve, LOAD_LIMIT_MS))]);
}

function fitControl(fit: () => void) {
  const element = document.createElement("div");
  element.className = "maplibregl-ctrl maplibregl-ctrl-group";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "fit";
  button.title = "Fit to data";
  button.setAttribute("aria-label", "Fit to data");
  button.addEventListener("click", fit);
  element.append(button);
  return { onAdd: () => element, onRemove: () => element.remove() };
}
