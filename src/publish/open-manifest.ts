import { basename } from "node:path";
import type { Layout, Options } from "../config/config.js";
import type { ManifestFile } from "./manifest-update.js";
import { openTarget } from "./open-target.js";
import type { S3Tuning } from "./target-s3.js";

/**
 * The manifest at the target that the options name; no connection is made yet.
 *
 * @throws {PipelineError} usage, when the target is none.
 */
export async function openManifest(options: Options, layout: Layout, tuning: S3Tuning = {}): Promise<ManifestFile> {
  const { region, manifestFormat: format, allowRace } = options;
  const target = await openTarget(options, layout, tuning);
  return { target, key: basename(layout.manifest), region, format, allowRace };
}
