/**
 * The history's own lane: node dist-bench/history.js [--fields 1000000] [--years 2008-2022].
 * Zonal tables are made (and kept), joined in this process, checked, and timed.
 */
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { main } from "../dist/cli/main.js";
import { layoutOf, resolveOptions } from "../dist/config/config.js";
import { parseYears } from "../dist/config/years.js";
import type { HistoryLegend } from "../dist/history/format.js";
import { historyFiles } from "../dist/history/format.js";
import { HistoryReader } from "../dist/history/history-reader.js";
import { historyStep } from "../dist/history/step.js";
import { PipelineError } from "../dist/pipeline/errors.js";
import { runStep } from "../dist/pipeline/step.js";
import { startWatch } from "./stopwatch.js";
import { makeZonalTables, plantedCrop } from "./zonal-tables.js";

const LOOKUPS = 200;

await main(
  {
    name: "node dist-bench/history.js",
    summary: "Time the history: zonal tables of many years in, history, legend and tables out; one core.",
    options: ["quiet", "json"],
    own: {
      fields: { type: "string", help: "fields [1000000]" },
      years: { type: "string", help: "years [2008-2022]" },
      data: { type: "string", help: "folder of the made-up tables, kept between runs [work/bench]" },
    },
    examples: ["node dist-bench/history.js", "node dist-bench/history.js --fields 4000000 --json"],
  },
  async ({ own, options }, ctx) => {
    const fields = Number(own.fields ?? 1_000_000);
    const years = parseYears(String(own.years ?? "2008-2022"));
    const root = join(String(own.data ?? "work/bench"), `history-${fields}`);
    await makeZonalTables(root, fields, years);
    const settings = resolveOptions({ root });
    const { history: folder } = layoutOf(settings, 0);
    const files = historyFiles(folder, "us");
    rmSync(folder, { recursive: true, force: true });
    const ended = startWatch();
    await runStep(await historyStep(settings, { years, csv: false }), ctx, { force: true });
    const cost = ended();
    checkLegend(JSON.parse(readFileSync(files.legend, "utf8")) as HistoryLegend, fields, years);
    const lookup = await timeLookups(files.history, fields);
    const result = {
      fields,
      years: years.length,
      ...cost,
      fieldYearsPerS: Math.round((fields * years.length) / cost.cpuS),
      historyBytes: statSync(files.history).size,
      peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
      lookup,
    };
    if (!options.json) process.stdout.write(`${JSON.stringify(result, null, 1)}\n`);
    return result;
  },
);

/** Against what was planted. */
function checkLegend(legend: HistoryLegend, fields: number, years: readonly number[]): void {
  for (const year of years) {
    const planted = new Map<number, number>();
    for (let row = 0; row < fields; row++) {
      const code = plantedCrop(row, year);
      planted.set(code, (planted.get(code) ?? 0) + 1);
    }
    const told = new Map(legend.crops.map(({ code, fields: byYear }) => [code, byYear[year] ?? 0]));
    told.set(0, legend.noCrop.fields[year] ?? 0);
    for (const [code, count] of planted) {
      if (told.get(code) !== count) {
        throw new PipelineError("failed", "The legend is wrong", {
          year,
          code,
          expected: count,
          received: told.get(code),
        });
      }
    }
  }
}

/** Milliseconds of single fields: of a row group not read before, and of one that is kept. */
async function timeLookups(path: string, fields: number): Promise<{ coldMs: number; warmMs: number; openMs: number }> {
  const began = performance.now();
  const reader = await HistoryReader.open(path);
  const openMs = performance.now() - began;
  const [cold, warm]: [number[], number[]] = [[], []];
  const time = async (row: number) => {
    const start = performance.now();
    await reader.read(row);
    return performance.now() - start;
  };
  for (let i = 0; i < LOOKUPS; i++) {
    const row = Math.floor((i * 0.618_034 * fields) % fields);
    cold.push(await time(row));
    warm.push(await time(row));
  }
  reader.close();
  return { openMs, coldMs: median(cold), warmMs: median(warm) };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number;
}
