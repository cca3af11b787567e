/** What the page and the worker of `fields-pipeline/maplibre` say to each other. */
export type ToWorker =
  | {
      readonly kind: "tile";
      readonly request: number;
      readonly z: number;
      readonly x: number;
      readonly y: number;
      /** URLs. */
      readonly blocks: string;
      readonly column: string;
      readonly fingerprint: string | undefined;
      readonly attribute: string;
    }
  | { readonly kind: "base"; readonly request: number; readonly tile: Uint8Array | undefined; readonly error?: string };

export type FromWorker =
  | { readonly kind: "wants base"; readonly request: number }
  | { readonly kind: "tile"; readonly request: number; readonly tile: Uint8Array | undefined }
  | { readonly kind: "failed"; readonly request: number; readonly message: string };
