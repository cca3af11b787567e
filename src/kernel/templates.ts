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

/** Tiles compressed once for all years; native/tiles/template/template.h has the format. The native kernel alone has it. */
export interface TemplateKernel {
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
