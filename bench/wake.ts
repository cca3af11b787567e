import { nativeKernel } from "../dist/kernel/native.js";

/** Load the kernel, and the modules of some tasks, ahead of them. */
export async function wake(modules: readonly string[]): Promise<void> {
  nativeKernel();
  for (const url of modules) await import(url);
}
wake.module = import.meta.url;
