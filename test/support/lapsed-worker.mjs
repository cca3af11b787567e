// A text step under a lock that is stale after 300 ms. It says `working PID` with its output half made, and goes
// on at a line on stdin. node lapsed-worker.mjs FOLDER TEXT RESUMABLE
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { main } from "../../dist/cli/main.js";
import { withLiveState } from "../../dist/pipeline/live.js";
import { withLock } from "../../dist/pipeline/lock.js";
import { runStep } from "../../dist/pipeline/step.js";
import { textStep } from "./text-step.mjs";

await main({ name: "step", summary: "", options: ["quiet"], examples: [] }, async ({ positionals }, ctx) => {
  const [folder, text, resumable] = positionals;
  const step = textStep(folder, text, {
    resumable: resumable === "true",
    async run(partial) {
      appendFileSync(`${partial}.part`, text);
      console.log(`working ${process.pid}`);
      await new Promise((resolve) => process.stdin.once("data", resolve));
      // As a step does that does not look at its signal: what it still does must harm nobody.
      appendFileSync(`${partial}.part`, text);
      const parts = readFileSync(`${partial}.part`, "utf8");
      if (!parts.endsWith(text + text)) throw new Error(`somebody else wrote here: ${parts}`);
      appendFileSync(partial, text);
      await sleep(50);
      return { letters: text.length };
    },
  });
  const lock = join(folder, "state", "us_2020.lock");
  await withLock(
    lock,
    ctx,
    (own) => withLiveState(join(folder, "live.json"), 2020, own, (live) => runStep(step, live)),
    // It beats too seldom to notice by itself.
    { heartbeatMs: 60_000, staleMs: 300 },
  );
  console.log("done");
});
