import { layoutOf } from "../config/config.js";
import type { Options } from "../config/options.js";
import { type Run, withRun } from "../config/run.js";
import { withYearLock } from "../config/year-lock.js";
import { type DownloadFacts, downloadStep, releaseCdl, remoteOf } from "../download/step.js";
import { fieldsFileLayout, withRootFields } from "../fields/root-fields.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError, unexpectedError } from "../pipeline/errors.js";
import { withLiveState } from "../pipeline/live.js";

import { type Facts, readRecord, recordPath, type StepRecord } from "../pipeline/record.js";
import { changedOutputs } from "../pipeline/recorded-files.js";
import { judgeStep, outputProblem, runStep, type Step, type Verdict } from "../pipeline/step.js";

import { publishStep } from "../publish/step.js";
import { tilesStep } from "../tiles/step.js";
import { sweepTempDirs } from "../tiles/temp-dir.js";
import type { ZoneSource } from "../zonal/count-fields.js";
import { zonalStep } from "../zonal/step.js";
import { isBeyond, isNeeded, isSelected, type Selection, STAGES, type Stage } from "./stages.js";

/** What became of each stage. */
export type YearResult = { readonly year: number; readonly archive: string; readonly manifest: string } & {
  readonly [K in Stage]?: Facts;
};

/** One line of a dry run. */
export interface PlannedStage {
  readonly stage: Stage;
  readonly runs: boolean;
  readonly reason: string;
}

/** A stage's step, once the stages before it are on record. */
type StepMaker = (done: Partial<Record<Stage, StepRecord>>) => Step | Promise<Step>;

/**
 * Make one year: raster, zonal table, archive, publication. What is there and valid is
 * kept; a raster that has been used and removed is not fetched again.
 *
 * @throws {PipelineError} locked, when another process works on this year; else as the stages.
 */
export async function runYear(year: number, options: Options, selection: Selection, ctx: Context): Promise<YearResult> {
  const layout = layoutOf(options, year);
  const make = async (opened: Run, begin: (stage: Stage) => void): Promise<YearResult> => {
    const { ctx: own } = opened;
    logWhere(year, own);
    const needsFields = isSelected("zonal", selection) || isSelected("tiles", selection);
    const run = needsFields ? await withRootFields(opened) : opened;
    for (const path of sweepTempDirs()) own.log.warn("removed the temporary folder of a dead process", { year, path });
    const plan = await planStages(year, selection, run);
    const running = new Set(plan.filter(({ runs }) => runs).map(({ stage }) => stage));
    // What stages work with is loaded when one of them runs.
    if (running.size > 0) await (await import("./check-year.js")).checkYear(year, running, run, begin);
    const makers = stepMakers(year, selection, run);
    const done: Partial<Record<Stage, StepRecord>> = {};
    for (const stage of STAGES) {
      begin(stage);
      const step = await makers[stage](done);
      if (isSelected(stage, selection)) {
        const force = { force: selection.force.has(stage) };
        await runStep(step, own, force);
        for await (const also of secondSteps(stage, done, year, run)) await runStep(also, own, force);
      } else if (isBeyond(stage, selection)) break;
      done[stage] = isNeeded(stage, selection) ? await standing(step) : recordOf(step);
      // Only who has judged the zonal table knows that the raster has been used.
      if (stage === "zonal" && isSelected(stage, selection)) await releaseCdl(year, options, layout, own);
    }
    const facts = Object.fromEntries(Object.entries(done).map(([stage, record]) => [stage, record.facts]));
    return { year, archive: layout.archive, manifest: layout.manifest, ...facts };
  };
  try {
    return await withYearLock(year, options, ctx, (held) =>
      withLiveState(layout.live, year, held, (own, begin) => withRun(options, year, own, (run) => make(run, begin))),
    );
  } catch (error) {
    throw unexpectedError(error, "The year cannot be made", { year });
  }
}

/**
 * What `runYear` would do now, and why; nothing is changed.
 *
 * @throws {PipelineError} input, where a selected stage needs one that has not been done.
 */
export async function planYear(
  year: number,
  options: Options,
  selection: Selection,
  ctx: Context,
): Promise<PlannedStage[]> {
  return withRun(options, year, ctx, (run) => {
    return planStages(year, selection, { ...run, layout: fieldsFileLayout(options, run.layout) });
  });
}

async function planStages(year: number, selection: Selection, run: Run): Promise<PlannedStage[]> {
  const makers = stepMakers(year, selection, run);
  const done: Partial<Record<Stage, StepRecord>> = {};
  const plan: PlannedStage[] = [];
  for (const stage of STAGES) {
    const first = plan.find(({ runs }) => runs);
    if (!isSelected(stage, selection)) {
      plan.push({ stage, runs: false, reason: "not selected" });
      if (isBeyond(stage, selection)) continue;
    } else if (first !== undefined) {
      plan.push({ stage, runs: true, reason: `follows ${first.stage}, unless that comes out as it was` });
      continue;
    } else {
      const verdict = await judgeStage(stage, await makers[stage](done), done, selection, { year, run });
      plan.push({ stage, runs: !verdict.skip, reason: verdict.reason });
      if (!verdict.skip) continue;
    }
    const step = await makers[stage](done);
    done[stage] = isNeeded(stage, selection) ? await standing(step) : recordOf(step);
  }
  return plan;
}

