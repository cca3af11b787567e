import { existsSync } from "node:fs";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest, fingerprint } from "../pipeline/fingerprint.js";
import { firstBytes } from "../pipeline/input-file.js";
import { readJson } from "../pipeline/json-file.js";
import { readDocument } from "../pipeline/small-file.js";

const HFA_MAGIC = "EHFA_HEADER_TAG";
/** Classic TIFF and BigTIFF, either byte order. */
const TIFF_MAGICS = ["49492a00", "4d4d002a", "49492b00", "4d4d002b"];

/**
 * The raster's format, from its first bytes.
 *
 * @throws {PipelineError} input, if it is neither TIFF nor ERDAS Imagine.
 */
export function rasterFormat(path: string, year: number): "GeoTIFF" | "HFA" {
  const start = firstBytes(path, HFA_MAGIC.length);
  if (start.toString("latin1") === HFA_MAGIC) return "HFA";
  if (TIFF_MAGICS.includes(start.subarray(0, 4).toString("hex"))) return "GeoTIFF";
  throw new PipelineError("input", "Unsupported raster file", {
    path,
    year,
    expected: "TIFF or ERDAS Imagine",
    received: describeBytes(start),
  });
}

/** Suffix of the file next to a partial copy of a remote raster; see RemoteRaster. */
export const STANDIN = ".remote.json";

/**
 * The raster's identity by content, or for a remote raster by the server's version. It includes side files: an .ige with an
 * .img's pixels, a TIFF's .tfw with the georeferencing, a mask in a .msk, and nodata and georeferencing in an
 * .aux.xml. It does not include statistics and overviews that viewers write next to it.
 */
export function rasterDigest(path: string): string {
  const remote = readJson(path + STANDIN) as { readonly identity: string } | undefined;
  if (remote !== undefined) return remote.identity;
  const aux = `${path}.aux.xml`;
  const files = rasterFiles(path).filter((file) => file === path || (file !== aux && existsSync(file)));
  const said = existsSync(aux) ? readDocument(aux).toString("utf8").match(GDAL_OVERRIDES) : null;
  return [...files.map(fileDigest), ...(said === null ? [] : [fingerprint(said)])].join("+");
}

/** The raster and its side files, existing or not. */
export function rasterFiles(path: string): string[] {
  const stem = path.replace(/\.[^.]*$/, "");
  const extensions = ["ige", "tfw", "tifw", "wld"];
  return [path, ...extensions.map((extension) => `${stem}.${extension}`), `${path}.msk`, `${path}.aux.xml`];
}

/** Elements of an .aux.xml that change which pixels count, or their positions. */
const GDAL_OVERRIDES = /<(?:NoDataValue|GeoTransform|SRS)\b[^>]*>[^<]*<\/|<MDI key="NODATA_VALUES">[^<]*<\//g;

/** A file's first bytes for an error: text if they are text (such as an HTML page instead of the file), else hex. */
export function describeBytes(bytes: Buffer): string {
  if (bytes.length === 0) return "an empty file";
  const text = bytes.toString("latin1");
  return /^[\x20-\x7e\s]+$/.test(text)
    ? `"${text.replaceAll(/\s+/g, " ")}"`
    : `0x${bytes.subarray(0, 8).toString("hex")}`;
}
