import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Layout, Options } from "../config/config.js";
import { checkEndpoint } from "../network/aws-client.js";
import { ProxyRules } from "../network/proxy.js";
import { PipelineError } from "../pipeline/errors.js";
import type { Target } from "./target.js";
import { FileTarget } from "./target-file.js";
import type { S3Tuning } from "./target-s3.js";

/** S3 bucket names; older buckets may hold capitals and underscores. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;

type TargetPlace =
  | { readonly name: string; readonly folder: string }
  | { readonly name: string; readonly bucket: string; readonly prefix: string; readonly endpoint: string | undefined };

/**
 * What the options name as the target: a folder, or a bucket and a prefix in it.
 *
 * @returns with `name` as in Target.
 * @throws {PipelineError} usage, when it is neither `s3://bucket/prefix` nor `file:folder`.
 */
export function targetPlace(options: Options, layout: Layout): TargetPlace {
  const text = options.target;
  const inFolder = (folder: string) => ({ name: `file:${folder}`, folder });
  if (text === undefined) return inFolder(dirname(layout.manifest));
  if (text.startsWith("file:")) return inFolder(folderOf(text));
  if (!text.startsWith("s3://")) throw badTarget(text);
  const [bucket = "", ...parts] = text.slice("s3://".length).split("/");
  if (!BUCKET.test(bucket)) throw badTarget(text);
  const prefix = parts.filter((part) => part !== "").join("/");
  const name = `s3://${[bucket, prefix].filter(Boolean).join("/")}`;
  return { name, bucket, prefix, endpoint: checkEndpoint(options.endpoint) };
}

/**
 * The target that the options name; no connection is made yet. The AWS SDK is loaded for buckets alone.
 *
 * @throws {PipelineError} usage, as targetPlace.
 */
export async function openTarget(options: Options, layout: Layout, tuning: S3Tuning = {}): Promise<Target> {
  const place = targetPlace(options, layout);
  if ("folder" in place) return new FileTarget(place.folder);
  const { S3Target } = await import("./target-s3.js");
  const { bucket, prefix, endpoint } = place;
  return new S3Target({
    bucket,
    prefix,
    endpoint,
    region: options.s3Region,
    checksums: options.s3Checksums === "auto",
    profile: options.profile,
    retries: options.retries,
    proxies: ProxyRules.of(options.proxy),
    tuning,
  });
}

function folderOf(text: string): string {
  const path = text.slice("file:".length);
  if (path === "") throw badTarget(text);
  try {
    return path.startsWith("//") ? fileURLToPath(text) : resolve(path);
  } catch {
    throw badTarget(text);
  }
}

function badTarget(received: string): PipelineError {
  return new PipelineError("usage", "Option target must be s3://bucket/prefix or file:folder", { received });
}
