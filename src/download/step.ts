import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import { fetchFile } from "../network/fetch-file.js";
import { type RemoteAccess, remoteAccess } from "../network/remote-access.js";
import { replaced } from "../network/remote-file.js";
import type { FetchTiming } from "../network/retry.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { requireHeld } from "../pipeline/output.js";
import { type Inputs, readRecord, recordPath, writeRecord } from "../pipeline/record.js";
import { redact, redactedIdentity } from "../pipeline/redact.js";
import { removeTree } from "../pipeline/remove-tree.js";
import type { Step } from "../pipeline/step.js";
import { rasterDigest, rasterFiles, rasterFormat, STANDIN } from "../raster/raster-file.js";
import type { RemoteRaster } from "../raster/remote-raster.js";
import { checkFolder, putFolder, removeDownloaded } from "./raster-folder.js";
import { findInFolder, locateSource, type Source } from "./source.js";
import { chooseRaster, extractRaster } from "./zip.js";

/** What is known of a year's raster; also the content of the step's output file. */
export type DownloadFacts = {
  /** URL or path that it came from. */
  readonly source: string;
  /** Absolute path. */
  readonly raster: string;
  readonly format: "GeoTIFF" | "HFA";
  /** Identity by content, the files included that the raster cannot be read without. */
  readonly digest: string;
  /** Size of the raster file alone. */
  readonly bytes: number;
  readonly zipBytes: number | null;
  readonly zipDigest: string | null;
  /** True when the raster was downloaded or extracted here, false when it is a user's own file, used in place. */
  readonly owned: boolean;
  /** When the files were removed on purpose, after use. */
  readonly releasedAt: string | null;
};

export interface DownloadHooks {
  /** Asked when a finished output's raster is not there any more: is it needed again? Always, by default. */
  readonly rasterNeeded?: (facts: DownloadFacts) => Promise<boolean>;
  readonly timing?: Partial<FetchTiming>;
  /** Whether the zonal stage of this run reads the raster: then a GeoTIFF on a server may be read by ranges there. */
  readonly byRange?: boolean;
}

/**
 * Bring a year's raster on disk: fetch, unzip, verify.
 *
 * The raster's name is known only once the zip is open, so the files lie in a
 * folder of their own, `data/cdl/us_2020/`, put there by one rename; the step's
 * output is the small `data/cdl/us_2020.json` next to it, which lists the files. A user's own raster stays where it is.
 *
 * @throws {PipelineError} usage, when the source's template is not usable; input, when a local source cannot be read.
 */
export function downloadStep(
  year: number,
  options: Options,
  layout: Layout,
  hooks: DownloadHooks = {},
): Step<DownloadFacts> {
  const record = recordPath(layout.state, options.region, year, "download");
  const files = new InputFiles();
  const { source, inputs } = readSource(options.cdlSource, year, record, files);
  const { folder, target } = placeOf(year, options, layout);
  const access = remoteAccess(options);
  return {
    name: "download",
    year,
    version: 1,
    target,
    record,
    errorKind: "network",
    files,
    inFull: options.verifyInputs === "full",
    inputs,
    resumable: true,
    async validate() {
      if (source.place === "missing") {
        const { name, sentence, expected, received } = source;
        throw new PipelineError("input", sentence, {
          path: name,
          year,
          expected,
          received,
        });
      }
      if (source.place === "remote" || source.form === "zip") checkFolder(folder);
      if (source.place === "local" && source.form === "zip") await chooseRaster(source.file, year);
      if (source.place === "local" && source.form === "raster") rasterFormat(source.file, year);
    },
    async run(partial, ctx) {
      if (source.place === "missing") throw new PipelineError("input", source.sentence, { path: source.name, year });
      if (source.place === "local") ctx.log.info(`raster of ${year}: ${source.file}`);
      const facts =
        source.place === "local" && source.form === "raster"
          ? describe(source.file, source.file, undefined, false, year)
          : await bring(source, files, dirname(partial), folder, year, { ...hooks, access }, ctx);
      writeFileSync(partial, `${JSON.stringify(facts, null, 2)}\n`);
      return facts;
    },
    async verify(partial, facts) {
      const problem = problemOf(JSON.parse(readFileSync(partial, "utf8")) as DownloadFacts);
      if (problem !== undefined)
        throw new PipelineError("failed", `Raster cannot be read back: ${problem}`, { path: facts.raster, year });
    },
    async recheck(before) {
      const facts = before.facts as unknown as DownloadFacts;
      const problem = facts.releasedAt === null ? problemOf(facts) : "raster was removed after use and is needed again";
      const gone = facts.releasedAt !== null || !existsSync(facts.raster);
      if (gone && hooks.rasterNeeded !== undefined && !(await hooks.rasterNeeded(facts))) return undefined;
      return problem;
    },
    async finish(facts) {
      // The source was a zip before, and is a raster in place now.
      if (!facts.owned) removeDownloaded(folder);
    },
  };
}

