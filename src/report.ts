import { resolve } from "node:path";
import type { Arguments, Command } from "./cli/command.js";
import { main } from "./cli/main.js";
import { versionText } from "./cli/program.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { checkOutput } from "./pipeline/output-origin.js";
import type { Report } from "./report/make-report.js";

const COMMAND: Command = {
  name: "node dist/report.js",
  summary:
    "Write a report of years as one HTML page: inputs and fingerprints, time by step, counts, dirty rows, areas, changes of crop, maps.",
  positionals: "[YEAR ...]",
  rootOptions: "use",
  options: [...ROOT, ...OUTPUT],
  own: {
    years: { type: "string", help: "years, as 2008-2024 [all that are known]" },
    out: { type: "string", help: "page to write [outputs/report/report_REGION_YEARS.html under the root]" },
    force: { type: "boolean", help: "replace a page at --out, whoever made it" },
  },
  examples: [
    "node dist/report.js --years 2018-2020 --root work/demo",
    "node dist/report.js 2020 --root work/demo --out report.html",
  ],
};

async function report({ options, own, positionals }: Arguments, ctx: Context): Promise<Report> {
  const { knownYears } = await import("./status/year-status.js");
  const { makeReport, reportOrigin, reportPath } = await import("./report/make-report.js");
  const { pngOrigin } = await import("./view/picture/png-file.js");
  const texts = typeof own.years === "string" ? [...positionals, own.years] : positionals;
  const asked = [...new Set(texts.flatMap(parseYears))].sort((a, b) => a - b);
  const years = asked.length > 0 ? asked : knownYears(options);
  if (years.length === 0)
    throw new PipelineError("input", "Nothing is known of any year here", { root: resolve(options.root) });
  const out = typeof own.out === "string" ? resolve(own.out) : reportPath(years, options);
  if (!out.endsWith(".html")) {
    throw new PipelineError("usage", "--out must name the page", {
      expected: "a path that ends in .html",
      received: out,
    });
  }
  const force = own.force === true;
  await checkOutput(out, { originOf: reportOrigin, force });
  const stem = out.replace(/\.html$/, "");
  for (const name of ["map_all", "map_region", "map_close", "areas"]) {
    await checkOutput(`${stem}_${name}.png`, { originOf: pngOrigin, force });
  }
  const made = await makeReport(years, out, await versionText(), options, ctx);
  if (!options.json) process.stdout.write(`${made.out}\n`);
  return made;
}

await main(COMMAND, report);
