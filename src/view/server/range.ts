import type { IncomingHttpHeaders } from "node:http";

/** Requested bytes; `end` is exclusive. */
export type RangeAnswer =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "refused" };

const ONE_RANGE = /^\s*(?:(\d+)-(\d*)|-(\d+))\s*$/;

/**
 * The range of a GET's Range header, by RFC 9110.
 *
 * Other units and malformed headers are ignored. Several ranges are refused (416) instead
 * of answered with the whole archive, which may be 17 GB.
 *
 * @param size  of the file, bytes.
 */
export function readRange(header: string | undefined, size: number): RangeAnswer {
  if (header === undefined) return { kind: "whole" };
  const list = /^bytes=(.*)$/i.exec(header.trim())?.[1];
  const matches = list?.split(",").map((part) => ONE_RANGE.exec(part)) ?? [null];
  if (matches.some((match) => match === null)) return { kind: "whole" };
  const [, first, last, suffix] = matches[0] as RegExpExecArray;
  if (suffix === undefined && last !== "" && Number(last) < Number(first)) return { kind: "whole" };
  if (matches.length > 1) return { kind: "refused" };
  const start = suffix === undefined ? Number(first) : Math.max(0, size - Number(suffix));
  const end = suffix !== undefined || last === "" ? size : Math.min(size, Number(last) + 1);
  return start < end ? { kind: "part", start, end } : { kind: "refused" };
}

/**
 * If-Match and If-None-Match against a strong entity tag.
 *
 * @returns `failed` for 412, `same` for 304.
 */
export function checkConditions(headers: IncomingHttpHeaders, etag: string): "go on" | "same" | "failed" {
  const match = headers["if-match"];
  if (match !== undefined && match.trim() !== "*" && !tagsOf(match).includes(etag)) return "failed";
  const none = headers["if-none-match"];
  if (none === undefined) return "go on";
  const weak = tagsOf(none).map((tag) => tag.replace(/^W\//, ""));
  return none.trim() === "*" || weak.includes(etag) ? "same" : "go on";
}

/** True if a Range applies: there is no If-Range, or it has this tag (a date never matches: none was sent). */
export function rangeStands(headers: IncomingHttpHeaders, etag: string): boolean {
  const condition = headers["if-range"];
  return condition === undefined || String(condition).trim() === etag;
}

function tagsOf(header: string): string[] {
  return header.match(/(?:W\/)?"[^"]*"/g) ?? [];
}
