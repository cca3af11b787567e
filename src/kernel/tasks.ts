import type { KernelName } from "../config/options.js";
import { type TaskName, taskModule } from "../parallel/task-table.js";
import { loadKernel } from "./load.js";

/** Load the kernel, and what some tasks need, ahead of them. */
export async function wake(task: { kernel: KernelName; tasks: readonly TaskName[] }): Promise<void> {
  await loadKernel(task.kernel);
  for (const name of task.tasks) await import(taskModule(name));
}
