import { PipelineError } from "../pipeline/errors.js";
import type { Version } from "./part-file.js";

/** What an answer says of the file. */
export function versionOf(response: Response, url: string): Version {
  const etag = response.headers.get("etag");
  const lastModified = response.headers.get("last-modified");
  const length = response.headers.get("content-length");
  const total = response.status === 206 ? contentRange(response)?.total : length === null ? undefined : Number(length);
  return { url, ...(etag && { etag }), ...(lastModified && { lastModified }), ...(total !== undefined && { total }) };
}

/** Without any validator the total alone must do; the zip's checksums have the last word. */
export function sameVersion(before: Version | undefined, now: Version): boolean {
  const agrees = <T>(a: T | undefined, b: T | undefined) => a === undefined || b === undefined || a === b;
  return (
    before !== undefined &&
    agrees(before.etag, now.etag) &&
    agrees(before.lastModified, now.lastModified) &&
    agrees(before.total, now.total)
  );
}

/** Range of a partial response; undefined when the response does not state it. */
export function contentRange(response: Response): { start: number; total: number | undefined } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (match === null) return undefined;
  return { start: Number(match[1]), total: match[2] === "*" ? undefined : Number(match[2]) };
}

/** Ask for bytes from `offset` to `end`, exclusive, of one version. */
export function rangeHeaders(offset: number, version: Version | undefined, end?: number): Record<string, string> {
  // If-Range takes only strong validators; a weak one is compared by ourselves in the answer.
  const validator = version?.etag?.startsWith('"') ? version.etag : version?.lastModified;
  return { range: `bytes=${offset}-${end === undefined ? "" : end - 1}`, ...(validator && { "if-range": validator }) };
}

/** @throws {PipelineError} network, when sizes and ranges speak of other bytes than those that arrive. */
export function requireIdentity(response: Response, url: string): void {
  const received = response.headers.get("content-encoding") ?? "identity";
  if (received === "identity") return;
  throw new PipelineError("network", "Server sends the file with a content encoding", {
    url,
    expected: "identity",
    received,
  });
}
