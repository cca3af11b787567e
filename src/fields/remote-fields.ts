import { basename, join } from "node:path";
import { fetchFile } from "../network/fetch-file.js";
import { checkRemote, type RemoteAccess } from "../network/remote-access.js";
import { isRemote } from "../network/remote-url.js";
import type { Context } from "../pipeline/context.js";
import { clearScratch, endScratch, openScratch } from "../pipeline/output.js";

/**
 * Do something with the fields at `path`: where that is an http(s):// or s3:// URL, with a download of them in scratch
 * next to `target`, removed afterwards. The caller holds the lock of `target`.
 *
 * @throws {PipelineError} network, as fetchFile.
 */
export async function withLocalFields<T>(
  path: string,
  target: string,
  access: RemoteAccess,
  ctx: Context,
  use: (local: string) => Promise<T>,
): Promise<T> {
  const beside = `${target}.download`;
  // What a killed run left.
  clearScratch(beside);
  if (!isRemote(path)) return use(path);
  const scratch = openScratch(beside);
  try {
    return await use(await fetchFields(path, scratch.path, access, ctx));
  } finally {
    endScratch(scratch, false, ctx);
  }
}

/**
 * Download a file of fields whole: their geometry is most of it.
 *
 * @returns the file, in `folder`, under its own name.
 */
export async function fetchFields(url: string, folder: string, access: RemoteAccess, ctx: Context): Promise<string> {
  const name = basename(decodeURIComponent(checkRemote(url, "The source of the fields").pathname)) || "fields";
  const path = join(folder, name);
  const { total } = await fetchFile(url, path, access, ctx);
  ctx.log.info("downloading fields", { url, MiB: total === undefined ? undefined : Math.ceil(total / 2 ** 20) });
  return path;
}
