import { openAsBlob } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { hideArrowSchema } from "../table/read-footer.js";
import {
  i32,
  i64,
  numberField,
  readStruct,
  structField,
  structs,
  structsField,
  ThriftEnd,
  type ThriftStruct,
  writeStruct,
} from "../table/thrift.js";

/** Numbers of the fields in parquet.thrift's structs. */
const FILE = { schema: 2, rowGroups: 4 } as const;
const SCHEMA = { repetition: 3 } as const;
const ROW_GROUP = { columns: 1 } as const;
const CHUNK = { metaData: 3, offsetIndexOffset: 4, offsetIndexLength: 5 } as const;
const COLUMN = { totalCompressed: 7, dataPage: 9, dictionaryPage: 11 } as const;
const PAGE = { type: 1, compressed: 3, header: 5, headerV2: 8 } as const;
const LOCATION = { offset: 1, bytes: 2, firstRow: 3 } as const;
const REPEATED = 2;
const DATA_PAGE = 0;
const DATA_PAGE_V2 = 3;

const MAGIC = Buffer.from("PAR1", "latin1");
/** Pages larger than this are no better to fetch than what they are a part of. */
const WORTH_BYTES = 8 * 2 ** 20;
/** A page's header is some 50 bytes, unless its statistics hold long values. */
const HEADER_BYTES = 1024;

/**
 * A footer for a parquet file that has no index of its pages, as most writers leave it out: the
 * same footer with one. A reader that is handed it fetches the page that a row lies in; without it,
 * the row group's whole column, which may be a gigabyte.
 *
 * @returns what stands behind the file's data, to be read in place of its own footer; undefined
 *   where it would be of no use: the file has an index already, pages are huge (DuckDB's are as
 *   large as the row group), or there are columns of lists, whose pages do not tell their rows.
 */
export async function makePageIndex(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const footerStart = await footerOffset(file, size);
    const { struct: footer } = readStruct(await readAt(file, footerStart, size - 8 - footerStart));
    const chunks = structsField(footer, FILE.rowGroups).flatMap((group) => structsField(group, ROW_GROUP.columns));
    const isIndexed = chunks.every((chunk) => chunk.has(CHUNK.offsetIndexOffset));
    const isFlat = structsField(footer, FILE.schema).every((e) => numberField(e, SCHEMA.repetition) !== REPEATED);
    if (isIndexed || !isFlat) return undefined;
    const indexes: Uint8Array[] = [];
    let at = footerStart;
    for (const chunk of chunks) {
      const pages = await pageLocations(file, chunk);
      if (pages.some((page) => (numberField(page, LOCATION.bytes) ?? 0) > WORTH_BYTES)) return undefined;
      const index = writeStruct(new Map([[1, structs(pages)]]));
      chunk.set(CHUNK.offsetIndexOffset, i64(at));
      chunk.set(CHUNK.offsetIndexLength, i32(index.length));
      indexes.push(index);
      at += index.length;
    }
    const written = writeStruct(footer);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(written.length);
    return Buffer.concat([...indexes, written, length, MAGIC]);
  } finally {
    await file.close();
  }
}

/** A parquet file with another footer than its own, from makePageIndex. */
export async function withPageIndex(path: string, pages: Uint8Array<ArrayBuffer>): Promise<Blob> {
  const file = await open(path, "r");
  try {
    const data = (await openAsBlob(path)).slice(0, await footerOffset(file, (await file.stat()).size));
    hideArrowSchema(pages);
    return new Blob([data, pages]);
  } finally {
    await file.close();
  }
}

async function footerOffset(file: FileHandle, size: number): Promise<number> {
  const end = await readAt(file, size - 8, 8);
  return size - 8 - end.readUInt32LE(0);
}

/** PageLocation of every data page of a column chunk, from header to header. */
async function pageLocations(file: FileHandle, chunk: ThriftStruct): Promise<ThriftStruct[]> {
  const column = structField(chunk, CHUNK.metaData) as ThriftStruct;
  const data = numberField(column, COLUMN.dataPage) as number;
  const start = Math.min(data, numberField(column, COLUMN.dictionaryPage) || data);
  const end = start + (numberField(column, COLUMN.totalCompressed) as number);
  const locations: ThriftStruct[] = [];
  let firstRow = 0;
  for (let at = start; at < end; ) {
    const { struct: page, length } = await pageHeader(file, at, end);
    const bytes = length + (numberField(page, PAGE.compressed) as number);
    const type = numberField(page, PAGE.type);
    if (type === DATA_PAGE || type === DATA_PAGE_V2) {
      const header = structField(page, type === DATA_PAGE ? PAGE.header : PAGE.headerV2) as ThriftStruct;
      locations.push(
        new Map([
          [LOCATION.offset, i64(at)],
          [LOCATION.bytes, i32(bytes)],
          [LOCATION.firstRow, i64(firstRow)],
        ]),
      );
      // Of a column that is not of lists every value is a row, null or not.
      firstRow += numberField(header, 1) as number;
    }
    at += bytes;
  }
  return locations;
}

async function pageHeader(
  file: FileHandle,
  at: number,
  end: number,
): Promise<{ struct: ThriftStruct; length: number }> {
  for (let bytes = HEADER_BYTES; ; bytes *= 8) {
    const length = Math.min(bytes, end - at);
    try {
      return readStruct(await readAt(file, at, length));
    } catch (error) {
      if (!(error instanceof ThriftEnd) || length === end - at) throw error;
    }
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  if (bytesRead !== length) throw new Error(`${length} bytes were expected at ${offset}, ${bytesRead} came`);
  return buffer;
}
