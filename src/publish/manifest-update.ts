import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { type Manifest, type ManifestFormat, manifestText, parseManifest } from "./manifest.js";
import type { Target } from "./target.js";
import { FileTarget } from "./target-file.js";

/** Every conflict means that another writer got through, so this many lets as many writers pass. */
const MAX_ATTEMPTS = 200;
const BACKOFF_MS = 25;
const MAX_BACKOFF_MS = 1_000;

/** Readers ask each time whether it changed; its ETag makes that cheap. */
const HEADERS = { contentType: "application/json; charset=utf-8", cacheControl: "no-cache" } as const;

export interface ManifestFile {
  readonly target: Target;
  readonly key: string;
  readonly region: string;
  readonly format: ManifestFormat;
  /** Where the store refuses conditional writes: write all the same, and look whether it stayed. */
  readonly allowRace: boolean;
}

/** How the writes of others were kept out. */
export type Guard = "conditional write" | "lock object" | "none" | "unchanged";

export async function readManifest(file: ManifestFile, ctx: Context): Promise<Manifest | undefined> {
  const stored = await file.target.getText(file.key, ctx);
  return stored && parseManifest(stored.text, file.region, whereOf(file));
}

/**
 * Read, change and write the manifest so that writers at the same time lose nothing.
 *
 * Where the store has conditional writes (AWS, folders) a write goes through only
 * over the very text that was read; otherwise it is read and changed again. Where
 * it refuses them a lock object keeps other writers out (see lock-object.ts for
 * what that promises), unless `allowRace` says to do without. A store that *ignores* conditions can lose a year; the
 * rerun of that year finds it missing and puts it back.
 *
 * @param change  pure; called once for each attempt.
 * @throws {PipelineError} publish, when what lies there is not a manifest, or others kept winning.
 */
export async function updateManifest(
  file: ManifestFile,
  change: (current: Manifest | undefined) => Manifest,
  ctx: Context,
): Promise<{ manifest: Manifest; guard: Guard }> {
  const { target, key } = file;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { manifest, text, stored } = await nextText(file, change, ctx);
    if (text === stored?.text) {
      await target.clearDeadLock?.(key, ctx);
      return { manifest, guard: "unchanged" };
    }
    const condition = stored === undefined ? ({ ifNoneMatch: "*" } as const) : { ifMatch: stored.tag };
    const outcome = await target.putText(key, text, HEADERS, condition, ctx);
    if (outcome === "written") return { manifest, guard: "conditional write" };
    if (outcome === "unsupported" && file.allowRace)
      return { manifest: await updateRacing(file, change, ctx), guard: "none" };
    if (outcome === "unsupported") return { manifest: await updateUnderLock(file, change, ctx), guard: "lock object" };
    const limit = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** attempt);
    await sleep(limit * Math.random(), undefined, { signal: ctx.signal });
  }
  throw new PipelineError("publish", "The manifest kept changing: other writers updated it before every attempt", {
    ...whereOf(file),
    attempts: MAX_ATTEMPTS,
  });
}

async function updateUnderLock(
  file: ManifestFile,
  change: (current: Manifest | undefined) => Manifest,
  ctx: Context,
): Promise<Manifest> {
  const { target, key } = file;
  ctx.log.warn("the server rejects conditional writes: using a lock object for the manifest", whereOf(file));
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const written = await target.exclusively(key, ctx, async (stillHeld) => {
      const { manifest, text, stored } = await nextText(file, change, ctx);
      if (text === stored?.text) return manifest;
      if (!stillHeld()) return undefined;
      await target.putText(key, text, HEADERS, "always", ctx);
      return manifest;
    });
    if (written !== undefined) return written;
  }
  throw new PipelineError(
    "publish",
    "The lock of the manifest was lost each time before it could be written",
    whereOf(file),
  );
}

/** For credentials that may not make or list lock objects. Lost updates are detected only when they precede the re-read. */
async function updateRacing(
  file: ManifestFile,
  change: (current: Manifest | undefined) => Manifest,
  ctx: Context,
): Promise<Manifest> {
  ctx.log.warn("the server rejects conditional writes: writing the manifest without a lock", whereOf(file));
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { manifest, text, stored } = await nextText(file, change, ctx);
    if (text === stored?.text) return manifest;
    await file.target.putText(file.key, text, HEADERS, "always", ctx);
  }
  throw new PipelineError(
    "publish",
    "Other writers changed the manifest each time right after this one",
    whereOf(file),
  );
}

async function nextText(file: ManifestFile, change: (current: Manifest | undefined) => Manifest, ctx: Context) {
  const stored = await file.target.getText(file.key, ctx);
  const current = stored && parseManifest(stored.text, file.region, whereOf(file));
  if (file.format === "list" && Object.keys(current?.archives ?? {}).length > 0) {
    throw new PipelineError(
      "publish",
      "The manifest there tells of archives, which a bare list would lose; publish with --manifest-format full, or remove it first",
      { ...whereOf(file), expected: "a list of years", received: "a full manifest" },
    );
  }
  const manifest = change(current);
  return { manifest, text: manifestText(manifest, file.format), stored };
}

/**
 * Keep a local copy of a manifest that is published elsewhere. A file there that
 * is not a manifest of this region's, or lists years that the target does not,
 * stays, with a warning.
 */
export async function copyManifest(file: ManifestFile, path: string, ctx: Context): Promise<void> {
  const [folder, name] = [new FileTarget(dirname(path)), basename(path)];
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    // The copy first, then its source: a write that goes through knows of no older source than any before it.
    const local = await folder.getText(name);
    const stored = await file.target.getText(file.key, ctx);
    if (stored === undefined || stored.text === local?.text) return;
    const problem = copyProblem(local?.text, parseManifest(stored.text, file.region, whereOf(file)), file.region);
    if (problem !== undefined) {
      ctx.log.warn(`no local copy of the manifest: ${problem}`, { path });
      return;
    }
    const condition = local === undefined ? ({ ifNoneMatch: "*" } as const) : { ifMatch: local.tag };
    if ((await folder.putText(name, stored.text, HEADERS, condition, ctx)) === "written") return;
  }
  ctx.log.warn("no local copy of the manifest: other processes kept writing it", { path });
}

/** Why the local file must stay; undefined where it may be replaced. */
function copyProblem(local: string | undefined, remote: Manifest, region: string): string | undefined {
  if (local === undefined) return undefined;
  try {
    const only = parseManifest(local, region, {}).years.filter((year) => !remote.years.includes(year));
    return only.length === 0 ? undefined : `the file there lists years that the target does not: ${only.join(" ")}`;
  } catch (error) {
    return (error as Error).message;
  }
}

function whereOf({ target, key }: ManifestFile): { target: string; manifest: string } {
  return { target: target.name, manifest: key };
}
