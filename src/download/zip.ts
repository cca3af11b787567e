import { createWriteStream, openAsBlob } from "node:fs";
import { join, posix } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { crc32 } from "node:zlib";
import * as yauzl from "yauzl";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { makeFolder } from "../pipeline/folder.js";
import { firstBytes } from "../pipeline/input-file.js";
import { describeBytes } from "../raster/raster-file.js";
import { requireSpace } from "../system/free-space.js";

/** Where a zip holds a raster in several formats, the first of these is taken. */
const RASTERS = [/\.tif$/i, /\.tiff$/i, /\.img$/i];
const METHODS: Readonly<Record<number, string>> = {
  0: "stored",
  8: "deflate",
  12: "bzip2",
  14: "lzma",
  93: "zstd",
};
/** Deflate with a window of 64 KiB, which yauzl does not decode: Windows writes it from 2 GiB on. */
const DEFLATE64 = 9;
/** Unix file types in a zip's external attributes; 0 where the zip was made elsewhere. */
const TYPE_MASK = 0o170000;
const PLAIN_TYPES = new Set([0, 0o100000, 0o040000]);
const LINK_TYPE = 0o120000;

interface Member {
  readonly name: string;
  readonly entry: yauzl.Entry;
}

/** The entries to extract: one raster, and the files with the same stem (.ige, .tfw, .aux.xml, .ovr ...). */
export interface Choice {
  readonly raster: Member;
  readonly companions: readonly Member[];
}

/**
 * Find the year's raster in a zip, without writing anything.
 *
 * Every entry is judged, also those that are not wanted: a zip with one entry that
 * would leave the folder, or that is no plain file, is not trusted at all.
 *
 * @throws {PipelineError} input: truncated or corrupt directory, evil or encrypted
 *   entry, unknown compression, no raster (what lies there instead), several.
 */
export async function chooseRaster(path: string, year: number): Promise<Choice> {
  return withZip(path, year, async (members) => choose(members, path, year));
}

/**
 * Extract the year's raster and its companions into `folder`, by their plain names.
 * Sizes and CRC-32 are checked while writing; names are kept, because an .img names
 * its .ige inside.
 *
 * @returns the names, the raster first, with their bytes.
 */
export async function extractRaster(
  path: string,
  year: number,
  folder: string,
  ctx: Context,
): Promise<{ name: string; bytes: number }[]> {
  return withZip(path, year, async (members, zip) => {
    const { raster, companions } = choose(members, path, year);
    const wanted = [raster, ...companions];
    const total = wanted.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    makeFolder(folder);
    requireSpace(folder, total, "the raster");
    const task = ctx.progress.start("MiB extracted", Math.ceil(total / 2 ** 20));
    let done = 0;
    const count = (bytes: number) => {
      done += bytes;
      task.update(Math.floor(done / 2 ** 20));
    };
    try {
      for (const member of wanted)
        await extract(zip, member, join(folder, posix.basename(member.name)), { path, year }, count, ctx);
    } finally {
      task.end();
    }
    return wanted.map(({ name, entry }) => ({ name: posix.basename(name), bytes: entry.uncompressedSize }));
  });
}

async function withZip<T>(
  path: string,
  year: number,
  body: (members: Member[], zip: yauzl.ZipFile) => Promise<T>,
): Promise<T> {
  const corrupt = (cause: unknown): PipelineError => {
    const start = firstBytes(path, 32);
    const received = start.subarray(0, 2).toString("latin1") === "PK" ? undefined : describeBytes(start);
    return asPipelineError(cause, "input", "Zip is truncated, corrupt or no zip at all", { path, year, received });
  };
  const zip = await yauzl.openPromise(path, { autoClose: false, decodeStrings: false }).catch((error: unknown) => {
    throw (error as NodeJS.ErrnoException).syscall
      ? asPipelineError(error, "input", "Cannot open the zip", { path, year })
      : corrupt(error);
  });
  try {
    const members: Member[] = [];
    try {
      for await (const entry of zip.eachEntry()) members.push(judge(entry, path, year));
    } catch (error) {
      throw corrupt(error);
    }
    return await body(members, zip);
  } finally {
    zip.close();
  }
}

function judge(entry: yauzl.Entry, path: string, year: number): Member {
  const raw = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
  // Some writers on Windows separate folders so; unzip takes it alike.
  const name = raw.replaceAll("\\", "/");
  const refuse = (reason: string) =>
    new PipelineError("input", `Zip refused, ${reason}`, { path, year, entry: JSON.stringify(raw) });
  if (name === "" || name.includes("\0") || yauzl.validateFileName(name) !== null) {
    throw refuse("an entry's name leads out of the folder or is no file name");
  }
  const type = (entry.externalFileAttributes >>> 16) & TYPE_MASK;
  if (!PLAIN_TYPES.has(type)) throw refuse(`an entry is a ${type === LINK_TYPE ? "symbolic link" : "special file"}`);
  return { name, entry };
}

