import type { NationResults } from "./nation-results.js";
import { type Outcome, outcomeOf, type Results, workCpu } from "./results.js";
import { nationalPieces, type Skew, simulate } from "./skew.js";
import { spread } from "./statistics.js";

/** What a node of Betzy and the national job are taken to be; the words are printed with the prediction. */
const ASSUMED = {
  fields: { value: 29_100_000, words: "29.1 M fields" },
  years: { value: 15, words: "15 years" },
  pixels: { value: 14_850, words: "14,850 Mpx a raster: 153,811 × 96,523, the national Cropland Data Layer" },
  rasterBytes: { value: 2.5e9, words: "2.5 GB a raster file, LZW" },
  fieldsBytes: { value: 19e9, words: "19 GB of polygons as parquet" },
  cores: { value: 128, words: "128 cores a node: two EPYC 7742, hyperthreads not counted" },
  diskBytesPerS: { value: 1e9, words: "1 GB/s for a node that reads or writes Lustre; cautious" },
  memoryBytesPerS: { value: 300e9, words: "300 GB/s of memory a node: three quarters of 16 channels of DDR4-3200" },
} as const;

/** Times that memory is crossed per byte: read from disk, decoded, written, counted. */
const CROSSINGS = 6;

interface Stage {
  readonly name: string;
  /** Seconds by what could hold it up; the largest does. */
  readonly limits: Readonly<Record<string, number>>;
}

/**
 * The national job on Betzy, from what was measured here.
 *
 * A stage takes as long as what holds it up: its workers' CPU over all cores, as evenly as the
 * pieces are for fields that lie as in the United States, the main thread, the disk or memory.
 * Nothing is said of download and upload; of tiles, where a nation's results tell their cost.
 *
 * @param nation  results of bench:nation.
 * @param coreSpeed  of a Betzy core, this machine's being 1.
 * @returns lines of Markdown.
 */
