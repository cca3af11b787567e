import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Window } from "../kernel/raster.js";
import { fetchFile } from "../network/fetch-file.js";
import { type RemoteAccess, withoutProxies } from "../network/remote-access.js";
import { fetchFrom } from "../network/remote-fetch.js";
import { RemoteFile, replaced } from "../network/remote-file.js";
import { sameVersion } from "../network/version.js";
import { forEachBounded } from "../parallel/map-ordered.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { readJson } from "../pipeline/json-file.js";
import { SILENT_LOG } from "../pipeline/log.js";
import { SILENT } from "../pipeline/progress.js";
import { requireSpace } from "../system/free-space.js";
import { openRaster, type Raster } from "./raster.js";
import { rasterFiles, STANDIN } from "./raster-file.js";
import { readerOf, TiffHeader, type TiffReader } from "./tiff-header.js";

/** Blocks are read by ranges if they are less than this share of the file; else the file is downloaded. */
const RANGES_BELOW = 0.5;
/** Gaps up to this size are read too, and headers in steps of this size: a request costs as much. */
const STEP_BYTES = 64 * 2 ** 10;
const RANGE_BYTES = 2 * 2 ** 20;
const REQUESTS = 8;
/** Maximum size of the directories in the header; with larger ones the file is downloaded. */
const HEADER_BYTES = 256 * 2 ** 20;
/** COGs store a block's size before it and repeat its last bytes after it. */
const BLOCK_MARGIN = 4;

/** From and to, exclusive. */
type Range = readonly [from: number, to: number];

/** The parts of the remote original that a file has; in `<raster>.remote.json`, for a later process. */
interface Held {
  readonly identity: string;
  readonly ranges: readonly Range[];
}

/**
 * A raster on an HTTP or S3 server, as a local file. For a GeoTIFF the file has the header and the blocks that
 * `bring` fetched; otherwise it is a full download. All bytes belong to one version.
 */
export class RemoteRaster {
  #held: Held;
  /** Whether the local file is complete. */
  isWhole: boolean;

  private constructor(
    readonly url: string,
    /** The local file. */
    readonly path: string,
    private readonly file: RemoteFile,
    private readonly access: RemoteAccess,
    held: Held,
  ) {
    this.#held = held;
    this.isWhole = held.ranges[0]?.[0] === 0 && held.ranges[0][1] === file.size;
  }

  /**
   * Fetch a raster's header, or all of it, to `path`; its side files (.msk, .aux.xml, world files) next to it.
   *
   * @throws {PipelineError} network: no such file, unreachable; space; usage: a URL with a password.
   */
  static async open(url: string, path: string, access: RemoteAccess, ctx: Context): Promise<RemoteRaster> {
    const file = await RemoteFile.open(url, access, ctx);
    const before = readJson(path + STANDIN) as Held | undefined;
    const there = before?.identity === file.identity && existsSync(path) ? before.ranges : [];
    const raster = new RemoteRaster(url, path, file, access, { identity: file.identity, ranges: there });
    await raster.#bringSideFiles(ctx);
    const reason = raster.isWhole ? undefined : await raster.#bringHeader(ctx);
    if (reason !== undefined) await raster.#download(reason, ctx);
    return raster;
  }

  /**
   * As `openRaster`, of the local file.
   *
   * @throws {PipelineError} input, naming the URL.
   */
  raster(band = 1): Raster {
    try {
      return { ...openRaster(this.path, band), remote: this };
    } catch (error) {
      throw this.named(error);
    }
  }

  /** Converts an error about the local file into one about the remote file. */
  named(error: unknown): unknown {
    if (!(error instanceof PipelineError) || error.where.path !== this.path) return error;
    const { path: _local, ...where } = error.where;
    return new PipelineError(error.kind, error.sentence, { url: this.url, ...where }, { cause: error.cause });
  }

