import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Layout, Options } from "../config/config.js";
import { checkEndpoint } from "../network/aws-client.js";
import { ProxyRules } from "../network/proxy.js";
import { PipelineError } from "../pipeline/errors.js";
import type { Target } from "./target.js";
import { FileTarget } from "./target-file.js";
import { S3Target, type S3Tuning } from "./target-s3.js";

/** S3 bucket names; older buckets may hold capitals and underscores. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;

/**
 * The target that the options name; no connection is made yet.
 *
 * @throws {PipelineError} usage, when it is neither `s3://bucket/prefix` nor `file:folder`.
 */
export function openTarget(options: Options, layout: Layout, tuning: S3Tuning = {}): Target {
  const text = options.target;
  if (text === undefined) return new FileTarget(dirname(layout.manifest));
  if (text.startsWith("s3://")) {
    const [bucket = "", ...prefix] = text.slice("s3://".length).split("/");
    if (!BUCKET.test(bucket)) throw badTarget(text);
    return new S3Target({
      bucket,
      prefix: prefix.filter((part) => part !== "").join("/"),
      endpoint: checkEndpoint(options.endpoint),
      region: options.s3Region,
      checksums: options.s3Checksums === "auto",
      profile: options.profile,
      retries: options.retries,
      proxies: ProxyRules.of(options.proxy),
      tuning,
    });
  }
  if (text.startsWith("file:")) return new FileTarget(folderOf(text));
  throw badTarget(text);
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