export function predictBetzy(results: Results, coreSpeed: number, nation?: NationResults): string[] {
  const skews = nationalSkew();
  const stages = stagesOf(results, coreSpeed, skews);
  if (stages === undefined) return ["The results lack the runs with 1 thread that the prediction starts from."];
  const tiles = nation === undefined ? [] : tileStages(nation, coreSpeed, skews);
  const [index, scan, write] = stages.map(timeOf) as [number, number, number];
  const [base = 0, archive = 0] = tiles.map(timeOf);
  const year = scan + write + archive;
  const years = ASSUMED.years.value;
  // One year is counted with the index: it is the first one's table that shows it whole.
  const prepared = index + base;
  const rounds = (nodes: number) => prepared + Math.ceil(years / nodes) * year;
  return [
    "",
    "## Betzy, predicted",
    "",
    `29.1 M fields × ${years} years, ${tiles.length > 0 ? "zonal step and tiles" : "zonal step alone"}. A prediction, nothing of it was run there.`,
    "",
    "| stage | seconds | held up by | other limits, seconds |",
    "| --- | ---: | --- | --- |",
    ...[...stages, ...tiles].map((stage) => {
      const [first, ...others] = Object.entries(stage.limits).sort(([, a], [, b]) => b - a) as [string, number][];
      const rest = others.map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`).join(", ");
      return `| ${stage.name} | ${(first?.[1] ?? 0).toFixed(1)} | ${first?.[0]} | ${rest} |`;
    }),
    `| **a year** | **${year.toFixed(0)}** | | |`,
    `| **1 node, ${years} years** | **${rounds(1).toFixed(0)}** | | what the years share, then year after year |`,
    `| **4 nodes, ${years} years** | **${rounds(4).toFixed(0)}** | | what they share by a job on one node before (${prepared.toFixed(0)} s, no other is billed), then ${Math.ceil(years / 4)} waves |`,
    "",
    `How evenly the work of ${ASSUMED.cores.value} workers is cut, fields spread as in the United States (simulated):`,
    "",
    "| pieces | number | largest / mean | efficiency |",
    "| --- | ---: | ---: | ---: |",
    ...skews.map(
      ({ name, pieces, largest, efficiency }) =>
        `| ${name} | ${pieces.toLocaleString("en")} | ${largest.toFixed(1)} | ${efficiency.toFixed(2)} |`,
    ),
    "",
    "Assumed:",
    "",
    ...Object.values(ASSUMED).map(({ words }) => `- ${words}`),
    `- a core of ${coreSpeed} of this machine's speed, at full load (--core-speed)`,
    `- memory crossed ${CROSSINGS} times per byte of input and pixel`,
    "- costs per field and per pixel as in the made-up world, in a second pass (a long run has everything compiled)",
    "- work as evenly cut as in the table, and workers whose speed falls with their number only by the limit of memory",
    "",
  ];
}

const timeOf = ({ limits }: Stage): number => Math.max(...Object.values(limits));

/** Pixels that cost as much to decode as a field to count. */
const PIXELS_PER_FIELD = 200;

function nationalSkew(): readonly Skew[] {
  const [width, height] = [153_811, 96_523];
  const pieces = nationalPieces({ fields: ASSUMED.fields.value, width, height, pixelsPerField: PIXELS_PER_FIELD });
  return pieces.map((each) => simulate(each, ASSUMED.cores.value));
}

function efficiencyOf(skews: readonly Skew[], name: string): number {
  return skews.find((skew) => skew.name.startsWith(name))?.efficiency ?? 1;
}

/** The base and a year's archive, from what a nation's run took here; all of it as the workers' work. */
function tileStages({ stages, fields }: NationResults, coreSpeed: number, skews: readonly Skew[]): Stage[] {
  const cpuOf = (name: string) => stages.find(({ stage, killed }) => stage === name && !killed)?.cpuS ?? 0;
  const workers = (cpuS: number, efficiency: number) =>
    ((cpuS / fields) * ASSUMED.fields.value) / coreSpeed / ASSUMED.cores.value / efficiency;
  return [
    {
      name: "base, once",
      limits: {
        workers: workers(cpuOf("fields tiled"), efficiencyOf(skews, "buckets")),
        disk: ASSUMED.fieldsBytes.value / ASSUMED.diskBytesPerS.value,
      },
    },
    { name: "archive, a year", limits: { workers: workers(cpuOf("tiles, publish"), 1) } },
  ];
}

function stagesOf(results: Results, coreSpeed: number, skews: readonly Skew[]): Stage[] | undefined {
  const [build, scan, read] = ["build tiled 1 again", "scan tiled 1 again", "read tiled 1"].map((key) =>
    outcomeOf(results, key),
  );
  if (!build || !scan || !read) return undefined;
  const burned = phaseOf(build, "fields burned");
  const counted = phaseOf(scan, "pixels counted");
  const written = phaseOf(scan, "rows written");
  if (!burned || !counted || !written) return undefined;
  const { fields, pixels, rasterBytes, fieldsBytes, cores, diskBytesPerS, memoryBytesPerS } = ASSUMED;
  const perField = (seconds: number) => ((seconds / scan.fields) * fields.value) / coreSpeed;
  const decode = spread(workCpu(read)).median / read.mpx;
  const decodeS = (decode * pixels.value) / coreSpeed;
  const sample = results.worlds[0]?.fields ?? scan.fields;
  const indexBytes = (results.indexBytes / sample) * fields.value;
  const tableBytes = (results.tableBytes / sample) * fields.value;
  const memory = (bytes: number) => (bytes * CROSSINGS) / memoryBytesPerS.value;
  const disk = (bytes: number) => bytes / diskBytesPerS.value;
  return [
    {
      name: "zone index, once",
      limits: {
        workers: perField(Math.max(0, burned.cpuS - burned.mainS)) / cores.value,
        "main thread": perField(burned.mainS),
        disk: disk(fieldsBytes.value + indexBytes),
        memory: memory(fieldsBytes.value + indexBytes),
      },
    },
    {
      name: "decode and count, a year",
      limits: {
        workers:
          (decodeS + perField(Math.max(0, counted.cpuS - counted.mainS - decode * scan.mpx))) /
          cores.value /
          efficiencyOf(skews, "windows of a raster of tiles"),
        "main thread": perField(counted.mainS),
        disk: disk(rasterBytes.value + indexBytes),
        memory: memory(rasterBytes.value + indexBytes + pixels.value * 1e6),
      },
    },
    {
      name: "write the table, a year",
      limits: {
        workers: perField(Math.max(0, written.cpuS - written.mainS)) / cores.value / efficiencyOf(skews, "row groups"),
        "main thread": perField(written.mainS),
        disk: disk(tableBytes),
        memory: memory(tableBytes),
      },
    },
  ];
}

function phaseOf(outcome: Outcome, name: string): { cpuS: number; mainS: number } | undefined {
  const phases = outcome.runs.flatMap((run) => run.phases.filter((phase) => phase.name === name));
  if (phases.length === 0) return undefined;
  return {
    cpuS: spread(phases.map(({ cpuS }) => cpuS)).median,
    mainS: spread(phases.map(({ mainS }) => mainS)).median,
  };
}