function stepMakers(year: number, selection: Selection, run: Run): Record<Stage, StepMaker> {
  const { options, layout } = run;
  const zonal = ({ download }: Partial<Record<Stage, StepRecord>>) => {
    const facts = (download as StepRecord).facts as unknown as DownloadFacts;
    const { raster: path, digest, owned } = facts;
    const kept = !owned || options.keepCdl;
    const zones: ZoneSource = async (fields, grid) => {
      const { ensureZones } = await import("../zones/ensure-zones.js");
      return ensureZones(fields, grid, year, run);
    };
    const remote = (ctx: Context) => remoteOf(facts, year, options, ctx);
    return zonalStep(year, { path, digest, kept, remote }, zones, run);
  };
  return {
    download: () =>
      downloadStep(year, options, layout, {
        byRange: isSelected("zonal", selection) && !options.keepCdl,
        rasterNeeded: async (facts) => {
          // Who asks for the download alone wants the raster.
          if (!isSelected("zonal", selection)) return isSelected("download", selection);
          const step = zonal({ download: { facts } as unknown as StepRecord });
          return !(await judgeStep(step, selection.force.has("zonal"))).skip;
        },
      }),
    zonal,
    async tiles({ zonal: record }) {
      const table = { year, ...outputOf(record, "zonal") };
      if (options.publishAs !== "columns") return tilesStep(table, run);
      const { columnStep } = await columnSteps();
      return columnStep(table, run);
    },
    async publish({ tiles }) {
      if (options.publishAs === "columns" && tiles !== undefined) {
        const { columnOfRecord, publishColumnStep } = await columnSteps();
        return publishColumnStep(year, options, layout, columnOfRecord(tiles, layout));
      }
      const made = { ...outputOf(tiles, "tiles"), facts: tiles?.facts ?? {}, builtAt: tiles?.finishedAt };
      return publishStep(year, options, layout, made);
    },
  };
}

/** Loaded for years that are published as columns. */
async function columnSteps() {
  return { ...(await import("../columns/step.js")), ...(await import("../publish/column-step.js")) };
}

/** What a stage makes after its own output where a year is published as both: the column, and its publication. */
async function* secondSteps(
  stage: Stage,
  done: Partial<Record<Stage, StepRecord>>,
  year: number,
  run: Run,
): AsyncGenerator<Step> {
  const { options, layout } = run;
  if (options.publishAs !== "both" || !(stage === "tiles" || stage === "publish")) return;
  const record = recordPath(layout.state, options.region, year, "zonal");
  const zonal = done.zonal ?? readRecord(record);
  const { columnOfRecord, columnStep, publishColumnStep } = await columnSteps();
  const column = columnStep({ year, ...outputOf(zonal, "zonal") }, run);
  yield stage === "tiles" ? column : publishColumnStep(year, options, layout, columnOfRecord(recordOf(column), layout));
}

/** Whether a stage would do anything, with all of its steps. */
async function judgeStage(
  stage: Stage,
  step: Step,
  done: Partial<Record<Stage, StepRecord>>,
  { force }: Selection,
  { year, run }: { readonly year: number; readonly run: Run },
): Promise<Verdict> {
  const verdict = await judgeStep(step, force.has(stage));
  if (!verdict.skip) return verdict;
  for await (const also of secondSteps(stage, done, year, run)) {
    const second = await judgeStep(also, false);
    if (!second.skip) return { ...second, reason: `${also.name}: ${second.reason}` };
  }
  return verdict;
}

/** In a Slurm job, where this is: the first thing to know of a year that went wrong. */
function logWhere(year: number, ctx: Context): void {
  const { SLURM_JOB_ID: job, SLURM_STEP_ID: step, SLURMD_NODENAME: node, SLURM_RESTART_COUNT: restarts } = process.env;
  if (job === undefined) return;
  ctx.log.info(`in Slurm job ${job}, step ${step} on ${node}`, { year, job, jobStep: step, node, restarts });
}

/** The record of a stage that is not selected but whose output the next one, which is, takes. */
async function standing(step: Step): Promise<StepRecord> {
  const record = recordOf(step);
  const problem = await standingProblem(step, record);
  if (problem === undefined) return record;
  throw new PipelineError("input", `The ${step.name} stage must be done again: ${problem}`, {
    year: step.year,
    path: step.target,
  });
}

async function standingProblem(step: Step, record: StepRecord): Promise<string | undefined> {
  const problem = await (step.recheck === undefined ? outputProblem(step.target, record) : step.recheck(record));
  if (problem !== undefined || !step.inFull) return problem;
  const [changed] = await changedOutputs(record, step.target);
  return changed && `${changed.path} ${changed.problem}`;
}

function outputOf(record: StepRecord | undefined, stage: Stage): StepRecord["output"] {
  if (record === undefined) throw new PipelineError("input", `The ${stage} stage has not been done yet`, { stage });
  return record.output;
}

function recordOf(step: Step): StepRecord {
  const record = readRecord(step.record);
  if (record === undefined) {
    throw new PipelineError("input", `The ${step.name} stage has not been done yet; run it first`, {
      year: step.year,
      expected: step.record,
    });
  }
  return record;
}