  /**
   * Fetch the blocks of windows: by ranges if they are less than half of the file, else by a download.
   *
   * @throws {PipelineError} network; space; input, if the file was replaced on the server.
   */
  async bring(raster: Raster, windows: readonly Window[], ctx: Context): Promise<void> {
    if (this.isWhole) return;
    const size = this.file.size as number;
    const blocks = raster.masked ? undefined : this.#blocksOf(windows);
    if (blocks === undefined) return this.#download("its pixels have a mask", ctx);
    const wanted = joined(blocks, STEP_BYTES, size);
    const bytes = sizeOf(wanted);
    const at = { url: this.url, MiB: mebibytes(bytes), of: mebibytes(size) };
    if (bytes >= RANGES_BELOW * size) return this.#download("half of it or more is needed", ctx);
    const missing = without(wanted, this.#held.ranges);
    await this.#read(missing, ctx);
    ctx.log.info(`raster is read by range: ${at.MiB} of ${at.of} MiB, ${missing.length} requests`, at);
  }

  /** Remove the local file, because the server no longer has its version. */
  forget(): void {
    for (const name of [this.path, this.path + STANDIN]) rmSync(name, { force: true });
  }

  /** @returns why the file cannot be read by ranges, else undefined. */
  async #bringHeader(ctx: Context): Promise<string | undefined> {
    const { file, path } = this;
    const { head, size } = file;
    if (!file.hasRanges || head === undefined || size === undefined)
      return head === undefined ? "the server does not answer ranges" : "the server does not name its version";
    if (existsSync(`${path}.msk`)) return "it has a mask";
    if (size <= head.length || !isTiff(head)) return size <= head.length ? "it is small" : "it is no GeoTIFF";
    if (this.#held.ranges.length === 0) {
      const fd = openSync(path, "w");
      try {
        ftruncateSync(fd, size);
        writeSync(fd, head, 0, head.length, 0);
      } finally {
        closeSync(fd);
      }
      this.#keep([[0, head.length]]);
    }
    for (;;) {
      try {
        return this.#withReader((read) => headerProblem(read));
      } catch (error) {
        if (error instanceof RangeError) return "its header is unusual";
        if (!(error instanceof NotHere)) throw error;
        const { from, to } = error;
        if (to > size || sizeOf(this.#held.ranges) + to - from > HEADER_BYTES) return "its header is unusual";
        const step: Range = [from, Math.min(size, Math.max(to, from + STEP_BYTES))];
        await this.#read(without([step], this.#held.ranges), ctx);
      }
    }
  }

  #withReader<T>(body: (read: TiffReader) => T): T {
    const fd = openSync(this.path, "r");
    const read = readerOf(fd);
    const { ranges } = this.#held;
    try {
      return body((offset, length) => {
        if (without([[offset, offset + length]], ranges).length > 0) throw new NotHere(offset, offset + length);
        return read(offset, length);
      });
    } finally {
      closeSync(fd);
    }
  }

  /** Undefined if unknown. */
  #blocksOf(windows: readonly Window[]): Range[] | undefined {
    return this.#withReader((read) => {
      const header = TiffHeader.first(read);
      const layout = header?.layout();
      const blocks = layout && header?.blocks(layout);
      if (layout === undefined || blocks === undefined) return undefined;
      const across = Math.ceil(layout.width / layout.blockWidth);
      const wanted = new Set<number>();
      for (const { col, row, width, height } of windows)
        for (let y = Math.floor(row / layout.blockHeight); y * layout.blockHeight < row + height; y++)
          for (let x = Math.floor(col / layout.blockWidth); x * layout.blockWidth < col + width; x++)
            wanted.add(y * across + x);
      return [...wanted]
        .filter((block) => (blocks.sizes[block] as number) > 0)
        .map((block): Range => {
          const offset = blocks.offsets[block] as number;
          return [Math.max(0, offset - BLOCK_MARGIN), offset + (blocks.sizes[block] as number) + BLOCK_MARGIN];
        });
    });
  }

  async #read(ranges: readonly Range[], ctx: Context): Promise<void> {
    const pieces = ranges.flatMap(([from, to]) => cut(from, to));
    const total = sizeOf(pieces);
    requireSpace(dirname(this.path), total, "the raster's blocks");
    const task = ctx.progress.start("MiB downloaded", mebibytes(total));
    const fd = openSync(this.path, "r+");
    let done = 0;
    try {
      await forEachBounded(pieces, REQUESTS, async ([from, to]) => {
        const bytes = await this.file.read(from, to, ctx);
        writeSync(fd, bytes, 0, bytes.length, from);
        done += bytes.length;
        task.update(Math.floor(done / 2 ** 20));
      });
      fsyncSync(fd);
    } catch (error) {
      // The local file has another version.
      if (error instanceof PipelineError && error.kind === "input") this.forget();
      throw asPipelineError(error, "failed", "Cannot write the raster's blocks", { path: this.path });
    } finally {
      task.end();
      closeSync(fd);
    }
    this.#keep(joined([...this.#held.ranges, ...ranges], 0, this.file.size as number));
  }

  async #download(reason: string, ctx: Context): Promise<void> {
    const { url, path, file } = this;
    const { size } = file;
    ctx.log.info(`raster is downloaded, as ${reason}`, { url, MiB: size === undefined ? undefined : mebibytes(size) });
    const whole = `${path}.whole`;
    const version = await fetchFile(url, whole, this.access, ctx);
    if (!sameVersion(file.version, version)) {
      for (const name of [whole, `${whole}.json`]) rmSync(name, { force: true });
      this.forget();
      throw replaced(url);
    }
    renameSync(whole, path);
    rmSync(`${whole}.json`, { force: true });
    this.#keep([[0, version.total ?? 0]]);
    this.isWhole = true;
  }

  /** Ranges are recorded after their bytes are in the file. */
  #keep(ranges: readonly Range[]): void {
    this.#held = { identity: this.file.identity, ranges };
    writeFileSync(this.path + STANDIN, JSON.stringify(this.#held));
  }

  /** The side files that exist; a server may deny access to missing ones. */
  async #bringSideFiles(ctx: Context): Promise<void> {
    const { pathname, search } = new URL(this.url);
    // A query may be a signature that is valid only for this file.
    if (search !== "" || !/\.(tiff?|img)$/i.test(pathname)) return;
    const fetch = fetchFrom(this.access);
    const local = rasterFiles(this.path);
    await forEachBounded(rasterFiles(this.url).slice(1).entries(), REQUESTS, async ([i, url]) => {
      const path = local[i + 1] as string;
      rmSync(path, { force: true });
      const isHere = await fetch(url, { method: "HEAD", signal: ctx.signal }).then(
        ({ ok, headers }) => ok && !headers.get("content-type")?.startsWith("text/html"),
        () => ctx.signal.throwIfAborted(),
      );
      if (!isHere) return;
      await fetchFile(url, path, this.access, ctx);
      rmSync(`${path}.json`, { force: true });
    });
  }
}

