import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { parse } from "csv-parse/sync";
import { layoutOf, type Options } from "../config/config.js";
import { type HistoryLegend, historyFiles } from "../history/format.js";
import { readLegend } from "../history/read-legend.js";
import { PipelineError } from "../pipeline/errors.js";
import { type Facts, type Inputs, readRecord, recordPath, type StepRecord } from "../pipeline/record.js";

/** Steps of a year, in their order, with the names of their records. */
const YEAR_STEPS = ["download", "zonal", "tiles", "column", "publish", "publish-column"] as const;

/** A step that was done, as its record says. */
export interface DoneStep {
  readonly step: string;
  /** Undefined for what is made once for all years. */
  readonly year: number | undefined;
  /** Milliseconds since 1970. */
  readonly began: number;
  readonly finished: number;
  readonly seconds: number;
  readonly host: string;
  readonly version: number;
  readonly inputs: Inputs;
  readonly facts: Facts;
  readonly output: { readonly name: string; readonly digest: string; readonly bytes: number | undefined };
}

/** What became of a year. */
export interface YearCounts {
  readonly year: number;
  readonly rows: number | undefined;
  readonly withCrop: number | undefined;
  readonly dirtyRows: number | undefined;
  /** Dirty rows, and rows without an answer, by reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

export interface Transition {
  readonly from: string;
  readonly to: string;
  readonly hectares: number;
}

/** All that a report tells of a root. */
export interface Run {
  readonly region: string;
  readonly years: readonly number[];
  /** Years of which no record is there. */
  readonly missing: readonly number[];
  readonly steps: readonly DoneStep[];
  readonly counts: readonly YearCounts[];
  /** Undefined without a history. */
  readonly legend: HistoryLegend | undefined;
  /** Between these years: the largest, of other crops and of the same. */
  readonly transitions: readonly Transition[];
}

/** Largest changes that are listed. */
const MAX_TRANSITIONS = 20;

/**
 * Read what the records and the history of a root tell of years; no data are read.
 *
 * @throws {PipelineError} input, when there is no record of any of the years, or the history is damaged.
 */
export function collectRun(years: readonly number[], options: Options): Run {
  const { region } = options;
  const { state, history } = layoutOf(options, 0);
  const steps = [...onceSteps(state, region), ...years.flatMap((year) => yearSteps(year, state, region))];
  const found = new Set(steps.flatMap(({ year }) => (year === undefined ? [] : [year])));
  if (found.size === 0) {
    throw new PipelineError("input", "Nothing is recorded of these years; make them first", {
      path: state,
      years: years.join(" "),
    });
  }
  const files = historyFiles(history, region);
  const legend = existsSync(files.legend) ? readLegend(files.legend) : undefined;
  return {
    region,
    years: years.filter((year) => found.has(year)),
    missing: years.filter((year) => !found.has(year)),
    steps: steps.sort((a, b) => a.began - b.began || a.step.localeCompare(b.step)),
    counts: years.filter((year) => found.has(year)).map((year) => countsOf(year, steps)),
    legend,
    transitions: legend === undefined ? [] : transitionsIn(files.transitions.csv, new Set(years)),
  };
}

function yearSteps(year: number, state: string, region: string): DoneStep[] {
  return YEAR_STEPS.flatMap((step) => {
    const record = readRecord(recordPath(state, region, year, step));
    return record === undefined ? [] : [doneStep(record, year)];
  });
}

/** Zone index, base and history: records that name no year. */
function onceSteps(state: string, region: string): DoneStep[] {
  const names = existsSync(state) ? readdirSync(state) : [];
  const ours = (name: string) =>
    name === `${region}_history.json` ||
    new RegExp(`^(zones|base|blocks|base-archive)_${region}_.*\\.json$`).test(name);
  return names.filter(ours).flatMap((name) => {
    const record = readRecord(join(state, name));
    return record === undefined ? [] : [doneStep(record, undefined)];
  });
}

function doneStep(record: StepRecord, year: number | undefined): DoneStep {
  const { step, version, inputs, facts, output, finishedAt, seconds, host } = record;
  const finished = Date.parse(finishedAt);
  return {
    step,
    year,
    began: finished - seconds * 1000,
    finished,
    seconds,
    host,
    version,
    inputs,
    facts,
    output: {
      name: basename(output.path),
      digest: output.digest,
      bytes: statSync(output.path, { throwIfNoEntry: false })?.size,
    },
  };
}

function countsOf(year: number, steps: readonly DoneStep[]): YearCounts {
  const facts = steps.find((step) => step.year === year && step.step === "zonal")?.facts;
  const number = (key: string) => (typeof facts?.[key] === "number" ? (facts[key] as number) : undefined);
  const reasons = { ...(facts?.dirty as object | undefined), ...(facts?.unanswered as object | undefined) };
  return {
    year,
    rows: number("rows"),
    withCrop: number("answered"),
    dirtyRows: number("dirtyRows"),
    reasons: reasons as Record<string, number>,
  };
}

/** Sums over the years; a change is into the year that its row names. */
function transitionsIn(path: string, years: ReadonlySet<number>): Transition[] {
  if (!existsSync(path)) return [];
  const rows = parse(readFileSync(path), { columns: true }) as Record<string, string>[];
  const sums = new Map<string, Transition>();
  for (const { year, from_name: from = "", to_name: to = "", area_ha: area } of rows) {
    if (!years.has(Number(year)) || from === to) continue;
    const key = `${from}\n${to}`;
    sums.set(key, { from, to, hectares: (sums.get(key)?.hectares ?? 0) + Number(area) });
  }
  return [...sums.values()].sort((a, b) => b.hectares - a.hectares).slice(0, MAX_TRANSITIONS);
}
