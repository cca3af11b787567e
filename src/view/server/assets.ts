import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { PipelineError } from "../../pipeline/errors.js";

/** A file of the page, in memory. */
export interface Asset {
  readonly type: string;
  readonly content: Buffer;
  /** Hex; strong entity tags consist of it and the encoding. */
  readonly digest: string;
}

export type Encoding = "br" | "gzip" | "identity";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const PAGE = new URL("../page/", import.meta.url);
/** The module that makes tiles of columns, and the code it shares with Node; they import each other by relative paths. */
const COLUMN_MODULES = [
  "maplibre/index.js",
  "maplibre/worker.js",
  "maplibre/column-tiles.js",
  "maplibre/range-file.js",
  "maplibre/crop-layer.js",
  "maplibre/tile-mesh.js",
  "maplibre/earcut.js",
  "columns/column-file.js",
  "columns/put-codes.js",
];

/**
 * Every file of the page, by its path below the page. There are no others: a
 * request is looked up in this table and never becomes a path on the disk.
 *
 * @throws {PipelineError} failed, if the page is not built or a package is missing.
 */
export function loadAssets(): ReadonlyMap<string, Asset> {
  try {
    const own = readdirSync(PAGE)
      .filter((name) => /\.(html|css|js|svg)$/.test(name))
      .map((name) => [name, fileURLToPath(new URL(name, PAGE))] as const);
    if (!own.some(([name]) => name === "index.html")) throw new Error(`no index.html in ${fileURLToPath(PAGE)}`);
    const modules = COLUMN_MODULES.map(
      (name) => [name, fileURLToPath(new URL(`../../${name}`, import.meta.url))] as const,
    );
    const files = [...own, ...modules, ...libraries()];
    return new Map(files.map(([name, path]) => [name === "index.html" ? "" : name, readAsset(path)]));
  } catch (cause) {
    throw new PipelineError("failed", "The page is not built; run npm run build", {}, { cause });
  }
}

/** The libraries' browser modules, as npm installed them, under the names of the page's import map. */
function libraries(): [string, string][] {
  const from = (specifier: string, base: string = import.meta.url) => createRequire(base).resolve(specifier);
  const file = (relative: string, base: string) => fileURLToPath(new URL(relative, base));
  const maplibre = import.meta.resolve("maplibre-gl");
  const pmtiles = import.meta.resolve("pmtiles");
  const vectorTile = import.meta.resolve("@mapbox/vector-tile");
  return [
    ["vendor/maplibre-gl.mjs", fileURLToPath(maplibre)],
    ["vendor/maplibre-gl-worker.mjs", file("./maplibre-gl-worker.mjs", maplibre)],
    ["vendor/maplibre-gl.css", file("./maplibre-gl.css", maplibre)],
    ["vendor/pmtiles.js", fileURLToPath(pmtiles)],
    ["vendor/fflate.js", from("fflate/browser", pmtiles).replace(/lib\/browser\.cjs$/, "esm/browser.js")],
    ["vendor/vector-tile.js", fileURLToPath(vectorTile)],
    ["vendor/point-geometry.js", from("@mapbox/point-geometry", vectorTile)],
    ["vendor/pbf.js", fileURLToPath(import.meta.resolve("pbf"))],
    // One file without imports, instead of the package's hundred modules.
    ["vendor/turf.js", join(dirname(from("@turf/turf/package.json")), "turf.min.js")],
    ["vendor/terra-draw.js", fileURLToPath(import.meta.resolve("terra-draw"))],
    ["vendor/terra-draw-maplibre-gl-adapter.js", fileURLToPath(import.meta.resolve("terra-draw-maplibre-gl-adapter"))],
  ];
}

function readAsset(path: string): Asset {
  const content = readFileSync(path);
  const type = TYPES[path.slice(path.lastIndexOf(".") + 1)];
  if (type === undefined) throw new Error(`no content type for ${path}`);
  return { type, content, digest: createHash("sha256").update(content).digest("hex").slice(0, 32) };
}

/** `'sha256-...'` of every inline script of a page, for its content security policy. */
export function inlineScriptHashes(html: string): string[] {
  return [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, script]) =>
      `'sha256-${createHash("sha256")
        .update(script as string)
        .digest("base64")}'`,
  );
}

/** The best of the offered encodings for text, by the client's Accept-Encoding. */
export function chooseEncoding(header: string | undefined): Encoding {
  const accepted = new Map<string, number>();
  for (const part of (header ?? "").toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    const quality = parameters.find((text) => text.startsWith("q="))?.slice(2);
    if (name !== "") accepted.set(name, quality === undefined ? 1 : Number(quality));
  }
  const quality = (name: string) => accepted.get(name) ?? accepted.get("*") ?? 0;
  const identity = accepted.get("identity") ?? accepted.get("*") ?? 0.001;
  if (quality("br") > 0 && quality("br") >= quality("gzip") && quality("br") >= identity) return "br";
  return quality("gzip") > 0 && quality("gzip") >= identity ? "gzip" : "identity";
}

const kept = new WeakMap<Asset, Map<Encoding, Promise<Buffer>>>();

/** An asset in an encoding; encoded once. */
export function encodeAsset(asset: Asset, encoding: Encoding): Promise<Buffer> {
  if (encoding === "identity") return Promise.resolve(asset.content);
  const encodings = kept.get(asset) ?? new Map<Encoding, Promise<Buffer>>();
  kept.set(asset, encodings);
  const made = encodings.get(encoding) ?? compress(asset.content, encoding);
  encodings.set(encoding, made);
  return made;
}

/** Quality 5 of brotli is about as fast as gzip; 11 would take seconds for the map library. */
export function compress(content: Buffer, encoding: "br" | "gzip"): Promise<Buffer> {
  if (encoding === "gzip") return promisify(gzip)(content, { level: 6 });
  return promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
}
