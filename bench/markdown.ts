import { barsOf } from "./bars.js";
import { type Outcome, processCpu, processWall, type Results, workCpu, workWall } from "./results.js";
import { curvesOf, speedUp } from "./scaling.js";
import { type Spread, spread } from "./statistics.js";

/** The results as a page: what a reader wants first stands first. */
export function markdownOf(results: Results, charts: readonly string[]): string {
  const { machine, worlds, date } = results;
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `# Zonal benchmark: ${machine.name}, ${date.slice(0, 10)}`,
    "",
    ...(results.quick ? ["**A quick run: it proves that the suite works. Its figures mean little.**", ""] : []),
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; Linux ${machine.kernel}; ${versions.join(", ")}; commit ${machine.commit}; load before the start ${machine.load}.`,
    "",
    ...worlds.map(
      (world) =>
        `- ${world.fields.toLocaleString("en")} fields (${mib(world.fieldsBytes)} of parquet) on ${world.width} × ${world.height} pixels (${mib(world.rasterBytes)}, LZW, ${world.layout} of ${world.block})`,
    ),
    "",
    "Checked before anything was timed, and every table again after each run:",
    "",
    ...results.checks.map((check) => `- ${check}`),
    "",
    "## Goals",
    "",
    ...table(
      ["", "measured", "range", "goal", ""],
      barsOf(results).map(({ name, measured, unit, wanted, reached }) => [
        name,
        measured === undefined ? "not measured" : `${figure(measured.median)} ${unit}`,
        measured === undefined || measured.min === measured.max
          ? ""
          : `${figure(measured.min)}–${figure(measured.max)}`,
        wanted,
        reached === undefined ? "" : reached ? "reached" : "**missed**",
      ]),
    ),
    "",
    `Medians of ${results.rounds} round${results.rounds === 1 ? "" : "s"}; in each everything ran once, one after the other, and ratios are taken within a round. CPU is user and system time of all threads. A row counts the work alone, from the moment that everything is loaded and open and all workers have started, unless it says otherwise; what comes before is start-up.`,
    "",
    ...charts.map((chart) => `![](${chart})\n`),
    "## Times",
    "",
    ...table(
      ["", "threads", "work: CPU s", "wall s", "fields/s", "Mpx/s", "whole process: CPU s", "wall s", "peak MiB"],
      results.outcomes.map(timesRow),
    ),
    "",
    "Rates are by the wall time of the work. The whole process includes start-up; peers and `node dist/zonal.js` do not tell it apart.",
    "",
    ...results.peers.map((peer) => `- ${peer}`),
    "",
    "## Where the work goes",
    "",
    ...table(["", "threads", "phase", "CPU s", "wall s", "main thread busy s"], results.outcomes.flatMap(phaseRows)),
    "",
    "## Threads",
    "",
    ...scalingText(results),
    "",
    "## Memory and size",
    "",
    ...table(
      ["", "fields", "threads", "peak MiB"],
      results.memory.map(({ stage, fields, threads, peakRssMiB }) => [
        stage,
        fields.toLocaleString("en"),
        String(threads),
        peakRssMiB.toFixed(0),
      ]),
    ),
    "",
    `Table: ${figure(results.tableBytes / (worlds[0]?.fields ?? 1))} bytes a row. Index: ${figure(results.indexBytes / (worlds[0]?.fields ?? 1))} bytes a field.`,
    "",
  ].join("\n");
}

function timesRow(outcome: Outcome): string[] {
  const { threads, fields, mpx, runs } = outcome;
  const note = runs.at(-1)?.note;
  const title = outcome.title + (note === undefined ? "" : ` (${note})`);
  const whole = [range(spread(processCpu(outcome))), range(spread(processWall(outcome)))];
  const peak = Math.max(...runs.map(({ process }) => process.peakRssMiB)).toFixed(0);
  // A command and a peer count as work what they do not tell apart; start-up is no work.
  if (runs.every(({ phases }) => phases.length === 0) && mpx === 0 && fields === 0) {
    return [title, String(threads), "", "", "", "", ...whole, peak];
  }
  const wall = spread(workWall(outcome));
  const rate = (amount: number, digits: number) =>
    amount > 0 ? Number((amount / wall.median).toPrecision(digits)).toLocaleString("en") : "";
  return [
    title,
    String(threads),
    range(spread(workCpu(outcome))),
    range(wall),
    rate(fields, 3),
    rate(mpx, 3),
    ...whole,
    peak,
  ];
}

function phaseRows({ title, threads, runs }: Outcome): string[][] {
  const names = runs[0]?.phases.map(({ name }) => name) ?? [];
  return names.map((name, i) => {
    const of = (cost: "cpuS" | "wallS" | "mainS") => spread(runs.map((run) => run.phases[i]?.[cost] ?? 0));
    return [title, String(threads), name, range(of("cpuS")), range(of("wallS")), range(of("mainS"))];
  });
}

function scalingText(results: Results): string[] {
  const curves = curvesOf(results);
  if (curves.length === 0) return ["One number of threads was measured."];
  const threads = [...(curves[0]?.wallS.keys() ?? [])];
  const cores = results.machine.cores;
  return [
    ...table(
      ["speed-up of the work", ...threads.map(String), "serial share (Amdahl)"],
      curves.map((curve) => [
        curve.name,
        ...threads.map((n) => (curve.wallS.has(n) ? speedUp(curve, n).toFixed(2) : "")),
        curve.fit === undefined ? "" : `${(100 * curve.fit.serialShare).toFixed(0)} %`,
      ]),
    ),
    "",
    `The share is fitted to T(n) = serial + parallel / n${threads.length === 2 ? ", which two points only just determine" : ""}. "1 thread" is one worker: the main thread and GDAL's reading thread work beside it${cores > 1 ? ", so with one worker more than one core may be busy" : ""}.`,
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
}

/** `0.42 (0.40–0.47)`; the median alone where there is no more. */
function range({ median, min, max }: Spread): string {
  return min === max ? figure(median) : `${figure(median)} (${figure(min)}–${figure(max)})`;
}

/** Three significant digits, no powers of ten. */
function figure(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 4 });
}

const mib = (bytes: number): string => `${figure(bytes / 2 ** 20)} MiB`;
