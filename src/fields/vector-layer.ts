import { existsSync, statSync } from "node:fs";
import gdal from "gdal-async";
import { PipelineError } from "../pipeline/errors.js";
import { ID_NAMES, usualColumn } from "./fields-file.js";
import { beginning } from "./source-files.js";

export interface VectorOptions {
  /** Needed where the source has several layers with geometry. */
  readonly layer?: string | undefined;
  /** A field of the layer, or its feature id by the name that the source has for it; else one of the usual names. */
  readonly idColumn?: string | undefined;
  /** Whether to take the layer's other columns too. */
  readonly attributes?: boolean;
}

/** A layer of polygons in any format that GDAL reads. */
export interface VectorLayer {
  readonly path: string;
  /** As GDAL opens it: `path`, or a place inside a zip. */
  readonly source: string;
  readonly dataset: gdal.Dataset;
  readonly layer: gdal.Layer;
  readonly id: VectorId;
  /** Columns to carry along; texts, numbers, and dates as text. */
  readonly attributes: readonly VectorAttribute[];
}

export interface VectorAttribute {
  readonly name: string;
  readonly sql: string;
  readonly type: "string" | "integer" | "integer64" | "real";
}

/** Where a feature's id comes from. */
export interface VectorId {
  /** Name of the id in the parquet. */
  readonly name: string;
  /** OGR SQL that selects it; 64-bit integers as text, for gdal-async would round them to doubles. */
  readonly sql: string;
  /** `real` ones are whole numbers. */
  readonly type: "string" | "integer" | "integer64" | "real";
  /** Whether the source has no id and its features' numbers stand in. */
  readonly isFeatureNumber: boolean;
}

/** The first bytes of a zip, whatever its name. */
const ZIP_MAGIC = "PK\x03\x04";
const ZIPPED = /\.(gdb|gpkg|fgb|shp|geojson|geojsonl|gml|sqlite)$/i;
const ID_TYPES = ["string", "integer", "integer64", "real"];

/**
 * Open a vector source and choose its layer and id.
 *
 * A zip is looked through for the one source in it. The dataset is the caller's to close.
 *
 * @throws {PipelineError} input: not found, nothing that GDAL reads, no layer with geometry or several without
 *   `--layer`, an id column that is missing or holds neither integers nor strings.
 */
export function openVector(path: string, options: VectorOptions): VectorLayer {
  if (!path.startsWith("/vsi") && !existsSync(path)) throw new PipelineError("input", "File not found", { path });
  checkNotPipe(path);
  const source = beginning(path, 4) === ZIP_MAGIC ? sourceInZip(path) : path;
  const dataset = openDataset(path, source);
  try {
    const layer = chooseLayer(path, dataset, options.layer);
    const id = chooseId(path, layer, options.idColumn);
    return { path, source, dataset, layer, id, attributes: options.attributes ? attributesOf(layer, id) : [] };
  } catch (error) {
    dataset.close();
    throw error;
  }
}

/** GDAL would wait for a pipe's writer, and no signal is answered meanwhile. */
function checkNotPipe(path: string): void {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined || file.isFile() || file.isDirectory()) return;
  throw new PipelineError("input", "Not a regular file", { path });
}

/** @throws {PipelineError} input, when GDAL cannot open it. */
export function openDataset(path: string, source: string): gdal.Dataset {
  try {
    return gdal.open(source);
  } catch (cause) {
    const expected = "PAR1 at its start, or a format as .gpkg .fgb .shp .geojson .gdb";
    throw new PipelineError(
      "input",
      "Not a parquet file, nor a vector source that GDAL reads",
      { path, expected, received: JSON.stringify(beginning(path, 4)) },
      { cause },
    );
  }
}

