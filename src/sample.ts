import type { Arguments, Command } from "./cli/command.js";
import { main } from "./cli/main.js";
import { suggestion } from "./config/config.js";
import { parseYears } from "./config/years.js";
import { PipelineError } from "./pipeline/errors.js";
import type { SampleOptions, SampleResult } from "./sample/make-sample.js";

const COMMAND: Command = {
  name: "node dist/sample.js",
  summary: "Make a small world to try everything on: fields, their true crops, and a CDL raster per year. No download.",
  options: ["root", "threads", "json", "quiet"],
  defaults: { root: "./work/sample" },
  own: {
    fields: { type: "string", help: "number of fields; millions are made in flat memory [2000]" },
    years: { type: "string", help: "as 2020 or 2018,2020 or 2018-2020 [2018-2020]" },
    seed: { type: "string", help: "whole number; the same seed makes the same bytes [1]" },
    shapes: {
      type: "string",
      help: "drawn, or csb: traced from pixels as USDA's crop sequence boundaries, with about 32 vertices [drawn]",
    },
    like: { type: "string", help: "where fields lie: even, or us: dense in the Midwest, few in the West [even]" },
    national: { type: "boolean", help: "rasters as large as the national one, 153,811 x 96,523 pixels" },
    tiled: { type: "boolean", help: "GeoTIFF of square tiles (the default)" },
    strips: { type: "boolean", help: "GeoTIFF of strips as wide as the raster" },
    block: { type: "string", help: "side of a tile in pixels [512; 64 for img], or rows of a strip [8]" },
    format: { type: "string", help: "tif or img [tif]" },
    unzipped: { type: "boolean", help: "leave the rasters as they are" },
    force: { type: "boolean", help: "replace files of the same names that are not of a sample" },
    dirty: { type: "boolean", help: "add broken rows behind the good ones, one of each kind" },
  },
  examples: [
    "node dist/sample.js --fields 500 --years 2020",
    "node dist/sample.js --root work/big --fields 5000 --years 2020 --strips",
  ],
};

await main(COMMAND, async (args, ctx) => {
  const options = readSampleOptions(args);
  const { makeSample } = await import("./sample/make-sample.js");
  const result = await makeSample(options, ctx);
  if (!args.options.json) process.stdout.write(`${describe(result)}\n`);
  return result;
});

function readSampleOptions({ own, options, positionals }: Arguments): SampleOptions {
  if (positionals.length > 0)
    throw new PipelineError("usage", "Unexpected argument", { received: positionals.join(" ") });
  const flag = (name: string) => own[name] as string | undefined;
  const format = flag("format") ?? "tif";
  if (format !== "tif" && format !== "img") {
    throw new PipelineError("usage", "Invalid --format", { expected: "tif or img", received: format });
  }
  const shapes = flag("shapes") ?? "drawn";
  if (shapes !== "drawn" && shapes !== "csb") {
    throw new PipelineError("usage", `Invalid --shapes${suggestion(shapes, ["drawn", "csb"])}`, {
      expected: "drawn or csb",
      received: shapes,
    });
  }
  const like = flag("like") ?? "even";
  if (like !== "even" && like !== "us") {
    throw new PipelineError("usage", "Invalid --like", { expected: "even or us", received: like });
  }
  if (own.tiled && own.strips) throw new PipelineError("usage", "--tiled and --strips exclude each other");
  if (format === "img" && own.strips)
    throw new PipelineError("usage", "An .img is always tiled: --strips cannot be used with it");
  const layout = own.strips ? "strips" : "tiled";
  return {
    root: options.root,
    fields: wholeNumber("fields", flag("fields"), 2000, 1, Number.MAX_SAFE_INTEGER),
    years: parseYears(flag("years") ?? "2018-2020"),
    seed: wholeNumber("seed", flag("seed"), 1, 0, 2 ** 31 - 1),
    shapes,
    like,
    national: own.national === true,
    threads: options.threads,
    format,
    layout,
    block: readBlock(flag("block"), format, layout),
    unzipped: own.unzipped === true,
    dirty: own.dirty === true,
    force: own.force === true,
  };
}

function readBlock(text: string | undefined, format: "tif" | "img", layout: "tiled" | "strips"): number {
  if (layout === "strips") return wholeNumber("block", text, 8, 1, 4096);
  const block = wholeNumber("block", text, format === "img" ? 64 : 512, 16, 4096);
  const right =
    format === "img" ? block >= 32 && block <= 2048 && Number.isInteger(Math.log2(block)) : block % 16 === 0;
  if (right) return block;
  const expected = format === "img" ? "a power of two from 32 to 2048" : "a multiple of 16";
  throw new PipelineError("usage", "Invalid --block", { expected, received: block });
}

function wholeNumber(name: string, text: string | undefined, standard: number, low: number, high: number): number {
  const value = text === undefined ? standard : Number(text);
  if (text?.trim() !== "" && Number.isInteger(value) && value >= low && value <= high) return value;
  const expected = `a whole number from ${low} to ${high}`;
  throw new PipelineError("usage", `Invalid --${name}`, { expected, received: text });
}

function describe({ files, fields, rows, years, raster, seed, root }: SampleResult): string {
  const dirty = rows.truth > fields ? ` and ${rows.truth - fields} broken rows` : "";
  return [
    `Sample of ${fields.toLocaleString("en")} fields${dirty}, seed ${seed}, in ${root}`,
    `  fields  ${files.raw}`,
    `          ${files.clean}`,
    `  truth   ${files.truth}`,
    `  rasters ${raster.width} x ${raster.height} pixels, ${raster.format}, ${raster.layout} of ${raster.block}, for ${years.join(", ")}`,
    ...Object.values(files.cdl).map((path) => `          ${path}`),
  ].join("\n");
}
