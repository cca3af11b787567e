import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { PipelineError } from "../pipeline/errors.js";
import type { BlockKernel } from "./blocks.js";
import type { Kernel } from "./kernel.js";
import type { PageKernel } from "./pages.js";
import type { TemplateKernel } from "./templates.js";

const MODULE = fileURLToPath(new URL("../../native/build/Release/fields.node", import.meta.url));

/** @throws {PipelineError} tool, with the build command, when the module is missing or of another Node. */
export function nativeKernel(): Kernel & PageKernel & BlockKernel & TemplateKernel {
  try {
    return createRequire(import.meta.url)(MODULE) as Kernel & PageKernel & BlockKernel & TemplateKernel;
  } catch (cause) {
    throw new PipelineError(
      "tool",
      "Native kernel cannot be loaded; build it with `npm run build:native`",
      { path: MODULE, platform: `${process.platform}-${process.arch}`, abi: process.versions.modules },
      { cause },
    );
  }
}
