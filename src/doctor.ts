import { resolve } from "node:path";
import { main } from "./cli/main.js";
import { OPTIONS, type OptionName } from "./config/options.js";

/** By the worst finding. */
const EXIT = { ok: 0, warn: 3, fail: 1 } as const;

await main(
  {
    name: "node dist/doctor.js",
    summary:
      "Is this machine fit for a year? Each line a fact; what is wrong, with what to do. Exit code 1 for a fail, 3 for a warning.",
    rootOptions: "use",
    options: Object.keys(OPTIONS) as OptionName[],
    examples: ["node dist/doctor.js --root work/demo", "node dist/doctor.js --root work/demo --json"],
  },
  async ({ options }, ctx) => {
    const { clusterProfile } = await import("./cluster/profile-file.js");
    const { examine, findingsText } = await import("./doctor/finding.js");
    const { machineChecks } = await import("./doctor/machine.js");
    const { proxyChecks } = await import("./doctor/proxy.js");
    const { serviceChecks } = await import("./doctor/services.js");
    const { softwareChecks } = await import("./doctor/software.js");
    const { storageChecks } = await import("./doctor/storage.js");
    const { availableThreads } = await import("./parallel/threads.js");
    const profile = options.cluster === undefined ? undefined : clusterProfile(options.cluster, options.clusterProfile);
    const threads = Math.min(availableThreads(options.threads), profile?.maxThreads ?? Number.POSITIVE_INFINITY);
    const findings = await examine([
      ...softwareChecks(options, profile, threads),
      ...machineChecks(resolve(options.root), threads, profile),
      ...storageChecks(options, profile),
      ...proxyChecks(options),
      ...serviceChecks(options, profile, ctx),
    ]);
    const worst = (["fail", "warn"] as const).find((level) => findings.some((finding) => finding.level === level));
    process.exitCode = EXIT[worst ?? "ok"];
    if (!options.json) process.stdout.write(findingsText(findings));
    return { version: 1, cluster: profile?.name ?? null, threads, findings };
  },
);