/**
 * Open the raster at an http(s):// or s3:// URL, like `openRaster` a file. `path` becomes a local file with the needed
 * parts, or with all of it; a later call with the same path resumes.
 *
 * @throws {PipelineError} network: no such file, unreachable; input: as `openRaster`.
 */
export async function openRemoteRaster(
  url: string,
  path: string,
  options: Partial<RemoteAccess> & { readonly signal?: AbortSignal; readonly band?: number } = {},
): Promise<Raster> {
  const { signal = new AbortController().signal, band, ...access } = options;
  const ctx: Context = { signal, log: SILENT_LOG, progress: SILENT };
  const remote = await RemoteRaster.open(url, path, { ...withoutProxies, retries: 8, ...access }, ctx);
  return remote.raster(band);
}

/** Number of bytes that are not in the local file yet. */
class NotHere extends Error {
  constructor(
    readonly from: number,
    readonly to: number,
  ) {
    super("not read yet");
  }
}

/** Read all directories. @returns why blocks cannot be found by them, if so. */
function headerProblem(read: TiffReader): string | undefined {
  const first = TiffHeader.first(read);
  const layout = first?.layout();
  if (first === undefined || layout === undefined || first.blocks(layout) === undefined) return "its header is unusual";
  const seen = new Set<number>();
  for (let header: TiffHeader | undefined = first; header; header = header.next()) {
    header.readAll();
    if (seen.has(header.at)) return "its header is unusual";
    seen.add(header.at);
  }
  return undefined;
}

function isTiff(head: Uint8Array): boolean {
  return ["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(Buffer.from(head.subarray(0, 4)).toString("latin1"));
}

/** Sorted and disjoint ranges within `size` bytes; gaps up to `gap` bytes are closed. */
function joined(ranges: readonly Range[], gap: number, size: number): Range[] {
  const out: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last !== undefined && from <= last[1] + gap) last[1] = Math.max(last[1], Math.min(size, to));
    else out.push([from, Math.min(size, to)]);
  }
  return out;
}

/** The parts of `ranges` that are not in `held`; both are sorted and disjoint. */
function without(ranges: readonly Range[], held: readonly Range[]): Range[] {
  return ranges.flatMap(([from, to]) => {
    const left: Range[] = [];
    let at = from;
    for (const [begin, end] of held) {
      if (end <= at || begin >= to) continue;
      if (begin > at) left.push([at, begin]);
      at = Math.max(at, end);
    }
    if (at < to) left.push([at, to]);
    return left;
  });
}

function cut(from: number, to: number): Range[] {
  const pieces: Range[] = [];
  for (let at = from; at < to; at += RANGE_BYTES) pieces.push([at, Math.min(to, at + RANGE_BYTES)]);
  return pieces;
}

function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** With one decimal below ten. */
function mebibytes(bytes: number): number {
  const number = bytes / 2 ** 20;
  return number < 10 ? Math.ceil(number * 10) / 10 : Math.ceil(number);
}
