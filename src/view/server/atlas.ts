import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Feature, FeatureCollection, MultiLineString, MultiPolygon, Point, Polygon, Position } from "geojson";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import type { Rings } from "../../lookup/area.js";
import type { ViewerPlace } from "../viewer-api.js";

type Atlas = Topology<{
  readonly states: GeometryCollection<{ name: string }>;
  readonly counties: GeometryCollection<{ name: string }>;
}>;

export type AtlasLayer = "states" | "counties";

/** Borders between states or counties, and a point with the name of each. */
export type AtlasLines = FeatureCollection<MultiLineString | Point, { readonly name?: string }>;

/** Decimals of a degree: the atlas is accurate to about 300 m. */
const DIGITS = 3;

/** States and counties of the United States, from the Census Bureau (us-atlas, 1:10,000,000). */
export class UsAtlas {
  readonly #atlas = JSON.parse(
    readFileSync(createRequire(import.meta.url).resolve("us-atlas/counties-10m.json"), "utf8"),
  ) as Atlas;
  readonly #shapes = new Map<string, { readonly name: string; readonly rings: Rings }>();
  readonly #lines = new Map<AtlasLayer, AtlasLines>();

  constructor() {
    const states = new Map<string, string>();
    for (const layer of ["states", "counties"] as const) {
      for (const { id, properties, geometry } of this.#features(layer)) {
        const state = String(id).slice(0, 2);
        if (layer === "states") states.set(state, properties.name);
        const name =
          layer === "states" ? properties.name : `${countyName(properties.name, state)}, ${states.get(state)}`;
        this.#shapes.set(String(id), { name, rings: ringsOf(geometry) });
      }
    }
  }

  /** All states, then all counties. */
  places(): ViewerPlace[] {
    return [...this.#shapes].map(([id, { name, rings }]) => ({ id, name, bounds: boundsOf(rings.flat()) }));
  }

  shape(id: string): { readonly name: string; readonly rings: Rings } | undefined {
    return this.#shapes.get(id);
  }

  lines(layer: AtlasLayer): AtlasLines {
    let lines = this.#lines.get(layer);
    if (lines === undefined) {
      const { states, counties } = this.#atlas.objects;
      const drawn =
        layer === "states"
          ? mesh(this.#atlas, states)
          : mesh(this.#atlas, counties, (a, b) => a !== b && String(a.id).slice(0, 2) === String(b.id).slice(0, 2));
      const line: Feature<MultiLineString, object> = { type: "Feature", properties: {}, geometry: rounded(drawn) };
      lines = { type: "FeatureCollection", features: [line, ...this.#features(layer).map(label)] };
      this.#lines.set(layer, lines);
    }
    return lines;
  }

  #features(layer: AtlasLayer): Feature<Polygon | MultiPolygon, { name: string }>[] {
    const { features } = feature(this.#atlas, this.#atlas.objects[layer]);
    return features as Feature<Polygon | MultiPolygon, { name: string }>[];
  }
}

/** The atlas omits the word `County`; Louisiana has parishes, and some states have independent cities and boroughs. */
function countyName(name: string, state: string): string {
  if (/\b(city|City|Borough|Census Area|Municipality|Municipio|County|Parish|District)\b/.test(name)) return name;
  if (state === "22") return `${name} Parish`;
  return ["02", "11", "60", "66", "69", "72", "78"].includes(state) ? name : `${name} County`;
}

function label({
  properties,
  geometry,
}: Feature<Polygon | MultiPolygon, { name: string }>): AtlasLines["features"][number] {
  const outer = geometry.type === "Polygon" ? [geometry.coordinates[0]] : geometry.coordinates.map(([ring]) => ring);
  const largest = (outer as Position[][]).reduce((a, b) => (Math.abs(doubleArea(b)) > Math.abs(doubleArea(a)) ? b : a));
  return {
    type: "Feature",
    properties: { name: properties.name },
    geometry: { type: "Point", coordinates: centroid(largest).map(round) },
  };
}

function ringsOf(geometry: Polygon | MultiPolygon): Rings {
  const rings = geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat();
  return rings.map((ring) => ring.map(([x, y]) => [x as number, y as number] as const));
}

function boundsOf(points: readonly (readonly [number, number])[]): [number, number, number, number] {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    [west, east] = [Math.min(west, x), Math.max(east, x)];
    [south, north] = [Math.min(south, y), Math.max(north, y)];
  }
  return [west, south, east, north].map(round) as [number, number, number, number];
}

function doubleArea(ring: readonly Position[]): number {
  return ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length] as [number, number];
    return sum + (x as number) * nextY - nextX * (y as number);
  }, 0);
}

function centroid(ring: readonly Position[]): Position {
  const area = doubleArea(ring);
  let [cx, cy] = [0, 0];
  for (const [i, [x, y]] of (ring as [number, number][]).entries()) {
    const [nextX, nextY] = ring[(i + 1) % ring.length] as [number, number];
    const cross = x * nextY - nextX * y;
    [cx, cy] = [cx + (x + nextX) * cross, cy + (y + nextY) * cross];
  }
  return [cx / (3 * area), cy / (3 * area)];
}

function rounded({ coordinates }: MultiLineString): MultiLineString {
  return { type: "MultiLineString", coordinates: coordinates.map((line) => line.map((point) => point.map(round))) };
}

function round(value: number): number {
  return Number(value.toFixed(DIGITS));
}
