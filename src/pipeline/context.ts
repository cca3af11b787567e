import type { Log } from "../pipeline/log.js";
import type { Progress } from "../pipeline/progress.js";

/** What every step is handed besides its own input; there are no other globals. */
export interface Context {
  /** Aborted on SIGTERM and SIGINT; the reason is the PipelineError to end with. */
  readonly signal: AbortSignal;
  /**
   * Aborted on SIGUSR1, which Slurm sends some minutes ahead of a job's time limit: what is
   * under way is finished, nothing new is begun. The reason is the PipelineError to end with.
   */
  readonly drain?: AbortSignal;
  /** Whether the locks that this is done under are still this process's own, by a look now; true without any. */
  readonly held?: () => boolean;
  /** Keep the command's options for later commands on its root; called once its first lock is held. */
  readonly keepOptions?: (ctx: Context) => Promise<void>;
  readonly log: Log;
  readonly progress: Progress;
}
