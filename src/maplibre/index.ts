/**
 * Years of crops as vector tiles for MapLibre GL, made in the browser from one archive of the fields and a small file of
 * crop codes a year (docs/columns.md). Needs `pmtiles`; runs without a framework.
 *
 * @example
 * ```js
 * import * as maplibregl from "maplibre-gl";
 * import { addCropColumns } from "fields-pipeline/maplibre";
 *
 * const crops = await addCropColumns(maplibregl, "https://maps.example.org/fields/us_full_years.json");
 * map.addSource("fields", crops.source(2020));
 * map.addLayer({ id: "corn", type: "fill", source: "fields", "source-layer": "fields",
 *   filter: ["==", ["get", "crop_code"], 1], paint: { "fill-color": "#ffd400" } });
 * map.getSource("fields").setTiles(crops.source(2021).tiles); // another year
 * ```
 */
import { PMTiles } from "pmtiles";
import { CropLayer, type CropLayerStyle } from "./crop-layer.js";
import type { FromWorker, ToWorker, Wanted } from "./messages.js";
import { rangeSource } from "./range-file.js";
import type { TileMesh } from "./tile-mesh.js";

export type { CropFeature, CropLayer, CropLayerStyle, CropPlace, CropView } from "./crop-layer.js";

/** Scheme of the tiles' URLs. */
export const PROTOCOL = "crops";

/** The part of MapLibre GL that this module needs: the module itself, or an object with its `addProtocol`. */
export interface MapLibre {
  addProtocol(
    scheme: string,
    load: (request: { url: string }, abort: AbortController) => Promise<{ data: ArrayBuffer | Uint8Array }>,
  ): void;
}

/** Where a base and its columns are; a manifest says the same. */
export interface CropColumnsSource {
  /** The base's archive and blocks. */
  readonly archive: string;
  readonly blocks: string;
  /** That the blocks must have; 64 hex digits. */
  readonly fingerprint?: string;
  /** A column's URL by year. */
  readonly columns: Readonly<Record<number, string>>;
}

/** Zooms and bounds of a base's archive. */
export interface CropExtent {
  readonly minzoom: number;
  readonly maxzoom: number;
  /** west, south, east, north in degrees. */
  readonly bounds: readonly [number, number, number, number];
}

export interface CropColumnsOptions {
  /** Attribute that holds a field's crop code: `crop_code` by default. */
  readonly attribute?: string;
  /** Makes the worker; for bundlers, and pages on another origin than this module. */
  readonly worker?: () => Worker;
}

/** A vector source for `map.addSource`. */
export interface CropSource {
  readonly type: "vector";
  readonly tiles: [string];
  readonly minzoom: number;
  readonly maxzoom: number;
  /** west, south, east, north in degrees. */
  readonly bounds: [number, number, number, number];
  readonly attribution: string;
}

const ATTRIBUTION = "Crops: USDA NASS Cropland Data Layer";
let worker: Tiler | undefined;
let bases = 0;
/** By what stands in the tiles' URLs. */
const known = new Map<string, CropColumns>();

/**
 * Teach MapLibre the tiles of years that are published as columns.
 *
 * @param source  URL of a manifest (`us_full_years.json`), or the URLs themselves.
 * @throws {Error} when the manifest cannot be read, lists no columns, or names a base that it does not list.
 */
export async function addCropColumns(
  maplibre: MapLibre,
  source: string | CropColumnsSource,
  options: CropColumnsOptions = {},
): Promise<CropColumns> {
  const sources = typeof source === "string" ? await readManifest(source) : [source];
  const [first] = sources as [CropColumnsSource];
  const { minZoom, maxZoom, minLon, minLat, maxLon, maxLat } = await archiveAt(first.archive).getHeader();
  const extent: CropExtent = { minzoom: minZoom, maxzoom: maxZoom, bounds: [minLon, minLat, maxLon, maxLat] };
  return registerCropColumns(maplibre, sources, extent, options);
}

