import { gzipSync } from "node:zlib";
import { PipelineError } from "../pipeline/errors.js";
import { Entries } from "./entries.js";
import { HEADER_BYTES, ROOT_AREA_BYTES } from "./header.js";
import { firstTileId, MAX_ZOOM } from "./tile-id.js";
import { VarintReader, VarintWriter } from "./varint.js";

/** Bytes that the root directory may take after the header. */
export const ROOT_LIMIT = ROOT_AREA_BYTES - HEADER_BYTES;
/** Plain bytes for a packed one in all directories of an archive: real ones have 2 to 10, ... */
const PLAIN_FACTOR = 64;
/** ... ones of a made-up archive whose tiles are all alike more, but those are small. */
const PLAIN_BYTES = 32 * 2 ** 20;
/** Entries in a leaf to begin with, and how it grows until the root fits: as go-pmtiles does. */
const LEAF_ENTRIES = 4096;
const LEAVES_WANTED = 3500;
const LEAF_GROWTH = 1.2;

/**
 * Read one directory: number of entries, then four columns (tile ids as
 * differences, run lengths, lengths, offsets; offset 0 = right after the entry
 * before, else offset + 1).
 *
 * @param plain  decompressed.
 * @throws {PipelineError} input, saying what is wrong with it.
 */
export function decodeDirectory(plain: Uint8Array): Entries {
  try {
    return decodeColumns(plain);
  } catch (cause) {
    if (cause instanceof PipelineError) throw cause;
    throw new PipelineError("input", "Directory cannot be read", {}, { cause });
  }
}

function decodeColumns(bytes: Uint8Array): Entries {
  const reader = new VarintReader(bytes);
  const count = reader.next();
  // Four numbers an entry, a byte or more each: a damaged count must not allocate gigabytes.
  if (count * 4 > bytes.length) {
    throw new PipelineError("input", "Directory is shorter than its entries", { entries: count, bytes: bytes.length });
  }
  const entries = new Entries(count);
  entries.count = count;
  let tileId = 0;
  for (let i = 0; i < count; i++) {
    const delta = reader.next();
    if (i > 0 && delta === 0) throw new PipelineError("input", "Directory has a tile id twice", { entry: i, tileId });
    tileId += delta;
    if (tileId >= PAST_LAST_TILE) {
      throw new PipelineError("input", "Directory has an invalid tile id", {
        entry: i,
        expected: `less than ${PAST_LAST_TILE}, the first past zoom ${MAX_ZOOM}`,
        received: tileId,
      });
    }
    entries.tileIds[i] = tileId;
  }
  for (let i = 0; i < count; i++) entries.runLengths[i] = uint32(reader.next(), "run length", i);
  for (let i = 0; i < count; i++) {
    entries.lengths[i] = uint32(reader.next(), "length", i);
    if (entries.lengths[i] === 0) throw new PipelineError("input", "Directory has an empty content", { entry: i });
  }
  for (let i = 0; i < count; i++) {
    const value = reader.next();
    if (value === 0 && i === 0) {
      throw new PipelineError("input", "Directory's first entry has no offset", { entry: 0 });
    }
    entries.offsets[i] = value === 0 ? entries.offset(i - 1) + entries.length(i - 1) : value - 1;
  }
  if (!reader.done) {
    throw new PipelineError("input", "Directory is longer than its entries", {
      entries: count,
      expected: reader.position,
      received: bytes.length,
    });
  }
  return entries;
}

const PAST_LAST_TILE = firstTileId(MAX_ZOOM + 1);

/** Plain bytes that the directories of an archive may have, by their packed ones. */
export function directoryLimit(packedBytes: number): number {
  return PLAIN_FACTOR * packedBytes + PLAIN_BYTES;
}

function uint32(value: number, what: string, entry: number): number {
  if (value > 0xffffffff) {
    throw new PipelineError("input", `Directory has an invalid ${what}`, { entry, received: value });
  }
  return value;
}

/** Write entries [from, to) as one directory, gzip. */
export function encodeDirectory(entries: Entries, from = 0, to = entries.count): Uint8Array {
  const writer = new VarintWriter();
  writer.put(to - from);
  let before = 0;
  for (let i = from; i < to; i++) {
    writer.put(entries.tileId(i) - before);
    before = entries.tileId(i);
  }
  for (let i = from; i < to; i++) writer.put(entries.runLength(i));
  for (let i = from; i < to; i++) writer.put(entries.length(i));
  for (let i = from; i < to; i++) {
    const follows = i > from && entries.offset(i) === entries.offset(i - 1) + entries.length(i - 1);
    writer.put(follows ? 0 : entries.offset(i) + 1);
  }
  return gzipSync(writer.finish(), { level: 9 });
}

/**
 * Root and leaf directories for all entries: the root alone where it fits in the
 * first 16 KiB, else leaves, as few entries in each as the root can point to.
 */
export function encodeDirectories(entries: Entries): { root: Uint8Array; leaves: Uint8Array } {
  if (entries.count < ROOT_LIMIT) {
    const root = encodeDirectory(entries);
    if (root.length <= ROOT_LIMIT) return { root, leaves: new Uint8Array() };
  }
  for (
    let size = Math.max(LEAF_ENTRIES, Math.ceil(entries.count / LEAVES_WANTED));
    ;
    size = Math.ceil(size * LEAF_GROWTH)
  ) {
    const pointers = new Entries();
    const leaves: Uint8Array[] = [];
    let offset = 0;
    for (let from = 0; from < entries.count; from += size) {
      const leaf = encodeDirectory(entries, from, Math.min(from + size, entries.count));
      pointers.push(entries.tileId(from), offset, leaf.length, 0);
      leaves.push(leaf);
      offset += leaf.length;
    }
    const root = encodeDirectory(pointers);
    if (root.length <= ROOT_LIMIT) return { root, leaves: Buffer.concat(leaves) };
  }
}
