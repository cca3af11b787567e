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
  | { readonly place: "missing"; readonly name: string; readonly expected: string; readonly received: string };

/** Packed, or the raster itself. */
export type Form = "zip" | "raster";

/** Names that a folder is searched for, in this order. */
const EXTENSIONS = ["tif", "tiff", "img", "zip"] as const;

/**
 * Fill the year into the configured source and look what lies there.
 *
 * @param template  http(s):// or file:// URL or a path, with {year}; or a folder
 *   that holds `{year}_30m_cdls.zip`, `.tif` or `.img` (a raster wins over a zip).
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
    return { place: "missing", name: path, expected: basename(path), received: "no such file or folder" };
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
  const names = readdirSync(folder);
  for (const extension of EXTENSIONS) {
    const wanted = `${year}_30m_cdls.${extension}`;
    const found = names.find((name) => name.toLowerCase() === wanted);
    if (found === undefined) continue;
    return { place: "local", name: folder, form: extension === "zip" ? "zip" : "raster", file: join(folder, found) };
  }
  const others = names.filter((name) => /\.(tiff?|img|zip)$/i.test(name)).sort();
  const received =
    others.length === 0
      ? "no zip or raster at all"
      : others.slice(0, 10).join(" ") + (others.length > 10 ? " ..." : "");
  return { place: "missing", name: folder, expected: `${year}_30m_cdls.zip, .tif or .img`, received };
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
