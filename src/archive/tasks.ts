import { statSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { transfer } from "../parallel/transfer.js";
import { PipelineError } from "../pipeline/errors.js";
import { type Audit, type AuditPlan, auditTiles, newAudit } from "./audit.js";
import { gunzip, TILE_LIMIT } from "./gunzip.js";
import { addLayers, type SeenLayer } from "./layer-summary.js";
import type { Mbtiles, MbtilesKeys } from "./mbtiles.js";
import { Archive } from "./reader.js";
import { tileName, tileOf } from "./tile-id.js";

export interface AuditTask {
  readonly path: string;
  readonly plan: AuditPlan;
  /** Directory entries [from, to). */
  readonly from: number;
  readonly to: number;
}

/** Open a range of an archive's tiles and count what is in them. */
export function auditRange({ path, plan, from, to }: AuditTask): Audit {
  const version = versionOf(path);
  if (archive?.version !== version) {
    archive?.file.close();
    archive = undefined;
    archive = { version, file: new Archive(path) };
  }
  const audit = newAudit(plan);
  auditTiles(audit, archive.file, plan, from, to);
  return audit;
}
auditRange.module = import.meta.url;

/** The archive opened last in this thread: its directories are read once. */
let archive: { readonly version: string; readonly file: Archive } | undefined;

export interface MbtilesTask {
  readonly path: string;
  /** Scratch, for the library's marks. */
  readonly folder: string;
  readonly keys: MbtilesKeys;
  /** Look what layers the tiles have. */
  readonly describe: boolean;
}

export type MbtilesSlice = ReturnType<Mbtiles["tiles"]> & { readonly layers: readonly SeenLayer[] };

/** Read some tiles of MBTiles, as gzip. */
export async function mbtilesSlice({ path, folder, keys, describe }: MbtilesTask): Promise<MbtilesSlice> {
  // SQLite, which an audit does not need.
  const { Mbtiles } = await import("./mbtiles.js");
  const version = `${versionOf(path)} ${versionOf(folder)}`;
  if (mbtiles?.version !== version) {
    mbtiles?.file.close();
    mbtiles = undefined;
    mbtiles = { version, file: new Mbtiles(path, folder, `worker-${threadId}`) };
  }
  const { bytes, lengths } = mbtiles.file.tiles(keys);
  const layers = describe ? layersOf(keys, bytes, lengths) : [];
  return transfer({ bytes, lengths, layers }, [bytes, lengths]);
}
mbtilesSlice.module = import.meta.url;

function layersOf({ tileIds }: MbtilesKeys, bytes: Uint8Array, lengths: Uint32Array): SeenLayer[] {
  const seen = new Map<string, SeenLayer>();
  let at = 0;
  lengths.forEach((length, i) => {
    const tile = tileOf(tileIds[i] as number);
    try {
      if (length > 0) addLayers(seen, gunzip(bytes.subarray(at, at + length), TILE_LIMIT), tile.z);
    } catch (cause) {
      throw new PipelineError("input", "Tile cannot be read", { tile: tileName(tileIds[i] as number) }, { cause });
    }
    at += length;
  });
  return [...seen.values()];
}

/** The MBTiles opened last in this thread. */
let mbtiles: { readonly version: string; readonly file: Mbtiles } | undefined;

/** Tells a file from one that has replaced it. */
function versionOf(path: string): string {
  const { ino, birthtimeNs, mtimeNs } = statSync(path, { bigint: true });
  return `${path} ${ino} ${statSync(path).isFile() ? mtimeNs : birthtimeNs}`;
}
