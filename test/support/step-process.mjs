// A text step in a process of its own, which waits at `moment` (run, verify, finish) until it is ended.
// node step-process.mjs FOLDER TEXT [MOMENT]
import { writeFileSync } from "node:fs";
import { main } from "../../dist/cli/main.js";
import { runStep } from "../../dist/pipeline/step.js";
import { textStep } from "./text-step.mjs";

await main({ name: "step", summary: "", options: ["quiet"], examples: [] }, async ({ positionals }, ctx) => {
  const [folder, text, moment] = positionals;
  const plain = textStep(folder, text);
  const wait = async (now) => {
    if (now !== moment) return;
    console.log("waiting");
    await new Promise((_, reject) => {
      const alive = setInterval(() => {}, 1_000);
      ctx.signal.addEventListener("abort", () => {
        clearInterval(alive);
        reject(ctx.signal.reason);
      });
    });
  };
  const step = {
    ...plain,
    async run(partial) {
      const facts = await plain.run(partial);
      writeFileSync(`${partial}.beside`, "a file of the step's own");
      await wait("run");
      return facts;
    },
    async verify(partial, facts) {
      await plain.verify(partial, facts);
      await wait("verify");
    },
    finish: () => wait("finish"),
  };
  await runStep(step, ctx);
  console.log("done");
});
