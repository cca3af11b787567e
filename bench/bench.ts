/** The benchmark suite: npm run bench. See bench/README.md. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { main } from "../dist/cli/main.js";
import { predictBetzy } from "./betzy.js";
import { peersChart, scalingChart } from "./chart.js";
import { markdownOf } from "./markdown.js";
import type { NationResults } from "./nation-results.js";
import { type BenchOptions, COMMAND, readBenchOptions } from "./options.js";
import type { Results } from "./results.js";
import { runSuite } from "./suite.js";

await main(COMMAND, async (args, ctx) => {
  const options = readBenchOptions(args);
  if (options.from !== undefined) {
    const results = JSON.parse(readFileSync(options.from, "utf8")) as Results;
    process.stdout.write(`${predictBetzy(results, options.coreSpeed, nationOf(options)).join("\n")}\n`);
    return undefined;
  }
  const results = await runSuite(options, ctx);
  const { page, files } = writeResults(results, options);
  process.stdout.write(`${page}\n${files.join("\n")}\n`);
  return undefined;
});

function nationOf({ nation }: BenchOptions): NationResults | undefined {
  return nation === undefined ? undefined : (JSON.parse(readFileSync(nation, "utf8")) as NationResults);
}

/** Paths tell nothing to whom the results are shown: they are given from where the suite was started. */
function withoutPlace(key: string, value: unknown): unknown {
  return key.endsWith("Path") && typeof value === "string" ? relative(process.cwd(), value) : value;
}

function writeResults(results: Results, options: BenchOptions): { page: string; files: string[] } {
  mkdirSync(options.out, { recursive: true });
  const stem = `${results.machine.name}-${results.date.slice(0, 10)}`;
  const charts: [string, Buffer | undefined][] = [
    [`${stem}-scaling.png`, scalingChart(results)],
    [`${stem}-peers.png`, peersChart(results)],
  ];
  const drawn = charts.flatMap(([name, png]) => (png ? [[name, png] as const] : []));
  const prediction =
    options.model === "betzy" ? predictBetzy(results, options.coreSpeed, nationOf(options)).join("\n") : "";
  const page = markdownOf(
    results,
    drawn.map(([name]) => name),
  );
  const contents: [string, string | Buffer][] = [
    [`${stem}.json`, `${JSON.stringify(results, withoutPlace, 1)}\n`],
    [`${stem}.md`, page + prediction],
    ...drawn.map(([name, png]) => [name, png] as [string, Buffer]),
  ];
  for (const [name, content] of contents) writeFileSync(join(options.out, name), content);
  return { page: page + prediction, files: contents.map(([name]) => join(options.out, name)) };
}
