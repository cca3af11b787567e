import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type BaseFile, type ColumnBase, standingColumnBase } from "../columns/base-step.js";
import type { ColumnFacts } from "../columns/step.js";
import { type Layout, layoutOf, type Options } from "../config/config.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { requireHeld } from "../pipeline/output.js";
import { type Facts, readRecord, recordPath, type StepRecord } from "../pipeline/record.js";
import { outputProblem, type Step } from "../pipeline/step.js";
import { describeArchive } from "./archive-entry.js";
import { type ColumnBaseEntry, type ColumnEntry, columnProblem, type FileEntry, withColumn } from "./manifest.js";
import { copyManifest, type ManifestFile, readManifest, updateManifest } from "./manifest-update.js";
import { openManifest } from "./open-manifest.js";
import { targetPlace } from "./open-target.js";
import { CACHE_CONTROL, isStored, sendFile, sourceOf } from "./send-file.js";
import { below, GENERATOR, localPath, QUIET, tryInvalidation } from "./step.js";
import type { Target } from "./target.js";
import type { S3Tuning } from "./target-s3.js";

/** A year's crop codes, with the base that they are of. */
export interface FinishedColumn {
  readonly path: string;
  /** `fileDigest` of it. */
  readonly digest: string;
  readonly builtAt: string;
  readonly base: ColumnBase;
}

export interface PublishColumnFacts extends Facts {
  readonly url: string;
  readonly bytes: number;
  /** `sha256:` and 64 hex digits. */
  readonly checksum: string;
  /** Fingerprint of the base. */
  readonly base: string;
  /** Years with a column in the manifest after this one was published. */
  readonly years: readonly number[];
  readonly invalidation: string;
}

const OCTETS = "application/octet-stream";

/**
 * The column of a year, as it was made last.
 *
 * @throws {PipelineError} input, when it is not there, or was changed, or its base was.
 */
export function finishedColumn(year: number, options: Options): FinishedColumn {
  const layout = layoutOf(options, year);
  const { column: path } = layout;
  if (!existsSync(path)) {
    throw new PipelineError("input", "The year's crop codes are not there; make them with --publish-as columns", {
      path,
      year,
    });
  }
  const digest = fileDigest(path);
  const record = readRecord(recordPath(layout.state, options.region, year, "column"));
  if (record?.output.digest !== digest) {
    throw new PipelineError("input", "The year's crop codes were changed since they were made; make them again", {
      path,
      year,
    });
  }
  return columnOfRecord(record, layout);
}

/** @throws {PipelineError} input, when the base of the column was changed. */
export function columnOfRecord({ output, facts, finishedAt }: StepRecord, layout: Layout): FinishedColumn {
  const { blocks, archive, fingerprint } = facts as ColumnFacts;
  return { ...output, builtAt: finishedAt, base: standingColumnBase(blocks, archive, fingerprint, { layout }) };
}

/**
 * Publish a year as a column: the base's archive and blocks where the target does not have them, the column, then the
 * manifest, then the invalidation.
 *
 * @param tuning  of multipart uploads; the defaults fit.
 * @throws {PipelineError} input, when a file was changed; usage, when the manifest cannot list columns; publish.
 */
