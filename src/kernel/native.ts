import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { PipelineError } from "../pipeline/errors.js";
import type { GeometryKernel } from "./geometry.js";
import type { ParquetKernel } from "./parquet.js";
import type { RasterKernel } from "./raster.js";
import type { TilerKernel } from "./tiler.js";
import type { TilesKernel } from "./tiles.js";
import type { ZonalKernel } from "./zonal.js";

const MODULE = fileURLToPath(new URL("../../native/build/Release/fields.node", import.meta.url));

/**
 * The inner loops, in C++: typed arrays in, typed arrays out, on batches. No call keeps a pointer or anything
 * else for the next one.
 */
export type Kernel = GeometryKernel & ParquetKernel & RasterKernel & TilerKernel & TilesKernel & ZonalKernel;

/** @throws {PipelineError} tool, with the build command, when the module is missing or of another Node. */
export function nativeKernel(): Kernel {
  try {
    return createRequire(import.meta.url)(MODULE) as Kernel;
  } catch (cause) {
    throw new PipelineError(
      "tool",
      "Native kernel cannot be loaded; build it with `npm run build:native`",
      { path: MODULE, platform: `${process.platform}-${process.arch}`, abi: process.versions.modules },
      { cause },
    );
  }
}
