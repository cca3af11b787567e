import { hostname } from "node:os";
import { clock } from "../cli/progress.js";
import { sizeText } from "../cli/size.js";
import type { QueuedJob } from "./slurm-queue.js";
import type { TilerView } from "./tiler-view.js";
import type { TaskStatus, YearStatus } from "./year-status.js";

/** Everything that `status` knows; `--json` prints it as it is. */
export interface StatusReport {
  readonly version: 1;
  readonly at: string;
  readonly root: string;
  readonly region: string;
  /** Options that the root was made with, as they are typed; undefined where it does not say. */
  readonly madeWith?: string;
  readonly years: readonly YearStatus[];
  /** Undefined where Slurm does not answer. */
  readonly slurm?: readonly QueuedJob[];
  readonly tippecanoe: readonly TilerView[];
}

const PROBLEMS_SHOWN = 5;
const WIDTH = 160;

/** The report as a person likes to read it. */
export function reportText(report: StatusReport): string {
  const { root, region, years, slurm, tippecanoe } = report;
  const now = Date.parse(report.at);
  const done = years.filter(({ state }) => state === "done").length;
  const running = years.filter(({ state }) => state === "running").length;
  const lines = [`${root}, region ${region}: ${done} of ${years.length} years done, ${running} running`];
  if (report.madeWith !== undefined) lines.push(`made with ${report.madeWith || "the defaults"}`);
  lines.push("");
  lines.push(
    ...columns([
      ["year", "state", "stage", "progress", "rate", "ETA", "zonal", "archive", "seen", "where"],
      ...years.map((year) => row(year, now)),
    ]),
  );
  for (const { year, state, error, lastLine, problems } of years) {
    const notes = problems.slice(-PROBLEMS_SHOWN).map(({ level, message }) => `${level}: ${message}`);
    if (error !== undefined && !notes.some((note) => note.endsWith(error))) notes.push(`error: ${error}`);
    if (state === "running" || state === "silent") notes.push(`last line: ${lastLine?.message ?? "none"}`);
    lines.push(...notes.map((note, i) => cut(`${i === 0 ? `\n${year} ` : "     "}${note}`)));
  }
  for (const { pid, threads, cpuSeconds, openFiles, tempDir, tempBytes } of tippecanoe) {
    lines.push("", `tippecanoe ${pid} on this node: ${threads}; ${Math.round(cpuSeconds)} s of CPU`);
    lines.push(`     ${openFiles} open files, ${size(tempBytes)} in ${tempDir}`);
  }
  lines.push(...elsewhere(years));
  if (slurm !== undefined && slurm.length > 0) {
    const head = ["job", "name", "state", "elapsed", "limit", "nodes", "reason"];
    const cells = slurm.map(({ id, name, state, elapsed, limit, nodes, reason }) => [
      id,
      name,
      state,
      elapsed,
      limit,
      nodes,
      reason,
    ]);
    lines.push("", ...columns([head, ...cells]));
  }
  return `${lines.join("\n")}\n`;
}

function row(year: YearStatus, now: number): string[] {
  const { state, stage, task, stages, seenAt, host, slurmJob, slurmStep } = year;
  const lastStage = Object.entries(stages)
    .filter(([, { done }]) => done)
    .at(-1)?.[0];
  const job = slurmJob === undefined ? "" : ` job ${[slurmJob, slurmStep].filter(Boolean).join(".")}`;
  return [
    String(year.year),
    state,
    stage ?? (state === "partly" ? `${lastStage} done` : "-"),
    task === undefined ? "-" : progressCell(task),
    task === undefined || task.rate === 0 ? "-" : `${rateText(task.rate)}/s`,
    task?.etaSeconds === undefined || state !== "running" ? "-" : clock(task.etaSeconds),
    size(stages.zonal.bytes),
    size(stages.tiles.bytes),
    seenAt === undefined ? "-" : ago((now - Date.parse(seenAt)) / 1000),
    host === undefined ? "-" : `${host}${job}`,
  ];
}

function progressCell({ label, done, total }: TaskStatus): string {
  const count =
    total === undefined || total === 0 ? done.toLocaleString("en") : `${Math.floor((100 * done) / total)} %`;
  return `${label} ${count}`;
}

/** tippecanoe can be looked at on its own node alone; how to get there while its job runs. */
function elsewhere(years: readonly YearStatus[]): string[] {
  const away = years.filter(
    ({ state, stage, host, slurmJob }) =>
      state === "running" && stage === "tiles" && slurmJob !== undefined && host !== hostname(),
  );
  return away.map(
    ({ year, host, slurmJob }) =>
      `\n${year} to see its tippecanoe: srun --overlap --jobid=${slurmJob} --nodelist=${host} --nodes=1 --ntasks=1 node dist/status.js ...`,
  );
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((cells) => cells[i]?.length ?? 0)));
  return rows.map((cells) => cut(cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")));
}

function cut(line: string): string {
  const flat = line.trimEnd();
  return flat.length > WIDTH ? `${flat.slice(0, WIDTH - 3)}...` : flat;
}

function rateText(rate: number): string {
  return rate < 10 ? rate.toFixed(2) : Math.round(rate).toLocaleString("en");
}

function size(bytes: number | undefined): string {
  return bytes === undefined ? "-" : sizeText(bytes);
}

function ago(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}
