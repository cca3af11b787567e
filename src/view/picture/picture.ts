import type { Bounds } from "../../archive/header.js";
import { Archive } from "../../archive/reader.js";
import type { Context } from "../../pipeline/context.js";
import { PipelineError } from "../../pipeline/errors.js";
import { CropPalette } from "./crop-palette.js";
import { drawFieldMap, type FieldMap } from "./field-map.js";
import { findFont } from "./font.js";
import { fitFrame, frameBounds, shapeOf, zoomFor } from "./frame.js";
import { writePng } from "./png-file.js";
import { drawSheet, planSheet } from "./sheet.js";
import type { ThemeName } from "./theme.js";

const ATTRIBUTION = "Crops: USDA NASS Cropland Data Layer";
const TITLE = "Majority crop of every field";
/** Free space around an archive's fields, as a share of the map's sides. */
const MARGIN = 0.015;

export interface PictureOptions {
  /** PMTiles files, drawn side by side at the same scale. */
  readonly archives: readonly string[];
  readonly out: string;
  /** Pixels; the height follows from the bounds. */
  readonly width: number;
  /** Zoom of the tiles to draw; by default the one that matches the picture's resolution. */
  readonly zoom?: number | undefined;
  /** Bounds to show; by default those of the archives. */
  readonly bounds?: Bounds | undefined;
  readonly title?: string | undefined;
  readonly theme?: ThemeName | undefined;
}

/** The drawn maps and their positions on the picture. */
export interface Picture {
  readonly out: string;
  readonly width: number;
  readonly height: number;
  /** Font family of the text; null if the machine has none. */
  readonly font: string | null;
  readonly maps: readonly {
    readonly archive: string;
    /** From the archive's metadata; null if missing. */
    readonly year: number | null;
    readonly zoom: number;
    readonly tiles: number;
    /** The map's rectangle on the picture, in pixels, and its extent, in degrees. */
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
    readonly bounds: Bounds;
    /** Drawn hectares by crop code, from tile geometry: accurate to a few percent near the archive's highest zoom, less below. */
    readonly hectares: Readonly<Record<string, number>>;
  }[];
}

/**
 * Draw the fields of one archive, or of several side by side, into a PNG: web mercator,
 * north up, with legend and scale.
 *
 * The picture is written to a temporary file and renamed, so the path has the old picture or the new one.
 *
 * @throws {PipelineError} input, if an archive cannot be read or has nothing to draw.
 */
export async function drawPicture(options: PictureOptions, ctx: Context): Promise<Picture> {
  const archives: Archive[] = [];
  try {
    for (const path of options.archives) archives.push(new Archive(path));
    return await drawArchives(archives, options, ctx);
  } finally {
    for (const archive of archives) archive.close();
  }
}

async function drawArchives(archives: Archive[], options: PictureOptions, ctx: Context): Promise<Picture> {
  const { out, width } = options;
  const bounds = options.bounds ?? union(archives.map(({ header }) => header.bounds));
  const font = findFont();
  if (font === undefined) {
    ctx.log.warn(
      "No font found: the picture has no text and no legend. Debian and Ubuntu: apt-get install fonts-dejavu-core",
    );
  }
  const sheet = planSheet(archives.length, width, shapeOf(bounds), font !== undefined);
  const frame = fitFrame(bounds, sheet.mapWidth, sheet.mapHeight, options.bounds ? 0 : MARGIN);
  const palette = new CropPalette();
  const years: string[] = [];
  const attributions = new Set<string>();
  for (const archive of archives) {
    const metadata = archive.metadata();
    palette.addLegend(metadata, archive.path);
    years.push(/^\d{4}$/.test(String(metadata.year)) ? String(metadata.year) : "");
    attributions.add(plainText(metadata.attribution) ?? ATTRIBUTION);
  }
  const maps: FieldMap[] = [];
  for (const archive of archives) {
    maps.push(await drawFieldMap(archive, frame, chooseZoom(archive, zoomFor(frame), options.zoom), palette, ctx));
  }
  const canvas = drawSheet(sheet, frame, maps, palette, {
    title: options.title ?? TITLE,
    attribution: [...attributions].join(", "),
    years,
    font,
    theme: options.theme ?? "dark",
  });
  await writePng(canvas, out, ctx);
  return {
    out,
    width,
    height: canvas.height,
    font: font ?? null,
    maps: maps.map(({ zoom, tiles, areas }, i) => ({
      archive: options.archives[i] as string,
      year: years[i] === "" ? null : Number(years[i]),
      zoom,
      tiles,
      ...(sheet.maps[i] as { x: number; y: number }),
      width: sheet.mapWidth,
      height: sheet.mapHeight,
      bounds: frameBounds(frame),
      hectares: Object.fromEntries(
        palette.crops.flatMap(({ code }, cropClass) => {
          const area = areas[cropClass] ?? 0;
          return area > 0 ? [[String(code), Math.round(area / 100) / 100]] : [];
        }),
      ),
    })),
  };
}

/** An attribution may be HTML, for a web page; a picture needs only its text. */
function plainText(html: unknown): string | undefined {
  const text = typeof html === "string" ? html.replace(/<[^>]*>/g, "").trim() : "";
  return text === "" ? undefined : text;
}

function union(all: readonly Bounds[]): Bounds {
  return {
    west: Math.min(...all.map(({ west }) => west)),
    south: Math.min(...all.map(({ south }) => south)),
    east: Math.max(...all.map(({ east }) => east)),
    north: Math.max(...all.map(({ north }) => north)),
  };
}

function chooseZoom(
  { path, header: { minZoom, maxZoom } }: Archive,
  fitting: number,
  asked: number | undefined,
): number {
  if (asked === undefined) return Math.min(Math.max(fitting, minZoom), maxZoom);
  if (asked >= minZoom && asked <= maxZoom) return asked;
  throw new PipelineError("usage", "The archive has no such zoom", {
    path,
    expected: `${minZoom} to ${maxZoom}`,
    received: asked,
  });
}
