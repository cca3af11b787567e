import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { RemoteAccess } from "../network/remote-access.js";
import { fetchFrom } from "../network/remote-fetch.js";
import { RemoteFile } from "../network/remote-file.js";
import { isRemote, isS3 } from "../network/remote-url.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";

/**
 * Where a year's raster comes from. `name` is the configured source with the year
 * filled in (a URL or an absolute path); fingerprints compare it.
 */
export type Source =
  | { readonly place: "remote"; readonly name: string; readonly form: Form | "folder" }
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
 * @param template  http(s)://, s3:// or file:// URL or a path, with {year}; or a folder
 *   that holds one zip, .tif or .img a year whose name has the year in it; USDA's own names, as
 *   `{year}_30m_cdls.zip`, win over others, and a raster wins over a zip of the same name.
 * @throws {PipelineError} usage, when the template would give every year the same
 *   file, or is of another scheme. A file that is not there is no error here: a
 *   finished output does not need its source any more.
 */
export function locateSource(template: string, year: number): Source {
  const text = template.replaceAll("{year}", String(year));
  if (isRemote(text)) return remoteSource(template, text, year);
  if (/^[a-z][a-z0-9+.-]+:/i.test(text) && !/^file:/i.test(text)) {
    throw usage("--cdl-source must be http(s)://, s3://, file:// or a path", template);
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
  // A URL object would change the name of an S3 object.
  const name = isS3(text) ? text : url.href;
  if (/(^|\/)$/.test(url.pathname) && url.search === "")
    return { place: "remote", name: name.replace(/\/*$/, "/"), form: "folder" };
  namesTheYear(template, text, year);
  return { place: "remote", name, form: formOfName(url.pathname) };
}

function formOfName(name: string): Form {
  return /\.(tiff?|img)$/i.test(name) ? "raster" : "zip";
}

/**
 * The year's file in a folder on a server: of a bucket's objects, or of the names that the folder's page links to. A
 * server that lists nothing is asked for USDA's own name.
 *
 * @throws {PipelineError} network; input, when none or several of the files there are of the year.
 */
export async function findInFolder(folder: string, year: number, access: RemoteAccess, ctx: Context) {
  const names = isS3(folder) ? await listBucket(folder, access, ctx) : await listPage(folder, access, ctx);
  if (names === undefined) return { name: `${folder}${year}_30m_cdls.zip`, form: "zip" } as const;
  const chosen = chooseName(names, year);
  if (chosen.name === undefined) {
    const { sentence, expected, received } = chosen;
    throw new PipelineError("input", sentence, { url: folder, year, expected, received });
  }
  ctx.log.info(`raster of ${year}: ${chosen.name}`, { url: folder });
  const last = isS3(folder) ? chosen.name : encodeURIComponent(chosen.name);
  return { name: folder + last, form: formOfName(chosen.name) };
}

async function listBucket(folder: string, access: RemoteAccess, { signal }: Context): Promise<string[]> {
  const { listS3 } = await import("../network/s3-fetch.js");
  return listS3(folder, access, signal);
}

/** Names that an HTML page of a server's folder links to; undefined where there is no such page. */
async function listPage(folder: string, access: RemoteAccess, ctx: Context): Promise<string[] | undefined> {
  const { url, head, size } = await RemoteFile.open(folder, access, ctx).catch((error: unknown) => {
    // Servers that do not list say so by 403 or 404.
    if (error instanceof PipelineError && /HTTP 40[345]/.test(String(error.where.received)))
      return { url: folder, head: undefined, size: 0 };
    throw error;
  });
  if (head === undefined && size === 0) return undefined;
  const response = await fetchFrom(access)(url, { signal: ctx.signal });
  const page = await response.text();
  const names = [...page.matchAll(/\bhref\s*=\s*["']?([^"'\s>?#]+)/gi)].flatMap(([, link]) => {
    const target = URL.canParse(link as string, folder) ? new URL(link as string, folder).href : "";
    const name = target.startsWith(folder) ? target.slice(folder.length) : "";
    return FILE.test(name) && !name.includes("/") ? [decodeURIComponent(name)] : [];
  });
  return names.length > 0 ? [...new Set(names)] : undefined;
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
  const chosen = chooseName(readdirSync(folder), year);
  if (chosen.name === undefined) return { place: "missing", ...chosen, name: folder };
  const file = join(folder, chosen.name);
  return { place: "local", name: folder, form: formOfName(chosen.name), file };
}

/** The one file of a year among those of a folder, or what there is instead. */
function chooseName(all: readonly string[], year: number) {
  const names = all.filter((name) => FILE.test(name));
  const ofYear = names.filter((name) => new RegExp(`(?<!\\d)${year}(?!\\d)`).test(name));
  const official = ofYear.filter((name) => new RegExp(`^${year}_\\d+m_cdls\\.\\w+$`, "i").test(name));
  const found = bestFormats(official.length > 0 ? official : ofYear);
  const [name, ...more] = found;
  if (name !== undefined && more.length === 0) return { name };
  const list = (found.length > 0 ? found : names).sort();
  const received =
    list.length === 0 ? "no zip or raster at all" : list.slice(0, 10).join(" ") + (list.length > 10 ? " ..." : "");
  const expected = `${year}_30m_cdls.zip, .tif or .img, or one file whose name holds ${year}`;
  return { name: undefined, sentence: found.length > 0 ? SEVERAL : NONE, expected, received };
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