/**
 * Remove the zip and the raster that the download step made, once nothing needs
 * them; a user's own files are never touched. The record says so first, so that a
 * kill in between is no lost file but a removal to be finished. Does nothing under
 * `--keep-cdl` and where nothing is left; may be called again.
 */
export async function releaseCdl(year: number, options: Options, layout: Layout, ctx: Context): Promise<void> {
  if (options.keepCdl || ctx.held?.() === false) return;
  const path = recordPath(layout.state, options.region, year, "download");
  const record = readRecord(path);
  const facts = record?.facts as unknown as DownloadFacts | undefined;
  const { folder, target } = placeOf(year, options, layout);
  if (record === undefined || !facts?.owned || !existsSync(folder)) return;
  if (facts.releasedAt === null)
    writeRecord(path, { ...record, facts: { ...facts, releasedAt: new Date().toISOString() } });
  rmSync(target, { force: true });
  const bytes = removeDownloaded(folder);
  if (bytes === 0) return;
  ctx.log.info(`raster removed after use: ${folder}`, {
    year,
    step: "download",
    freedMiB: Math.round(bytes / 2 ** 20),
  });
}

/** Regions may share a root and a year, and one may still need what another releases: each has its own folder. */
function placeOf(year: number, { region }: Options, { cdl }: Layout): { folder: string; target: string } {
  return { folder: join(cdl, `${region}_${year}`), target: join(cdl, `${region}_${year}.json`) };
}

function readSource(
  template: string,
  year: number,
  record: string,
  files: InputFiles,
): { source: Source; inputs: Inputs } {
  try {
    const source = locateSource(template, year);
    if (source.place === "local") for (const path of rasterFiles(source.file)) files.recordSource(path);
    return { source, inputs: inputsOf(source, record) };
  } catch (error) {
    throw asPipelineError(error, "input", "Cannot read the CDL source", { year });
  }
}

/** A local source that is gone since does not make a finished output wrong: then what is on record stands. */
function inputsOf(source: Source, record: string): Inputs {
  if (source.place === "remote") return { source: redactedIdentity(source.name) };
  if (source.place === "local") {
    const digest = source.form === "zip" ? fileDigest(source.file) : rasterDigest(source.file);
    return { source: source.name, sourceDigest: digest };
  }
  const before = readRecord(record)?.inputs;
  const name = redactedIdentity(source.name);
  return before?.source === name ? before : { source: name };
}

