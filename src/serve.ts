import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

async function serve({ options, own, positionals }: Arguments, ctx: Context): Promise<void> {
  if (positionals.length > 0)
    throw new PipelineError("usage", "Unexpected argument", { received: positionals.join(" ") });
  const text = (name: string) => own[name] as string | undefined;
  const { readPort, serveMap } = await import("./view/server/serve-map.js");
  await serveMap(options, { history: text("history"), host: text("host"), port: readPort(text("port")) }, ctx);
}

await main(
  {
    name: "node dist/serve.js",
    summary: "Look at what was published: a map in the browser. Works offline. Ctrl-C to stop.",
    rootOptions: "use",
    options: [...ROOT, "target", "proxy", ...OUTPUT],
    own: {
      host: { type: "string", help: "address to listen on; 0.0.0.0 lets the whole network in [127.0.0.1]" },
      port: { type: "string", help: "port to listen on; 0 for any free one [8080]" },
      history: { type: "string", help: "folder of node dist/history.js [beside the target]" },
    },
    examples: [
      "node dist/serve.js --root work/demo",
      "node dist/serve.js --target file:work/demo/outputs/web --port 0",
    ],
  },
  serve,
);
