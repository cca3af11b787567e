import { createHash } from "node:crypto";
import { closeSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { extname } from "node:path";
import { PipelineError } from "../pipeline/errors.js";
import { fingerprint, type Json } from "../pipeline/fingerprint.js";
import { openInput } from "../pipeline/input-file.js";
import { type ItemPath, itemPathOf } from "./layout.js";

export type Fields = Readonly<Record<string, Json>>;

/** One piece of work. Its digest distinguishes it from an earlier item with the same id. */
export interface Item extends ItemPath {
  readonly id: string;
  readonly fields: Fields;
  /** Digest of the fields and the command, 16 hex digits. */
  readonly digest: string;
}

export interface ItemList {
  readonly path: string;
  readonly items: readonly Item[];
  /** Names of the fields that all items have, for templates. */
  readonly fieldNames: readonly string[];
}

/** Default id columns, in order of preference. */
const ID_NAMES = ["id", "item_id", "field_id"];

const FORMATS: Readonly<Record<string, (text: string, path: string) => Row[]>> = {
  ".csv": (text, path) => tableRows(text, path, { delimiter: ",", quote: '"' }),
  ".tsv": (text, path) => tableRows(text, path, { delimiter: "\t", quote: null }),
  ".jsonl": jsonLines,
  ".ndjson": jsonLines,
  ".json": jsonRows,
};

/** Fields of an item and its line in the file. */
interface Row {
  readonly fields: Fields;
  readonly line: number;
}

/**
 * Read a list of items: CSV or TSV with a header, JSON lines, a JSON array; any other file has an id per line.
 *
 * @param idName  the field that identifies an item; default: id, item_id or field_id, else a table's first column.
 * @param salt  what else an item's output depends on: the command.
 * @throws {PipelineError} input, naming file and line, when the file is unreadable or an id is missing or repeated.
 */
export function readItems(path: string, idName: string | undefined, salt: Json): ItemList {
  let text: string;
  try {
    const fd = openInput(path);
    try {
      text = readFileSync(fd, "utf8").replace(/^\uFEFF/, "");
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new PipelineError("input", "Cannot read the list of items", { path }, { cause });
  }
  const rows = (FORMATS[extname(path).toLowerCase()] ?? plainLines)(text, path);
  if (rows.length === 0) throw new PipelineError("input", "The list has no items", { path });
  const first = rows[0] as Row;
  const idField = idName ?? ID_NAMES.find((name) => name in first.fields) ?? tableKey(path, first);
  if (idField === undefined || !(idField in first.fields)) {
    throw new PipelineError("input", "No such field to identify items by; name one with --id", {
      path,
      expected: idName ?? ID_NAMES.join(" or "),
      received: Object.keys(first.fields).join(" "),
    });
  }
  const salted = fingerprint(salt);
  const lines = new Map<string, number>();
  const folders = new Map<string, string>();
  const items = rows.map(({ fields, line }) => {
    const id = idOf(fields[idField], { path, line, field: idField });
    const before = lines.get(id);
    if (before !== undefined) {
      throw new PipelineError("input", "An id stands twice in the list", { path, id, line, before });
    }
    lines.set(id, line);
    const item = itemPathOf(id);
    const folded = `${item.shard}/${item.name.toLowerCase()}`;
    const alike = folders.get(folded);
    if (alike !== undefined) {
      const sentence =
        "Two ids differ only in case and would share a folder on file systems that do not tell case apart";
      throw new PipelineError("input", sentence, { path, id, line, before: alike });
    }
    folders.set(folded, id);
    const digest = createHash("sha256")
      .update(`${salted}${fingerprint(fields)}`)
      .digest("hex")
      .slice(0, 16);
    return { id, fields, digest, ...item };
  });
  const fieldNames = Object.keys(first.fields).filter((name) => rows.every(({ fields }) => name in fields));
  return { path, items, fieldNames };
}

function tableKey(path: string, first: Row): string | undefined {
  return /\.[ct]sv$/i.test(path) ? Object.keys(first.fields)[0] : undefined;
}

function idOf(value: Json | undefined, where: { path: string; line: number; field: string }): string {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new PipelineError("input", "An id that is a number must be a whole one below 2^53; write it as a string", {
      ...where,
      received: value,
    });
  }
  const id = typeof value === "number" ? String(value) : value;
  if (typeof id === "string" && id.trim() !== "") return id;
  throw new PipelineError("input", "An item has no id", { ...where, received: JSON.stringify(value) ?? "nothing" });
}

function plainLines(text: string): Row[] {
  return text.split(/\r?\n/).flatMap((line, i) => (line.trim() === "" ? [] : [row({ id: line.trim() }, i + 1)]));
}

function tableRows(text: string, path: string, format: { delimiter: string; quote: string | null }): Row[] {
  let records: { info: { lines: number }; record: Record<string, string> }[];
  let header: string[] = [];
  try {
    // Loaded only for lists of items.
    const { parse } = createRequire(import.meta.url)("csv-parse/sync") as typeof import("csv-parse/sync");
    records = parse(text, {
      ...format,
      columns: (names: string[]) => {
        header = names;
        return names;
      },
      info: true,
      skip_empty_lines: true,
    }) as unknown as typeof records;
  } catch (cause) {
    throw new PipelineError("input", "Cannot read the table of items", { path }, { cause });
  }
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined)
    throw new PipelineError("input", "A column stands twice in the table", { path, column: twice });
  return records.map(({ record, info }) => row(record, info.lines));
}

function jsonLines(text: string, path: string): Row[] {
  return text
    .split(/\r?\n/)
    .flatMap((line, i) => (line.trim() === "" ? [] : [jsonRow(parseJson(line, path, i + 1), path, i + 1)]));
}

function jsonRows(text: string, path: string): Row[] {
  const value = parseJson(text, path);
  if (Array.isArray(value)) return value.map((entry: Json, i) => jsonRow(entry, path, i + 1));
  throw new PipelineError("input", "A JSON list of items must be an array", { path });
}

function jsonRow(value: Json, path: string, line: number): Row {
  if (typeof value === "string" || typeof value === "number") return row({ id: value }, line);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return row(value as Fields, line);
  throw new PipelineError("input", "An item must be an object, a string or a number", {
    path,
    line,
    received: JSON.stringify(value),
  });
}

function row(fields: Fields, line: number): Row {
  return { fields, line };
}

function parseJson(text: string, path: string, line?: number): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new PipelineError("input", "Not JSON", { path, line }, { cause });
  }
}
