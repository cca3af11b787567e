import type { Bounds } from "./archive/header.js";
import type { Arguments, Command } from "./cli/command.js";
import { main } from "./cli/main.js";
import { wholeNumber } from "./cli/whole-number.js";
import { layoutOf, suggestion } from "./config/config.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { checkOutput } from "./pipeline/output-origin.js";
import type { Chart } from "./view/picture/crop-chart.js";
import type { Picture } from "./view/picture/picture.js";
import type { ThemeName } from "./view/picture/theme.js";

const WIDTHS = { min: 400, max: 4096, usual: 1200 } as const;

/** Bands of a chart that readers can distinguish. */
const CROPS = { min: 1, max: 14, usual: 11 } as const;

const COMMAND: Command = {
  name: "node dist/preview.js",
  summary: "Draw the fields of an archive, or of several years side by side, or a chart of crop areas, into a PNG.",
  positionals: "[YEAR ...]",
  rootOptions: "use",
  options: [...ROOT, ...OUTPUT],
  own: {
    archive: { type: "string", help: "PMTiles file to draw (instead of years under the root)" },
    out: { type: "string", help: "PNG to write" },
    force: { type: "boolean", help: "replace a picture at --out, whoever made it" },
    width: { type: "string", help: `pixels, ${WIDTHS.min} to ${WIDTHS.max} [${WIDTHS.usual}]` },
    bbox: { type: "string", help: "what to show, as WEST,SOUTH,EAST,NORTH in degrees [all fields]" },
    zoom: { type: "string", help: "zoom of the tiles to draw [as detailed as the picture]" },
    title: { type: "string", help: "heading [Majority crop of every field]" },
    theme: { type: "string", help: "colors around the fields: dark or light [dark]" },
    chart: { type: "boolean", help: "a chart of crop areas by year, from the history, instead of maps" },
    top: { type: "string", help: `with --chart: crops with a color of their own [${CROPS.usual}]` },
  },
  examples: [
    "node dist/preview.js 2018-2020 --root work/demo --out years.png",
    "node dist/preview.js --chart --theme light --root work/demo --out crops.png",
  ],
};

async function preview(args: Arguments, ctx: Context): Promise<Picture | Chart> {
  const { own, options } = args;
  const text = (name: string) => own[name] as string | undefined;
  const out = text("out");
  if (!out?.endsWith(".png")) {
    throw new PipelineError("usage", "--out must name the picture", {
      expected: "a path that ends in .png",
      received: out,
    });
  }
  const width = wholeNumber("--width", text("width"), WIDTHS.min, WIDTHS.max) ?? WIDTHS.usual;
  const archive = text("archive");
  const inputs = archive === undefined ? [] : [archive];
  const { pngOrigin } = await import("./view/picture/png-file.js");
  await checkOutput(out, { inputs, originOf: pngOrigin, force: own.force === true });
  const picture = own.chart === true ? await chart(args, out, width, ctx) : await map(args, out, width, ctx);
  if (!options.json) process.stdout.write(`${out}: ${picture.width} × ${picture.height}\n`);
  return picture;
}

async function chart(
  { own, options, positionals }: Arguments,
  out: string,
  width: number,
  ctx: Context,
): Promise<Chart> {
  for (const flag of ["archive", "bbox", "zoom"]) {
    if (own[flag] !== undefined) throw new PipelineError("usage", `--${flag} cannot be used with --chart`);
  }
  const { historyFiles } = await import("./history/format.js");
  const { readLegend } = await import("./history/read-legend.js");
  const { drawChart } = await import("./view/picture/crop-chart.js");
  const theme = readTheme(own.theme as string | undefined);
  const legend = readLegend(historyFiles(layoutOf(options, 0).history, options.region).legend);
  const asked = positionals.flatMap((years) => parseYears(years));
  const years = asked.length > 0 ? asked.sort((a, b) => a - b) : legend.years;
  const top = wholeNumber("--top", own.top as string | undefined, CROPS.min, CROPS.max) ?? CROPS.usual;
  return drawChart(legend, { out, width, top, years, title: own.title as string | undefined, theme }, ctx);
}

async function map(args: Arguments, out: string, width: number, ctx: Context): Promise<Picture> {
  const text = (name: string) => args.own[name] as string | undefined;
  if (args.own.top !== undefined) throw new PipelineError("usage", "--top needs --chart");
  const { drawPicture } = await import("./view/picture/picture.js");
  return drawPicture(
    {
      archives: chooseArchives(args, text("archive")),
      out,
      width,
      zoom: wholeNumber("--zoom", text("zoom"), 0, 26),
      bounds: readBox(text("bbox")),
      title: text("title"),
      theme: readTheme(text("theme")),
    },
    ctx,
  );
}

function chooseArchives({ positionals, options }: Arguments, archive: string | undefined): string[] {
  const years = positionals.flatMap((text) => parseYears(text));
  if ((archive === undefined) === (years.length === 0)) {
    throw new PipelineError("usage", "Expected --archive FILE, or years", {
      received: archive === undefined ? "neither" : "both",
    });
  }
  return archive === undefined ? years.map((year) => layoutOf(options, year).archive) : [archive];
}

function readTheme(text = "dark"): ThemeName {
  if (text === "dark" || text === "light") return text;
  throw new PipelineError("usage", `--theme must be dark or light${suggestion(text ?? "", ["dark", "light"])}`, {
    received: text,
  });
}

function readBox(text: string | undefined): Bounds | undefined {
  if (text === undefined) return undefined;
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const [west = 0, south = 0, east = 0, north = 0] = numbers;
  const ordered = -180 <= west && west < east && east <= 180 && -85 <= south && south < north && north <= 85;
  if (numbers.length === 4 && ordered) return { west, south, east, north };
  throw new PipelineError("usage", "--bbox must be WEST,SOUTH,EAST,NORTH in degrees", { received: text });
}

await main(COMMAND, preview);
