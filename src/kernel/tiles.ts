import type { TextColumn } from "./geometry.js";

/** Attributes that are decided together by a number that each row has. */
export interface AttributeColumn {
  readonly keys: readonly string[];
  /** Shared; by row, 0 for none of the attributes, else 1 + an entry of the palette. */
  readonly index: Uint8Array | Uint16Array;
  /** `entries × keys.length` numbers of values. */
  readonly palette: Uint32Array;
}

/** One archive's attributes. */
export interface AttributeOutput {
  readonly columns: readonly AttributeColumn[];
  /**
   * The class of each entry, where the only column is the crop's code: records are filled. Classes from 2^14 on do not
   * fit a record, and their tiles are rewritten, as all are where this is undefined.
   */
  readonly codes?: Uint32Array | undefined;
}

/** What tiles get: the same for all batches. */
export interface AttributePlan {
  /** Feature ids are 0 .. rows − 1. */
  readonly rows: number;
  /** Every layer that tiles may have; `seen` is shared, a byte a row, set to 1 for each feature of a marked tile. */
  readonly layers: readonly { readonly name: string; readonly seen: Uint8Array }[];
  /** Values as tiles store them: protobuf messages `Value`. */
  readonly values: TextColumn;
  readonly outputs: readonly AttributeOutput[];
  /** gzip level, 1 to 9, for tiles that are rewritten. */
  readonly level: number;
}

/** What records are made for. */
export interface RecordPlan {
  /** Feature ids are 0 .. rows − 1. */
  readonly rows: number;
  /** Every layer that tiles may have; records refer to them by place. */
  readonly layers: readonly string[];
  /** Key of the attribute that features get. */
  readonly key: string;
}

/** Tiles or records one after the other: number i is `content[ends[i - 1] .. ends[i])`. */
export interface PackedTiles {
  readonly content: Uint8Array;
  readonly ends: Uint32Array;
}

export interface YearTiles {
  /** False when a buffer is too small for the batch: `ends` are shorter, call again with larger ones. */
  readonly complete: boolean;
  /** By output, ends of the gzip tiles in its buffer. */
  readonly ends: readonly Uint32Array[];
  /** Tiles of all outputs that were rewritten, as their records could not be filled. */
  readonly rewritten: number;
  /** Seconds of CPU: reading base tiles, rewriting, compressing; filling records. */
  readonly cpu: Float64Array;
}

/**
 * Tiles compressed once for all years, as records, and the years' attributes put into them.
 * native/tiles/precompressed/record.h has the format.
 */
export interface TilesKernel {
  /** What compresses tiles: `libdeflate 1.14`, `zlib 1.3`. */
  readonly gzipLibrary: string;

  /**
   * Make the records of a batch of tiles.
   *
   * @param stored  gzip tiles one after the other.
   * @returns records; a tile that no record can hold is kept as gzip, and counted in `gzipTiles`.
   * @throws {RangeError} with the number of the tile as `tile`, when it is corrupt or has the attribute already.
   * @see native/tiles/precompressed/record_maker.cc
   */
  precompress(stored: Uint8Array, ends: Uint32Array, plan: RecordPlan): PackedTiles & { readonly gzipTiles: number };

  /**
   * The base tiles of records, as gzip, or plain at level 0: the features and attributes that the records were made from.
   *
   * @throws {RangeError} with the number of the tile as `tile`, when a record is damaged.
   * @see native/tiles/precompressed/base_tile.cc
   */
  baseTiles(
    records: Uint8Array,
    ends: Uint32Array,
    plan: Pick<RecordPlan, "rows" | "layers"> & { readonly level: number },
  ): PackedTiles;

  /**
   * Write a batch's tiles with the outputs' attributes: records are filled where they can be; else the base tile is
   * rewritten, and everything else in it copied byte for byte, unknown fields and odd orders included.
   *
   * @param records   records, or tiles as gzip.
   * @param markFrom  tiles from this one on are marked in the layers' `seen`.
   * @param buffers   by output, written from the start; twice the records' bytes are mostly enough.
   * @throws {RangeError} with the number of the tile as `tile`: its record is damaged; or the tile is corrupt, has an
   *   unknown layer, an attribute by one of the keys, a feature without an id or with one that is no row.
   * @see native/tiles/precompressed/record_filler.cc, native/tiles/rewrite.cc
   */
  writeYears(
    records: Uint8Array,
    ends: Uint32Array,
    markFrom: number,
    plan: AttributePlan,
    buffers: readonly Uint8Array[],
  ): YearTiles;
}
