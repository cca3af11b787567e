import { basename, join, resolve } from "node:path";
import type { Layout, Options } from "../config/config.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { type FileEntry, type HistoryEntry, withHistory } from "./manifest.js";
import { copyManifest, type ManifestFile, updateManifest } from "./manifest-update.js";
import { openTarget } from "./open-target.js";
import { CACHE_CONTROL, sendFile, sourceOf } from "./send-file.js";
import { writeStac } from "./stac.js";
import { below, GENERATOR, localPath, tryInvalidation } from "./step.js";

export interface PublishedHistory extends HistoryEntry {
  readonly invalidation: string;
}

/**
 * Publish legend and table of a history next to the manifest, as `{region}_legend.json` and
 * `{region}_history.parquet`, and list them in it. Files that the target already has are not sent again;
 * the caller holds the history's lock.
 *
 * @throws {PipelineError} as publishStep.
 */
export async function publishHistory(
  files: { readonly history: string; readonly legend: string },
  years: readonly number[],
  options: Options,
  layout: Layout,
  ctx: Context,
): Promise<PublishedHistory> {
  const { region, manifestFormat: format, allowRace, publicUrl } = options;
  const target = await openTarget(options, layout);
  const manifest: ManifestFile = { target, key: basename(layout.manifest), region, format, allowRace };
  const send = async (path: string, key: string, contentType: string): Promise<FileEntry> => {
    const source = await sourceOf(path, fileDigest(path), ctx);
    const resumePath = join(layout.state, `${key}.upload.json`);
    await sendFile(target, key, source, { contentType, cacheControl: CACHE_CONTROL, resumePath }, ctx);
    const url = publicUrl === undefined ? await target.url(key) : below(publicUrl, key);
    return { url, key, bytes: source.bytes, checksum: `sha256:${source.checksum}` };
  };
  try {
    const table = await send(files.history, `${region}_history.parquet`, "application/vnd.apache.parquet");
    const legend = await send(files.legend, `${region}_legend.json`, "application/json; charset=utf-8");
    const entry: HistoryEntry = { years, legend, table };
    await updateManifest(manifest, (now) => withHistory(now, entry, { region, generator: GENERATOR }), ctx);
    if (resolve(layout.manifest) !== localPath(target, manifest.key))
      await copyManifest(manifest, layout.manifest, ctx);
    const stac = await writeStac(manifest, undefined, ctx);
    const keys = [manifest.key, legend.key, table.key, ...stac];
    return { ...entry, invalidation: await tryInvalidation(options, target, keys, ctx) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw asPipelineError(error, "publish", "The history cannot be published", { target: target.name });
  }
}
