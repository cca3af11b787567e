import { existsSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { Type } from "apache-arrow";
import { gunzip } from "../archive/gunzip.js";
import { TILE_TYPE } from "../archive/header.js";
import type { Metadata } from "../archive/metadata.js";
import { encodeValue } from "../archive/mvt-value.js";
import { Archive } from "../archive/reader.js";
import { replaceMetadata } from "../archive/rewrite.js";
import { checkStructure } from "../archive/structure.js";
import type { Tilestats } from "../archive/tilestats.js";
import type { Options } from "../config/options.js";
import type { Run } from "../config/run.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { checkIncluded, includedNames } from "../fields/included.js";
import { checkIncludedKeys, type IncludedType, includedTypes, readIncluded } from "../fields/included-values.js";
import { ensureStep } from "../pipeline/ensure.js";
import { PipelineError } from "../pipeline/errors.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { judgeStep, type Step } from "../pipeline/step.js";
import { archiveMetadata, type CellZooms, LAYERS } from "./archive-metadata.js";
import { auditArchive, type LeftOut } from "./audit.js";
import { baseInputs, baseName } from "./base-inputs.js";
import { exportBaseTiles } from "./export-base-tiles.js";
import { tileNatively } from "./native-tiler.js";
import { precompressArchive, RECORD_VERSION } from "./precompress.js";
import { jsonValue } from "./properties.js";
import { checkBaseTiles } from "./rewrite-check.js";
import { idsAreRows, joinArea, openFieldSources } from "./sources.js";

/** The base's description in its metadata, so that the file is self-contained. */
export type BaseFacts = {
  /** RECORD_VERSION of its records. */
  readonly records: number;
  /** Fingerprint of the fields and of all options that shape the tiles. */
  readonly fields: string;
  readonly rows: number;
  /** Fields with a polygon, and with a centroid, at the highest zoom. */
  readonly featureCounts: { readonly fields: number; readonly centroids: number };
  readonly notDrawn: number;
  readonly tooThin: number;
  /** Zooms from 9 to below the highest that lack fields. */
  readonly leftOut: readonly LeftOut[];
  readonly noArea: number;
  readonly areaOnly: number;
  readonly idType: "Number" | "String" | null;
  /** Columns of `--include`, by name their type. */
  readonly included?: Readonly<Record<string, IncludedType>>;
  /** By layer, the rows at the highest zoom: one bit per row, gzip, base64. */
  readonly seen: Readonly<Record<string, string>>;
};

interface BaseMetadata {
  readonly engine?: string;
  readonly cells?: CellZooms;
  readonly base?: BaseFacts;
}

/** The precompressed tiles of a field set, without crops. */
export interface Base {
  readonly path: string;
  /** The tiler that made it. */
  readonly engine: string;
  readonly cells: CellZooms | undefined;
  readonly facts: BaseFacts;
  /** Statistics of the attributes that do not change. */
  readonly tilestats: Tilestats | undefined;
  /** Mark it as invalid, so that the next run makes it again; undefined for the user's own file. */
  forget?(): void;
}

/**
 * The base of the root's fields, from `--base` or `data/base/`; made if missing. One process makes it; others that
 * start at the same time wait for it.
 *
 * @param year  that needs it, only for the log.
 */
export async function ensureBase(year: number | undefined, run: Run): Promise<Base> {
  const { options, layout, ctx } = run;
  const files = new InputFiles();
  const inputs = baseInputs(layout, options, files);
  const inputsDigest = fingerprint(inputs);
  if (options.base !== undefined) {
    // Any tiler may have made it.
    const accepted = (["native", "tippecanoe"] as const).map((tiler) => fingerprint({ ...inputs, tiler }));
    return openBase(resolve(options.base), inputsDigest, accepted);
  }
  const step = baseStep(year, inputs, files, run);
  const lock = join(layout.state, `base_${options.region}_${inputsDigest.slice(0, 12)}.lock`);
  await ensureStep(step, lock, ctx);
  const forget = () => rmSync(step.record, { force: true });
  try {
    return { ...openBase(step.target, inputsDigest), forget };
  } catch (error) {
    forget();
    throw error;
  }
}

/** Whether `ensureBase` would have to tile the fields. */
export async function lacksBase(run: Run): Promise<boolean> {
  if (run.options.base !== undefined) return false;
  const files = new InputFiles();
  const inputs = baseInputs(run.layout, run.options, files);
  return !(await judgeStep(baseStep(undefined, inputs, files, run), false)).skip;
}

/**
 * @param inputsDigest     of the fields that need it.
 * @param accepted  other digests that are valid too.
 * @throws {PipelineError} input, when the file is not a base, or belongs to other fields or options.
 */
export function openBase(path: string, inputsDigest: string, accepted: readonly string[] = [inputsDigest]): Base {
  if (!existsSync(path)) throw new PipelineError("input", "Base not found", { path });
  const archive = new Archive(path);
  try {
    const { engine, base, cells, tilestats } = archive.metadata() as Metadata & BaseMetadata;
    if (base === undefined) {
      throw new PipelineError("input", "Not a base archive: metadata lacks `base`", { path });
    }
    if (archive.header.tileType !== TILE_TYPE.mvt && base.records !== RECORD_VERSION) {
      throw new PipelineError("input", "Base was made by another version", {
        path,
        expected: RECORD_VERSION,
        received: base.records,
      });
    }
    if (!accepted.includes(base.fields)) {
      throw new PipelineError("input", "Base was made from other fields, or with other options", {
        path,
        expected: inputsDigest.slice(0, 12),
        received: base.fields.slice(0, 12),
      });
    }
    return { path, engine: engine ?? "unknown", cells, facts: base, tilestats };
  } finally {
    archive.close();
  }
}

/**
 * One bit per row that a layer has at the highest zoom.
 *
 * @throws {PipelineError} input, when the layer's list cannot be read.
 */
export function rowsOfLayer({ facts, path }: Base, layer: string): Uint8Array {
  try {
    const bits = gunzip(Buffer.from(facts.seen[layer] ?? "", "base64"), Math.ceil(facts.rows / 8) + 64);
    if (bits.length * 8 >= facts.rows) return bits;
  } catch {
    // Reported below.
  }
  throw new PipelineError("input", "Base's list of rows cannot be read", { path, layer });
}

function baseStep(
  year: number | undefined,
  inputs: ReturnType<typeof baseInputs>,
  files: InputFiles,
  run: Run,
): Step<Omit<BaseFacts, "seen"> & { engine: string }> {
  const { options, layout, pool } = run;
  const inputsDigest = fingerprint(inputs);
  const { region, minZoom, maxZoom } = options;
  const name = baseName(region, inputs);
  const names = includedNames(options.include);
  return {
    name: "base",
    year,
    version: RECORD_VERSION + 1,
    target: join(layout.root, "data", "base", `${name}.precompressed`),
    record: join(layout.state, `base_${name}.json`),
    errorKind: "failed",
    files,
    inFull: options.verifyInputs === "full",
    inputs,
    async validate() {
      const { fields } = await openFieldSources(layout, options);
      checkIncluded(fields, names);
      checkIncludedKeys(names);
    },
    async run(partial, ctx) {
      const sources = await openFieldSources(layout, options);
      const { fields } = sources;
      const area = await joinArea(sources, { ...run, ctx });
      const idType = await idTypeOf(fields, options);
      const encode = options.tiler === "native" ? encodeValue : jsonValue;
      const attributes = {
        area: area.values.buffer as SharedArrayBuffer,
        crop: undefined,
        included: await readIncluded(fields, names, encode, options.batch, ctx.signal),
        choice: { fieldId: idType !== null, cropName: false },
      };
      const { area: shared, included, choice } = attributes;
      const recordOptions = { ...options, records: true };
      const tiled =
        options.tiler === "native"
          ? await tileNatively(
              fields,
              { area: shared, fieldId: choice.fieldId, included },
              partial,
              recordOptions,
              pool(),
              ctx,
            )
          : await (await import("./tile-fields.js")).tileFields(
              fields,
              { ...attributes, included: included?.columns },
              partial,
              "base",
              { ...run, ctx },
            );
      const audit = tiled.audit ?? (await auditArchive(tiled.path, tiled.status, undefined, maxZoom, pool(), ctx));
      if (audit.thin > 0)
        ctx.log.warn(`${audit.thin} fields are too thin to draw at zoom ${maxZoom}`, {
          firstRows: audit.firstThin.join(" "),
        });
      const facts: Omit<BaseFacts, "seen"> = {
        records: RECORD_VERSION,
        fields: inputsDigest,
        rows: fields.rows,
        featureCounts: { fields: audit.fields, centroids: audit.centroids },
        notDrawn: fields.rows - tiled.drawn,
        tooThin: audit.thin,
        leftOut: audit.leftOut,
        noArea: area.missing.rows,
        areaOnly: area.extra.rows,
        idType,
        ...(names.length > 0 && { included: includedTypes(fields, names) }),
      };
      const seen = LAYERS.map((layer, i) => [layer, gzipSync(audit.seen[i] as Uint8Array).toString("base64")]);
      const metadata = archiveMetadata({
        region,
        years: [],
        inputs: inputsDigest,
        minZoom,
        maxZoom,
        engine: tiled.engine,
        cells: tiled.cells,
        idType: idType ?? undefined,
        included: facts.included,
        crops: [],
        codes: [],
      });
      const base: BaseFacts = { ...facts, seen: Object.fromEntries(seen) };
      const change = ({ tilestats }: Metadata) => ({ ...metadata, ...(tilestats && { tilestats }), base });
      if (options.tiler === "native") {
        // Its tiles are records already.
        replaceMetadata(tiled.path, change);
        renameSync(tiled.path, partial);
      } else {
        const whole = change(metadataOf(tiled.path));
        const made = await precompressArchive(tiled.path, partial, fields.rows, whole, pool(), ctx);
        ctx.log.info("tiles are precompressed", { ...made });
        await checkBaseTiles(tiled.path, partial, fields.rows, ctx);
        rmSync(tiled.path);
      }
      return { ...facts, engine: tiled.engine };
    },
    async verify(partial) {
      // The content of the tiles was checked when they were made.
      const archive = new Archive(partial);
      try {
        checkStructure(archive, { minZoom, maxZoom, layers: LAYERS, tileType: TILE_TYPE.unknown });
      } finally {
        archive.close();
      }
    },
  };
}

/**
 * Write a base's tiles, without crops, as a PMTiles archive.
 *
 * @param more  metadata keys in addition to those of the base.
 * @throws {PipelineError} input, naming the tile, when the base is damaged; space.
 */
export async function exportBase(base: Base, target: string, { pool, ctx }: Run, more: Metadata = {}): Promise<void> {
  const metadata = { ...metadataOf(base.path), ...more };
  await exportBaseTiles(base.path, base.facts.rows, target, metadata, pool(), ctx);
}

function metadataOf(path: string): Metadata {
  const archive = new Archive(path);
  try {
    return archive.metadata();
  } finally {
    archive.close();
  }
}

/** Type of the attribute field_id; null if ids are row numbers, which are the features' ids. */
export async function idTypeOf(fields: FieldsFile, options: Options): Promise<BaseFacts["idType"]> {
  if (fields.idType.typeId !== Type.Int) return "String";
  return (await idsAreRows(fields, options.batch)) ? null : "Number";
}
