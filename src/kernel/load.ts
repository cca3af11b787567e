import type { KernelName } from "../config/options.js";
import type { Kernel } from "./kernel.js";

/** Load a kernel. The TypeScript twin runs only when asked for: it is the oracle, not a fallback. */
export async function loadKernel(name: KernelName): Promise<Kernel> {
  if (name === "js") return (await import("./js/kernel.js")).jsKernel;
  return (await import("./native.js")).nativeKernel();
}