/** The same at once, where zooms and bounds are known. */
export function registerCropColumns(
  maplibre: MapLibre,
  sources: readonly CropColumnsSource[],
  extent: CropExtent,
  options: CropColumnsOptions = {},
): CropColumns {
  worker ??= new Tiler(
    options.worker ?? (() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" })),
  );
  const columns = new CropColumns(`${++bases}`, sources, extent, options.attribute ?? "crop_code", worker);
  known.set(columns.id, columns);
  maplibre.addProtocol(PROTOCOL, loadTile);
  return columns;
}

/** Archives by URL: years of one base share what was read of its directories. */
const archives = new Map<string, PMTiles>();

function archiveAt(url: string): PMTiles {
  const address = absolute(url);
  const archive = archives.get(address) ?? new PMTiles(rangeSource(address));
  archives.set(address, archive);
  return archive;
}

async function loadTile({ url }: { url: string }, abort: AbortController): Promise<{ data: Uint8Array }> {
  const [, id, year, z, x, y] = /^crops:\/\/(\w+)\/(\d+|fields)\/(\d+)\/(\d+)\/(\d+)$/.exec(url) ?? [];
  const columns = known.get(id ?? "");
  if (columns === undefined) throw new Error(`${url} is no tile of columns`);
  const wanted = year === "fields" ? "fields" : Number(year);
  const tile = await columns.tile(wanted, { z: Number(z), x: Number(x), y: Number(y) }, abort.signal);
  return { data: tile ?? new Uint8Array(0) };
}

/** Years of crops; `addCropColumns` makes it. */
export class CropColumns {
  constructor(
    readonly id: string,
    private readonly sources: readonly CropColumnsSource[],
    private readonly extent: CropExtent,
    private readonly attribute: string,
    private readonly tiler: Tiler,
  ) {}

  /** Ascending. */
  get years(): number[] {
    return this.sources.flatMap(({ columns }) => Object.keys(columns).map(Number)).sort((a, b) => a - b);
  }

  /**
   * @param year  `"fields"` for the fields without crops.
   * @throws {Error} when the year has no column.
   */
  source(year: number | "fields"): CropSource {
    this.#of(year);
    const { minzoom, maxzoom, bounds } = this.extent;
    return {
      type: "vector",
      tiles: [`${PROTOCOL}://${this.id}/${year}/{z}/{x}/{y}`],
      minzoom,
      maxzoom,
      bounds: [...bounds],
      attribution: ATTRIBUTION,
    };
  }

  /** A tile with the year's crops, inflated; undefined where there is none. */
  tile(
    year: number | "fields",
    at: { z: number; x: number; y: number },
    signal?: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    return this.#want("tile", year, at, signal) as Promise<Uint8Array | undefined>;
  }

  /**
   * A layer for `map.addLayer` that draws the fields itself: another year takes one frame once its codes are there. All years
   * must have the same base.
   *
   * @throws {Error} when they have not.
   */
  layer(id: string, style: CropLayerStyle): CropLayer {
    if (this.sources.length !== 1) throw new Error(`a layer needs one base; these years have ${this.sources.length}`);
    const tiles = {
      ...this.extent,
      mesh: (at: { z: number; x: number; y: number }, signal: AbortSignal) =>
        this.#want("mesh", "fields", at, signal) as Promise<TileMesh | undefined>,
      codes: (year: number, at: { z: number; x: number; y: number }, signal: AbortSignal) =>
        this.#want("codes", year, at, signal) as Promise<Uint16Array | undefined>,
    };
    return new CropLayer(id, tiles, style);
  }

  async #want(
    want: "tile" | "mesh" | "codes",
    year: number | "fields",
    { z, x, y }: { z: number; x: number; y: number },
    signal?: AbortSignal,
  ): Promise<Wanted> {
    const { archive, blocks, fingerprint, columns } = this.#of(year);
    const column = year === "fields" ? undefined : absolute(columns[year] as string);
    const request = { want, z, x, y, blocks: absolute(blocks), fingerprint, column, attribute: this.attribute };
    return this.tiler.want(request, signal, async () => {
      const tile = await archiveAt(archive).getZxy(z, x, y, signal);
      return tile === undefined ? undefined : new Uint8Array(tile.data);
    });
  }

  #of(year: number | "fields"): CropColumnsSource {
    const source =
      year === "fields" ? this.sources[0] : this.sources.find(({ columns }) => columns[year] !== undefined);
    if (source === undefined) throw new Error(`there is no column of ${year}; there are ${this.years.join(", ")}`);
    return source;
  }
}

