import type { TextColumn } from "./geometry.js";

/** Attributes that are decided together by a number that each row has. */
export interface SwapColumn {
  readonly keys: readonly string[];
  /** Shared; by row, 0 for none of the attributes, else 1 + an entry of the palette. */
  readonly index: Uint8Array | Uint16Array;
  /** `entries × keys.length` numbers of values. */
  readonly palette: Uint32Array;
}

/** What tiles get: the same for all batches of an archive. */
export interface SwapPlan {
  /** Feature ids are 0 .. rows − 1. */
  readonly rows: number;
  /** Every layer that tiles may have; `seen` is shared, a byte a row, set to 1 for each feature of a marked tile. */
  readonly layers: readonly { readonly name: string; readonly seen: Uint8Array }[];
  /** Values as tiles store them: protobuf messages `Value`. */
  readonly values: TextColumn;
  /** Each gives every tile anew, with these columns. */
  readonly outputs: readonly (readonly SwapColumn[])[];
  /** Of gzip, 1 to 9. */
  readonly level: number;
}

export interface Swapped {
  /** In the plan's order; tile i is `content[ends[i - 1] .. ends[i])`. */
  readonly outputs: readonly { readonly content: Uint8Array; readonly ends: Uint32Array }[];
  /** Seconds of CPU: decompressing, rewriting, compressing. */
  readonly cpu: Float64Array;
}

/** A year's crops as templates take them. */
export interface TemplateYear {
  /** Shared; by row, 0 for no crop, else 1 + a place in `codes`. */
  readonly index: Uint8Array | Uint16Array;
  /** Classes, ascending; those from 2^14 on fit no template. */
  readonly codes: Uint32Array;
}

/** What templates are made for. */
export interface TemplateMakerPlan {
  /** Feature ids are 0 .. rows − 1. */
  readonly rows: number;
  /** Every layer that tiles may have; records speak of them by place. */
  readonly layers: readonly string[];
  /** Of the attribute that features get. */
  readonly key: string;
  /** Some crops: each record is tried with them, and what comes out must decompress. */
  readonly trial: TemplateYear;
}

export interface TemplateFillPlan {
  readonly rows: number;
  /** As the templates were made for; `seen` is shared, a byte a row, set to 1 for each feature of a marked tile. */
  readonly layers: readonly { readonly seen: Uint8Array }[];
  /** Each gives every tile anew. */
  readonly outputs: readonly TemplateYear[];
}

/** Attributes put into tiles: by rewriting each, or into tiles that are compressed once for all years. */
export interface TilesKernel {
  /** What compresses tiles: `libdeflate 1.14`, `zlib 1.3`. */
  readonly gzipLibrary: string;

  /**
   * Give the features of a batch of tiles more attributes. Everything else is copied byte for
   * byte, unknown fields and odd orders included.
   *
   * @param stored      contents one after the other; tile i is `stored[ends[i - 1] .. ends[i])`.
   * @param compressed  they are gzip, and so are the answers; else plain.
   * @param markFrom    tiles from this one on are marked in the layers' `seen`.
   * @throws {RangeError} with the number of the tile as `tile`: it is corrupt, has an unknown layer, an attribute
   *   by one of the keys, a feature without an id or with one that is no row.
   * @see native/tiles/swap.cc
   */
  swap(stored: Uint8Array, ends: Uint32Array, compressed: boolean, markFrom: number, plan: SwapPlan): Swapped;

  /**
   * Make the records of a batch of tiles.
   *
   * @param stored  gzip contents one after the other; tile i is `stored[ends[i - 1] .. ends[i])`.
   * @returns records likewise; empty for a tile that no template can take.
   * @throws {RangeError} with the number of the tile as `tile`, when it is corrupt.
   * @see native/tiles/template/template_maker.cc
   */
  makeTemplate(
    stored: Uint8Array,
    ends: Uint32Array,
    plan: TemplateMakerPlan,
  ): { readonly records: Uint8Array; readonly ends: Uint32Array };

  /**
   * Fill records with years' crops.
   *
   * @param markFrom  tiles from this one on are marked in the layers' `seen`.
   * @param rooms     by output, written from the start: `roomFor` bytes are enough.
   * @returns ends of the tiles as gzip, by output; empty for one that has no record, or more crops than its record has
   *   places. `cpu`: seconds.
   * @throws {RangeError} with the number of the tile as `tile`, when a record is damaged.
   * @see native/tiles/template/template_filler.cc
   */
  fillTemplate(
    records: Uint8Array,
    ends: Uint32Array,
    markFrom: number,
    plan: TemplateFillPlan,
    rooms: readonly Uint8Array[],
  ): { readonly ends: readonly Uint32Array[]; readonly cpu: number };
}

/** What a batch of so many tiles takes at most, filled: records are never less than half as large. */
export function roomFor(recordBytes: number, tiles: number): number {
  return 2 * recordBytes + 64 * tiles;
}
