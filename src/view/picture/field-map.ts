import { setImmediate } from "node:timers/promises";
import { VectorTile, type VectorTileFeature } from "@mapbox/vector-tile";
import { type Canvas, createCanvas, type SKRSContext2D } from "@napi-rs/canvas";
import { PbfReader } from "pbf";
import { TILE_TYPE } from "../../archive/header.js";
import type { Archive } from "../../archive/reader.js";
import { tileId, tileName, tileOf } from "../../archive/tile-id.js";
import { entriesOfZoom } from "../../archive/zooms.js";
import type { Context } from "../../pipeline/context.js";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import { type CropPalette, GROUND, NO_CROP } from "./crop-palette.js";
import { type Box, type Frame, metersPerPixel, tileBox } from "./frame.js";
import { Mosaic } from "./mosaic.js";
import { fillPolygon, type Point } from "./polygon-fill.js";

const LAYER = "fields";
const POLYGON = 3;
/** Fields get a thin border if the map's scale is large enough that it does not cover them. */
const BORDER_LIMIT_M_PER_PIXEL = 60;
const BORDER = { color: "rgba(23, 26, 30, 0.6)", width: 0.7 };
const NO_CROP_OUTLINE = { color: "#7d848d", width: 0.9 };
/** Interval of checks for an abort signal, in tiles. */
const TILES_A_BREATH = 16;
/** Maximum length of a run whose tiles are checked one by one. */
const LONG_RUN = 4096;

export interface FieldMap {
  /** Transparent without a field. */
  readonly canvas: Canvas;
  /** Drawn area by class of the palette, m². */
  readonly areas: Float64Array;
  readonly zoom: number;
  readonly tiles: number;
}

/**
 * Draw the polygons of an archive's layer `fields`, tile by tile. Each tile is clipped to
 * its sides, which are identical for its neighbors, so a polygon that is cut at a tile's
 * side becomes whole again.
 *
 * Memory: about 30 bytes per pixel of the map, for any archive size.
 *
 * @throws {PipelineError} input, if it is not an archive of fields or has none in the frame.
 */
export async function drawFieldMap(
  archive: Archive,
  frame: Frame,
  zoom: number,
  palette: CropPalette,
  ctx: Context,
): Promise<FieldMap> {
  const { path, header } = archive;
  if (header.tileType !== TILE_TYPE.mvt) {
    const expected = `vector tiles (${TILE_TYPE.mvt})`;
    throw new PipelineError("input", "The archive holds no vector tiles", {
      path,
      expected,
      received: header.tileType,
    });
  }
  const mosaic = new Mosaic(frame, palette);
  const lines = createCanvas(frame.width, frame.height);
  const pen = lines.getContext("2d");
  const bordered = metersPerPixel(frame, frame.height / 2) <= BORDER_LIMIT_M_PER_PIXEL;
  const { from, to } = entriesOfZoom(archive, zoom);
  const task = ctx.progress.start("tile entries looked at", to - from);
  let [tiles, features] = [0, 0];
  for (let i = from; i < to; i++) {
    const first = archive.entries.tileId(i);
    for (const id of idsShown(frame, zoom, first, first + archive.entries.runLength(i))) {
      const box = tileBox(frame, tileOf(id));
      if (isOutside(box, frame)) continue;
      features += drawTile(readLayer(archive, i, id), box, mosaic, palette, pen, bordered);
      if (++tiles % TILES_A_BREATH === 0) {
        task.update(i - from);
        await setImmediate();
        ctx.signal.throwIfAborted();
      }
    }
  }
  task.end();
  if (features === 0) {
    throw new PipelineError("input", "The archive has no fields in the picture", { path, layer: LAYER, zoom, tiles });
  }
  const { canvas, areas } = mosaic.finish();
  canvas.getContext("2d").drawImage(lines, 0, 0);
  return { canvas, areas, zoom, tiles };
}

interface Where {
  readonly path: string;
  readonly tile: string;
}

type Layer = VectorTile["layers"][string];

/** The features of a tile's layer `fields`; undefined without that layer. */
function readLayer(archive: Archive, entry: number, id: number): { layer: Layer; where: Where } | undefined {
  const where = { path: archive.path, tile: tileName(id) };
  try {
    const layer = new VectorTile(new PbfReader(archive.tile(entry))).layers[LAYER];
    return layer && { layer, where };
  } catch (cause) {
    if (cause instanceof PipelineError) throw cause;
    throw new PipelineError("input", "Tile cannot be read", where, { cause });
  }
}

