import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PipelineError } from "../pipeline/errors.js";

/**
 * Where a year's raster comes from. `name` is the configured source with the year
 * filled in (a URL or an absolute path); fingerprints compare it.
 */
export type Source =
  | { readonly place: "remote"; readonly name: string; readonly form: Form }
  | { readonly place: "local"; readonly name: string; readonly form: Form; readonly file: string }
  | {
      readonly place: "missing";
      readonly name: string;
      readonly sentence: string;
      readonly expected: string;
      readonly received: string;
    };

/** Packed, or the raster itself. */
export type Form = "zip" | "raster";

const NONE = "No raster of this year at the source";
const SEVERAL = "Several rasters of this year at the source, which one is unclear: name it with {year} in --cdl-source";

/** Preference when a raster is there in several formats: the first wins. */
const EXTENSIONS = ["tif", "tiff", "img", "zip"] as const;

/**
 * Fill the year into the configured source and look what lies there.
 *
 * @param template  http(s):// or file:// URL or a path, with {year}; or a folder
 *   that holds one zip, .tif or .img a year whose name has the year in it; USDA's own names, as
 *   `{year}_30m_cdls.zip`, win over others, and a raster wins over a zip of the same name.
 * @throws {PipelineError} usage, when the template would give every year the same
 *   file, or is of another scheme. A file that is not there is no error here: a
 *   finished output does not need its source any more.
 */
export function locateSource(template: string, year: number): Source {
  const text = template.replaceAll("{year}", String(year));
  if (/^https?:/i.test(text)) return remoteSource(template, text, year);
  if (/^[a-z][a-z0-9+.-]+:/i.test(text) && !/^file:/i.test(text)) {
    throw usage("--cdl-source must be http(s)://, file:// or a path", template);
  }
  const path = localPath(text, template);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return inFolder(path, year);
  namesTheYear(template, text, year);
  if (stat === undefined)
    return {
      place: "missing",
      name: path,
      sentence: NONE,
      expected: basename(path),
      received: "no such file or folder",
    };
  return { place: "local", name: path, form: formOf(path, template), file: path };
}

function remoteSource(template: string, text: string, year: number): Source {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw usage("--cdl-source is not a URL", template);
  if (url.username !== "" || url.password !== "") {
    throw usage("--cdl-source must not carry a user name or password", `${url.protocol}//…@${url.host}${url.pathname}`);
  }
  if (url.pathname.endsWith("/") && url.search === "")
    return { place: "remote", name: `${url.href}${year}_30m_cdls.zip`, form: "zip" };
  namesTheYear(template, text, year);
  return { place: "remote", name: url.href, form: /\.(tiff?|img)$/i.test(url.pathname) ? "raster" : "zip" };
}

function localPath(text: string, template: string): string {
  if (!/^file:/i.test(text)) return resolve(text);
  if (!text.slice("file:".length).startsWith("//")) return resolve(text.slice("file:".length));
  try {
    return resolve(fileURLToPath(text));
  } catch {
    throw usage("--cdl-source is not a usable file:// URL", template);
  }
}

function inFolder(folder: string, year: number): Source {
  const names = readdirSync(folder).filter((name) => FILE.test(name));
  const ofYear = names.filter((name) => new RegExp(`(?<!\\d)${year}(?!\\d)`).test(name));
  const official = ofYear.filter((name) => new RegExp(`^${year}_\\d+m_cdls\\.\\w+$`, "i").test(name));
  const found = bestFormats(official.length > 0 ? official : ofYear);
  const [name, ...more] = found;
  if (name !== undefined && more.length === 0) {
    return { place: "local", name: folder, form: /\.zip$/i.test(name) ? "zip" : "raster", file: join(folder, name) };
  }
  const list = (found.length > 0 ? found : names).sort();
  const received =
    list.length === 0 ? "no zip or raster at all" : list.slice(0, 10).join(" ") + (list.length > 10 ? " ..." : "");
  const expected = `${year}_30m_cdls.zip, .tif or .img, or one file whose name holds ${year}`;
  return { place: "missing", name: folder, sentence: found.length > 0 ? SEVERAL : NONE, expected, received };
}

const FILE = /\.(tiff?|img|zip)$/i;

/** Without those that are there under the same name in a better format. */
function bestFormats(names: readonly string[]): string[] {
  const rank = (name: string) => EXTENSIONS.findIndex((extension) => name.toLowerCase().endsWith(`.${extension}`));
  const stem = (name: string) => name.slice(0, name.lastIndexOf(".")).toLowerCase();
  return names.filter((name) => !names.some((other) => stem(other) === stem(name) && rank(other) < rank(name)));
}

function formOf(path: string, template: string): Form {
  if (/\.zip$/i.test(path)) return "zip";
  if (/\.(tiff?|img)$/i.test(path)) return "raster";
  throw usage("--cdl-source must name a .zip, .tif or .img file, or a folder", template);
}

/** One file for all years would answer every year with the same crops. */
function namesTheYear(template: string, text: string, year: number): void {
  if (!text.includes(String(year))) throw usage("--cdl-source must contain {year}, or name a folder", template);
}

function usage(sentence: string, received: string): PipelineError {
  return new PipelineError("usage", sentence, { received });
}
