import { readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Layout, Options } from "../config/config.js";
import { awsCode, firstLine } from "../network/aws-errors.js";
import { ProxyRules } from "../network/proxy.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { requireHeld } from "../pipeline/output.js";
import { SILENT } from "../pipeline/progress.js";
import { type Facts, recordPath, type StepRecord } from "../pipeline/record.js";
import { outputProblem, type Step } from "../pipeline/step.js";
import type { ArchiveDescription } from "./archive-entry.js";
import { type ArchiveEntry, entryProblem, withArchive } from "./manifest.js";
import { copyManifest, type Guard, type ManifestFile, readManifest, updateManifest } from "./manifest-update.js";
import { openManifest } from "./open-manifest.js";
import { targetPlace } from "./open-target.js";
import { CACHE_CONTROL, isStored, sendFile, sourceOf } from "./send-file.js";
import { writeStac } from "./stac.js";
import type { Target } from "./target.js";
import type { S3Tuning } from "./target-s3.js";

/** A finished archive, as the tiles step hands it on. */
export interface FinishedArchive {
  readonly path: string;
  /** `fileDigest` of it. */
  readonly digest: string;
  /** When it was made, ISO 8601 in UTC; else its time of last change is taken. */
  readonly builtAt?: string | undefined;
  /** Facts of the tiles step; `featureCounts` (features by layer) goes into the manifest. */
  readonly facts: Facts;
}

export interface PublishFacts extends Facts {
  readonly url: string;
  readonly bytes: number;
  /** `sha256:` and 64 hex digits. */
  readonly checksum: string;
  readonly transfer: "uploaded" | "linked" | "copied" | "already there";
  /** Bytes that an earlier, cut-off run had sent. */
  readonly resumedBytes: number;
  readonly guard: Guard;
  /** All years in the manifest after this one was published. */
  readonly years: readonly number[];
  /** `none`, `created ID`, `completed ID`, or `failed: REASON`; a failure does not undo the publish. */
  readonly invalidation: string;
}

export const GENERATOR = `fields-pipeline ${packageVersion()}`;
const HEADERS = { contentType: "application/vnd.pmtiles", cacheControl: CACHE_CONTROL } as const;
const FAILED = "failed: ";

/**
 * Publish one year: the archive, then the manifest, then the invalidation.
 *
 * The step's own output is a receipt, `outputs/state/{region}_{year}_published.json`:
 * what lies where. It is valid while the target still holds the archive and its
 * manifest lists it.
 *
 * @param tuning  of multipart uploads; the defaults fit.
 * @throws {PipelineError} input, when the archive was changed; usage, when the manifest cannot list it; publish.
 */
