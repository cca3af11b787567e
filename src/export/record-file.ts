import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { FieldId } from "../fields/field-id.js";

/** Bytes held for a bucket before they are written. */
const WRITE_BYTES = 2 ** 18;
/** key, row, bytes of the id, bytes of the polygon: 32 bits each; area: float32. */
const HEAD_BYTES = 20;
const NO_ID = 0xffffffff;
/** A share that says that there is no crop. */
const NO_CROP = 255;

/** A field on its way to its place: all that is written of it. */
export interface FieldRecord {
  readonly key: number;
  readonly row: number;
  readonly id: FieldId | null;
  /** NaN where it is not known. */
  readonly areaHa: number;
  /** By year; null where there is no crop. */
  readonly crops: readonly (number | null)[];
  /** Whole percent, by year. */
  readonly shares: readonly (number | null)[];
  /** Empty where there is no polygon. */
  readonly wkb: Uint8Array;
}

interface Bucket {
  readonly path: string;
  readonly fd: number;
  parts: Buffer[];
  bytes: number;
}

/** Fields sorted into files, each of which fits in memory. */
export class RecordFiles {
  readonly #files: readonly Bucket[];

  constructor(
    folder: string,
    count: number,
    private readonly years: number,
    private readonly textIds: boolean,
  ) {
    this.#files = Array.from({ length: count }, (_, i) => {
      const path = join(folder, `bucket-${i}`);
      return { path, fd: openSync(path, "w"), parts: [], bytes: 0 };
    });
  }

  add(bucket: number, { key, row, id, areaHa, crops, shares, wkb }: FieldRecord): void {
    const file = this.#files[bucket] as Bucket;
    const idBytes = id === null ? undefined : Buffer.from(String(id));
    const buffer = Buffer.allocUnsafe(HEAD_BYTES + 3 * this.years + (idBytes?.length ?? 0) + wkb.length);
    buffer.writeUInt32LE(key, 0);
    buffer.writeUInt32LE(row, 4);
    buffer.writeUInt32LE(idBytes?.length ?? NO_ID, 8);
    buffer.writeUInt32LE(wkb.length, 12);
    buffer.writeFloatLE(areaHa, 16);
    let at = HEAD_BYTES;
    for (let year = 0; year < this.years; year++) {
      const crop = crops[year] ?? null;
      buffer.writeUInt16LE(crop ?? 0, at);
      buffer.writeUInt8(crop === null ? NO_CROP : (shares[year] as number), at + 2);
      at += 3;
    }
    if (idBytes !== undefined) at += idBytes.copy(buffer, at);
    buffer.set(wkb, at);
    file.parts.push(buffer);
    file.bytes += buffer.length;
    if (file.bytes >= WRITE_BYTES) this.#flush(file);
  }

  /** Records bucket by bucket, each in the order of its keys; files are removed when they are read. */
  *read(): Generator<FieldRecord[]> {
    for (const file of this.#files) {
      this.#flush(file);
      closeSync(file.fd);
      const records = [...this.#parse(readFileSync(file.path))];
      rmSync(file.path);
      yield records.sort((a, b) => a.key - b.key || a.row - b.row);
    }
  }

  *#parse(bytes: Buffer): Generator<FieldRecord> {
    for (let at = 0; at < bytes.length; ) {
      const [key, row, idLength, wkbLength] = [0, 4, 8, 12].map((offset) => bytes.readUInt32LE(at + offset)) as [
        number,
        number,
        number,
        number,
      ];
      const areaHa = bytes.readFloatLE(at + 16);
      at += HEAD_BYTES;
      const crops: (number | null)[] = [];
      const shares: (number | null)[] = [];
      for (let year = 0; year < this.years; year++, at += 3) {
        const none = bytes[at + 2] === NO_CROP;
        crops.push(none ? null : bytes.readUInt16LE(at));
        shares.push(none ? null : (bytes[at + 2] as number));
      }
      const text = idLength === NO_ID ? null : bytes.toString("utf8", at, at + idLength);
      at += idLength === NO_ID ? 0 : idLength;
      const id = text === null || this.textIds ? text : BigInt(text);
      const wkb = bytes.subarray(at, at + wkbLength);
      at += wkbLength;
      yield { key, row, id, areaHa, crops, shares, wkb };
    }
  }

  #flush(file: Bucket): void {
    const all = Buffer.concat(file.parts);
    for (let done = 0; done < all.length; ) done += writeSync(file.fd, all, done);
    file.parts = [];
    file.bytes = 0;
  }
}