function choose(members: readonly Member[], path: string, year: number): Choice {
  const files = members.filter(({ name }) => !name.endsWith("/") && !name.startsWith("__MACOSX/"));
  const formats = files.filter(({ name }) => RASTERS.some((extension) => extension.test(name)));
  // The same raster in another format is no other raster.
  const others = new Set(formats.filter((file) => formats.some((other) => isPreferred(other.name, file.name))));
  const rasters = formats.filter((file) => !others.has(file));
  const official = new RegExp(`^${year}_\\d+m_cdls$`, "i");
  const named = rasters.filter(({ name }) => official.test(stemOf(name)));
  const [raster, ...more] =
    named.length > 0
      ? named
      : rasters.length > 1
        ? rasters.filter(({ name }) => stemOf(name).includes(String(year)))
        : rasters;
  const fail = (sentence: string, received: readonly Member[]) => {
    const list = received.map(({ name }) => name);
    const text = list.slice(0, 10).join(" ") + (list.length > 10 ? ` and ${list.length - 10} more` : "");
    return new PipelineError("input", sentence, {
      path,
      year,
      expected: `${year}_30m_cdls.tif or .img, or one whose name holds ${year}`,
      received: text || "an empty zip",
    });
  };
  if (rasters.length === 0) throw fail("Zip holds no raster", files);
  if (raster === undefined || more.length > 0) throw fail("Zip holds several rasters; expected one", rasters);
  const other = /^(\d{4})_\d+m_cdls/i.exec(stemOf(raster.name))?.[1];
  if (other !== undefined && other !== String(year)) throw fail("Zip holds another year's raster", [raster]);

  const stem = withoutExtension(raster.name);
  // A zip in the zip is none, and an .ige holds the pixels of an .img alone.
  const none = /\.img$/i.test(raster.name) ? /\.zip$/i : /\.(zip|ige)$/i;
  const companions = files.filter(
    (file) => file !== raster && !others.has(file) && file.name.startsWith(`${stem}.`) && !none.test(file.name),
  );
  const names = [raster, ...companions].map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new PipelineError("input", "Zip holds an entry twice", { path, year, entry: JSON.stringify(twice) });
  for (const { name, entry } of [raster, ...companions]) requireReadable(name, entry, path, year);
  return { raster, companions };
}

function withoutExtension(name: string): string {
  return name.slice(0, name.length - posix.extname(name).length);
}

/** Whether two entries are one raster in two formats, of which `name` is taken. */
function isPreferred(name: string, other: string): boolean {
  const rank = (of: string) => RASTERS.findIndex((extension) => extension.test(of));
  return withoutExtension(name) === withoutExtension(other) && rank(name) < rank(other);
}

function stemOf(name: string): string {
  return posix.basename(name, posix.extname(name));
}

function requireReadable(name: string, entry: yauzl.Entry, path: string, year: number): void {
  const where = { path, year, entry: JSON.stringify(name) };
  if (entry.isEncrypted()) throw new PipelineError("input", "Zip entry is encrypted", where);
  if (entry.canDecodeFileData() || entry.compressionMethod === DEFLATE64) return;
  const method = METHODS[entry.compressionMethod] ?? "unknown";
  throw new PipelineError(
    "input",
    "Zip entry's compression is not supported; unzip it and pass the folder as --cdl-source",
    {
      ...where,
      expected: "stored, deflate or deflate64",
      received: `${method} (method ${entry.compressionMethod})`,
    },
  );
}

async function extract(
  zip: yauzl.ZipFile,
  { name, entry }: Member,
  target: string,
  where: { path: string; year: number },
  count: (bytes: number) => void,
  ctx: Context,
): Promise<void> {
  const place = { ...where, entry: JSON.stringify(name) };
  let [crc, bytes] = [0, 0];
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      // A bomb says that it is small. Deflate64's reader does not count.
      if (bytes > entry.uncompressedSize) {
        done(new Error(`more than the ${entry.uncompressedSize} bytes that the zip's directory announces`));
        return;
      }
      crc = crc32(chunk, crc);
      count(chunk.length);
      done(null, chunk);
    },
  });
  try {
    const stream =
      entry.compressionMethod === DEFLATE64
        ? await openDeflate64(where.path, entry.relativeOffsetOfLocalHeader)
        : await zip.openReadStreamPromise(entry);
    await pipeline(stream, check, createWriteStream(target), { signal: ctx.signal });
  } catch (error) {
    ctx.signal.throwIfAborted();
    // An error with a system call comes from the disk, any other from the zip's bytes.
    const disk = (error as NodeJS.ErrnoException).syscall !== undefined;
    throw asPipelineError(error, disk ? "failed" : "input", disk ? "Cannot extract" : "Zip entry is corrupt", place);
  }
  if (crc !== entry.crc32) {
    const hex = (value: number) => value.toString(16).padStart(8, "0");
    throw new PipelineError("input", "Zip entry is corrupt: checksum differs", {
      ...place,
      expected: hex(entry.crc32),
      received: hex(crc),
    });
  }
}

/** An entry's content, by its place in the zip. */
async function openDeflate64(path: string, offset: number): Promise<Readable> {
  const { BlobReader, configure, ZipReader } = await import("@zip.js/zip.js");
  configure({ useWebWorkers: false });
  const entries = await new ZipReader(new BlobReader(await openAsBlob(path))).getEntries();
  const entry = entries.find((one) => one.offset === offset);
  if (entry === undefined || entry.directory) throw new Error("entry is not in the directory");
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  // What is wrong reaches the reader by the stream.
  entry.getData(writable).catch((error: unknown) => writable.abort(error).catch(() => {}));
  return Readable.fromWeb(readable as ReadableStream);
}
