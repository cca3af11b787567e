import { execa } from "execa";
import type { SpatialReference } from "gdal-async";
import type { ClusterProfile } from "../cluster/profiles.js";
import type { Options } from "../config/options.js";
import { openFileLimits, tippecanoeVersion } from "../tiles/preflight.js";
import { planTippecanoe } from "../tiles/tippecanoe-plan.js";
import { type Check, type Finding, fail, judge, ok, warn } from "./finding.js";

const OLDEST_NODE = [20, 15] as const;
/** For CDL as it is published: GeoTIFF and ERDAS Imagine. */
const DRIVERS = ["GTiff", "HFA"];
/** The origin of CONUS Albers in degrees, which projects to 0, 0 by its definition. */
const ALBERS_ORIGIN = { x: -96, y: 23 };
const METER = 1;

/** The programs and libraries that a year needs. */
export function softwareChecks(options: Options, profile: ClusterProfile | undefined, threads: number): Check[] {
  return [
    { name: "node", run: async () => [nodeVersion()] },
    { name: "native kernel", run: nativeKernel },
    { name: "gdal", run: gdalWorks },
    ...(options.tiler === "tippecanoe"
      ? [{ name: "tippecanoe", run: () => tippecanoe(options.tippecanoe, threads) }]
      : []),
    { name: "container", run: () => containerRuntime(options.container, profile) },
  ];
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const good = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  return judge(good, "node", process.version, `install Node ${OLDEST_NODE.join(".")} or newer`, "fail");
}

async function nativeKernel(): Promise<Finding[]> {
  try {
    const kernel = await import("../kernel/native.js");
    kernel.nativeKernel();
    return [ok("native kernel", `built for Node's ABI ${process.versions.modules}, ${process.arch}`)];
  } catch (error) {
    const reason = firstLine(error);
    return [fail("native kernel", reason, "npm run build:native, on a node like those that run the jobs")];
  }
}

async function gdalWorks(): Promise<Finding[]> {
  const variables = ["PROJ_DATA", "PROJ_LIB", "GDAL_DATA"]
    .flatMap((name) => (process.env[name] === undefined ? [] : [`${name}=${process.env[name]}`]))
    .join(", ");
  const loaded = await import("gdal-async").then(
    (module) => module.default,
    (error: Error) => error,
  );
  if (loaded instanceof Error)
    return [fail("gdal", `gdal-async cannot be loaded: ${firstLine(loaded)}`, "npm run setup")];
  const gdal = loaded;
  const names = new Set(gdal.drivers.getNames());
  const missing = DRIVERS.filter((name) => !names.has(name));
  const findings = [
    judge(
      missing.length === 0,
      "gdal",
      `${gdal.version}, ${names.size} drivers`,
      `it lacks ${missing.join(" ")}`,
      "fail",
    ),
  ];
  const remedy =
    "PROJ_DATA must name the folder of proj.db that belongs to this GDAL; unset it to use the built-in one";
  try {
    const [from, to] = ["OGC:CRS84", "EPSG:5070"].map((name) => gdal.SpatialReference.fromUserInput(name)) as [
      SpatialReference,
      SpatialReference,
    ];
    const { x, y } = new gdal.CoordinateTransformation(from, to).transformPoint(ALBERS_ORIGIN.x, ALBERS_ORIGIN.y);
    const good = Math.hypot(x, y) < METER;
    const fact = `degrees to EPSG:5070 ${good ? "works" : `gives ${x} ${y} for its origin`}`;
    findings.push(judge(good, "proj", fact + (variables && ` (${variables})`), remedy, "fail"));
  } catch (error) {
    findings.push(fail("proj", `${firstLine(error)} (${variables || "PROJ_DATA unset"})`, remedy));
  }
  return findings;
}

async function tippecanoe(program: string, threads: number): Promise<Finding[]> {
  const version = await tippecanoeVersion(program);
  const { softNofile, hardNofile } = await openFileLimits();
  const plan = planTippecanoe({ onlineCpus: threads, maxThreadsWanted: threads, softNofile, hardNofile });
  const sum = `${plan.threads} threads, ${plan.tempFiles} temporary files, ${plan.shards} shards a thread`;
  const limits = `open files ${softNofile}, at most ${hardNofile}`;
  return [
    ok("tippecanoe", version),
    plan.ok && plan.reason === undefined
      ? ok("its threads", `${sum}; ${limits}`)
      : {
          name: "its threads",
          level: plan.ok ? "warn" : "fail",
          fact: `${plan.reason ?? sum}; ${limits}`,
          remedy: "ulimit -Hn 4096 or more, in the job script or by the site",
        },
  ];
}

async function containerRuntime(image: string | undefined, profile: ClusterProfile | undefined): Promise<Finding[]> {
  const programs = profile?.containerRuntimes ?? ["apptainer", "singularity", "docker", "podman"];
  for (const program of programs) {
    const { exitCode, stdout } = await execa(program, ["--version"], {
      reject: false,
      stdin: "ignore",
      timeout: 20_000,
    });
    if (exitCode === 0) return [ok("container", stdout.split("\n", 1)[0] ?? program)];
  }
  const fact = `none of ${programs.join(", ")} runs here`;
  const remedy = "load the site's module, or run without a container on programs that npm run setup installed";
  return [
    image === undefined
      ? warn("container", fact, remedy)
      : fail("container", `${fact}, and an image is to be used`, remedy),
  ];
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}