/** Fetch and unpack in scratch, check, then put the folder in its place. */
async function bring(
  given: Exclude<Source, { place: "missing" }>,
  files: InputFiles,
  scratch: string,
  folder: string,
  year: number,
  { access, timing, byRange }: Pick<DownloadHooks, "timing" | "byRange"> & { readonly access: RemoteAccess },
  ctx: Context,
): Promise<DownloadFacts> {
  const isFolder = given.place === "remote" && given.form === "folder";
  const source = isFolder ? { ...given, ...(await findInFolder(given.name, year, access, ctx)) } : given;
  const made = join(scratch, "files");
  removeTree(made);
  mkdirSync(made);
  if (byRange && source.place === "remote" && source.form === "raster")
    return bringParts(source.name, scratch, made, folder, fileNameOf(source, year), access, year, ctx);
  const fetched = source.place === "remote" ? join(scratch, fileNameOf(source, year)) : undefined;
  if (fetched !== undefined) await fetchFile(source.name, fetched, { ...access, ...(timing && { timing }) }, ctx);
  const origin = source.place === "local" ? source.file : (fetched as string);
  const zip = source.form === "zip" ? origin : undefined;
  try {
    const name =
      zip === undefined ? fileNameOf(source, year) : ((await extractRaster(zip, year, made, ctx))[0]?.name as string);
    if (fetched !== undefined) linkOrMove(fetched, join(made, fileNameOf(source, year)));
    const facts = describe(
      source.place === "local" ? source.file : redact(source.name),
      join(made, name),
      zip,
      true,
      year,
    );
    ctx.signal.throwIfAborted();
    files.requireUnchanged();
    requireHeld(ctx);
    putFolder(made, folder, join(scratch, "replaced"));
    return { ...facts, raster: join(folder, name) };
  } catch (error) {
    // A broken download would be found complete, and broken again, by every later run.
    // What a broken zip was unpacked to is of no use to a later run, and may be large.
    if (error instanceof PipelineError && error.kind === "input") removeTree(made);
    if (fetched !== undefined && error instanceof PipelineError && error.kind === "input") {
      for (const path of [fetched, `${fetched}.json`]) rmSync(path, { force: true });
      throw error.at({ source: source.name });
    }
    throw error;
  }
}

/** Of a raster on a server what can be read of it without a download, and where nothing can, all of it. */
async function bringParts(
  url: string,
  scratch: string,
  made: string,
  folder: string,
  name: string,
  access: RemoteAccess,
  year: number,
  ctx: Context,
): Promise<DownloadFacts> {
  const parts = join(scratch, "parts");
  mkdirSync(parts, { recursive: true });
  const { RemoteRaster } = await import("../raster/remote-raster.js");
  const remote = await RemoteRaster.open(url, join(parts, name), access, ctx);
  remote.raster();
  if (!remote.isWhole) ctx.log.info("raster will be read by range, once it is known where fields lie", { url });
  for (const file of readdirSync(parts)) linkOrMove(join(parts, file), join(made, file));
  const facts = describe(redact(url), join(made, name), undefined, true, year);
  ctx.signal.throwIfAborted();
  requireHeld(ctx);
  putFolder(made, folder, join(scratch, "replaced"));
  return { ...facts, raster: join(folder, name) };
}

/**
 * The remote original of a raster that `downloadStep` brought in parts; undefined where the raster is whole.
 *
 * @throws {PipelineError} network; input, when another version lies on the server now.
 */
export async function remoteOf(
  facts: Pick<DownloadFacts, "raster" | "digest">,
  year: number,
  options: Options,
  ctx: Context,
): Promise<RemoteRaster | undefined> {
  if (!existsSync(facts.raster + STANDIN)) return undefined;
  const access = remoteAccess(options);
  const source = locateSource(options.cdlSource, year);
  if (source.place !== "remote") return undefined;
  const url = source.form === "folder" ? (await findInFolder(source.name, year, access, ctx)).name : source.name;
  const { RemoteRaster } = await import("../raster/remote-raster.js");
  const remote = await RemoteRaster.open(url, facts.raster, access, ctx);
  if (rasterDigest(facts.raster) === facts.digest) return remote;
  remote.forget();
  throw replaced(url);
}

function fileNameOf(source: Source, year: number): string {
  const extension = /\.(tiff?|img)(?:\?|$)/i.exec(source.name)?.[1]?.toLowerCase();
  return `${year}_30m_cdls.${source.place === "remote" && source.form === "raster" && extension ? extension : "zip"}`;
}

function describe(
  source: string,
  raster: string,
  zip: string | undefined,
  owned: boolean,
  year: number,
): DownloadFacts {
  return {
    source,
    raster,
    format: rasterFormat(raster, year),
    digest: rasterDigest(raster),
    bytes: statSync(raster).size,
    zipBytes: zip === undefined ? null : statSync(zip).size,
    zipDigest: zip === undefined ? null : fileDigest(zip),
    owned,
    releasedAt: null,
  };
}

function problemOf(facts: DownloadFacts): string | undefined {
  if (!existsSync(facts.raster)) return "raster is gone";
  return rasterDigest(facts.raster) === facts.digest ? undefined : "raster was changed since it was made";
}

/** As a link the download stays in scratch too: a kill before the record is written costs no second download. */
function linkOrMove(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    renameSync(from, to);
  }
}