interface Answer {
  readonly resolve: (result: Wanted) => void;
  readonly reject: (error: Error) => void;
  readonly base: () => Promise<Uint8Array | undefined>;
}

/** Requests to the worker. */
class Tiler {
  readonly #worker: Worker;
  readonly #answers = new Map<number, Answer>();
  #requests = 0;

  constructor(make: () => Worker) {
    this.#worker = make();
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data);
    this.#worker.onerror = (event) => {
      const error = new Error(`the worker of crop columns failed: ${event.message || "it cannot be loaded"}`);
      for (const answer of this.#answers.values()) answer.reject(error);
      this.#answers.clear();
    };
  }

  want(
    request: Omit<Extract<ToWorker, { kind: "want" }>, "kind" | "request">,
    signal: AbortSignal | undefined,
    base: () => Promise<Uint8Array | undefined>,
  ): Promise<Wanted> {
    const number = ++this.#requests;
    return new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => {
        if (this.#answers.delete(number)) reject(signal.reason as Error);
      });
      this.#answers.set(number, { resolve, reject, base });
      this.#post({ kind: "want", request: number, ...request });
    });
  }

  #take(message: FromWorker): void {
    const { request } = message;
    const answer = this.#answers.get(request);
    if (message.kind === "wants base") {
      // Nobody waits for an aborted request; others may wait for its tile.
      const base = answer === undefined ? Promise.reject(new Error("the request was aborted")) : answer.base();
      base.then(
        (tile) => this.#post({ kind: "base", request, tile }, tile === undefined ? [] : [tile.buffer]),
        (error: unknown) =>
          this.#post({
            kind: "base",
            request,
            tile: undefined,
            error: error instanceof Error ? error.message : String(error),
          }),
      );
      return;
    }
    this.#answers.delete(request);
    if (message.kind === "done") answer?.resolve(message.result);
    else answer?.reject(new Error(message.message));
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}

interface ManifestColumns {
  readonly bases?: Readonly<
    Record<string, { archive?: { url?: string }; blocks?: { url?: string; checksum?: string } }>
  >;
  readonly years?: Readonly<Record<string, { url?: string; base?: string; checksum?: string }>>;
}

/** Columns of a manifest, by base. */
async function readManifest(url: string): Promise<CropColumnsSource[]> {
  const address = absolute(url);
  const response = await fetch(address, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status}`);
  const { columns } = (await response.json()) as { columns?: ManifestColumns };
  const years = Object.entries(columns?.years ?? {});
  if (years.length === 0) throw new Error(`${url} lists no columns`);
  const sources = new Map<
    string,
    { archive: string; blocks: string; fingerprint: string; columns: Record<number, string> }
  >();
  for (const [year, column] of years) {
    const base = columns?.bases?.[column.base ?? ""];
    if (
      column.base === undefined ||
      base?.archive?.url === undefined ||
      base.blocks?.url === undefined ||
      column.url === undefined
    ) {
      throw new Error(`${url}: the column of ${year} is of a base that the manifest does not list`);
    }
    const at = (file: { url?: string; checksum?: string }) =>
      tagged(new URL(file.url as string, address).href, file.checksum);
    const source = sources.get(column.base) ?? {
      archive: new URL(base.archive.url, address).href,
      blocks: at(base.blocks),
      fingerprint: column.base,
      columns: {},
    };
    source.columns[Number(year)] = at(column);
    sources.set(column.base, source);
  }
  return [...sources.values()];
}

/** A URL that changes with the file, so that caches never mix two versions of it. */
function tagged(url: string, checksum: string | undefined): string {
  const tag = checksum?.replace("sha256:", "").slice(0, 12);
  return tag === undefined || url.includes("?") ? url : `${url}?v=${tag}`;
}

function absolute(url: string): string {
  return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
}