export function publishStep(
  year: number,
  options: Options,
  layout: Layout,
  archive: FinishedArchive,
  tuning: S3Tuning = {},
): Step<PublishFacts> {
  const { region, manifestFormat } = options;
  const { name: targetName } = targetPlace(options, layout);
  const key = basename(archive.path);
  let opened: Promise<ManifestFile> | undefined;
  const manifestAtTarget = () => {
    opened ??= openManifest(options, layout, tuning);
    return opened;
  };
  const files = new InputFiles(archive.path);
  const receiptPath = join(layout.state, `${region}_${year}_published.json`);
  let description: ArchiveDescription | undefined;

  return {
    name: "publish",
    year,
    version: 1,
    target: receiptPath,
    record: recordPath(layout.state, region, year, "publish"),
    errorKind: "publish",
    // An upload that was cut off leaves a note of its parts there.
    resumable: true,
    files,
    inFull: options.verifyInputs === "full",
    inputs: {
      archive: archive.digest,
      target: targetName,
      endpoint: options.endpoint ?? null,
      publicUrl: options.publicUrl ?? null,
      manifestFormat,
      distribution: options.distribution ?? null,
    },

    async recheck(record: StepRecord): Promise<string | undefined> {
      const facts = record.facts as PublishFacts;
      const gone = outputProblem(receiptPath, record);
      if (gone !== undefined) return gone;
      if (facts.invalidation.startsWith(FAILED)) return "the invalidation failed last time";
      // A rerun must not wait long to say that the target cannot be seen; then the step runs, and says why.
      const quick = await openManifest({ ...options, retries: Math.min(options.retries, 1) }, layout);
      try {
        return await problemAt(quick, key, archive, facts, year, QUIET);
      } catch (error) {
        return `the target cannot be looked at: ${(error as Error).message}`;
      }
    },

    async validate(ctx) {
      if (fileDigest(archive.path) !== archive.digest)
        throw new PipelineError("input", "Archive was changed since it was made", { path: archive.path });
      if (manifestFormat === "list" && key !== basename(layout.archive)) {
        throw new PipelineError("usage", "--manifest-format list cannot list an archive of several years", {
          expected: "--manifest-format full",
          path: archive.path,
        });
      }
      description = await describe(archive);
      // Reads as much as it later overwrites: wrong credentials, a missing bucket and a foreign manifest show now.
      await readManifest(await manifestAtTarget(), ctx);
    },

    async run(partial, ctx) {
      const manifest = await manifestAtTarget();
      const { target } = manifest;
      description ??= await describe(archive);
      const source = await sourceOf(archive.path, archive.digest, ctx);
      const resumePath = `${partial}.upload.json`;
      const onLink = (link: string) => files.linked(archive.path, link);
      const sent = await sendFile(target, key, source, { ...HEADERS, resumePath, onLink }, ctx);
      const url = options.publicUrl === undefined ? await target.url(key) : below(options.publicUrl, key);
      const checksum = `sha256:${source.checksum}`;
      const builtAt = archive.builtAt ?? statSync(archive.path).mtime.toISOString();
      const entry: ArchiveEntry = { url, key, bytes: source.bytes, checksum, builtAt, ...description };
      files.requireUnchanged();
      requireHeld(ctx);
      const update = await updateManifest(
        manifest,
        (current) => withArchive(current, year, entry, { region, generator: GENERATOR }),
        ctx,
      );
      if (resolve(layout.manifest) !== localPath(target, manifest.key))
        await copyManifest(manifest, layout.manifest, ctx);
      const stac = await writeStac(manifest, year, ctx);
      const facts: PublishFacts = {
        url,
        bytes: source.bytes,
        checksum,
        ...sent,
        guard: update.guard,
        years: update.manifest.years,
        invalidation: await tryInvalidation(options, target, [manifest.key, key, ...stac], ctx),
      };
      const receipt = { year, target: target.name, url, key, manifest: manifest.key, bytes: facts.bytes, checksum };
      writeFileSync(partial, `${JSON.stringify({ ...receipt, invalidation: facts.invalidation }, null, 2)}\n`);
      return facts;
    },

    sideFiles({ checksum }) {
      const copy = localPath({ name: targetName }, key);
      return copy === undefined ? {} : { [copy]: checksum.replace("sha256:", "") };
    },

    async verify(partial, facts, ctx) {
      const receipt = JSON.parse(readFileSync(partial, "utf8")) as { checksum?: string };
      const problem =
        receipt.checksum === facts.checksum
          ? await problemAt(await manifestAtTarget(), key, archive, facts, year, ctx)
          : "the receipt names another archive";
      if (problem !== undefined)
        throw new PipelineError("publish", `Published, but ${problem}`, { target: targetName, key });
    },
  };
}

async function describe({ path, facts }: FinishedArchive): Promise<ArchiveDescription> {
  const { describeArchive } = await import("./archive-entry.js");
  return describeArchive(path, facts);
}

/** For looks at the target outside of a run, where there is no context. */
export const QUIET: Context = {
  signal: new AbortController().signal,
  log: { debug() {}, info() {}, warn() {}, error() {}, with: () => QUIET.log },
  progress: SILENT,
};

/** Why what the target holds is not what was published; undefined when it is. */
async function problemAt(
  manifest: ManifestFile,
  key: string,
  archive: FinishedArchive,
  facts: PublishFacts,
  year: number,
  ctx: Context,
): Promise<string | undefined> {
  const stored = await manifest.target.stat(key, ctx);
  if (stored === undefined) return "the archive is not at the target";
  const wanted = { bytes: facts.bytes, checksum: facts.checksum.replace("sha256:", ""), fingerprint: archive.digest };
  if (!isStored(stored, wanted)) return "the target holds another archive";
  return entryProblem(await readManifest(manifest, ctx), manifest.format, year, facts.checksum, facts.url);
}

/** A failed invalidation does not undo the publish; a rerun repeats only the invalidation. */
export async function tryInvalidation(options: Options, target: Target, keys: string[], ctx: Context): Promise<string> {
  const { distribution, publicUrl, profile, retries, proxy, waitInvalidation } = options;
  if (distribution === undefined) return "none";
  const { invalidate, invalidationDone, invalidationPaths } = await import("./invalidation.js");
  try {
    const access = { profile, retries, proxies: ProxyRules.of(proxy) };
    const paths = invalidationPaths(keys, publicUrl, (key) => target.urlPath(key));
    const id = await invalidate(distribution, paths, access, ctx);
    ctx.log.info("CloudFront invalidation created", { distribution, id, paths: paths.join(" ") });
    if (!waitInvalidation) return `created ${id}`;
    await invalidationDone(distribution, id, access, ctx);
    return `completed ${id}`;
  } catch (error) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    const reason = `${awsCode(error)}: ${firstLine(error)}`;
    ctx.log.error(`Published, but the CloudFront invalidation failed; run the step again to retry it: ${reason}`, {
      distribution,
    });
    return FAILED + reason;
  }
}

export function localPath(target: Pick<Target, "name">, key: string): string | undefined {
  return target.name.startsWith("file:") ? join(target.name.slice("file:".length), key) : undefined;
}

export function below(publicUrl: string, key: string): string {
  return `${publicUrl.replace(/\/+$/, "")}/${encodeURIComponent(key)}`;
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
