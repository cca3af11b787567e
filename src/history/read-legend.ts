import { existsSync } from "node:fs";
import { PipelineError } from "../pipeline/errors.js";
import { readDocument } from "../pipeline/small-file.js";
import { HISTORY_VERSION, type HistoryLegend } from "./format.js";

/** @throws {PipelineError} input: no such file, not JSON, not a legend of a version we know. */
export function readLegend(path: string): HistoryLegend {
  if (!existsSync(path)) {
    throw new PipelineError("input", "No history yet; make it with node dist/history.js", { expected: path });
  }
  let legend: Partial<HistoryLegend> | null;
  try {
    legend = JSON.parse(readDocument(path).toString("utf8")) as Partial<HistoryLegend> | null;
  } catch (cause) {
    throw new PipelineError("input", "The history's legend is not JSON", { path }, { cause });
  }
  if (legend?.version !== HISTORY_VERSION || !Array.isArray(legend.crops) || !Array.isArray(legend.years)) {
    throw new PipelineError("input", "The history's legend cannot be read", {
      path,
      expected: `version ${HISTORY_VERSION}`,
      received: String(legend?.version),
    });
  }
  return legend as HistoryLegend;
}
