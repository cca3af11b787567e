import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { layoutOf, type Options } from "../config/config.js";
import { isAlive, isHere, parseHolder } from "../pipeline/holder.js";
import { readJson } from "../pipeline/json-file.js";
import { type LiveState, type LiveTask, readLive } from "../pipeline/live.js";
import { readRecord, recordPath } from "../pipeline/record.js";
import { readNote } from "../pipeline/small-file.js";
import { STAGES, type Stage } from "../year/stages.js";
import { type LogLine, readLogTail } from "./log-tail.js";

/**
 * `done`: every stage on record and its file there. `running`: a live process holds the
 * year. `silent`: one held it and gives no sign of life. `failed`, `paused`: as its last
 * run ended. `partly`: some stages are done, nobody works on it. `purged`: it was done,
 * and a file of it is gone. `none`: nothing is known of it.
 */
export type YearState = "done" | "running" | "silent" | "failed" | "paused" | "partly" | "purged" | "none";

export interface StageStatus {
  readonly done: boolean;
  readonly finishedAt?: string;
  readonly seconds?: number;
  readonly bytes?: number;
  /** It is on record and its file is gone. */
  readonly gone?: boolean;
}

export interface YearStatus {
  readonly year: number;
  readonly state: YearState;
  readonly stages: Readonly<Record<Stage, StageStatus>>;
  /** The stage under way, or in which the last run ended. */
  readonly stage?: string;
  readonly task?: TaskStatus;
  readonly error?: string;
  readonly host?: string;
  readonly pid?: number;
  readonly slurmJob?: string;
  readonly slurmStep?: string;
  /** ISO 8601: when it was last heard of. */
  readonly seenAt?: string;
  readonly lastLine?: LogLine;
  /** Warnings and errors of the last run. */
  readonly problems: readonly LogLine[];
}

export interface TaskStatus {
  readonly label: string;
  readonly done: number;
  readonly total?: number;
  /** Units of the label a second, since the task began. */
  readonly rate: number;
  readonly etaSeconds?: number;
}

/** A live run writes its state every 5 s; Lustre may keep that for a minute from other nodes. */
const SILENT_MS = 120_000;

/** Years that anything is known of under the root: records, logs, locks, the manifest. */
export function knownYears(options: Options): number[] {
  const { state, log, manifest } = layoutOf(options, 0);
  const names = [...list(state), ...list(dirname(log))];
  const years = names.flatMap((name) => {
    const match = name.startsWith(`${options.region}_`)
      ? /^(\d{4})[._]/.exec(name.slice(options.region.length + 1))
      : /^year_(\d{4})[._]/.exec(name);
    return match ? [Number(match[1])] : [];
  });
  const published = readJson(manifest) as { years?: number[] } | number[] | undefined;
  const listed = Array.isArray(published) ? published : (published?.years ?? []);
  return [...new Set([...years, ...listed])].sort((a, b) => a - b);
}

/** How one year stands, from its records, lock, live state and log; nothing is changed and no data are read. */
export function yearStatus(year: number, options: Options, now = Date.now()): YearStatus {
  const layout = layoutOf(options, year);
  const live = readLive(layout.live);
  const tail = readLogTail(layout.log, live?.startedAt);
  const files: Record<Stage, string | undefined> = {
    download: undefined,
    zonal: layout.zonal,
    tiles: layout.archive,
    publish: undefined,
  };
  const record = (step: string) => recordPath(layout.state, options.region, year, step);
  const stages = Object.fromEntries(STAGES.map((stage) => [stage, stageStatus(record(stage), files[stage])])) as Record<
    Stage,
    StageStatus
  >;
  // A year that is published as a column alone has no archive of its own.
  const asColumn = {
    tiles: stageStatus(record("column"), layout.column),
    publish: stageStatus(record("publish-column"), undefined),
  };
  for (const stage of ["tiles", "publish"] as const) {
    const { done, gone } = stages[stage];
    if (asColumn[stage].done && !done && gone !== true) stages[stage] = asColumn[stage];
  }
  const holder = holderState(layout.lock, live, now);
  const state = judge(stages, holder, live);
  const current = state === "running" || state === "silent" || state === "failed" || state === "paused";
  return {
    year,
    state,
    stages,
    ...(current && live?.stage !== undefined && { stage: live.stage }),
    ...(current && live?.task !== undefined && { task: taskStatus(live.task, live.updatedAt) }),
    ...(state === "failed" && live?.error !== undefined && { error: live.error }),
    ...(current && live !== undefined && { host: live.host, pid: live.pid }),
    ...(current && live?.slurmJob !== undefined && { slurmJob: live.slurmJob }),
    ...(current && live?.slurmStep !== undefined && { slurmStep: live.slurmStep }),
    ...(live !== undefined && { seenAt: live.updatedAt }),
    ...(tail?.last !== undefined && { lastLine: tail.last }),
    problems: tail?.problems ?? [],
  };
}

function stageStatus(path: string, output: string | undefined): StageStatus {
  const record = readRecord(path);
  if (record === undefined) return { done: false };
  const { finishedAt, seconds } = record;
  if (output === undefined) return { done: true, finishedAt, seconds };
  const bytes = sizeOf(output);
  return bytes === undefined
    ? { done: false, gone: true, finishedAt, seconds }
    : { done: true, finishedAt, seconds, bytes };
}

/** Whether somebody holds the year: judged by the process on this host, by its signs of life elsewhere. */
function holderState(lock: string, live: LiveState | undefined, now: number): "none" | "alive" | "silent" {
  let text: string;
  let beatMs: number;
  try {
    text = readNote(lock);
    beatMs = statSync(lock).mtimeMs;
  } catch {
    return live?.state === "running" ? "silent" : "none";
  }
  const holder = parseHolder(text);
  if (holder !== undefined && isHere(holder)) return isAlive(holder) ? "alive" : "silent";
  const seenMs = Math.max(beatMs, live === undefined ? 0 : Date.parse(live.updatedAt));
  return now - seenMs > SILENT_MS ? "silent" : "alive";
}

function judge(
  stages: Readonly<Record<Stage, StageStatus>>,
  holder: "none" | "alive" | "silent",
  live: LiveState | undefined,
): YearState {
  if (holder === "alive") return "running";
  if (holder === "silent") return "silent";
  const all = Object.values(stages);
  // What failed then may have been done since by a stage's own command.
  const newest = all.reduce((latest, { finishedAt = "" }) => (finishedAt > latest ? finishedAt : latest), "");
  const ended = live?.state === "failed" || live?.state === "paused" ? live : undefined;
  if (ended !== undefined && newest < ended.updatedAt) return ended.state === "failed" ? "failed" : "paused";
  if (all.some(({ gone }) => gone)) return "purged";
  if (all.every(({ done }) => done)) return "done";
  return all.some(({ done }) => done) ? "partly" : "none";
}

function taskStatus(task: LiveTask, updatedAt: string): TaskStatus {
  const seconds = (Date.parse(updatedAt) - Date.parse(task.startedAt)) / 1000;
  const rate = seconds > 0 ? task.done / seconds : 0;
  return {
    label: task.label,
    done: task.done,
    ...(task.total !== undefined && { total: task.total }),
    rate,
    ...(task.total !== undefined && rate > 0 && { etaSeconds: (task.total - task.done) / rate }),
  };
}

function sizeOf(path: string): number | undefined {
  return existsSync(path) ? statSync(path).size : undefined;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
