import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import Flatbush from "flatbush";
import { planFields } from "../fields/field-plan.js";
import type { FieldsFile } from "../fields/fields-file.js";
import type { FieldSlice } from "../fields/reader.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { fileDigest, fingerprint } from "../pipeline/fingerprint.js";
import { BOXES_OFFSET, type LookupHeader, MAGIC, TRAILER_BYTES, VERSION } from "./format.js";
import { orderIds } from "./id-order.js";
import { boxSlice } from "./tasks.js";

/** Slices handed out beyond the number of workers. */
const AHEAD = 2;
/** Written at a time: one write takes 2 GiB at most. */
const WRITE_BYTES = 64 * 2 ** 20;
/** Children of a node, flatbush's own standard. */
const NODE_SIZE = 16;

/** What a lookup index is made from. */
export function lookupFingerprint({ path, idColumn, geometryColumn, crs }: FieldsFile): string {
  return fingerprint({ version: VERSION, fields: fileDigest(path), idColumn, geometryColumn, crs });
}

/**
 * Build the lookup index of a field set. Polygons are read by workers, slice by slice; boxes
 * and ids are held, 29 bytes a field and 4 more while the boxes are sorted.
 *
 * @throws {PipelineError} input, naming file and rows, where the parquet is damaged; a file without rows.
 */
export async function buildLookup(
  fields: FieldsFile,
  path: string,
  batch: number,
  pool: Pool,
  ctx: Context,
): Promise<LookupHeader> {
  const { idColumn, geometryColumn, rows } = fields;
  if (rows === 0) throw new PipelineError("input", "The fields file has no rows", { path: fields.path });
  const tree = new Flatbush(rows, NODE_SIZE, Float32Array);
  const hashes = new Uint32Array(rows);
  const task = ctx.progress.start("fields indexed", rows);
  let [row, withoutPolygon] = [0, 0];
  try {
    const { slices } = await planFields(fields, batch, pool, ctx);
    const read = (slice: FieldSlice) =>
      pool.run(boxSlice, { path: fields.path, slice, idColumn, geometryColumn }).catch((cause: unknown) => {
        const range = `${slice.firstRow}..${slice.firstRow + slice.rows}`;
        throw asPipelineError(cause, "input", "Fields cannot be read", { path: fields.path, rows: range });
      });
    for await (const { box, idHash } of mapOrdered(slices, pool.threads + AHEAD, read)) {
      ctx.signal.throwIfAborted();
      for (let i = 0; i < box.length; i += 4) {
        if (box[i] === Infinity) withoutPolygon++;
        tree.add(box[i] as number, box[i + 1] as number, box[i + 2], box[i + 3]);
      }
      hashes.set(idHash, row);
      row += idHash.length;
      task.update(row);
    }
  } finally {
    task.end();
  }
  tree.finish();
  const ids = orderIds(hashes);
  const file = await open(path, "w");
  try {
    const boxes = new Uint8Array(tree.data);
    const idsOffset = BOXES_OFFSET + 8 * Math.ceil(boxes.length / 8);
    const idBytes = new Uint8Array(ids.buffer);
    const header: LookupHeader = {
      version: VERSION,
      fields: lookupFingerprint(fields),
      rows,
      withoutPolygon,
      extent: withoutPolygon === rows ? null : [tree.minX, tree.minY, tree.maxX, tree.maxY],
      boxesBytes: boxes.length,
      boxesCrc: crc32(boxes),
      idsOffset,
      idsCrc: crc32(idBytes),
    };
    await write(file, MAGIC, 0);
    await write(file, boxes, BOXES_OFFSET);
    await write(file, idBytes, idsOffset);
    const json = Buffer.from(JSON.stringify(header));
    const headerOffset = idsOffset + idBytes.length;
    const trailer = Buffer.alloc(TRAILER_BYTES);
    trailer.writeBigUInt64LE(BigInt(headerOffset), 0);
    trailer.writeUInt32LE(json.length, 8);
    trailer.writeUInt32LE(crc32(json), 12);
    MAGIC.copy(trailer, 16);
    await write(file, Buffer.concat([json, trailer]), headerOffset);
    return header;
  } finally {
    await file.close();
  }
}

async function write(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(WRITE_BYTES, bytes.length - at), offset + at);
    at += bytesWritten;
  }
}
