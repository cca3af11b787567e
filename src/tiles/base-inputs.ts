import { existsSync } from "node:fs";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import { fingerprint, type Json } from "../pipeline/fingerprint.js";
import type { InputFiles } from "../pipeline/input-files.js";

/** Everything that a base depends on. */
export function baseInputs(layout: Layout, options: Options, files: InputFiles) {
  const { idColumn, geometryColumn, areaColumn, areaUnit, fieldsCrs, include, minZoom, maxZoom, tiler } = options;
  const digest = (path: string) => (existsSync(path) ? files.digest(path) : "missing");
  return {
    raw: digest(layout.fieldsRaw),
    clean: digest(layout.fieldsClean),
    idColumn: idColumn ?? null,
    geometryColumn: geometryColumn ?? null,
    areaColumn: areaColumn ?? null,
    areaUnit: areaUnit ?? null,
    fieldsCrs: fieldsCrs ?? null,
    ...(include !== undefined && { include }),
    minZoom,
    maxZoom,
    tiler,
  };
}

/** The name under `data/base/` of the base that is made from these inputs. */
export function baseName(region: string, inputs: Json): string {
  return `${region}_${fingerprint(inputs).slice(0, 12)}`;
}
