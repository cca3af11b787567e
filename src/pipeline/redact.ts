import { createHash } from "node:crypto";

/** A URL in a text: scheme, what stands before the @, host and path, query and fragment. */
const URL_IN_TEXT = /\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/?#"'<>]*@)?([^\s?#"'<>]*)([?#][^\s"'<>]*)?/gi;
/** Signatures and tokens of a query that stands without its URL. */
const SECRET =
  /\b((?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|awsaccesskeyid|sig|token)=)[^&\s"'<>]+/gi;

/**
 * A text without what may be secret in its URLs: user and password, and the query, where pre-signed URLs have
 * their signature. For whatever people or files get to see.
 */
export function redact(text: string): string {
  if (!text.includes("://") && !text.includes("=")) return text;
  return text
    .replace(URL_IN_TEXT, (_whole, scheme: string, place: string, rest: string | undefined) => {
      if (rest === undefined) return scheme + place;
      // A sentence's own punctuation is no part of the URL.
      const end = /[),.;:\]}]*$/.exec(rest)?.[0] ?? "";
      return `${scheme}${place}${rest.length > end.length ? `${rest[0]}...` : ""}${end}`;
    })
    .replace(SECRET, "$1...");
}

/** The same of all texts in a value, for JSON. */
export function redactAll(value: unknown): unknown {
  if (typeof value === "string") return redact(value);
  if (Array.isArray(value)) return value.map(redactAll);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, redactAll(one)]));
}

/** A URL to be kept in a record: without secrets, and another one for another query. */
export function redactedIdentity(url: string): string {
  const shown = redact(url);
  return shown === url ? url : `${shown} (${createHash("sha256").update(url).digest("hex").slice(0, 12)})`;
}
