import { existsSync } from "node:fs";
import { join } from "node:path";
import { clock } from "../cli/progress.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import { isAlive, isHere } from "../pipeline/holder.js";
import { writeJsonAtomic } from "../pipeline/json-file.js";
import { readBatchFile } from "./batch-file.js";
import { type RunnerFile, readRunner } from "./heartbeat.js";
import { type BatchLayout, SHARDS } from "./layout.js";
import { type ItemRecord, listNames, listRecords, type RecordEntry, readItemRecord } from "./records.js";

/** Listings and records read at the same time. */
const AT_ONCE = 32;
/** Maximum of failed items in the text; `list` shows all. */
const SHOWN = 20;

export interface RunnerStatus {
  readonly name: string;
  readonly host: string;
  readonly job?: string | undefined;
  readonly state: "working" | "draining" | "ended" | "died" | "silent";
  readonly workers: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly seconds: number;
}

export interface BatchStatus {
  readonly out: string;
  readonly items: number;
  readonly done: number;
  readonly failed: number;
  /** Failed before and waiting for a retry. */
  readonly retrying: number;
  readonly running: number;
  readonly left: number;
  /** Items per second of all active runners; undefined if none is active. */
  readonly rate?: number | undefined;
  readonly etaSeconds?: number | undefined;
  /** Mean and maximum duration of successful items, in seconds. */
  readonly meanSeconds?: number | undefined;
  readonly longestSeconds?: number | undefined;
  readonly runners: readonly RunnerStatus[];
  readonly failures: readonly {
    readonly id: string;
    readonly fault: string;
    readonly message: string;
    readonly log: string;
  }[];
}

/**
 * Progress of a batch, from directory listings, the runners' files, and the records of failed items.
 *
 * @throws {PipelineError} input, when there is no batch.
 */
export async function batchStatus(layout: BatchLayout): Promise<BatchStatus> {
  const file = readBatchFile(layout);
  const entries: { shard: string; entry: RecordEntry }[] = [];
  let running = 0;
  for await (const found of mapOrdered(SHARDS, AT_ONCE, async (shard) => ({
    claims: await listNames(layout.claims(shard)),
    records: (await listRecords(layout, shard)).map((entry) => ({ shard, entry })),
  }))) {
    running += found.claims.length;
    entries.push(...found.records);
  }
  const done = count(entries, "done");
  const failedEntries = entries.filter(({ entry }) => entry.state === "failed");
  const failures: BatchStatus["failures"][number][] = [];
  for (const { shard, entry } of failedEntries.slice(0, SHOWN)) {
    const record = await readItemRecord(layout, shard, entry);
    const last = record?.attempts.at(-1);
    failures.push({
      id: record?.id ?? entry.name,
      fault: last?.fault ?? "unknown",
      message: last?.message ?? "",
      log: layout.log({ shard, name: entry.name }),
    });
  }
  const runners = await readRunners(layout);
  const files = runners.map(({ file: runner }) => runner.tally);
  const made = files.reduce((sum, tally) => sum + tally.done, 0);
  const rate = runners
    .filter(({ status }) => status.state === "working" || status.state === "draining")
    .reduce((sum, { status }) => sum + status.done / Math.max(1, status.seconds), 0);
  const left = Math.max(0, file.items.count - done - failedEntries.length);
  return {
    out: layout.root,
    items: file.items.count,
    done,
    failed: failedEntries.length,
    retrying: count(entries, "retry"),
    running,
    left,
    ...(rate > 0 && { rate, etaSeconds: Math.round(left / rate) }),
    ...(made > 0 && {
      meanSeconds: files.reduce((sum, tally) => sum + tally.itemSeconds, 0) / made,
      longestSeconds: Math.max(...files.map((tally) => tally.longestSeconds)),
    }),
    runners: runners.map(({ status }) => status),
    failures,
  };
}

function count(entries: readonly { readonly entry: RecordEntry }[], state: string): number {
  return entries.filter(({ entry }) => entry.state === state).length;
}

async function readRunners(layout: BatchLayout): Promise<{ file: RunnerFile; status: RunnerStatus }[]> {
  const found: { file: RunnerFile; status: RunnerStatus }[] = [];
  for (const [folder, ended] of [
    [layout.runs(), true],
    [layout.runners(), false],
  ] as const) {
    for (const name of await listNames(folder)) {
      if (name.startsWith(".")) continue;
      const runner = await readRunner(join(folder, name));
      if (runner?.file) found.push({ file: runner.file, status: statusOf(runner.file, ended) });
    }
  }
  return found;
}