/** Ids of [from, to) that may be in the picture. A run can have 2^32 tiles, so for a long one the picture's tiles are enumerated. */
function* idsShown(frame: Frame, zoom: number, from: number, to: number): Generator<number> {
  if (to - from <= LONG_RUN) {
    for (let id = from; id < to; id++) yield id;
    return;
  }
  const side = 2 ** zoom;
  const at = (pixels: number, corner: number) => Math.floor((corner + pixels / frame.worldPixels) * side);
  const clamp = (value: number) => Math.min(side - 1, Math.max(0, value));
  for (let y = clamp(at(0, frame.north)); y <= clamp(at(frame.height, frame.north)); y++) {
    for (let x = clamp(at(0, frame.west)); x <= clamp(at(frame.width, frame.west)); x++) {
      const id = tileId({ z: zoom, x, y });
      if (id >= from && id < to) yield id;
    }
  }
}

function isOutside({ left, top, right, bottom }: Box, { width, height }: Frame): boolean {
  return right <= 0 || bottom <= 0 || left >= width || top >= height;
}

/** @returns number of features drawn. */
function drawTile(
  content: { layer: Layer; where: Where } | undefined,
  box: Box,
  mosaic: Mosaic,
  palette: CropPalette,
  pen: SKRSContext2D,
  bordered: boolean,
): number {
  if (content === undefined) return 0;
  const { layer, where } = content;
  const patch = mosaic.patch(box);
  const unit = (box.right - box.left) / layer.extent;
  const sides = { left: Math.round(box.left), top: Math.round(box.top) };
  pen.save();
  pen.beginPath();
  pen.rect(sides.left, sides.top, Math.round(box.right) - sides.left, Math.round(box.bottom) - sides.top);
  pen.clip();
  let features = 0;
  for (let i = 0; i < layer.length; i++) {
    const [feature, rings] = readFeature(layer, i, where);
    if (feature.type !== POLYGON) continue;
    features++;
    const cropClass = classOf(feature, palette, where);
    if (cropClass === NO_CROP || bordered) {
      const { color, width } = cropClass === NO_CROP ? NO_CROP_OUTLINE : BORDER;
      pen.strokeStyle = color;
      pen.lineWidth = width;
      strokeRings(pen, rings, box, unit, layer.extent);
    }
    // A field without a crop covers what is under it, like any other.
    fillPolygon(patch, rings, patch.placement(unit), cropClass === NO_CROP ? GROUND : cropClass);
  }
  pen.restore();
  mosaic.add(patch);
  return features;
}

function readFeature(layer: Layer, i: number, where: Where): [VectorTileFeature, Point[][]] {
  try {
    const feature = layer.feature(i);
    return [feature, feature.loadGeometry()];
  } catch (cause) {
    throw new PipelineError("input", "Feature cannot be read", { ...where, feature: i }, { cause });
  }
}

function classOf({ properties, id }: VectorTileFeature, palette: CropPalette, where: Where): number {
  const { crop_code: code } = properties;
  if (code === undefined) return NO_CROP;
  if (typeof code !== "number") {
    const received = JSON.stringify(code);
    throw new PipelineError("input", "A field's crop_code is not a number", { ...where, feature: id, received });
  }
  try {
    return palette.classOf(code);
  } catch (error) {
    throw asPipelineError(error, "input", "Unknown crop", { ...where });
  }
}

/** Outline of a polygon, without the tiler's cuts at or beyond the tile's side. */
function strokeRings(pen: SKRSContext2D, rings: Point[][], box: Box, unit: number, extent: number): void {
  pen.beginPath();
  for (const ring of rings) {
    for (let i = 0; i + 1 < ring.length; i++) {
      const [a, b] = [ring[i] as Point, ring[i + 1] as Point];
      if (i === 0 || isCut(ring[i - 1] as Point, a, extent)) pen.moveTo(box.left + unit * a.x, box.top + unit * a.y);
      if (!isCut(a, b, extent)) pen.lineTo(box.left + unit * b.x, box.top + unit * b.y);
    }
  }
  pen.stroke();
}

function isCut(a: Point, b: Point, extent: number): boolean {
  const along = (p: number, q: number) => p === q && (p <= 0 || p >= extent);
  return along(a.x, b.x) || along(a.y, b.y);
}
