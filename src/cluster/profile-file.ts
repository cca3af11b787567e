import { readFileSync } from "node:fs";
import { suggestion } from "../config/config.js";
import { PipelineError, type Where } from "../pipeline/errors.js";
import { type ClusterProfile, type JobType, PROFILES } from "./profiles.js";

/** What a key's value must be. */
interface Check {
  readonly expected: string;
  readonly optional?: boolean;
  accepts(value: unknown): boolean;
}
type Checks<T> = { readonly [K in keyof Required<T>]: Check };

const TEXT: Check = { expected: "a text", accepts: (value) => typeof value === "string" && value !== "" };
const NUMBER: Check = {
  expected: "a number from 0",
  accepts: (value) => typeof value === "number" && Number.isFinite(value) && value >= 0,
};
const FLAG: Check = { expected: "true or false", accepts: (value) => typeof value === "boolean" };
const TEXTS: Check = {
  expected: "a list of texts",
  accepts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
};
const optional = (check: Check): Check => ({ ...check, optional: true });
const oneOf = (...choices: string[]): Check => ({
  expected: choices.join(" or "),
  accepts: (value) => choices.includes(String(value)),
});

const JOB_TYPE_KEYS: Checks<JobType> = {
  partition: optional(TEXT),
  qos: optional(TEXT),
  wholeNodes: FLAG,
  minNodes: NUMBER,
  maxNodes: NUMBER,
  maxWalltimeMinutes: NUMBER,
  memory: oneOf("forbidden", "required", "optional"),
  cores: NUMBER,
  logicalCpus: NUMBER,
  memoryGiB: NUMBER,
  gpus: NUMBER,
  unitsPerGiB: optional(NUMBER),
  unitsPerGpu: optional(NUMBER),
  maxUnitsPerJob: optional(NUMBER),
  maxUnitsPerUser: optional(NUMBER),
  maxJobsPerUser: optional(NUMBER),
  maxNodesPerUser: optional(NUMBER),
};

const PROFILE_KEYS: Checks<Omit<ClusterProfile, "jobTypes">> = {
  name: TEXT,
  scheduler: oneOf("slurm", "none"),
  maxThreads: NUMBER,
  maxArrayTasks: NUMBER,
  workFileSystem: TEXT,
  workSpace: TEXT,
  projectSpace: TEXT,
  projectQuotaGiB: NUMBER,
  projectQuotaFiles: NUMBER,
  purgeDays: NUMBER,
  purgeDaysWhenFull: NUMBER,
  scratch: TEXT,
  scratchGiB: NUMBER,
  tmpGiB: NUMBER,
  localDiskGres: optional(TEXT),
  localDiskGiB: NUMBER,
  containerRuntimes: TEXTS,
};

/**
 * A cluster's profile: a built-in one, the user's file, or the file on top of a built-in one.
 *
 * @param name  a built-in profile, or with a file any name.
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
  throw new PipelineError("usage", "Cluster profile: expected an object here", { path, key: key || undefined });
}

function merge(
  base: object,
  given: Record<string, unknown>,
  checks: Readonly<Record<string, Check>>,
  path: string,
  prefix: string,
): Record<string, unknown> {
  const fail = (problem: string, where: Where = {}): never => {
    throw new PipelineError("usage", `Cluster profile: ${problem}`, { path, ...where });
  };
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(checks, key)) fail(`unknown key ${prefix}${key}${suggestion(key, Object.keys(checks))}`);
  }
  const merged = Object.fromEntries(Object.entries({ ...base, ...given }).filter(([, value]) => value !== null));
  for (const [key, check] of Object.entries(checks)) {
    const value: unknown = merged[key];
    if (value === undefined && check.optional !== true)
      fail(`${prefix}${key} is missing`, { expected: check.expected });
    if (value !== undefined && !check.accepts(value)) {
      fail(`${prefix}${key} is wrong`, { expected: check.expected, received: JSON.stringify(value) });
    }
  }
  return merged;
}
