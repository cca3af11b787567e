import type { MvtValue } from "./mvt.js";

/**
 * What values an archive's attributes have, in the shape of mapbox-geostats, which map
 * editors read to offer filters and colors. Part of the metadata, as `tilestats`.
 */
export interface Tilestats {
  readonly layerCount: number;
  readonly layers: readonly LayerStats[];
}

export interface LayerStats {
  readonly layer: string;
  /** Features. */
  readonly count: number;
  readonly geometry: string;
  readonly attributeCount: number;
  /** By name. */
  readonly attributes: readonly AttributeStats[];
}

export interface AttributeStats {
  readonly attribute: string;
  /** Different values, at most 1000. */
  readonly count: number;
  /** `number`, `string`, `boolean` or `mixed`. */
  readonly type: string;
  /** The first hundred. */
  readonly values: readonly MvtValue[];
  readonly min?: number;
  readonly max?: number;
}

/** Limits of the format. */
const MAX_COUNTED = 1000;
const MAX_LISTED = 100;

/**
 * Statistics of one attribute of numbers or of strings.
 *
 * @param values  all different ones, in the order to list; one or more.
 */
export function attributeStats(attribute: string, values: readonly number[] | readonly string[]): AttributeStats {
  const count = Math.min(values.length, MAX_COUNTED);
  const listed = values.slice(0, MAX_LISTED);
  const numbers = values.filter((value): value is number => typeof value === "number");
  if (numbers.length < values.length) return { attribute, count, type: "string", values: listed };
  const [min, max] = [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
  return { attribute, count, type: "number", values: listed, min, max };
}

/**
 * The statistics with some attributes of every layer replaced or added, for an archive whose
 * features have other values than the one that they were made for.
 *
 * @param removed  attributes that are no longer there.
 */
export function withAttributes(
  { layers }: Tilestats,
  fresh: readonly AttributeStats[],
  removed: readonly string[] = [],
): Tilestats {
  const changed = new Set([...removed, ...fresh.map(({ attribute }) => attribute)]);
  return {
    layerCount: layers.length,
    layers: layers.map((layer) => {
      const kept = layer.attributes.filter(({ attribute }) => !changed.has(attribute));
      const attributes = [...kept, ...fresh].sort((a, b) => (a.attribute < b.attribute ? -1 : 1));
      return { ...layer, attributeCount: attributes.length, attributes };
    }),
  };
}
