import { readFileSync } from "node:fs";
import { suggestion } from "../config/config.js";
import { PipelineError } from "../pipeline/errors.js";
import { type ClusterProfile, type JobType, PROFILES } from "./profiles.js";

type Kind = "text" | "number" | "flag" | "texts" | readonly string[];
type Keys<T> = { readonly [K in keyof Required<T>]: Kind | `${"text" | "number"}?` };

const JOB_TYPE_KEYS: Keys<JobType> = {
  partition: "text?",
  qos: "text?",
  wholeNodes: "flag",
  minNodes: "number",
  maxNodes: "number",
  maxWalltimeMinutes: "number",
  memory: ["forbidden", "required", "optional"],
  cores: "number",
  logicalCpus: "number",
  memoryGiB: "number",
  gpus: "number",
  unitsPerGiB: "number?",
  unitsPerGpu: "number?",
  maxUnitsPerJob: "number?",
  maxUnitsPerUser: "number?",
  maxJobsPerUser: "number?",
  maxNodesPerUser: "number?",
};

const PROFILE_KEYS: Keys<Omit<ClusterProfile, "jobTypes">> = {
  name: "text",
  scheduler: ["slurm", "none"],
  maxThreads: "number",
  maxArrayTasks: "number",
  workFileSystem: "text",
  workSpace: "text",
  projectSpace: "text",
  projectQuotaGiB: "number",
  projectQuotaFiles: "number",
  purgeDays: "number",
  purgeDaysWhenFull: "number",
  scratch: "text",
  scratchGiB: "number",
  tmpGiB: "number",
  localDiskGres: "text?",
  localDiskGiB: "number",
  containerRuntimes: "texts",
};

/**
 * A cluster's profile: a built-in one, a file of the user's own, or the one over the other.
 *
 * @param name  a built-in profile, or with a file also a name of the user's own.
 * @param file  JSON object with the keys of ClusterProfile; those that it leaves out come from the
 *   built-in profile of its `basedOn`, else of `name`. A job type is taken over key by key; null
 *   takes a key, or a whole job type, away.
 * @throws {PipelineError} usage, naming the file and the key.
 */
export function clusterProfile(name: string, file?: string): ClusterProfile {
  const builtIn = Object.hasOwn(PROFILES, name) ? PROFILES[name] : undefined;
  if (file !== undefined) return fromFile(name, file, builtIn);
  if (builtIn !== undefined) return builtIn;
  throw new PipelineError("usage", `Unknown cluster${suggestion(name, Object.keys(PROFILES))}`, {
    received: name,
    expected: `${Object.keys(PROFILES).join(", ")}, or a file by --cluster-profile`,
  });
}

function fromFile(name: string, path: string, builtIn: ClusterProfile | undefined): ClusterProfile {
  const { basedOn, jobTypes = {}, ...own } = readObject(path);
  const base = basedOn === undefined ? builtIn : PROFILES[String(basedOn)];
  if (basedOn !== undefined && base === undefined) {
    throw new PipelineError("usage", "basedOn names no built-in profile", {
      path,
      received: String(basedOn),
      expected: Object.keys(PROFILES).join(", "),
    });
  }
  const { jobTypes: baseTypes = {}, ...baseOwn } = base ?? {};
  const merged = merge({ ...baseOwn, name }, own, PROFILE_KEYS, path, "");
  const types = { ...baseTypes } as Record<string, JobType>;
  for (const [type, value] of Object.entries(objectAt(jobTypes, path, "jobTypes"))) {
    if (value === null) delete types[type];
    else {
      const given = objectAt(value, path, `jobTypes.${type}`);
      types[type] = merge(types[type] ?? {}, given, JOB_TYPE_KEYS, path, `jobTypes.${type}.`) as unknown as JobType;
    }
  }
  return { ...merged, jobTypes: types } as unknown as ClusterProfile;
}

function readObject(path: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new PipelineError("usage", "Cluster profile cannot be read as JSON", { path }, { cause });
  }
  return objectAt(parsed, path, "");
}

function objectAt(value: unknown, path: string, key: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new PipelineError("usage", "Cluster profile: an object is expected here", { path, key: key || undefined });
}

function merge(
  base: object,
  given: Record<string, unknown>,
  keys: Readonly<Record<string, Kind | string>>,
  path: string,
  prefix: string,
): Record<string, unknown> {
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(keys, key)) continue;
    throw new PipelineError(
      "usage",
      `Cluster profile: unknown key ${prefix}${key}${suggestion(key, Object.keys(keys))}`,
      {
        path,
      },
    );
  }
  const merged = Object.fromEntries(Object.entries({ ...base, ...given }).filter(([, value]) => value !== null));
  for (const [key, kind] of Object.entries(keys)) {
    const optional = typeof kind === "string" && kind.endsWith("?");
    const value = merged[key];
    if (value === undefined ? optional : isOfKind(value, kind)) continue;
    throw new PipelineError(
      "usage",
      `Cluster profile: ${prefix}${key} is ${value === undefined ? "missing" : "wrong"}`,
      {
        path,
        expected: Array.isArray(kind)
          ? kind.join(" or ")
          : ({ texts: "a list of texts", flag: "true or false" }[String(kind)] ?? `a ${String(kind).replace("?", "")}`),
        received: value === undefined ? undefined : JSON.stringify(value),
      },
    );
  }
  return merged;
}

function isOfKind(value: unknown, kind: Kind | string): boolean {
  if (Array.isArray(kind)) return kind.includes(value);
  switch ((kind as string).replace("?", "")) {
    case "text":
      return typeof value === "string" && value !== "";
    case "number":
      return typeof value === "number" && Number.isFinite(value) && value >= 0;
    case "flag":
      return typeof value === "boolean";
    default:
      return Array.isArray(value) && value.every((item) => typeof item === "string");
  }
}
