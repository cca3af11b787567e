import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { PartialCounts } from "../kernel/zonal.js";
import { isWorkerDeath, type Pool } from "../parallel/pool.js";
import { asPipelineError, PipelineError, type Where } from "../pipeline/errors.js";
import type { LaneReport, LaneTask } from "./scan-lane.js";
import { cancelQueue } from "./scan-queue.js";
import { scanLane } from "./tasks.js";

/** A worker could not decode a block; GDAL may. */
export class UndecodedBlock extends Error {
  constructor(
    readonly path: string,
    readonly where: Where,
  ) {
    super("A block does not decode");
  }
}

/** The workers of one scan. */
export class LaneTeam {
  /** Histograms that still wait for other parts, by worker and raster. */
  readonly results: Promise<PartialCounts[][][]>;
  /** Never resolves; rejects with the first worker's error, or if the signal aborts. After that no window is taken. */
  readonly stopped: Promise<never>;
  readonly #lanes: readonly Promise<PartialCounts[][]>[];
  readonly #ports: MessagePort[] = [];
  readonly #endStopped: () => void;

  /**
   * @param paths   of the rasters, for errors.
   * @param report  called for every counted window.
   */
  constructor(
    workers: number,
    private readonly task: Omit<LaneTask, "port">,
    private readonly paths: readonly string[],
    private readonly pool: Pool,
    signal: AbortSignal,
    report: (report: LaneReport) => void,
  ) {
    this.#lanes = Array.from({ length: workers }, () => {
      const { port1, port2 } = new MessageChannel();
      port1.on("message", report);
      this.#ports.push(port1);
      return this.#run(port2);
    });
    this.results = Promise.all(this.#lanes);
    let abort = () => {};
    this.stopped = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort);
      this.results.catch(reject);
      if (signal.aborted) abort();
    });
    this.#endStopped = () => signal.removeEventListener("abort", abort);
    this.stopped.catch(() => cancelQueue(task.queue));
  }

  /** Wait until all workers are idle. */
  async close(): Promise<void> {
    cancelQueue(this.task.queue);
    await Promise.allSettled(this.#lanes);
    this.#endStopped();
    for (const port of this.#ports) port.close();
  }

  async #run(port: MessagePort): Promise<PartialCounts[][]> {
    try {
      const result = await this.pool.run(scanLane, { ...this.task, port }, [port]);
      if ("waiting" in result) return result.waiting;
      const { kind, sentence, where, error, undecoded } = result;
      const path = this.paths[result.target] as string;
      if (undecoded)
        throw new UndecodedBlock(path, { path, ...where, received: (error.cause as Error | undefined)?.message });
      throw new PipelineError(kind, sentence, { path, ...where }, { cause: error.cause });
    } catch (cause) {
      if (isWorkerDeath(cause) || cause instanceof UndecodedBlock) throw cause;
      const index = this.task.index.path;
      throw asPipelineError(cause, "failed", "Windows cannot be counted", { path: this.paths.join(" "), index });
    }
  }
}
