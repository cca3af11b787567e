import type { IncomingHttpHeaders } from "node:http";

/** Bytes that a request asks for; `end` is exclusive. */
export type RangeAnswer =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "refused" };

const ONE_RANGE = /^\s*(?:(\d+)-(\d*)|-(\d+))\s*$/;

/**
 * What a GET's Range header asks for, by RFC 9110.
 *
 * Another unit, or a header that is not well formed, is as if it were not there. Several
 * ranges are refused (416) and not answered by the whole archive, which may be 17 GB.
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

/** True when a Range counts: there is no If-Range, or it holds this very tag (a date never does: none was sent). */
export function rangeStands(headers: IncomingHttpHeaders, etag: string): boolean {
  const condition = headers["if-range"];
  return condition === undefined || String(condition).trim() === etag;
}

function tagsOf(header: string): string[] {
  return header.match(/(?:W\/)?"[^"]*"/g) ?? [];
}
