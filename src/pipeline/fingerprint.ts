import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { openInput } from "./input-file.js";

/** Files up to this size are hashed whole. */
export const WHOLE_BYTES = 16 * 2 ** 20;
const END_BYTES = 2 ** 20;
const SAMPLE_BYTES = 64 * 2 ** 10;
const SAMPLES = 62;

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** SHA-256 over a JSON value, keys sorted: the same inputs give the same 64 hex digits. */
export function fingerprint(value: Json): string {
  return createHash("sha256").update(canonical(value)).digest("hex");
}

function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined) as [string, Json][];
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/**
 * A file's identity by content: size, and SHA-256 of the whole file up to 16 MiB,
 * else of its first and last MiB (parquet's footer and a zip's directory lie
 * there) and 62 samples of 64 KiB spread evenly. At most 6 MiB is read, so a
 * rerun over 20 GB inputs stays under a second. Times are left out: they mislead
 * on shared file systems and after a copy.
 */
export function fileDigest(path: string): string {
  const fd = openInput(path);
  try {
    const { size } = fstatSync(fd);
    const hash = createHash("sha256").update(`${size}:`);
    const add = (offset: number, length: number) => {
      const buffer = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const n = readSync(fd, buffer, filled, length - filled, offset + filled);
        if (n === 0) break;
        filled += n;
      }
      hash.update(buffer.subarray(0, filled));
    };
    if (size <= WHOLE_BYTES) {
      add(0, size);
    } else {
      add(0, END_BYTES);
      const stride = Math.floor((size - 2 * END_BYTES - SAMPLE_BYTES) / (SAMPLES - 1));
      for (let i = 0; i < SAMPLES; i++) add(END_BYTES + i * stride, SAMPLE_BYTES);
      add(size - END_BYTES, END_BYTES);
    }
    return `${size}:${hash.digest("hex")}`;
  } finally {
    closeSync(fd);
  }
}

/** SHA-256 of a small file's bytes as hex. */
export async function contentHash(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
