import { type TaskName, taskModule } from "../parallel/task-table.js";
import { nativeKernel } from "./native.js";

/** Load the kernel, and what some tasks need, ahead of them. */
export async function wake(task: { tasks: readonly TaskName[] }): Promise<void> {
  nativeKernel();
  for (const name of task.tasks) await import(taskModule(name));
}