export function publishColumnStep(
  year: number,
  options: Options,
  layout: Layout,
  column: FinishedColumn,
  tuning: S3Tuning = {},
): Step<PublishColumnFacts> {
  const { region, manifestFormat, publicUrl } = options;
  const { base } = column;
  const { name: targetName } = targetPlace(options, layout);
  const key = basename(column.path);
  let opened: Promise<ManifestFile> | undefined;
  const manifestAtTarget = () => {
    opened ??= openManifest(options, layout, tuning);
    return opened;
  };
  const files = new InputFiles(column.path, base.archive.path, base.blocks.path);
  const receiptPath = join(layout.state, `${region}_${year}_published_column.json`);
  const urlOf = (target: Target, name: string) =>
    publicUrl === undefined ? target.url(name) : Promise.resolve(below(publicUrl, name));

  const problemAt = async (where: ManifestFile, facts: Pick<PublishColumnFacts, "url" | "checksum">, ctx = QUIET) => {
    for (const file of [column, base.archive, base.blocks]) {
      const stored = await where.target.stat(basename(file.path), ctx);
      if (stored === undefined) return `${basename(file.path)} is not at the target`;
      const checksum = file === column ? facts.checksum.replace("sha256:", "") : (file as BaseFile).checksum;
      const wanted = { bytes: statSync(file.path).size, checksum, fingerprint: file.digest };
      if (!isStored(stored, wanted)) return `the target holds another ${basename(file.path)}`;
    }
    const entry = { url: facts.url, checksum: facts.checksum, base: base.fingerprint };
    return columnProblem(await readManifest(where, ctx), year, entry);
  };

  return {
    name: "publish column",
    year,
    version: 1,
    target: receiptPath,
    record: recordPath(layout.state, region, year, "publish-column"),
    errorKind: "publish",
    // An upload that was cut off leaves a note of its parts there.
    resumable: true,
    files,
    inputs: {
      column: column.digest,
      archive: base.archive.digest,
      blocks: base.blocks.digest,
      target: targetName,
      endpoint: options.endpoint ?? null,
      publicUrl: publicUrl ?? null,
      distribution: options.distribution ?? null,
    },

    async recheck(record) {
      const facts = record.facts as PublishColumnFacts;
      const gone = outputProblem(receiptPath, record);
      if (gone !== undefined) return gone;
      if (facts.invalidation.startsWith("failed")) return "the invalidation failed last time";
      // A rerun must not wait long to say that the target cannot be seen; then the step runs, and says why.
      const quick = await openManifest({ ...options, retries: Math.min(options.retries, 1) }, layout);
      try {
        return await problemAt(quick, facts);
      } catch (error) {
        return `the target cannot be looked at: ${(error as Error).message}`;
      }
    },

    async validate(ctx) {
      if (manifestFormat === "list") {
        throw new PipelineError("usage", "--manifest-format list cannot list columns", {
          expected: "--manifest-format full",
        });
      }
      for (const { path, digest } of [column, base.archive, base.blocks]) {
        if (fileDigest(path) !== digest)
          throw new PipelineError("input", "File to publish was changed since it was made", { path });
      }
      await readManifest(await manifestAtTarget(), ctx);
    },

    async run(partial, ctx) {
      const manifest = await manifestAtTarget();
      const { target } = manifest;
      const send = async (
        path: string,
        source: Awaited<ReturnType<typeof sourceOf>>,
        contentType: string,
      ): Promise<FileEntry> => {
        const name = basename(path);
        const resumePath = `${partial}.${name}.upload.json`;
        const onLink = (link: string) => files.linked(path, link);
        await sendFile(target, name, source, { contentType, cacheControl: CACHE_CONTROL, resumePath, onLink }, ctx);
        return {
          url: await urlOf(target, name),
          key: name,
          bytes: source.bytes,
          checksum: `sha256:${source.checksum}`,
        };
      };
      const known = ({ path, checksum, digest }: BaseFile) => ({
        path,
        bytes: statSync(path).size,
        checksum,
        fingerprint: digest,
      });
      const archive = await send(base.archive.path, known(base.archive), "application/vnd.pmtiles");
      const blocks = await send(base.blocks.path, known(base.blocks), OCTETS);
      const codes = await send(column.path, await sourceOf(column.path, column.digest, ctx), OCTETS);
      const description = await describeArchive(base.archive.path, {});
      const { builtAt } = column;
      const baseEntry: ColumnBaseEntry = {
        archive: { ...archive, ...description },
        blocks,
      };
      const entry: ColumnEntry = { ...codes, base: base.fingerprint, builtAt };
      files.requireUnchanged();
      requireHeld(ctx);
      const by = { region, generator: GENERATOR };
      const update = await updateManifest(manifest, (now) => withColumn(now, year, entry, baseEntry, by), ctx);
      if (resolve(layout.manifest) !== localPath(target, manifest.key))
        await copyManifest(manifest, layout.manifest, ctx);
      const keys = [manifest.key, ...[archive, blocks, codes].map((file) => file.key)];
      const facts: PublishColumnFacts = {
        url: entry.url,
        bytes: entry.bytes,
        checksum: entry.checksum,
        base: base.fingerprint,
        years: Object.keys(update.manifest.columns?.years ?? {}).map(Number),
        invalidation: await tryInvalidation(options, target, keys, ctx),
      };
      writeFileSync(
        partial,
        `${JSON.stringify({ year, target: target.name, ...entry, invalidation: facts.invalidation }, null, 2)}\n`,
      );
      return facts;
    },

    async verify(partial, facts, ctx) {
      const receipt = JSON.parse(readFileSync(partial, "utf8")) as { checksum?: string };
      const problem =
        receipt.checksum === facts.checksum
          ? await problemAt(await manifestAtTarget(), facts, ctx)
          : "the receipt names another column";
      if (problem !== undefined)
        throw new PipelineError("publish", `Published, but ${problem}`, { target: targetName, key });
    },
  };
}
