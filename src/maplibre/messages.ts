import type { TileMesh } from "./tile-mesh.js";

/** What the page wants of a tile: its bytes, its fields as triangles, or its features' codes. */
export type Want = "tile" | "mesh" | "codes";

/** Messages between the page and the worker of `fields-pipeline/maplibre`. */
export type ToWorker =
  | {
      readonly kind: "want";
      readonly want: Want;
      readonly request: number;
      readonly z: number;
      readonly x: number;
      readonly y: number;
      /** URLs; without a column, a tile has no codes. */
      readonly blocks: string;
      readonly column: string | undefined;
      readonly fingerprint: string | undefined;
      readonly attribute: string;
    }
  | { readonly kind: "base"; readonly request: number; readonly tile: Uint8Array | undefined; readonly error?: string };

/** A tile's bytes, its mesh, or by feature 1 + its crop code and 0 for none; undefined where there is no tile. */
export type Wanted = Uint8Array | TileMesh | Uint16Array | undefined;

export type FromWorker =
  | { readonly kind: "wants base"; readonly request: number }
  | { readonly kind: "done"; readonly request: number; readonly result: Wanted }
  | { readonly kind: "failed"; readonly request: number; readonly message: string };
