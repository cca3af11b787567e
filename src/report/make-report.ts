import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Bounds } from "../archive/header.js";
import { readHeader } from "../archive/reader.js";
import { layoutOf, type Options } from "../config/config.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { makeOutput } from "../pipeline/output.js";
import type { Origin } from "../pipeline/output-origin.js";
import { drawChart } from "../view/picture/crop-chart.js";
import { drawPicture } from "../view/picture/picture.js";
import { collectRun, type Run } from "./collect.js";
import { type ReportPicture, reportPage } from "./page.js";

const GENERATOR = "fields-pipeline report";
const WIDTH = 1200;
/** Scales of the maps, as shares of the width of all fields. */
const SCALES = [
  { name: "all", share: 1, title: "All fields" },
  { name: "region", share: 1 / 4, title: "A quarter of the width" },
  { name: "close", share: 1 / 20, title: "A twentieth of the width" },
] as const;

export interface Report {
  readonly out: string;
  readonly years: readonly number[];
  /** PNGs next to the page. */
  readonly pictures: readonly string[];
}

/** Where a report lies by default. */
export function reportPath(years: readonly number[], options: Options): string {
  const { root } = layoutOf(options, 0);
  const span = years.length > 1 ? `${years[0]}-${years.at(-1)}` : `${years[0]}`;
  return join(root, "outputs", "report", `report_${options.region}_${span}.html`);
}

/** Who made a page, by its generator. */
export function reportOrigin(path: string): Origin {
  try {
    return readFileSync(path, "utf8").slice(0, 2000).includes(`content="${GENERATOR}"`) ? "ours" : "other";
  } catch {
    return "unreadable";
  }
}

/**
 * Write the report of years as one HTML page, and its pictures next to it.
 *
 * @param versions  of program, kernel and GDAL.
 * @throws {PipelineError} input, when nothing is recorded of the years, or an archive or the history is damaged.
 */
export async function makeReport(
  years: readonly number[],
  out: string,
  versions: string,
  options: Options,
  ctx: Context,
): Promise<Report> {
  const run = collectRun(years, options);
  const notes: string[] = [];
  const drawn = [...(await drawMaps(run, out, options, notes, ctx)), ...(await drawAreas(run, out, notes, ctx))];
  const pictures = drawn.map(({ path, ...picture }) => ({ ...picture, png: readFileSync(path) }));
  const page = reportPage({ run, versions, generator: GENERATOR, pictures, notes });
  await makeOutput(out, ctx, async ({ partial }) => {
    writeFileSync(partial, page);
    if (readFileSync(partial, "utf8") !== page)
      throw new PipelineError("failed", "The page was not written as it is", { path: out });
  });
  return { out, years: run.years, pictures: drawn.map(({ path }) => path) };
}

type Drawn = Omit<ReportPicture, "png"> & { readonly path: string };

/** The last year at three scales, around the place that the archive calls its center. */
async function drawMaps(run: Run, out: string, options: Options, notes: string[], ctx: Context): Promise<Drawn[]> {
  const year = run.years.findLast((one) => existsSync(layoutOf(options, one).archive));
  if (year === undefined) {
    notes.push(
      "No archive of these years is there, so no maps are drawn; years that are published as columns have none.",
    );
    return [];
  }
  const { archive } = layoutOf(options, year);
  const { bounds, center } = readHeader(archive);
  const drawn: Drawn[] = [];
  for (const { name, share, title } of SCALES) {
    const path = besides(out, `map_${name}`);
    const box = share === 1 ? undefined : around(bounds, center, share);
    const { height } = await drawPicture(
      { archives: [archive], out: path, width: WIDTH, bounds: box, theme: "light", title: `${title}, ${year}` },
      ctx,
    );
    drawn.push({
      path,
      title: `${title}, ${year}`,
      alt: `Map of the majority crop of ${share === 1 ? "all fields" : "fields in part of the area"}, ${year}`,
      width: WIDTH,
      height,
    });
  }
  return drawn;
}

async function drawAreas({ legend, years }: Run, out: string, notes: string[], ctx: Context): Promise<Drawn[]> {
  const there = years.filter((year) => legend?.years.includes(year));
  if (legend === undefined || there.length < 2) {
    notes.push("Areas by year are drawn once the history has two of these years or more.");
    return [];
  }
  const path = besides(out, "areas");
  const { height } = await drawChart(
    legend,
    { out: path, width: WIDTH, top: 11, years: there, theme: "light", title: "Areas by crop and year" },
    ctx,
  );
  return [
    {
      path,
      title: "Areas by crop and year",
      alt: "Areas by crop and year; the table of areas has the numbers",
      width: WIDTH,
      height,
    },
  ];
}

function besides(out: string, name: string): string {
  const stem = out.replace(/\.html$/, "");
  return join(dirname(out), `${stem.slice(dirname(stem).length + 1)}_${name}.png`);
}

/** A box of a share of the bounds' width and height that lies in them, around the center where it can. */
function around(
  { west, south, east, north }: Bounds,
  { lng, lat }: { lng: number; lat: number },
  share: number,
): Bounds {
  const [width, height] = [(east - west) * share, (north - south) * share];
  const left = Math.min(Math.max(west, lng - width / 2), east - width);
  const low = Math.min(Math.max(south, lat - height / 2), north - height);
  return { west: left, south: low, east: left + width, north: low + height };
}