/** The one vector source in a zip: USDA's field boundaries come as a FileGDB in a folder in a zip. */
function sourceInZip(path: string): string {
  // In braces the name of the zip may end as it likes.
  const root = `/vsizip/{${path}}`;
  const found: string[] = [];
  const search = (folder: string, depth: number) => {
    let names: string[];
    try {
      names = gdal.fs.readDir(folder);
    } catch (cause) {
      throw new PipelineError("input", "Zip cannot be read", { path }, { cause });
    }
    for (const name of names) {
      const inside = `${folder}/${name}`;
      if (ZIPPED.test(name)) found.push(inside);
      else if (depth > 0 && isFolder(inside)) search(inside, depth - 1);
    }
  };
  search(root, 3);
  if (found.length === 1) return found[0] as string;
  throw new PipelineError("input", "The zip must hold one vector source", {
    path,
    expected: "one .gdb, .gpkg, .fgb, .shp or .geojson",
    received: found.map((inside) => inside.slice(root.length + 1)).join(" ") || "none",
  });
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

function isFolder(path: string): boolean {
  return (gdal.fs.stat(path).mode & S_IFMT) === S_IFDIR;
}

function chooseLayer(path: string, dataset: gdal.Dataset, wanted: string | undefined): gdal.Layer {
  const layers = dataset.layers.map((layer) => layer).filter(({ geomType }) => geomType !== gdal.wkbNone);
  const names = layers.map(({ name }) => name);
  const [first] = layers;
  if (first === undefined) throw new PipelineError("input", "The source has no layer with geometry", { path });
  if (wanted === undefined) {
    if (layers.length === 1) return first;
    throw new PipelineError("input", "The source has several layers; choose one with --layer", {
      path,
      layers: names.join(", "),
    });
  }
  const chosen = layers[names.indexOf(wanted)];
  if (chosen !== undefined) return chosen;
  throw new PipelineError("input", "The source has no such layer with geometry", {
    path,
    expected: wanted,
    received: names.join(", "),
  });
}

/** The column named, else a usual name in any letters (shapefiles have capitals), else the feature id. */
function chooseId(path: string, layer: gdal.Layer, wanted: string | undefined): VectorId {
  const columns = layer.fields.map(({ name, type }) => ({ name, type }));
  const fid: VectorId = { name: wanted ?? "fid", sql: textOf("FID"), type: "integer64", isFeatureNumber: true };
  const names = columns.map(({ name }) => name);
  const usual = ID_NAMES.find((candidate) => usualColumn(names, [candidate]) !== undefined);
  const chosen = wanted ?? (usual && usualColumn(names, [usual]));
  if (chosen === undefined) return fid;
  const column = columns.find(({ name }) => name === chosen);
  if (column === undefined) {
    if (wanted === layer.fidColumn || chosen.toLowerCase() === "fid") return fid;
    throw new PipelineError("input", "Column of the id is missing", {
      path,
      expected: chosen,
      received: [layer.fidColumn, ...names].filter((name) => name !== "").join(" "),
    });
  }
  if (!ID_TYPES.includes(column.type)) {
    throw new PipelineError("input", "Id column must hold whole numbers or text", {
      path,
      column: chosen,
      received: column.type,
    });
  }
  return vectorId(wanted ?? (usual as string), column);
}

/** Names by which the id and the geometry come are theirs; lists and bytes are left out. */
function attributesOf(layer: gdal.Layer, id: VectorId): VectorAttribute[] {
  const taken = new Set([id.name.toLowerCase(), (layer.geomColumn || "geometry").toLowerCase()]);
  return layer.fields
    .map(({ name, type }) => ({ name, type }))
    .flatMap(({ name, type }): VectorAttribute[] => {
      if (taken.has(name.toLowerCase())) return [];
      if (type === "integer64") return [{ name, type, sql: textOf(quoted(name)) }];
      if (type === "date" || type === "time" || type === "datetime") {
        return [{ name, type: "string", sql: `CAST(${quoted(name)} AS CHARACTER(40))` }];
      }
      return type === "string" || type === "integer" || type === "real" ? [{ name, type, sql: quoted(name) }] : [];
    });
}

function vectorId(name: string, column: { readonly name: string; readonly type: string }): VectorId {
  const type = column.type as VectorId["type"];
  return {
    name,
    isFeatureNumber: false,
    type,
    sql: type === "integer64" ? textOf(quoted(column.name)) : quoted(column.name),
  };
}

/** 64-bit integers have 20 characters at most. */
function textOf(sql: string): string {
  return `CAST(${sql} AS CHARACTER(20))`;
}

/** A name in OGR SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll(/["\\]/g, "\\$&")}"`;
}
