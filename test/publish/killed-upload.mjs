// Publishes a year and kills itself with -9 in the middle of the upload, after KILL_AFTER bytes:
// node killed-upload.mjs ROOT YEAR OPTIONS_JSON PART_BYTES KILL_AFTER
import { runStep } from "../../dist/pipeline/step.js";
import { makeContext, readyYear } from "../support/published-year.mjs";

const [root, year, options, partBytes, killAfter] = process.argv.slice(2);
const progress = {
  start: (label) => ({
    update(done) {
      if (label === "bytes published" && done >= Number(killAfter)) process.kill(process.pid, "SIGKILL");
    },
    end() {},
  }),
};
const tuning = { partBytes: Number(partBytes), parallelParts: 1 };
await runStep(readyYear(root, Number(year), { options: JSON.parse(options), tuning }).step, {
  ...makeContext(),
  progress,
});
