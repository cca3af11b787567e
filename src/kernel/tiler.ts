import type { TextColumn, WkbColumn } from "./geometry.js";
import type { PagedSlice } from "./parquet.js";
import type { RecordPlan } from "./tiles.js";

export interface TilerZooms {
  readonly minZoom: number;
  readonly maxZoom: number;
}

/** Fields of a slice, sorted into buckets; arrays have one element a bucket, by ascending tile. */
export interface SpilledSlice {
  /** FIELD_STATUS code per row. */
  readonly status: Uint8Array;
  /** Records of bucket i are `content[ends[i - 1] .. ends[i])`. */
  readonly content: Uint8Array;
  /** PMTiles id of the bucket's tile. */
  readonly tiles: Float64Array;
  readonly firstRows: Uint32Array;
  readonly records: Uint32Array;
  readonly ends: Uint32Array;
  readonly crcs: Uint32Array;
  /** West, north, east, south in world coordinates (2^32 around the world, y to the south); west above east when empty. */
  readonly box: Float64Array;
}

/** Where a bucket's records lie in the scratch file, by ascending rows. */
export interface BucketChunks {
  readonly offsets: Float64Array;
  readonly bytes: Uint32Array;
  readonly crcs: Uint32Array;
}

/** What tiles are stored as: precompressed, or gzip where there is no plan for records. */
export interface StorePlan {
  readonly records?: RecordPlan | undefined;
}

/** The columns of `--include`, by row, for features of tiles. */
export interface IncludedColumns {
  readonly keys: readonly string[];
  /** By key, shared: the number in `values` by row; 2^32 - 1 for none. */
  readonly index: readonly Uint32Array[];
  /** Each different value once, as encoded; shared. */
  readonly values: TextColumn;
}

/** A tile of cells: which rows there are. */
export interface CellPlan extends StorePlan {
  readonly rows: number;
}

export interface TilePlan extends TilerZooms, StorePlan {
  /** Shared; hectares by row, not finite where unknown. */
  readonly area: Float32Array;
  /** Records carry ids, which become the attribute `field_id`. */
  readonly hasIds: boolean;
  /** Columns that features carry in addition; values are messages `Value` of vector tiles. */
  readonly included?: IncludedColumns | undefined;
  /** Bytes that the tiles under one tile may take, uncompressed, before it is worked on in parts. */
  readonly limit: number;
  /**
   * By layer (fields, centroids), shared, a byte a row: bit z is set for each row that the audit finds in a tile of the
   * zth zoom that shows every field.
   */
  readonly seen: readonly Uint8Array[];
}

/** The tiles of one zoom as archives hold them, one behind the other, by ascending id. */
export interface ZoomTiles {
  readonly zoom: number;
  readonly content: Uint8Array;
  readonly tileIds: Float64Array;
  readonly sizes: Uint32Array;
  /** CRC-32 of each tile as it is stored. */
  readonly crcs: Uint32Array;
  readonly polygons: number;
  readonly points: number;
  /** Bytes of the largest tile, uncompressed. */
  readonly largest: number;
}

/** How often something else than a simplified shape was drawn. */
export interface ShapeCounts {
  readonly drawn: number;
  /** Not simplified, as the simplified shape was not valid. */
  readonly whole: number;
  /** The whole one was not valid either. */
  readonly repaired: number;
  /** No area was left: a square of one unit. */
  readonly squares: number;
  /** Parts that were cut at tiles' sides, and those of them that had to be repaired. */
  readonly pieces: number;
  readonly rejoined: number;
  /** Repair found no answer. */
  readonly unsolved: number;
}

/** The tiler's two passes; native/tiles/tiler has the format of records. */
export interface TilerKernel {
  /** Read polygons in longitude and latitude, and sort them into buckets by the tiles that they meet. */
  spillPages(slice: PagedSlice, firstRow: number, zooms: TilerZooms, withIds: boolean): SpilledSlice;
  /** @param ids  messages `Value` of vector tiles by row; null where features carry none. */
  spillColumn(column: WkbColumn, ids: TextColumn | null, firstRow: number, zooms: TilerZooms): SpilledSlice;
  /**
   * Make all tiles under a bucket's tile, and audit them (native/tiles/audit/).
   *
   * @throws {RangeError} naming tile and row, when a tile is no vector tile, or lacks a field.
   * @throws {Error} when the scratch file is damaged or ends too early.
   */
  tileBucket(
    path: string,
    chunks: BucketChunks,
    tile: number,
    plan: TilePlan,
  ): {
    /** By zoom; the bucket's own tile of cells first, where there is one. */
    readonly zooms: readonly ZoomTiles[];
    /** What the tiles above are made of. */
    readonly summary: Uint8Array;
    readonly shapes: ShapeCounts;
  };
  /**
   * Make a tile of cells from the summaries of the four tiles under it.
   *
   * @param children  northwest, northeast, southwest, southeast; empty where there is no tile.
   * @returns no tile where there are no cells.
   * @throws {RangeError} when the tile that comes out is no vector tile.
   * @throws {Error} when a summary is none.
   */
  mergeCells(
    tile: number,
    children: readonly Uint8Array[],
    plan: CellPlan,
  ): { readonly tiles: ZoomTiles; readonly summary: Uint8Array };
}
