import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import gdal from "gdal-async";
import { physicalCores } from "../dist/parallel/threads.js";
import { PROJECT } from "./options.js";

/** Where and with what was measured. */
export interface Machine {
  /** In the results' file name. */
  readonly name: string;
  readonly cpu: string;
  /** Physical cores that this process may use. */
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** Processes that wanted a core in the last minute, before the start; each beyond 0 is a disturbance. */
  readonly load: number;
  readonly versions: Readonly<Record<string, string>>;
  /** With `+` behind it where the working tree had changes. */
  readonly commit: string;
}

export function describeMachine(name: string | undefined): Machine {
  const cpu = cpus()[0]?.model.trim() ?? "unknown CPU";
  const cores = physicalCores();
  const { version } = JSON.parse(readFileSync(`${PROJECT}/package.json`, "utf8")) as { version: string };
  return {
    name: name ?? `${slug(cpu)}-${cores}`,
    cpu,
    cores,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load: Math.round((loadavg()[0] as number) * 100) / 100,
    versions: { "fields-pipeline": version, node: process.version, gdal: gdal.version },
    commit: commit(),
  };
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/\((r|tm)\)|@.*|\bcpu\b|\bprocessor\b/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

function commit(): string {
  const git = (...args: string[]) => spawnSync("git", ["-C", PROJECT, ...args]);
  const head = git("rev-parse", "--short=12", "HEAD");
  if (head.status !== 0) return "unknown";
  return head.stdout.toString().trim() + (git("status", "--porcelain", "-uno").stdout.length > 0 ? "+" : "");
}
