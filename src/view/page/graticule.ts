import type { FeatureCollection, LineString, Point } from "geojson";

export interface Box {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

const STEPS = [30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
/** Approximate number of lines across the longer side of the view. */
const LINES = 6;
const BEYOND = 0.5;

type Grid = FeatureCollection<LineString | Point, { label: string; anchor: string }>;

/**
 * Meridians and parallels over a view, with labels at its left and upper side. Lines extend
 * beyond the view, so that slight panning shows no ends.
 */
export function graticule(view: Box): Grid {
  const wide = Math.max(view.east - view.west, view.north - view.south);
  const step = STEPS.findLast((candidate) => candidate >= wide / LINES) ?? (STEPS[0] as number);
  const [marginX, marginY] = [(view.east - view.west) * BEYOND, (view.north - view.south) * BEYOND];
  const [west, east] = [Math.max(-180, view.west - marginX), Math.min(180, view.east + marginX)];
  const [south, north] = [Math.max(-85, view.south - marginY), Math.min(85, view.north + marginY)];
  const features: Grid["features"] = [];
  const add = (geometry: LineString | Point, label: string, anchor: string) => {
    features.push({ type: "Feature", geometry, properties: { label, anchor } });
  };
  for (const lng of multiples(step, west, east)) {
    add(
      {
        type: "LineString",
        coordinates: [
          [lng, south],
          [lng, north],
        ],
      },
      "",
      "",
    );
    add({ type: "Point", coordinates: [lng, view.north] }, degrees(lng, step, "E", "W"), "top");
  }
  for (const lat of multiples(step, south, north)) {
    add(
      {
        type: "LineString",
        coordinates: [
          [west, lat],
          [east, lat],
        ],
      },
      "",
      "",
    );
    add({ type: "Point", coordinates: [view.west, lat] }, degrees(lat, step, "N", "S"), "left");
  }
  return { type: "FeatureCollection", features };
}

function multiples(step: number, from: number, to: number): number[] {
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, i) => (first + i) * step);
}

/** `97.4° W`, with as many digits as the step. */
function degrees(value: number, step: number, positive: string, negative: string): string {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = `${Math.abs(value).toFixed(digits)}°`;
  return Math.abs(value) < step / 2 ? text : `${text} ${value > 0 ? positive : negative}`;
}
