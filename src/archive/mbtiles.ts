import { closeSync, existsSync, statSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import sqlite from "node-sqlite3-wasm";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { makeFolder } from "../pipeline/folder.js";
import { openInput } from "../pipeline/input-file.js";
import { inflate, TILE_LIMIT } from "./gunzip.js";
import type { Bounds, Header } from "./header.js";
import type { Metadata } from "./metadata.js";
import { MAX_ZOOM, type Tile, tileId, tileName, tileOf } from "./tile-id.js";

/** SQLite's page cache, KiB: the upper pages of its trees, which every look-up passes. */
const CACHE_KIB = 16_384;

/** Where each tile is, in tile id order. */
export interface MbtilesKeys {
  readonly tileIds: Float64Array;
  /** Rows of `table`; empty where tiles are looked up by address. */
  readonly rowIds: Float64Array;
  /** That holds `tile_data`. */
  readonly table: string;
}

const LOOK_UP = "SELECT tile_data AS data FROM tiles";
/** tippecanoe's own: contents once, in `images`, by zoom and digest. */
const TIPPECANOE_VIEW =
  /FROM map JOIN images ON images\.tile_id = map\.tile_id and images\.zoom_level = map\.zoom_level/i;
const ADDRESS = "zoom_level AS z, tile_column AS x, tile_row AS y";

/**
 * An MBTiles file, open for reading. Every error is a PipelineError of kind `input` that names the file.
 *
 * The library marks a file that it reads by a folder next to it, which stays when the
 * process is killed and needs a folder that can be written. So it gets to see a link
 * in `folder`, a name for each thread.
 */
export class Mbtiles {
  readonly #db: InstanceType<typeof sqlite.Database>;
  readonly #statements = new Map<string, ReturnType<InstanceType<typeof sqlite.Database>["prepare"]>>();

  constructor(
    readonly path: string,
    folder: string,
    name: string,
  ) {
    checkFile(path);
    const link = join(folder, `${name}.mbtiles`);
    makeFolder(folder);
    if (!existsSync(link)) symlinkSync(resolve(path), link);
    this.#db = this.#guarded("MBTiles cannot be opened", () => {
      const db = new sqlite.Database(link, { readOnly: true, fileMustExist: true });
      // Marked once, not for every tile.
      db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -${CACHE_KIB}`);
      return db;
    });
  }

  close(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#db.close();
  }

  /** Rows of the metadata table; none where there is no such table. */
  metadata(): ReadonlyMap<string, string> {
    if ([...this.#rows("SELECT name FROM sqlite_master WHERE name = 'metadata'")].length === 0) return new Map();
    const rows = this.#rows("SELECT name, value FROM metadata");
    return new Map([...rows].map(({ name, value }) => [String(name), String(value)]));
  }

  /** Addresses of all tiles, in tile id order; rows count from the south in the file, from the north here. */
  keys(): MbtilesKeys {
    const { table, sql, byRow } = this.#layout();
    const ids: number[] = [];
    const rows: number[] = [];
    for (const { z, x, y, id } of this.#rows(sql)) {
      ids.push(this.#tileId({ z: Number(z), x: Number(x), y: 2 ** Number(z) - 1 - Number(y) }));
      if (byRow) rows.push(Number(id));
    }
    const order = Uint32Array.from(ids, (_, i) => i).sort((a, b) => (ids[a] as number) - (ids[b] as number));
    const tileIds = Float64Array.from(order, (i) => ids[i] as number);
    const twice = tileIds.findIndex((id, i) => id === tileIds[i - 1]);
    if (twice >= 0) this.#fail("MBTiles file has a tile twice", { tile: tileName(tileIds[twice] as number) });
    return { table, tileIds, rowIds: byRow ? Float64Array.from(order, (i) => rows[i] as number) : new Float64Array() };
  }

  /**
   * Tiles of keys [0, n) of a slice, as gzip: those that are not are compressed. Read in the
   * order in which they lie, which is what disks like.
   *
   * @returns contents one after the other, in the order of the keys; length 0 where a tile is empty.
   */
  tiles({ table, tileIds, rowIds }: MbtilesKeys): { bytes: Uint8Array; lengths: Uint32Array } {
    const order = Uint32Array.from(tileIds, (_, i) => i);
    if (rowIds.length > 0) order.sort((a, b) => (rowIds[a] as number) - (rowIds[b] as number));
    const contents: Uint8Array[] = [];
    for (const i of order) contents[i] = this.#tile(table, tileIds[i] as number, rowIds[i]);
    const lengths = Uint32Array.from(contents, ({ length }) => length);
    const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
    let at = 0;
    for (const content of contents) {
      bytes.set(content, at);
      at += content.length;
    }
    return { bytes, lengths };
  }

  #tile(table: string, id: number, rowId: number | undefined): Uint8Array {
    const where = () => ({ tile: tileName(id) });
    const row = this.#guarded(
      "MBTiles cannot be read",
      () => {
        if (rowId !== undefined)
          return this.#prepared(`SELECT tile_data AS data FROM ${table} WHERE rowid = ?`).get(rowId);
        const { z, x, y } = tileOf(id);
        return this.#prepared(`${LOOK_UP} WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?`).get([
          z,
          x,
          2 ** z - 1 - y,
        ]);
      },
      where,
    );
    const data = row?.data;
    if (data === null) return new Uint8Array();
    if (!(data instanceof Uint8Array)) this.#fail("Tile is not a blob", { ...where(), received: typeof data });
    return this.#guarded("Tile cannot be compressed", () => asGzip(data), where);
  }

  /** Which table holds the tiles' bytes, and how its rows are found: a plain table, or a view as tippecanoe's. */
  #layout(): { table: string; sql: string; byRow: boolean } {
    const objects = new Map([...this.#rows("SELECT name, type, sql FROM sqlite_master")].map((row) => [row.name, row]));
    const found = objects.get("tiles");
    if (found === undefined)
      this.#fail("Not an MBTiles file: it has no table or view `tiles`", { expected: "a table or view tiles" });
    if (found.type === "table" && !/WITHOUT\s+ROWID/i.test(String(found.sql))) {
      return { table: "tiles", sql: `SELECT ${ADDRESS}, rowid AS id FROM tiles`, byRow: true };
    }
    const images = String(objects.get("images")?.sql ?? "");
    if (found.type === "view" && TIPPECANOE_VIEW.test(String(found.sql)) && /zoom_level/i.test(images)) {
      const join = "map JOIN images ON images.tile_id = map.tile_id AND images.zoom_level = map.zoom_level";
      const address = ADDRESS.replace("zoom_level", "map.zoom_level");
      return { table: "images", sql: `SELECT ${address}, images.rowid AS id FROM ${join}`, byRow: true };
    }
    for (const { detail } of this.#rows(
      `EXPLAIN QUERY PLAN ${LOOK_UP} WHERE zoom_level = 1 AND tile_column = 1 AND tile_row = 1`,
    )) {
      if (String(detail).startsWith("SCAN"))
        this.#fail("MBTiles file has no index on its tiles", { received: String(detail) });
    }
    return { table: "tiles", sql: `SELECT ${ADDRESS} FROM tiles`, byRow: false };
  }

  #tileId(tile: Tile): number {
    try {
      return tileId(tile);
    } catch (cause) {
      const { z, x, y } = tile;
      const received = `zoom ${z}, column ${x}, row ${2 ** z - 1 - y}`;
      throw new PipelineError(
        "input",
        "MBTiles have a tile that is not in the world",
        { path: this.path, expected: `zooms to ${MAX_ZOOM}`, received },
        { cause },
      );
    }
  }

  *#rows(sql: string): Generator<Record<string, unknown>> {
    const statement = this.#guarded("MBTiles cannot be read", () => this.#prepared(sql));
    const iterator = statement.iterate()[Symbol.iterator]();
    for (;;) {
      const next = this.#guarded("MBTiles cannot be read", () => iterator.next());
      if (next.done) return;
      yield next.value as Record<string, unknown>;
    }
  }

  #prepared(sql: string) {
    const known = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }

  #guarded<T>(sentence: string, act: () => T, where: () => Record<string, string> = () => ({})): T {
    try {
      return act();
    } catch (cause) {
      throw asPipelineError(cause, "input", sentence, { path: this.path, ...where() });
    }
  }

  #fail(sentence: string, where: Record<string, string>): never {
    throw new PipelineError("input", sentence, { path: this.path, ...where });
  }
}

function checkFile(path: string): void {
  if (!existsSync(path)) throw new PipelineError("input", "File not found", { path });
  closeSync(openInput(path));
  for (const suffix of ["-journal", "-wal"]) {
    const beside = path + suffix;
    if (!existsSync(beside) || statSync(beside).size === 0) continue;
    throw new PipelineError("input", "MBTiles file was not closed properly: open and close it with sqlite3 first", {
      path: beside,
    });
  }
}

function asGzip(data: Uint8Array): Uint8Array {
  if (data.length === 0 || (data[0] === 0x1f && data[1] === 0x8b)) return data;
  const isZlib = data[0] === 0x78 && ((data[0] << 8) | (data[1] as number)) % 31 === 0;
  return gzipSync(isZlib ? inflate(data, TILE_LIMIT) : data);
}

/**
 * Metadata and header facts of an archive from those of MBTiles: their `json` becomes part
 * of it, without `vector_layers` where it describes none; bounds, center and zooms have their own place.
 *
 * @throws {PipelineError} input, when the tiles are no vector tiles.
 */
export function archiveFactsOf(
  rows: ReadonlyMap<string, string>,
  hull: Bounds,
  maxZoom: number,
  path: string,
): { metadata: Metadata; bounds: Header["bounds"]; center: Header["center"] } {
  const format = rows.get("format");
  if (format !== undefined && format !== "pbf") {
    throw new PipelineError("input", "MBTiles file has no vector tiles", { path, expected: "pbf", received: format });
  }
  const { vector_layers: layers, ...json } = parseJson(rows.get("json"), path);
  const described = Array.isArray(layers) && layers.length > 0 ? { vector_layers: layers } : {};
  const own = new Set(["json", "bounds", "center", "minzoom", "maxzoom", "compression"]);
  const texts = Object.fromEntries([...rows].filter(([name]) => !own.has(name)));
  const [west, south, east, north] = numbers(rows.get("bounds"), 4) ?? [];
  const bounds = north === undefined ? hull : ({ west, south, east, north } as Bounds);
  const [lng, lat, zoom] = numbers(rows.get("center"), 3) ?? [
    (bounds.west + bounds.east) / 2,
    (bounds.south + bounds.north) / 2,
    maxZoom,
  ];
  return {
    metadata: { ...texts, ...json, ...described },
    bounds,
    center: { zoom: zoom as number, lng: lng as number, lat: lat as number },
  };
}

function parseJson(text: string | undefined, path: string): Metadata {
  try {
    const json: unknown = JSON.parse(text ?? "{}");
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Metadata;
    throw new SyntaxError(`an object was expected, not ${text}`);
  } catch (cause) {
    throw new PipelineError("input", "MBTiles metadata row `json` is not a valid JSON object", { path }, { cause });
  }
}

function numbers(text: string | undefined, count: number): number[] | undefined {
  const values = text?.split(",").map(Number) ?? [];
  return values.length === count && values.every(Number.isFinite) ? values : undefined;
}
