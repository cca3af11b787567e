import { basename } from "node:path";
import { COMPRESSION, type Header, TILE_TYPE } from "./header.js";
import type { VectorLayer } from "./metadata.js";
import type { Archive } from "./reader.js";
import { tileName } from "./tile-id.js";
import { summarizeZooms, type ZoomSummary } from "./zooms.js";

/** What `archive show` says of an archive. */
export interface ArchiveSummary {
  readonly path: string;
  readonly bytes: number;
  readonly name: string | undefined;
  readonly generator: string | undefined;
  readonly attribution: string | undefined;
  readonly header: Header;
  readonly leafDirectories: number;
  readonly layers: readonly VectorLayer[];
  readonly zooms: readonly (Omit<ZoomSummary, "largest"> & { readonly largest: string })[];
  /** Other keys of the metadata. */
  readonly metadataKeys: readonly string[];
}

const SHOWN_KEYS = ["name", "generator", "attribution", "vector_layers"];

export function summarizeArchive(archive: Archive): ArchiveSummary {
  const metadata = archive.metadata();
  const text = (key: string) => (typeof metadata[key] === "string" ? metadata[key] : undefined);
  return {
    path: archive.path,
    bytes: archive.fileBytes,
    name: text("name"),
    generator: text("generator"),
    attribution: text("attribution"),
    header: archive.header,
    leafDirectories: archive.leafPointers.count,
    layers: metadata.vector_layers ?? [],
    zooms: summarizeZooms(archive).map((zoom) => ({
      ...zoom,
      largest: zoom.largest < 0 ? "" : tileName(zoom.largest),
    })),
    metadataKeys: Object.keys(metadata).filter((key) => !SHOWN_KEYS.includes(key)),
  };
}

/** The header under the names that go-pmtiles gives it. */
export function headerJson({ tileCompression, tileType, minZoom, maxZoom, bounds, center }: Header): object {
  return {
    tile_compression: nameOf(COMPRESSION, tileCompression),
    tile_type: nameOf(TILE_TYPE, tileType),
    minzoom: minZoom,
    maxzoom: maxZoom,
    bounds: [bounds.west, bounds.south, bounds.east, bounds.north],
    center: [center.lng, center.lat, center.zoom],
  };
}

/**
 * TileJSON 3.0 of a server that hands out the archive's tiles.
 *
 * @param publicUrl  under which the archive's name is a folder; relative when left out.
 */
export function tileJson(archive: Archive, publicUrl: string | undefined): object {
  const { vector_layers: layers, name, description, attribution, version } = archive.metadata();
  const { minzoom, maxzoom, bounds, center } = headerJson(archive.header) as Record<string, unknown>;
  const folder = publicUrl === undefined ? "" : `${publicUrl.replace(/\/+$/, "")}/`;
  return {
    tilejson: "3.0.0",
    scheme: "xyz",
    tiles: [`${folder}${basename(archive.path, ".pmtiles")}/{z}/{x}/{y}.mvt`],
    name,
    description,
    attribution,
    version,
    minzoom,
    maxzoom,
    bounds,
    center,
    vector_layers: layers,
  };
}

/** The summary as a page that a person reads. */
export function summaryText(summary: ArchiveSummary): string {
  const { header } = summary;
  const { west, south, east, north } = header.bounds;
  const facts: [string, string | undefined][] = [
    ["file", `${summary.path}, ${size(summary.bytes)}`],
    ["name", summary.name],
    ["made by", summary.generator],
    ["attribution", summary.attribution],
    ["tiles", `${nameOf(TILE_TYPE, header.tileType)}, ${nameOf(COMPRESSION, header.tileCompression)}`],
    ["zooms", `${header.minZoom} to ${header.maxZoom}`],
    ["bounds", `${west}, ${south} to ${east}, ${north}`],
    ["center", `${header.center.lng}, ${header.center.lat} at zoom ${header.center.zoom}`],
    [
      "counts",
      `${count(header.addressedTiles)} tiles, ${count(header.tileEntries)} entries, ${count(header.tileContents)} contents, ` +
        `${count(summary.leafDirectories)} leaf directories, ${header.clustered ? "clustered" : "not clustered"}`,
    ],
    ["metadata", summary.metadataKeys.join(", ")],
  ];
  const total = summary.zooms.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    ...facts
      .filter(([, text]) => text !== undefined && text !== "")
      .map(([label, text]) => `${label.padEnd(12)}${text}`),
    "",
    ...table(
      ["layer", "zooms", "attributes"],
      summary.layers.map(({ id, minzoom, maxzoom, fields }) => [
        id,
        minzoom === undefined ? "" : `${minzoom} to ${maxzoom}`,
        Object.entries(fields)
          .map(([field, type]) => `${field} (${type})`)
          .join(", "),
      ]),
    ),
    "",
    ...table(
      ["zoom", "tiles", "bytes", "share", "mean", "largest", "at"],
      summary.zooms.map((zoom) => [
        String(zoom.zoom),
        count(zoom.tiles),
        size(zoom.bytes),
        total === 0 ? "" : `${((100 * zoom.bytes) / total).toFixed(1)} %`,
        zoom.entries === 0 ? "" : size(zoom.bytes / zoom.entries),
        size(zoom.largestBytes),
        zoom.largest,
      ]),
      [0, 1, 2, 3, 4, 5],
    ),
  ].join("\n");
}

/** Columns as wide as their widest cell; those in `rightAligned` are numbers. */
function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  rightAligned: readonly number[] = [],
): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const cell = (text: string, column: number) =>
    rightAligned.includes(column) ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return all.map((row) => row.map(cell).join("  ").trimEnd());
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, v]) => v === value)?.[0] ?? String(value);
}

function count(value: number): string {
  return value.toLocaleString("en");
}

/** Bytes with a unit, three digits: `4.61 MB` (powers of ten, as file managers show them). */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}
