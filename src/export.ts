import { join, resolve } from "node:path";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { layoutOf, suggestion } from "./config/config.js";
import { AREAS, FIELDS, OUTPUT, ROOT, WORKERS } from "./config/option-sets.js";
import { parseYears } from "./config/years.js";
import type { ExportFormat, ExportRequest } from "./export/export-fields.js";
import type { Box } from "./export/spatial-order.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { checkOutput, unknownOrigin } from "./pipeline/output-origin.js";

const EXTENSIONS: Readonly<Record<ExportFormat, string>> = {
  geoparquet: "parquet",
  fgb: "fgb",
  gpkg: "gpkg",
  csv: "csv",
};

/** Fields with the crops of some years, as one file that other programs open. */
async function exportCommand({ options, own, positionals }: Arguments, ctx: Context) {
  if (positionals.length > 0)
    throw new PipelineError("usage", "Unexpected argument", { received: positionals.join(" ") });
  const text = (flag: string) => own[flag] as string | undefined;
  const format = (text("format") ?? "geoparquet") as ExportFormat;
  if (!Object.hasOwn(EXTENSIONS, format)) {
    const expected = Object.keys(EXTENSIONS).join(" ");
    throw new PipelineError("usage", `--format is unknown${suggestion(format, expected.split(" "))}`, {
      expected,
      received: format,
    });
  }
  const { yearsThere } = await import("./history/step.js");
  const asked = text("years");
  const years = asked === undefined ? yearsThere(options) : parseYears(asked);
  if (years.length === 0) throw new PipelineError("input", "No zonal table found for any year", { root: options.root });
  const layout = layoutOf(options, years[0] as number);
  const folder = join(options.root, "outputs", "export");
  const out = resolve(text("out") ?? join(folder, `fields_${options.region}.${EXTENSIONS[format]}`));
  const request: ExportRequest = {
    years,
    format,
    bbox: parseBbox(text("bbox")),
    where: text("where"),
    columns: text("columns"),
    fiboa: own.fiboa === true,
  };
  if (request.fiboa && (format !== "geoparquet" || request.columns !== undefined)) {
    throw new PipelineError("usage", "--fiboa needs GeoParquet and excludes --columns", { format });
  }
  const inputs = [layout.fieldsRaw, ...years.map((year) => layoutOf(options, year).zonal)];
  const { withRun } = await import("./config/run.js");
  const { exportFields } = await import("./export/export-fields.js");
  const { withRootFields } = await import("./fields/root-fields.js");
  const { InputFiles } = await import("./pipeline/input-files.js");
  const { makeOutput } = await import("./pipeline/output.js");
  const { parquetOrigin } = await import("./table/parquet-origin.js");
  const originOf = format === "geoparquet" ? parquetOrigin : unknownOrigin;
  await checkOutput(out, { inputs, originOf, force: own.force === true });
  const watched = new InputFiles(...inputs);
  const { rows, withoutPolygon } = await makeOutput(out, ctx, (scratch, locked) =>
    withRun(options, years[0], locked, async (opened) => {
      const run = await withRootFields(opened);
      const exported = await exportFields(scratch.partial, scratch.path, request, run);
      watched.requireUnchanged();
      return exported;
    }),
  );
  if (!options.json) process.stdout.write(`${out}: ${rows.toLocaleString("en")} fields, ${years.length} years\n`);
  return { out, format, years, rows, withoutPolygon };
}

function parseBbox(text: string | undefined): Box | undefined {
  if (text === undefined) return undefined;
  const [west, south, east, north, ...more] = text
    .split(",")
    .map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const box = [west, south, east, north] as [number, number, number, number];
  const sound = more.length === 0 && box.every(Number.isFinite) && box[0] <= box[2] && box[1] <= box[3];
  if (sound && box[0] >= -180 && box[2] <= 180 && box[1] >= -90 && box[3] <= 90) return box;
  throw new PipelineError("usage", "--bbox must be WEST,SOUTH,EAST,NORTH in degrees", { received: text });
}

await main(
  {
    name: "node dist/export.js",
    summary: "Fields with the crops and shares of some years as one file: GeoParquet, FlatGeobuf, GeoPackage or CSV.",
    rootOptions: "use",
    options: [...ROOT, ...FIELDS, ...AREAS, ...WORKERS, ...OUTPUT],
    own: {
      years: { type: "string", help: "years, as 2008-2024 (default: all that have a zonal table)" },
      format: {
        type: "string",
        help: `${Object.keys(EXTENSIONS).join(", ")} (default: geoparquet); csv has no geometry`,
      },
      out: { type: "string", help: "file to write (default: outputs/export/fields_REGION.EXTENSION under the root)" },
      bbox: { type: "string", help: "only fields that touch this box: WEST,SOUTH,EAST,NORTH in degrees" },
      where: {
        type: "string",
        help: "only fields for which this holds, as SQL has it: crop_2020 in (1, 5) and area_ha > 10",
      },
      columns: { type: "string", help: "columns to write, as crop_2020,share_2020 (field_id and geometry always)" },
      fiboa: { type: "boolean", help: "columns and metadata of fiboa 0.3, with the crop of the last of the years" },
      force: { type: "boolean", help: "replace a file that another program made" },
    },
    examples: [
      "node dist/export.js --years 2018-2020 --root work/demo",
      "node dist/export.js --years 2020 --format gpkg --where 'crop_2020 = 1' --root work/demo --out work/corn.gpkg",
    ],
  },
  exportCommand,
);
