import { mapOrdered } from "../parallel/map-ordered.js";
import type { Context } from "../pipeline/context.js";
import { readBatchFile } from "./batch-file.js";
import { type Check, readChecks } from "./checks.js";
import { type BatchLayout, SHARDS } from "./layout.js";
import { listOutput } from "./output-files.js";
import { listRecords, readItemRecord, removeRecord } from "./records.js";
import { inodeOf } from "./takeover.js";

export interface CheckResult {
  readonly checked: number;
  readonly invalid: readonly { readonly id: string; readonly problem: string }[];
}

/**
 * Repeat the checks of all finished outputs. Items whose output is missing or invalid lose their
 * record, so that the next run makes them again.
 *
 * @param valid  as `--valid`; the batch's own checks when empty. Placeholders in `cmd:`: only {id} and {out}.
 * @param atOnce  number of outputs checked at the same time.
 */
export async function checkBatch(
  layout: BatchLayout,
  valid: readonly string[],
  atOnce: number,
  ctx: Context,
): Promise<CheckResult> {
  const checks = readChecks(valid.length > 0 ? valid : readBatchFile(layout).valid, []);
  const invalid: CheckResult["invalid"][number][] = [];
  let checked = 0;
  const task = ctx.progress.start("outputs checked");
  const done = listDone(layout);
  for await (const { shard, entry, id, problem } of mapOrdered(done, atOnce, async ({ shard, entry }) => {
    const id = (await readItemRecord(layout, shard, entry))?.id ?? entry.name;
    return {
      shard,
      entry,
      id,
      problem: await problemOf(layout.output({ shard, name: entry.name }), id, checks, ctx.signal),
    };
  })) {
    ctx.signal.throwIfAborted();
    task.update(++checked);
    if (problem === undefined) continue;
    await removeRecord(layout, shard, entry);
    invalid.push({ id, problem });
    ctx.log.warn(`output is made again: ${problem}`, { item: id });
  }
  task.end();
  return { checked, invalid };
}

async function* listDone(layout: BatchLayout) {
  for (const shard of SHARDS) {
    for (const entry of await listRecords(layout, shard)) if (entry.state === "done") yield { shard, entry };
  }
}

async function problemOf(
  folder: string,
  id: string,
  checks: readonly Check[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if ((await inodeOf(folder)) === undefined) return "output is gone";
  const output = await listOutput(folder);
  for (const check of checks) {
    const problem = await check.problem(output, { id, attempt: 0, cwd: process.cwd(), item: "" }, signal);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
