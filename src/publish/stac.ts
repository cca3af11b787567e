import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import type { ArchiveEntry, FileEntry, Manifest } from "./manifest.js";
import { type ManifestFile, readManifest } from "./manifest-update.js";

const STAC_VERSION = "1.1.0";
const FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json";
const PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json";
const WEB_MAP_LINKS = "https://stac-extensions.github.io/web-map-links/v1.2.0/schema.json";
const PMTILES = "application/vnd.pmtiles";
/** A multihash says of what kind it is: SHA-256, 32 bytes. */
const SHA256_PREFIX = "1220";
const HEADERS = { contentType: "application/json; charset=utf-8", cacheControl: "no-cache" } as const;
/** Each failure means that another year was published meanwhile. */
const MAX_ATTEMPTS = 50;

export interface StacObject {
  readonly id: string;
  readonly [key: string]: unknown;
}

export function collectionKey(region: string): string {
  return `${region}_collection.json`;
}

export function itemKey(region: string, year: number | string): string {
  return `${region}_${year}_item.json`;
}

/** A STAC item of one year's archive. */
export function stacItem(region: string, year: number | string, entry: ArchiveEntry): StacObject {
  const [west, south, east, north] = entry.bounds as [number, number, number, number];
  const ring = [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
  const title = `Crop fields of ${region}, ${year}`;
  return {
    type: "Feature",
    stac_version: STAC_VERSION,
    stac_extensions: [FILE, PROJECTION, WEB_MAP_LINKS],
    id: `${region}_${year}`,
    collection: region,
    geometry: { type: "Polygon", coordinates: [ring] },
    bbox: entry.bounds,
    properties: {
      title,
      datetime: null,
      start_datetime: `${year}-01-01T00:00:00Z`,
      end_datetime: `${year}-12-31T23:59:59Z`,
      created: entry.builtAt,
      "proj:code": "EPSG:3857",
    },
    links: [
      ...["root", "parent", "collection"].map((rel) => jsonLink(rel, collectionKey(region))),
      { rel: "pmtiles", href: entry.url, type: PMTILES, title, "pmtiles:layers": entry.layers },
    ],
    assets: { pmtiles: asset(entry, PMTILES, "Vector tiles", ["data", "visual"]) },
  };
}

/** The STAC collection of all years in a manifest; undefined as long as it has no archive. */
export function stacCollection(manifest: Manifest): StacObject | undefined {
  const { region, history } = manifest;
  const archives = Object.entries(manifest.archives);
  if (archives.length === 0) return undefined;
  const bounds = archives.map(([, { bounds: one }]) => one as [number, number, number, number]);
  const side = (i: 0 | 1 | 2 | 3) => bounds.map((one) => one[i]);
  const [first, last] = [archives[0]?.[0], archives.at(-1)?.[0]];
  return {
    type: "Collection",
    stac_version: STAC_VERSION,
    ...(history !== undefined && { stac_extensions: [FILE] }),
    id: region,
    title: `Crop fields of ${region}`,
    description: "Majority crop of every field, year by year, from the Cropland Data Layer of USDA NASS.",
    keywords: ["agriculture", "crops", "field boundaries", "Cropland Data Layer"],
    license: "other",
    providers: [
      {
        name: "USDA National Agricultural Statistics Service",
        description: "Cropland Data Layer",
        roles: ["producer"],
        url: "https://www.nass.usda.gov/Research_and_Science/Cropland/",
      },
    ],
    extent: {
      spatial: { bbox: [[Math.min(...side(0)), Math.min(...side(1)), Math.max(...side(2)), Math.max(...side(3))]] },
      temporal: { interval: [[`${first}-01-01T00:00:00Z`, `${last}-12-31T23:59:59Z`]] },
    },
    links: [
      jsonLink("root", collectionKey(region)),
      ...archives.map(([year]) => ({
        rel: "item",
        href: `./${itemKey(region, year)}`,
        type: "application/geo+json",
        title: year,
      })),
    ],
    ...(history !== undefined && {
      assets: {
        history: asset(history.table, "application/vnd.apache.parquet", "Every field's crops by year", ["data"]),
        legend: asset(history.legend, "application/json", "Names, colors and areas of crops", ["metadata"]),
      },
    }),
  };
}

/** Type of a STAC object; undefined for anything else. */
function idOf(text: string): unknown {
  try {
    const value = JSON.parse(text) as { readonly stac_version?: unknown; readonly id?: unknown } | null;
    return value?.stac_version === undefined ? undefined : value.id;
  } catch {
    return undefined;
  }
}

function jsonLink(rel: string, key: string) {
  return { rel, href: `./${key}`, type: "application/json" };
}

function asset({ url, bytes, checksum }: FileEntry, type: string, title: string, roles: readonly string[]) {
  return {
    href: url,
    type,
    title,
    roles,
    "file:size": bytes,
    "file:checksum": SHA256_PREFIX + checksum.replace("sha256:", ""),
  };
}

/**
 * Write the collection, and the item of a year, as the manifest at the target has them. Both follow from the manifest
 * alone, and it is read again after the collection was written: whoever publishes last leaves a collection of all years.
 *
 * @param year  undefined where no archive is new.
 * @returns keys that may have been written.
 * @throws {PipelineError} publish, when others kept changing the manifest.
 */
export async function writeStac(file: ManifestFile, year: number | undefined, ctx: Context): Promise<string[]> {
  const { target, region } = file;
  if (file.format !== "full") return [];
  const put = async (key: string, value: StacObject): Promise<void> => {
    const text = `${JSON.stringify(value, null, 1)}\n`;
    const there = (await target.getText(key, ctx))?.text;
    if (there === text) {
      // A kill between the rename and the end leaves it.
      await target.clearDeadLock?.(key, ctx);
      return;
    }
    if (there !== undefined && idOf(there) !== value.id) {
      ctx.log.warn("a file with the name of a STAC file was not written by this program; it is left unchanged", {
        key,
      });
      return;
    }
    await target.putText(key, text, HEADERS, "always", ctx);
  };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const manifest = await readManifest(file, ctx);
    const collection = manifest && stacCollection(manifest);
    if (manifest === undefined || collection === undefined) return [];
    const entry = year === undefined ? undefined : manifest.archives[year];
    if (year !== undefined && entry !== undefined) await put(itemKey(region, year), stacItem(region, year, entry));
    await put(collectionKey(region), collection);
    const after = await readManifest(file, ctx);
    if (JSON.stringify(after) === JSON.stringify(manifest)) {
      return [...(year === undefined ? [] : [itemKey(region, year)]), collectionKey(region)];
    }
  }
  throw new PipelineError(
    "publish",
    "Other writers changed the manifest each time before the STAC collection was written",
    {
      target: target.name,
      key: collectionKey(region),
    },
  );
}
