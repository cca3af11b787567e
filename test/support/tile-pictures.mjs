// What two archives of the same fields look like, zoom by zoom, side by side: the picture in docs/ that compares tilers.
// node test/support/tile-pictures.mjs OUT.png --fields F --crops Z --at lng,lat --zooms 4,6,8,9,12 NAME=ARCHIVE ...
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createCanvas } from "@napi-rs/canvas";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { Painting, ringsOf, sourceFields, tilesOf } from "./tile-judge.mjs";

/** A map's side in CSS pixels; a tile has 512 of them. */
const SIDE = 300;
const TILE = 512;
const EXTENT = 4096;
/** Pixels of the picture for a CSS pixel. */
const RATIO = 2;
const GAP = 8;
const HEAD = 26;
const GROUND = [0xf2, 0xf1, 0xec];
const GRAY = [0x9e, 0x9e, 0x9e];

const COLORS = new Map(
  CDL_LEGEND.map(({ code, color }) => [code, [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16))]),
);

/** Crop codes of a square of SIDE CSS pixels around a place, of one zoom's tiles. */
function paintAround(path, fields, z, [lng, lat]) {
  const pixels = TILE * 2 ** z;
  const y = 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI);
  const [left, top] = [Math.round((lng / 360 + 0.5) * pixels - SIDE / 2), Math.round(y * pixels - SIDE / 2)];
  const picture = new Painting(SIDE * RATIO, SIDE * RATIO);
  for (const tile of tilesOf(path, [z, z])) {
    const [dx, dy] = [tile.x * TILE - left, tile.y * TILE - top];
    if (dx >= SIDE || dy >= SIDE || dx + TILE <= 0 || dy + TILE <= 0) continue;
    const layer = tile.layers.fields;
    // A tile is drawn within its own square, as maps do.
    const own = new Painting(TILE * RATIO, TILE * RATIO);
    for (let i = 0; i < (layer?.length ?? 0); i++) {
      const feature = layer.feature(i);
      own.paint(ringsOf(feature), fields[feature.id]?.crop ?? 255, (TILE * RATIO) / EXTENT, 0, 0);
    }
    for (let v = Math.max(0, -dy * RATIO); v < Math.min(own.height, picture.height - dy * RATIO); v++) {
      const from = Math.max(0, -dx * RATIO);
      const to = Math.min(own.width, picture.width - dx * RATIO);
      const row = own.codes.subarray(v * own.width + from, v * own.width + to);
      picture.codes.set(row, (v + dy * RATIO) * picture.width + from + dx * RATIO);
    }
  }
  return picture;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    fields: { type: "string" },
    crops: { type: "string" },
    at: { type: "string" },
    zooms: { type: "string", default: "4,6,8,9,12" },
  },
});
const [out, ...named] = positionals;
if (!out || named.length === 0 || !values.fields || !values.crops || !values.at) {
  throw new Error("Usage: tile-pictures.mjs OUT.png --fields F --crops Z --at lng,lat NAME=ARCHIVE ...");
}
const fields = await sourceFields(values.fields, values.crops);
const place = values.at.split(",").map(Number);
const zooms = values.zooms.split(",").map(Number);
const side = SIDE * RATIO;
const canvas = createCanvas(zooms.length * (side + GAP) - GAP, named.length * (side + HEAD * RATIO + GAP) - GAP);
const context = canvas.getContext("2d");
context.fillStyle = "white";
context.fillRect(0, 0, canvas.width, canvas.height);
context.fillStyle = "#202020";
context.font = `${14 * RATIO}px sans-serif`;
for (const [row, text] of named.entries()) {
  const [name, path] = [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)];
  for (const [column, z] of zooms.entries()) {
    const { codes } = paintAround(path, fields, z, place);
    const image = context.createImageData(side, side);
    codes.forEach((code, i) => {
      image.data.set(code < 0 ? GROUND : (COLORS.get(code) ?? GRAY), 4 * i);
      image.data[4 * i + 3] = 255;
    });
    const [x, y] = [column * (side + GAP), row * (side + HEAD * RATIO + GAP)];
    context.fillText(`${name}, zoom ${z}`, x + 4, y + 18 * RATIO);
    context.putImageData(image, x, y + HEAD * RATIO);
  }
}
writeFileSync(out, await canvas.encode("png"));
