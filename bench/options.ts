import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Arguments, Command } from "../dist/cli/command.js";
import { physicalCores } from "../dist/parallel/threads.js";
import { PipelineError } from "../dist/pipeline/errors.js";

/** The project's folder. */
export const PROJECT = fileURLToPath(new URL("..", import.meta.url));

export interface BenchOptions {
  readonly fields: number;
  /** Worker threads to compare, ascending. */
  readonly threads: readonly number[];
  /** Rounds; in each everything runs once, side by side. */
  readonly runs: number;
  readonly quick: boolean;
  /** Fields of the larger world that memory is measured on as well; 0 for none. */
  readonly memoryFields: number;
  /** Fields of a world in which start-up no longer shows; 0 for none. */
  readonly largeFields: number;
  /** Fields that rasterio is timed on, and exactextract. */
  readonly subset: { readonly rasterio: number; readonly exactextract: number };
  readonly exactextract: string | undefined;
  readonly python: string;
  readonly model: "betzy" | undefined;
  /** Results of bench:nation to predict the tiles from. */
  readonly nation: string | undefined;
  /** Results to predict from, instead of measuring. */
  readonly from: string | undefined;
  /** Speed of a Betzy core, this machine's being 1. */
  readonly coreSpeed: number;
  /** Folder of the made-up worlds, kept between runs. */
  readonly data: string;
  /** Folder of the results. */
  readonly out: string;
  /** In the results' name; by default after the CPU. */
  readonly machine: string | undefined;
}

export const COMMAND: Command = {
  name: "npm run bench --",
  summary: "Time the zonal step: from the zone index, end to end, against its peers and on several cores.",
  options: ["quiet"],
  own: {
    fields: { type: "string", help: "fields of the made-up world [200000; 3000 with --quick]" },
    threads: { type: "string", help: "worker threads to compare, as 1,2,4 [powers of two up to the physical cores]" },
    runs: { type: "string", help: "rounds; in each everything runs once [5; 1 with --quick]" },
    quick: {
      type: "boolean",
      help: "a small world and one round: proves that the suite works, its figures mean little",
    },
    memory: { type: "boolean", help: "measure peak memory on a world of 4 million fields too (some 20 minutes)" },
    "memory-fields": { type: "string", help: "fields of that world [4000000]" },
    large: {
      type: "string",
      help: "fields of a larger world, where start-up no longer shows; 0: none [800000; 4000 with --quick]",
    },
    subset: { type: "string", help: "fields that rasterio is timed on [2000; 200 with --quick]" },
    exactextract: { type: "string", help: "exactextract's program, to be timed as well" },
    python: { type: "string", help: "a Python that has rasterio; left out where it has none [/usr/bin/python3]" },
    model: { type: "string", help: "betzy: predict the stages of 29.1 M fields x 15 years on 1 and 4 nodes" },
    nation: { type: "string", help: "with --model: results of bench:nation, for the tiles" },
    from: { type: "string", help: "with --model: predict from this results file and measure nothing" },
    "core-speed": { type: "string", help: "with --model: speed of one of its cores, this machine's being 1 [0.6]" },
    data: { type: "string", help: "folder of the made-up worlds, kept between runs [work/bench]" },
    out: { type: "string", help: "folder of the results [bench/results; with --quick the data folder's results/]" },
    machine: { type: "string", help: "name of this machine in the results [after its CPU]" },
  },
  examples: ["npm run bench -- --threads 1,2 --runs 5", "npm run bench -- --model betzy --from bench/results/x.json"],
};

/** @throws {PipelineError} usage. */
export function readBenchOptions({ own, positionals }: Arguments): BenchOptions {
  if (positionals.length > 0)
    throw new PipelineError("usage", "Unexpected argument", { received: positionals.join(" ") });
  const text = (flag: string) => own[flag] as string | undefined;
  const quick = own.quick === true;
  const count = (flag: string, standard: number) => wholeNumber(flag, text(flag), standard);
  const { model } = own;
  if (model !== undefined && model !== "betzy")
    throw new PipelineError("usage", "Option model is wrong", { expected: "betzy", received: String(model) });
  if (own.from !== undefined && model === undefined) throw new PipelineError("usage", "--from goes with --model");
  const data = resolve(text("data") ?? `${PROJECT}/work/bench`);
  const fields = count("fields", quick ? 3000 : 200_000);
  return {
    fields,
    threads: readThreads(text("threads"), quick),
    runs: count("runs", quick ? 1 : 5),
    quick,
    memoryFields: own.memory === true || own["memory-fields"] !== undefined ? count("memory-fields", 4_000_000) : 0,
    largeFields: own.large === "0" ? 0 : count("large", quick ? 4000 : 800_000),
    subset: {
      rasterio: Math.min(fields, count("subset", quick ? 200 : 2000)),
      exactextract: Math.min(fields, 10 * count("subset", quick ? 200 : 2000)),
    },
    exactextract: text("exactextract"),
    python: text("python") ?? "/usr/bin/python3",
    model,
    nation: text("nation"),
    from: text("from"),
    coreSpeed: positive("core-speed", text("core-speed"), 0.6),
    data,
    out: resolve(text("out") ?? (quick ? `${data}/results` : `${PROJECT}/bench/results`)),
    machine: text("machine"),
  };
}

function readThreads(text: string | undefined, quick: boolean): number[] {
  if (text !== undefined) {
    const threads = text.split(",").map((part) => wholeNumber("threads", part, 1));
    return [...new Set([1, ...threads])].sort((a, b) => a - b);
  }
  if (quick) return [1, 2];
  const cores = physicalCores();
  const threads = [cores];
  for (let n = 1; n < cores; n *= 2) threads.push(n);
  return threads.sort((a, b) => a - b);
}

function wholeNumber(flag: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text);
  if (text?.trim() !== "" && Number.isInteger(value) && value >= 1) return value;
  throw new PipelineError("usage", `Option ${flag} is wrong`, { expected: "a whole number from 1", received: text });
}

function positive(flag: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new PipelineError("usage", `Option ${flag} is wrong`, { expected: "a number above 0", received: text });
}
