import type { KernelName } from "../config/options.js";
import { loadKernel } from "./load.js";

/** Load the kernel, and nothing else. */
export async function wake(kernel: KernelName): Promise<void> {
  await loadKernel(kernel);
}