function statusOf(file: RunnerFile & { readonly lost?: boolean; readonly at?: string }, ended: boolean): RunnerStatus {
  const silentMs = Date.now() - Date.parse(file.at);
  const state = ended
    ? file.lost
      ? "died"
      : "ended"
    : isHere(file) && !isAlive(file)
      ? "died"
      : silentMs > file.staleMs
        ? "silent"
        : file.draining
          ? "draining"
          : "working";
  const until = Date.parse(file.at);
  return {
    name: file.token,
    host: file.slurm?.node ?? file.host,
    job: file.slurm?.job,
    state,
    workers: file.workers,
    running: ended ? 0 : file.tally.running,
    done: file.tally.done,
    failed: file.tally.failed,
    seconds: Math.max(0, Math.round((until - Date.parse(file.since)) / 1000)),
  };
}

/** Write the status to `summary.json`; undefined if there is no batch. */
export async function writeSummary(layout: BatchLayout): Promise<BatchStatus | undefined> {
  if (!existsSync(layout.file())) return undefined;
  const status = await batchStatus(layout);
  writeJsonAtomic(layout.summary(), status);
  return status;
}

/** The status as text. */
export function statusText(status: BatchStatus): string {
  const n = (value: number) => value.toLocaleString("en");
  const share = status.items > 0 ? Math.floor((100 * status.done) / status.items) : 100;
  const lines = [
    `${status.out}: ${n(status.done)} of ${n(status.items)} items done (${share} %), ${n(status.failed)} failed,` +
      ` ${n(status.running)} running, ${n(status.left)} left`,
  ];
  if (status.retrying > 0) lines.push(`${n(status.retrying)} are tried again`);
  if (status.rate !== undefined && status.left > 0) {
    lines.push(`${status.rate.toFixed(status.rate < 10 ? 2 : 0)} items/s, ETA ${clock(status.etaSeconds ?? 0)}`);
  }
  if (status.meanSeconds !== undefined) {
    lines.push(
      `an item took ${seconds(status.meanSeconds)} on the mean, ${seconds(status.longestSeconds ?? 0)} at most`,
    );
  }
  for (const runner of status.runners) {
    const job = runner.job === undefined ? "" : `, job ${runner.job}`;
    lines.push(
      `  ${runner.state.padEnd(8)} ${runner.host}${job}: ${n(runner.done)} done, ${n(runner.failed)} failed,` +
        ` ${runner.running} of ${runner.workers} running (${runner.name})`,
    );
  }
  for (const failure of status.failures) {
    lines.push(`  FAILED ${failure.id}: ${failure.fault}: ${failure.message} (${failure.log})`);
  }
  if (status.failed > status.failures.length)
    lines.push(`  ... and ${n(status.failed - status.failures.length)} more; list --state failed`);
  return lines.join("\n");
}

function seconds(value: number): string {
  return value < 100 ? `${value.toFixed(2)} s` : clock(value);
}

export interface ItemLine {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly seconds: number | undefined;
  readonly files: number | undefined;
  readonly bytes: number | undefined;
  readonly host: string;
  readonly job: string | undefined;
  readonly finishedAt: string;
  readonly fault: string | undefined;
  readonly message: string | undefined;
  readonly output: string;
}

/** All items that have a record, in order of shards. */
export async function* itemLines(layout: BatchLayout, state: string | undefined): AsyncGenerator<ItemLine> {
  readBatchFile(layout);
  for await (const lines of mapOrdered(SHARDS, AT_ONCE, async (shard) => {
    const entries = (await listRecords(layout, shard)).filter((entry) => state === undefined || entry.state === state);
    const found: ItemLine[] = [];
    for (const entry of entries) {
      const record = await readItemRecord(layout, shard, entry);
      if (record) found.push(lineOf(layout, shard, entry, record));
    }
    return found;
  })) {
    yield* lines;
  }
}

function lineOf(layout: BatchLayout, shard: string, entry: RecordEntry, record: ItemRecord): ItemLine {
  const last = record.attempts.at(-1);
  const failures = Object.values(record.tries).reduce((sum, tries) => sum + tries, 0);
  return {
    id: record.id,
    state: entry.state,
    attempts: failures + (record.result?.made ? 1 : 0),
    seconds: record.result?.seconds ?? last?.seconds,
    files: record.result?.files,
    bytes: record.result?.bytes,
    host: record.host,
    job: record.job,
    finishedAt: record.finishedAt,
    fault: last?.fault,
    message: last?.message,
    output: layout.output({ shard, name: entry.name }),
  };
}

const COLUMNS: readonly (keyof ItemLine)[] = [
  "id",
  "state",
  "attempts",
  "seconds",
  "files",
  "bytes",
  "host",
  "job",
  "finishedAt",
  "fault",
  "message",
  "output",
];

/** A table separated by tabs; tabs and line ends in values become spaces. */
export function tsvHeader(): string {
  return COLUMNS.join("\t");
}

export function tsvLine(line: ItemLine): string {
  return COLUMNS.map((column) => String(line[column] ?? "").replace(/[\t\r\n]/g, " ")).join("\t");
}
