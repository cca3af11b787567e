// MBTiles as the specification has them: a plain table, rows from the south.
import sqlite from "node-sqlite3-wasm";
import { FIELDS, LAYERS } from "./field-tiles.mjs";

const JSON_ROW = JSON.stringify({ vector_layers: LAYERS.map((id) => ({ id, fields: FIELDS })) });

/** @param tiles  [{z, x, y, data}], y from the north; `index: false` leaves the index out. */
export function writeMbtiles(path, tiles, { metadata = {}, index = true } = {}) {
  const db = new sqlite.Database(path);
  db.exec("CREATE TABLE metadata (name text, value text)");
  db.exec("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)");
  db.exec("BEGIN");
  for (const [name, value] of Object.entries({ name: "test", format: "pbf", json: JSON_ROW, ...metadata })) {
    if (value !== undefined) db.run("INSERT INTO metadata VALUES (?, ?)", [name, value]);
  }
  const insert = db.prepare("INSERT INTO tiles VALUES (?, ?, ?, ?)");
  for (const { z, x, y, data } of tiles) insert.run([z, x, 2 ** z - 1 - y, data]);
  insert.finalize();
  if (index) db.exec("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)");
  db.exec("COMMIT");
  db.close();
}
