import type { MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import { PipelineError } from "../pipeline/errors.js";

/** A function that workers can run: exported by its own name from the module whose URL it carries. */
export interface Task<A, R> {
  (argument: A): R;
  readonly name: string;
  module: string;
}

export interface Pool {
  readonly threads: number;
  /**
   * Run a task in a worker, which loads the task's module the first time. `transfer` moves buffers instead of copying them.
   * A worker that dies is replaced and the task tried once more, then given up by name.
   *
   * @throws {PipelineError} failed, when the task has killed two workers; else what the task throws, without its type.
   */
  run<A, R>(
    task: Task<A, R>,
    argument: NoInfer<A>,
    transfer?: readonly (ArrayBuffer | MessagePort)[],
  ): Promise<Awaited<R>>;
  close(): Promise<void>;
}

/**
 * The process's one worker pool.
 *
 * Submission is bounded by the callers (mapOrdered): Piscina's own queue is endless
 * and its drain event has known faults.
 *
 * @throws {PipelineError} failed, from a task, when a worker died twice on it.
 */
export function openPool(threads: number): Pool {
  const pool = new Piscina({
    minThreads: Math.min(threads, 1),
    maxThreads: threads,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
    // Atomics.wait would hold the worker's event loop, on which reading parquet depends.
    atomics: "disabled",
  });
  // A worker that fails without a task (at its start, say) would leave the others' tasks waiting for ever.
  const open = new Set<(error: PipelineError) => void>();
  pool.on("error", (cause) => {
    for (const fail of open) fail(new PipelineError("failed", "Cannot start a worker", {}, { cause }));
  });
  const submitted = <T>(run: () => Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      open.add(reject);
      run()
        .then(resolve, reject)
        .finally(() => open.delete(reject));
    });
  return {
    threads,
    async run({ name, module: filename }, argument, transfer = []) {
      const submit = () => submitted(() => pool.run(argument, { filename, name, transferList: [...transfer] }));
      try {
        return await submit();
      } catch (error) {
        // What was transferred is gone with the worker; only a task that kept its input can be tried again.
        if (!isWorkerDeath(error) || transfer.length > 0) throw error;
        try {
          return await submit();
        } catch (cause) {
          throw new PipelineError("failed", "A worker died twice on the same task", { task: name }, { cause });
        }
      }
    },
    close: () => pool.destroy(),
  };
}

/** Whether a worker ended that should not have. */
export function isWorkerDeath(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? "";
  return (
    /^ERR_WORKER_(OUT_OF_MEMORY|UNSERIALIZABLE_ERROR|EXIT)/.test(code) ||
    /worker exited/i.test((error as Error).message ?? "")
  );
}
