import { existsSync } from "node:fs";
import { main } from "./cli/main.js";
import { layoutOf, type Options } from "./config/config.js";
import { PipelineError } from "./pipeline/errors.js";
import { fileDigest } from "./pipeline/fingerprint.js";
import { readRecord, recordPath } from "./pipeline/record.js";
import { runStep } from "./pipeline/step.js";
import { publishStep } from "./publish/step.js";
import { eachYear } from "./year/each-year.js";

await main(
  {
    name: "node dist/publish.js",
    summary: "Publish finished archives: upload, manifest, CloudFront invalidation.",
    positionals: "YEAR...",
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
      "node dist/publish.js 2020",
      "node dist/publish.js 2018-2020 --target s3://maps/fields --public-url https://maps.example.org/fields",
    ],
  },
  async ({ options, positionals, own }, ctx) =>
    eachYear(positionals, options, ctx, (year, locked) =>
      runStep(finishedYear(year, options), locked, { force: own.force === true }),
    ),
);

/** The publish step of the archive that lies there, with the facts of the step that made it. */
function finishedYear(year: number, options: Options) {
  const layout = layoutOf(options, year);
  const path = layout.archive;
  if (!existsSync(path)) {
    throw new PipelineError("input", "The archive to publish is not there; make it first", { path, year });
  }
  const digest = fileDigest(path);
  const made = readRecord(recordPath(layout.state, options.region, year, "tiles"));
  // Facts of another archive than the one that lies there would be a lie.
  const known = made?.output.digest === digest ? made : undefined;
  return publishStep(year, options, layout, { path, digest, facts: known?.facts ?? {}, builtAt: known?.finishedAt });
}
