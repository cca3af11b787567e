import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { eachYear } from "./config/each-year.js";
import { OUTPUT, ROOT, TARGET } from "./config/option-sets.js";
import { runStep } from "./pipeline/step.js";

await main(
  {
    name: "node dist/publish.js",
    summary: "Publish finished archives: upload, manifest, CloudFront invalidation.",
    positionals: "YEAR...",
    rootOptions: "keep",
    options: [...ROOT, "publishAs", ...TARGET, ...OUTPUT],
    own: { force: { type: "boolean", help: "publish again, also what is published and valid" } },
    examples: [
      "node dist/publish.js 2020 --root work/demo",
      "node dist/publish.js 2018-2020 --root work/demo --target file:work/maps",
    ],
  },
  async ({ options, positionals, own }, ctx) =>
    eachYear(positionals, options, ctx, async (year, locked) => {
      const layout = layoutOf(options, year);
      const force = { force: own.force === true };
      const publishColumn = async () => {
        const { finishedColumn, publishColumnStep } = await import("./publish/column-step.js");
        return runStep(publishColumnStep(year, options, layout, finishedColumn(year, options)), locked, force);
      };
      if (options.publishAs === "columns") return publishColumn();
      const { finishedArchive } = await import("./publish/finished-archive.js");
      const { publishStep } = await import("./publish/step.js");
      const archive = finishedArchive(year, options);
      const published = await runStep(publishStep(year, options, layout, archive), locked, force);
      return options.publishAs === "both" ? { ...published, column: await publishColumn() } : published;
    }),
);
