import { execa } from "execa";
import type { ClusterProfile, JobType } from "../cluster/profiles.js";
import { layoutOf, type Options } from "../config/config.js";
import { fetchBy } from "../network/fetch.js";
import { ProxyRules } from "../network/proxy.js";
import { ProxyError } from "../network/proxy-error.js";
import type { Context } from "../pipeline/context.js";
import { openTarget } from "../publish/open-target.js";
import { type Check, type Finding, fail, judge, ok, warn } from "./finding.js";

const TIMEOUT_MS = 15_000;

/** What is reached over a network: where to publish to, where rasters come from, the scheduler. */
export function serviceChecks(options: Options, profile: ClusterProfile | undefined, ctx: Context): Check[] {
  return [
    { name: "target", run: () => target(options, ctx) },
    { name: "rasters", run: () => rasterSource(options) },
    ...(profile?.scheduler === "slurm" ? [{ name: "slurm", run: () => slurm(profile) }] : []),
  ];
}

/** Reads the manifest, or finds that there is none: that takes credentials, a bucket and a way there. */
async function target(options: Options, ctx: Context): Promise<Finding[]> {
  const layout = layoutOf(options, 0);
  const place = await openTarget({ ...options, retries: 0 }, layout);
  try {
    const stored = await place.getText(layout.manifest.split("/").at(-1) ?? "", ctx);
    return [
      ok(
        "target",
        `${place.name}: ${stored === undefined ? "reached, no manifest yet" : "reached, its manifest read"}`,
      ),
    ];
  } catch (error) {
    const reason = (error as Error).message.split("\n", 1)[0] ?? "";
    return [
      fail(
        "target",
        reason,
        "where a node's only way out is a web proxy set HTTPS_PROXY; else publish from a login node by node dist/publish.js",
      ),
    ];
  }
}

async function rasterSource({ cdlSource: source, proxy }: Options): Promise<Finding[]> {
  if (!/^https?:/.test(source)) return [ok("rasters", source)];
  const remedy =
    "set HTTPS_PROXY where a web proxy is the way out, fetch them elsewhere (node dist/download.js), or pass --cdl-source with a folder";
  const { origin } = new URL(source.replaceAll("{year}", "2020"));
  try {
    const answer = await fetchBy(ProxyRules.of(proxy))(origin, {
      method: "HEAD",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return [judge(answer.status < 500, "rasters", `${origin} answers ${answer.status}`, remedy, "warn")];
  } catch (error) {
    const cause = error instanceof ProxyError ? undefined : ((error as Error).cause as Error | undefined);
    return [warn("rasters", `${origin} cannot be reached: ${cause?.message || (error as Error).message}`, remedy)];
  }
}

/** Slurm as it is against the profile that jobs are checked by. */
async function slurm(profile: ClusterProfile): Promise<Finding[]> {
  const { failed, stdout, stderr, shortMessage } = await execa("sinfo", ["--noheader", "--format=%P|%l|%D|%c"], {
    reject: false,
    stdin: "ignore",
    timeout: TIMEOUT_MS,
  });
  if (failed) {
    const reason = (stderr || shortMessage || "").split("\n", 1)[0] ?? "";
    return [fail("slurm", `sinfo does not answer: ${reason}`, "run this on a login or compute node of the cluster")];
  }
  const partitions = new Map(
    stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const [name = "", limit = "", , cpus = ""] = line.split("|");
        return [name.replace("*", ""), { minutes: minutesOf(limit), cpus: Number.parseInt(cpus, 10) }] as const;
      }),
  );
  const types = Object.entries(profile.jobTypes).filter(
    ([, type]) => type.partition !== undefined || type.qos === undefined,
  );
  return [
    ok("slurm", `partitions ${[...partitions.keys()].join(" ")}`),
    ...types.flatMap(([name, type]) => partitionFindings(name, type, partitions)),
  ];
}

function partitionFindings(
  name: string,
  type: JobType,
  partitions: ReadonlyMap<string, { minutes: number; cpus: number }>,
): Finding[] {
  const partition = partitions.get(type.partition ?? name);
  const remedy = "correct the profile by --cluster-profile";
  if (partition === undefined)
    return [warn(`job type ${name}`, `Slurm has no partition ${type.partition ?? name}`, remedy)];
  const problems = [
    ...(partition.minutes < type.maxWalltimeMinutes
      ? [`time limit ${partition.minutes} min, the profile says ${type.maxWalltimeMinutes}`]
      : []),
    ...(partition.cpus < type.cores ? [`${partition.cpus} CPUs a node, the profile says ${type.cores} cores`] : []),
  ];
  return problems.length === 0
    ? [ok(`job type ${name}`, "as in the profile")]
    : [warn(`job type ${name}`, problems.join("; "), remedy)];
}

/** Slurm's `4-00:00:00`, `1:00:00`, `30:00`, `infinite`, in minutes. */
export function minutesOf(limit: string): number {
  if (limit === "infinite") return Number.POSITIVE_INFINITY;
  const [days, clock] = limit.includes("-") ? limit.split("-") : ["0", limit];
  const parts = (clock ?? "").split(":").map(Number);
  const [hours = 0, minutes = 0, seconds = 0] = parts.length === 3 ? parts : [0, ...parts];
  return Number(days) * 1440 + hours * 60 + minutes + seconds / 60;
}
