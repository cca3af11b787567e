import { existsSync } from "node:fs";
import type { DataType } from "apache-arrow";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { FIELDS, OUTPUT, ROOT, WORKERS } from "./config/option-sets.js";
import type { HistoryReader } from "./history/history-reader.js";
import type { LngLat } from "./lookup/coordinates.js";
import type { FieldAnswer } from "./lookup/describe.js";
import type { FieldIndex, FoundField } from "./lookup/field-index.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

/** How far around a point without a field one is looked for, meters. */
const NEARBY_M = 5000;
/** Nothing found: neither a bug nor bad usage. */
const NOT_FOUND = 1;

/** The field at a point, or of an id, and what grew there. */
async function field({ options, own, positionals }: Arguments, ctx: Context) {
  const [at, id] = [own.at, own.id] as (string | undefined)[];
  if ((at === undefined) === (id === undefined) || positionals.length > 0) {
    throw new PipelineError("usage", "Expected --at LON,LAT or --id ID", {
      received: positionals.join(" ") || (at === undefined ? "neither" : "both"),
    });
  }
  const { FieldIndex, parseLngLat } = await import("./lookup/field-index.js");
  const point = at === undefined ? undefined : parseLngLat(at);
  const { withRun } = await import("./config/run.js");
  const { openFields } = await import("./fields/fields-file.js");
  const { historyFiles } = await import("./history/format.js");
  const { HistoryReader } = await import("./history/history-reader.js");
  const { answerText } = await import("./lookup/describe.js");
  const { ensureLookup } = await import("./lookup/ensure-lookup.js");
  const { withFieldsFile } = await import("./fields/root-fields.js");
  const layout = await withFieldsFile(options, layoutOf(options, 0), ctx);
  const fields = await openFields(layout.fieldsRaw, options, ctx.log);
  const index = await FieldIndex.open(
    fields,
    await withRun(options, undefined, ctx, (run) => ensureLookup(fields, run)),
  );
  const path = historyFiles(layout.history, options.region).history;
  const history = existsSync(path) ? await HistoryReader.open(path) : undefined;
  if (history === undefined)
    ctx.log.warn("no history yet, so crops are not shown; create it with node dist/history.js", { path });
  try {
    const found = point === undefined ? await withId(index, id as string, fields.idType) : await index.at(...point);
    const answers: FieldAnswer[] = [];
    for (const one of found) answers.push(await answer(one, index, history));
    if (answers.length > 0) {
      if (!options.json) process.stdout.write(answers.map(answerText).join("\n"));
      return { fields: answers };
    }
    process.exitCode = NOT_FOUND;
    return await nothing(index, point, id, options.json);
  } finally {
    history?.close();
    await index.close();
  }
}

async function withId(index: FieldIndex, text: string, idType: DataType): Promise<FoundField[]> {
  const { Type } = await import("apache-arrow");
  if (idType.typeId !== Type.Int) return index.withId(text);
  if (/^-?\d+$/.test(text)) return index.withId(BigInt(text));
  throw new PipelineError("usage", "--id must be a whole number, as the fields' ids are", { received: text });
}

async function answer(found: FoundField, index: FieldIndex, history: HistoryReader | undefined): Promise<FieldAnswer> {
  const known = history && (await readHistory(history, found));
  const { answerOf } = await import("./lookup/describe.js");
  return answerOf(found, await index.attributes(found.row), known, history?.header.missing ?? []);
}

/** @throws {PipelineError} input, when the history is of other fields. */
async function readHistory(history: HistoryReader, { row, id }: FoundField) {
  const known = row < history.rows ? await history.read(row) : undefined;
  if (known?.id === id) return known;
  throw new PipelineError("input", "The history belongs to other fields; recreate it with node dist/history.js", {
    path: history.path,
    row,
    expected: String(id),
    received: String(known?.id),
  });
}

async function nothing(index: FieldIndex, point: LngLat | undefined, id: string | undefined, json: boolean) {
  if (point === undefined) {
    if (!json) process.stdout.write(`No field has the id ${id}.\n`);
    return { fields: [] };
  }
  const [lng, lat] = point;
  const nearest = await index.nearest(lng, lat, NEARBY_M);
  if (json) return { fields: [], nearest: nearest ?? null };
  const next = nearest && ` The nearest is ${nearest.id}, ${Math.round(nearest.meters).toLocaleString("en")} m away.`;
  process.stdout.write(`No field lies at ${lng},${lat}.${next ?? swapHint(index, point)}\n`);
  return { fields: [] };
}

/** A pair that lies nowhere near, but would the other way round. */
function swapHint(index: FieldIndex, [lng, lat]: LngLat): string {
  const { extent } = index;
  if (extent === null) return "";
  const [west, south, east, north] = extent;
  const within = west <= lat && lat <= east && south <= lng && lng <= north;
  return within ? ` The pair looks swapped: longitude comes first, as --at=${lat},${lng}` : "";
}

await main(
  {
    name: "node dist/field.js",
    summary: "The field at a point, or of an id: its crops by year and how sure they are, area, rotation.",
    rootOptions: "use",
    options: [...ROOT, ...FIELDS, ...WORKERS, ...OUTPUT],
    own: {
      at: { type: "string", help: "LON,LAT in degrees, longitude first" },
      id: { type: "string", help: "the field's id" },
    },
    examples: [
      "node dist/field.js --at=-97.3204,39.3299 --root work/demo",
      "node dist/field.js --id 20001000010 --json --root work/demo",
    ],
  },
  field,
);
