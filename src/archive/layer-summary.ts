import type { VectorLayer } from "./metadata.js";
import { featureView, readLayers } from "./mvt.js";

/** What tiles tell of a layer: the zooms that it has features at, and the types of its attributes. */
export interface SeenLayer {
  readonly name: string;
  minzoom: number;
  maxzoom: number;
  /** As `vector_layers` names types. */
  readonly fields: Record<string, string>;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  number: "Number",
  bigint: "Number",
  string: "String",
  boolean: "Boolean",
};
/** Type of an attribute that has values of several types. */
const MIXED = "Mixed";

/**
 * Add what a tile's layers hold.
 *
 * @param tile  decompressed.
 * @throws {RangeError} when it is not a vector tile.
 */
export function addLayers(seen: Map<string, SeenLayer>, tile: Uint8Array, zoom: number): void {
  const view = featureView();
  for (const layer of readLayers(tile)) {
    const fields: Record<string, string> = {};
    const known = new Set<number>();
    for (let f = 0; f < layer.featureCount; f++) {
      layer.readFeature(f, view);
      layer.forEachTag(view, (k, v) => {
        const pair = k * layer.valueCount + v;
        if (known.has(pair)) return;
        known.add(pair);
        addField(fields, layer.keys[k] as string, TYPE_NAMES[typeof layer.value(v)] ?? MIXED);
      });
    }
    mergeLayer(seen, { name: layer.name, minzoom: zoom, maxzoom: zoom, fields });
  }
}

export function mergeLayer(seen: Map<string, SeenLayer>, other: SeenLayer): void {
  const layer = seen.get(other.name);
  if (layer === undefined) {
    seen.set(other.name, other);
    return;
  }
  layer.minzoom = Math.min(layer.minzoom, other.minzoom);
  layer.maxzoom = Math.max(layer.maxzoom, other.maxzoom);
  for (const [key, type] of Object.entries(other.fields)) addField(layer.fields, key, type);
}

function addField(fields: Record<string, string>, key: string, type: string): void {
  fields[key] = Object.hasOwn(fields, key) && fields[key] !== type ? MIXED : type;
}

/** As an archive's metadata announces them, by name. */
export function vectorLayersOf(seen: ReadonlyMap<string, SeenLayer>): VectorLayer[] {
  const layers = [...seen.values()].map(({ name, minzoom, maxzoom, fields }) => ({
    id: name,
    minzoom,
    maxzoom,
    fields,
  }));
  return layers.sort((a, b) => (a.id < b.id ? -1 : 1));
}
