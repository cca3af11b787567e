import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { eachYear } from "./config/each-year.js";
import { runStep } from "./pipeline/step.js";

await main(
  {
    name: "node dist/publish.js",
    summary: "Publish finished archives: upload, manifest, CloudFront invalidation.",
    positionals: "YEAR...",
    rootOptions: "keep",
    options: [
      "root",
      "region",
      "target",
      "endpoint",
      "s3Region",
      "s3Checksums",
      "profile",
      "publicUrl",
      "manifestFormat",
      "allowRace",
      "distribution",
      "waitInvalidation",
      "retries",
      "proxy",
      "json",
      "quiet",
    ],
    own: { force: { type: "boolean", help: "publish again, also what is published and valid" } },
    examples: [
      "node dist/publish.js 2020 --root work/demo",
      "node dist/publish.js 2018-2020 --root work/demo --target file:work/maps",
    ],
  },
  async ({ options, positionals, own }, ctx) =>
    eachYear(positionals, options, ctx, async (year, locked) => {
      const { finishedArchive } = await import("./publish/finished-archive.js");
      const { publishStep } = await import("./publish/step.js");
      const step = publishStep(year, options, layoutOf(options, year), finishedArchive(year, options));
      return runStep(step, locked, { force: own.force === true });
    }),
);
