import gdal from "gdal-async";
import { PipelineError } from "../pipeline/errors.js";

/**
 * The name by which GDAL reads a raster at a URL by ranges. Of s3:// URLs it takes credentials, region and endpoint
 * from the variables and files of the AWS tools (AWS_PROFILE, AWS_REGION, AWS_S3_ENDPOINT ...).
 *
 * @throws {PipelineError} usage, when the URL carries a user or a password: it would stand in logs.
 */
export function remoteName(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined) throw new PipelineError("usage", "Raster is no URL", { received: url });
  if (parsed.username !== "" || parsed.password !== "") {
    throw new PipelineError("usage", "URL of a raster must not carry a user name or password", { host: parsed.host });
  }
  for (const [key, value] of Object.entries(SETTINGS)) if (gdal.config.get(key) === null) gdal.config.set(key, value);
  // Of the variables that the other downloads know, curl takes all but this one.
  if (process.env.HTTP_PROXY !== undefined) process.env.http_proxy ??= process.env.HTTP_PROXY;
  return parsed.protocol === "s3:" ? `/vsis3/${url.slice("s3://".length)}` : `/vsicurl/${url}`;
}

/** A request costs a round trip: what is read of a header at once, and how often one that failed is tried again. */
const SETTINGS: Readonly<Record<string, string>> = {
  GDAL_INGESTED_BYTES_AT_OPEN: "65536",
  GDAL_HTTP_MAX_RETRY: "4",
  GDAL_HTTP_RETRY_DELAY: "1",
  GDAL_HTTP_CONNECTTIMEOUT: "30",
};
